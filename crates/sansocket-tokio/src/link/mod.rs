//! A connection without its receiving buffer: the engine, the stream, what is queued between them, and the time.
//!
//! 1. Everything here happens within one poll, and whatever a poll leaves behind is whole: who drops a future in between leaves nothing half done.
//! 2. In split mode, all of it is behind one lock, which nobody holds from one poll to the next.
//! 3. Who waits to write does so by [`Waiters`], so that neither task takes the other's wake-up.

mod end;
mod receive;
mod write;

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use sansocket::{CloseCode, Expired, SendError, Timeouts};
use sansocket_stream::{Engine, Inbox};
use tokio::io::{AsyncRead, ReadBuf};

use self::end::End;
use crate::outbox::Outbox;
use crate::timing::Timing;
use crate::waiters::Waiters;

#[derive(Debug)]
pub(crate) struct Link<S> {
    pub(crate) stream: S,
    pub(crate) engine: Engine,
    pub(crate) outbox: Outbox,
    pub(crate) timing: Timing,
    waiters: Waiters,
    /// The task that reads, if it waits: a Close that the other one sends has a deadline, of which it has to hear.
    reader: Option<Waker>,
    /// Whether the stream may hold back what it has taken.
    is_unflushed: bool,
    /// Whether the stream takes no more. What is queued is dropped.
    is_broken: bool,
    /// Whether the stream has taken something since it was read last.
    has_taken: bool,
    end: End,
    /// Why the stream has ended, until that was told.
    source: Option<io::Error>,
}

impl<S> Link<S> {
    pub(crate) fn new(stream: S, engine: Engine, outbox: Outbox, timeouts: Timeouts) -> Self {
        Self {
            stream,
            engine,
            outbox,
            timing: Timing::new(timeouts),
            waiters: Waiters::default(),
            reader: None,
            is_unflushed: false,
            is_broken: false,
            has_taken: false,
            end: End::Writing,
            source: None,
        }
    }

    /// Calls `with` with the engine and where its replies go.
    pub(crate) fn receive<T>(&mut self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        with(&mut self.engine, self.outbox.replies())
    }

    /// Calls `with` with the engine and its output.
    pub(crate) fn engine<T>(&mut self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        with(&mut self.engine, self.outbox.queue())
    }

    /// Begins the closing handshake. The task that reads has to hear of it, because it keeps the time.
    pub(crate) fn close(&mut self, code: Option<CloseCode>, reason: &str) -> Result<(), SendError> {
        self.engine(|engine, out| engine.close(code, reason, out))?;
        self.wake_reader();
        Ok(())
    }

    /// Has the task that reads poll again: it writes what is queued, and keeps the time.
    pub(crate) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Nobody reads any more, so that nobody keeps the time for those who send.
    pub(crate) fn forget_reader(&mut self) {
        self.reader = None;
        self.waiters.wake();
    }

    /// Does what is due. False: nothing is, and the task will be woken when something is.
    fn expire(&mut self, cx: &mut Context<'_>) -> bool {
        let was_open = self.engine.ending().is_none();
        let expired = self.timing.expire(cx, &mut self.engine, &mut self.outbox);
        if expired == Expired::Transport && was_open {
            self.source = Some(io::Error::new(io::ErrorKind::TimedOut, "the Close was not answered in time"));
        }
        expired != Expired::Nothing
    }

    /// Nothing is read now. A peer that takes what it gets counts as heard all the same.
    fn hear_by_writing(&mut self) {
        if mem::take(&mut self.has_taken) {
            self.timing.received();
        }
    }

    /// The task that reads waits: for the stream, or for what is due next. False: something is due now, and done.
    fn rests(&mut self, inbox: &mut Inbox, cx: &mut Context<'_>) -> bool {
        if self.expire(cx) {
            return false;
        }
        self.remember_reader(cx);
        inbox.rest();
        self.outbox.rest();
        true
    }

    fn remember_reader(&mut self, cx: &Context<'_>) {
        if !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            self.reader = Some(cx.waker().clone());
        }
    }

    /// A failure that nobody else hears of: a read tells it, if it was the end.
    fn note(&mut self, error: io::Error) {
        self.source.get_or_insert(error);
    }

    /// Whether the stream takes no more.
    pub(crate) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The stream takes no more, or nothing more is to be given to it.
    fn break_off(&mut self) {
        self.is_broken = true;
        self.outbox.clear();
    }
}

/// Reads once. `Err(None)`: nothing has come, and the task will be woken.
fn poll_read(
    stream: &mut (impl AsyncRead + Unpin),
    room: &mut [u8],
    cx: &mut Context<'_>,
) -> Result<usize, Option<io::Error>> {
    let mut room = ReadBuf::new(room);
    match Pin::new(stream).poll_read(cx, &mut room) {
        Poll::Ready(Ok(())) => Ok(room.filled().len()),
        Poll::Ready(Err(error)) => Err(Some(error)),
        Poll::Pending => Err(None),
    }
}
