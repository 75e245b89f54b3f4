//! The object over sockets that break, split and dawdle, on a network thread that has too little memory, too.

mod cuts;
#[cfg(target_os = "linux")]
mod memory;
#[path = "../object/peer.rs"]
#[expect(dead_code, reason = "it knows more than is wanted here")]
mod peer;
mod pieces;
mod story;
