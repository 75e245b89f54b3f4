//! What must hold for every input of a fuzz target.
//!
//! | module | what for |
//! |---|---|
//! | `connection` | one connection, any bytes, any chunks, against the naive codec |
//! | `pair` | a server and a client on a wire, against a model of what was sent |
//! | `inflate` | one connection and its decompressor, any bytes, any chunks, against RFC 1951 bit by bit and miniz_oxide |
//! | `deflate` | a compressor in any settings, against those who read what it writes |
//! | `object` | the browser's object without a network, against the model of its own tests |
//! | `differential` | the same bytes to us and to tungstenite, and why they differ |
//! | `rfc1951` | DEFLATE, slow and with the reason of each fault |
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
pub mod deflate;
pub mod differential;
pub mod frames;
mod head;
pub mod heads;
pub mod inflate;
mod invariants;
pub mod lists;
pub mod object;
// What the engine's own tests have of miniz_oxide.
#[allow(dead_code, clippy::missing_docs_in_private_items, reason = "the engine's tests need more of it")]
#[path = "../../crates/sansocket/tests/deflate/oracle.rs"]
mod oracle;
pub mod pair;
pub mod request;
pub mod response;
mod rfc1951;
pub mod seeds;
pub mod text;
