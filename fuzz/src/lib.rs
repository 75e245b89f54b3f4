//! What must hold for every input of a fuzz target.
//!
//! | module | what for |
//! |---|---|
//! | `connection` | one connection, any bytes, any chunks, against the naive codec |
//! | `pair` | a server and a client on a wire, against a model of what was sent |
//! | `frames` | headers of frames, read and written |
//! | `request`, `response` | a side of the handshake, any bytes, any chunks, against a naive reader |
//! | `heads` | heads that somebody else has parsed, against the same in bytes |
//! | `lists` | subprotocols and extensions, against a naive reader |
//! | `text` | a text message and masking, against the standard library and the formula |
//! | `head` | heads that are mostly valid, and a naive reader of heads |
//! | `invariants` | linear work, bounded memory |
//! | `bytes` | an input's bytes as numbers, texts and payloads |
//! | `seeds` | the first inputs, written down |
//!
//! The targets in `fuzz_targets/` call `check` and nothing else, so that any input can be run as a plain test too.

mod bytes;
pub mod connection;
pub mod frames;
mod head;
pub mod heads;
mod invariants;
pub mod lists;
pub mod pair;
pub mod request;
pub mod response;
pub mod seeds;
pub mod text;
