//! What must hold for every input of a fuzz target.
//!
//! | module | what for |
//! |---|---|
//! | `connection` | one connection, any bytes, any chunks, against the naive codec |
//! | `pair` | a server and a client on a wire, against a model of what was sent |
//! | `bytes` | an input's bytes as numbers, texts and payloads |
//! | `seeds` | the first inputs, written down |
//!
//! The targets in `fuzz_targets/` call `check` and nothing else, so that any input can be run as a plain test too.

mod bytes;
pub mod connection;
pub mod pair;
pub mod seeds;
