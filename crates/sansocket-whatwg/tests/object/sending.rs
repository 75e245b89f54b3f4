//! What is sent: rows 31 to 40.
