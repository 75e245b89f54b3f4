//! How a connection is made: rows 20 to 30.
