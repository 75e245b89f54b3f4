//! Calls that are given up while they wait: whichever it is, and wherever that happens, nothing is lost, nothing comes twice, and nothing is torn.
//!
//! Two peers hold a conversation over a wire in memory. It is held once, to count how often each of them waits; then once more for each of those
//! waits, at which the future under way is dropped.

#[macro_use]
mod calls;
mod combinators;
#[cfg(feature = "deflate")]
mod compressed;
mod conversation;
mod halves;
mod moved;
mod never_polled;
#[path = "../support/tasks.rs"]
mod tasks;
mod whole;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "shared by several test crates")]
mod wire;
