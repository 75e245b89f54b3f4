//! What goes out: from the output to the socket, and what that does not take to the queue.

use std::io;

use sansocket::{NextStep, ProtocolError};

use super::deflate::end_turn;
use super::opening::Stage;
use super::{Driver, Load, Reading, State, Writing};
use crate::queue::Queue;
use crate::settings::Common;
use crate::stream::Stream;

impl<S: Stream> Driver<S> {
    /// The socket takes more.
    pub(crate) fn on_writable(&mut self, common: &mut Common) {
        if let State::Opening(opening) = &mut self.state
            && matches!(opening.stage, Stage::Connecting)
        {
            match self.stream.is_connected() {
                Ok(true) => {
                    opening.stage = Stage::Head;
                    let _ = self.stream.set_nodelay();
                }
                Ok(false) => return,
                Err(error) => {
                    self.lose(error, common);
                    return;
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
        self.weigh(common);
    }

    /// Compares what is queued with the marks.
    fn weigh(&mut self, common: &Common) {
        let queued = self.queued();
        if queued > common.settings.high_mark {
            self.load = Load::Above;
        } else if self.load == Load::Above && queued <= common.settings.low_mark {
            self.load = Load::Drained;
        }
    }

    pub(super) fn write_queue(&mut self) {
        let Some(rare) = &mut self.rare else { return };
        while self.writing == Writing::Free && !rare.queue.is_empty() {
            match rare.queue.write_to(&mut self.stream) {
                Ok((asked, written)) if written < asked && (written == 0 || self.stream.short_write_is_last()) => {
                    self.writing = Writing::Blocked;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.cannot_write(error),
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
                Err(error) => self.cannot_write(error),
            }
        }
        self.queue_up([rest]);
        common.clear();
    }

    /// Queues what the socket does not take now. Where there is no memory for that, the connection is lost: the peer could make nothing of what is
    /// behind the gap.
    pub(super) fn queue_up<'b>(&mut self, slices: impl IntoIterator<Item = &'b [u8]>) {
        for bytes in slices {
            if bytes.is_empty() || self.writing == Writing::Shut {
                continue;
            }
            if self.rare().queue.push(bytes).is_err() {
                self.cannot_write(io::ErrorKind::OutOfMemory.into());
                self.end(None);
            }
        }
    }

    pub(super) fn cannot_write(&mut self, error: io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.writing = Writing::Blocked,
            io::ErrorKind::Interrupted => {}
            // The peer may have said why it went before it did: what it sent is still to be read, and so is the end.
            _ => {
                self.writing = Writing::Shut;
                self.load = Load::Light;
                self.reading = Reading::ToTheEnd;
                let is_news = matches!(&self.state, State::Open(engine) if engine.ending().is_none());
                let rare = self.rare();
                rare.queue = Queue::default();
                // A pipe that is broken says no more than the end of what is read.
                if is_news && error.kind() != io::ErrorKind::BrokenPipe {
                    rare.error = Some(error);
                }
            }
        }
    }

    /// Ends a turn: writes what it has put, and goes on with the end of a connection.
    pub(crate) fn flush(&mut self, common: &mut Common) {
        end_turn(common);
        self.write_out(common);
        self.write_queue();
        // Until nothing interrupts it: what a stream holds back is no event's matter.
        while self.writing == Writing::Free
            && let Err(error) = self.stream.flush()
        {
            self.cannot_write(error);
        }
        self.weigh(common);
        // A client is read from whatever is queued, so replies are bounded here.
        if let State::Open(engine) = &mut self.state
            && !engine.is_server()
            && self.rare.as_ref().is_some_and(|rare| rare.queue.len() > common.settings.queue)
            && engine.may_send()
        {
            engine.fail(ProtocolError::QueueOverrun, &mut common.out);
            self.put_aside(common);
        }
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
        while shuts && self.writing == Writing::Free {
            self.writing = match self.stream.shutdown_write().map_err(|error| error.kind()) {
                // TLS has last words, for which there may be no room yet.
                Err(io::ErrorKind::WouldBlock) => Writing::Blocked,
                Err(io::ErrorKind::Interrupted) => Writing::Free,
                // The connection is over. What the socket says to its burial changes nothing.
                _ => Writing::Shut,
            };
        }
        if let State::NotOpened(not_opened) = &mut self.state {
            not_opened.is_over |= not_opened.has_ended;
        }
    }
}
