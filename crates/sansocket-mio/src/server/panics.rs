//! A handler that panics: what it costs.
//!
//! 1. Whatever is called of the application is called within [`caught`], once for a whole turn, so that no message pays for it by itself.
//! 2. The loop's own state is whole wherever the application is called. What its handler was about to change is the handler's affair.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Server;
use super::handler::Handler;
use crate::driver::Driver;

/// Calls `call`. `None`: it has panicked, and the panic's hook has said so.
pub(super) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

impl<H: Handler> Server<H> {
    /// Ends a connection in whose turn the handler has panicked.
    #[cold]
    pub(super) fn end_after_panic(&mut self, index: usize) {
        // A turn tells the handler at most that the connection has drained, and that it has ended, and it may panic at both. In the third
        // one nothing is told any more.
        let ended = (0..3).any(|_| {
            let is_there = self.connections.entries.contains(index);
            !is_there || caught(|| self.turn(index, Driver::fail_after_panic)).is_some()
        });
        self.connections.turn = None;
        if !ended && self.connections.entries.contains(index) {
            // It is the stream that panics.
            let _ = caught(|| self.connections.remove(index));
        }
        // What a turn that came to no end has left there must not go out in somebody else's.
        self.connections.forget_output();
    }
}
