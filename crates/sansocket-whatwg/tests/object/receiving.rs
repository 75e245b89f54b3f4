//! What comes: rows 41 to 48.
