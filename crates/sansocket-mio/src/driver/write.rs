//! What goes out: from the output to the socket, and what that does not take to the queue.

use std::io;

use sansocket::NextStep;

use super::opening::Stage;
use super::{Driver, Reading, State, Writing};
use crate::queue::Queue;
use crate::settings::Common;
use crate::stream::Stream;

impl<S: Stream> Driver<S> {
    /// The socket takes more. True: what was queued has drained.
    pub(crate) fn on_writable(&mut self, common: &mut Common) -> bool {
        if let State::Opening(opening) = &mut self.state
            && matches!(opening.stage, Stage::Connecting)
        {
            match self.stream.is_connected() {
                Ok(true) => {
                    opening.stage = Stage::Head;
                    let _ = self.stream.set_nodelay();
                }
                Ok(false) => return false,
                Err(error) => {
                    self.lose(error, common);
                    return false;
                }
            }
        }
        if self.writing == Writing::Blocked {
            self.writing = Writing::Free;
        }
        let queued = self.queued();
        self.write_queue();
        // A peer that takes what it gets is there, though nothing may be read from it meanwhile.
        if self.queued() < queued {
            self.deadlines.received(common.now);
        }
        let drained = self.above && self.queued() <= common.settings.low_mark;
        self.above &= !drained;
        drained
    }

    pub(super) fn write_queue(&mut self) {
        let Some(rare) = &mut self.rare else { return };
        while self.writing == Writing::Free && !rare.queue.is_empty() {
            match rare.queue.write_to(&mut self.stream) {
                Ok((asked, written)) if written < asked && (written == 0 || self.stream.short_write_is_last()) => {
                    self.writing = Writing::Blocked;
                }
                Ok(_) => {}
                Err(error) => {
                    self.cannot_write(&error);
                    return;
                }
            }
        }
    }

    /// Writes what was put, once, and queues what the socket does not take.
    pub(super) fn write_out(&mut self, common: &mut Common) {
        let mut rest = &common.out[..];
        while !rest.is_empty() && self.writing == Writing::Free && self.queued() == 0 {
            match self.stream.write(rest) {
                Ok(written) => {
                    if written < rest.len() && (written == 0 || self.stream.short_write_is_last()) {
                        self.writing = Writing::Blocked;
                    }
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(error) => self.cannot_write(&error),
            }
        }
        if !rest.is_empty() && self.writing != Writing::Shut {
            self.rare().queue.push(rest);
        }
        common.clear();
    }

    pub(super) fn cannot_write(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.writing = Writing::Blocked,
            io::ErrorKind::Interrupted => {}
            // The peer may have said why it went before it did: what it sent is still to be read, and so is the end.
            _ => {
                self.writing = Writing::Shut;
                self.above = false;
                if let Some(rare) = &mut self.rare {
                    rare.queue = Queue::default();
                }
                self.reading = Reading::ToTheEnd;
            }
        }
    }

    /// Ends a turn: writes what it has put, and goes on with the end of a connection.
    pub(crate) fn flush(&mut self, common: &mut Common) {
        self.write_out(common);
        self.write_queue();
        if self.writing == Writing::Free
            && let Err(error) = self.stream.flush()
        {
            self.cannot_write(&error);
        }
        self.above |= self.queued() > common.settings.high_mark;
        if self.queued() == 0 && self.writing != Writing::Blocked {
            self.finish();
        }
        if self.rare.as_ref().is_some_and(|rare| rare.is_idle()) {
            self.rare = None;
        }
    }

    /// Everything is written.
    fn finish(&mut self) {
        let shuts = match &self.state {
            State::Open(engine) => matches!(engine.next_step(), NextStep::CloseAfterFlush | NextStep::DrainAfterFlush),
            State::NotOpened(_) => true,
            State::Opening(_) => false,
        };
        if shuts && self.writing != Writing::Shut {
            self.writing = Writing::Shut;
            // The connection is over. What the socket says to its burial changes nothing.
            let _ = self.stream.shutdown_write();
        }
    }
}
