//! A connection without its receiving buffer: the engine, the stream, what is queued between them, and the time.
//!
//! 1. Everything here happens within one poll, and whatever a poll leaves behind is whole: who drops a future in between leaves nothing half done.
//! 2. In split mode, all of it is behind one lock, which nobody holds from one poll to the next.
//! 3. Who waits to write does so by [`Waiters`], so that neither task takes the other's wake-up.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use sansocket::{CloseCode, EndedBy, Expired, Message, NextStep, ProtocolError, SendError, Timeouts};
use sansocket_stream::{Engine, Error, Found, Inbox};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

use crate::outbox::Outbox;
use crate::timing::Timing;
use crate::waiters::{Task, Waiters};

/// How much of the peer's input is read and discarded at the end, so that it gets to see the last that was written, in bytes.
const DRAINED: usize = 16 * 1024 * 1024;

/// How large a buffer is taken to discard what is read, in bytes.
const SCRAP: usize = 4 * 1024;

/// A server does not copy payloads of so many bytes into the queue, if the stream can be written to out of several places at once.
const LEAST_GATHERED: usize = 16 * 1024;

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

/// How far the transport is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The last bytes are being written; before the end, all are.
    Writing,
    ShuttingDown,
    /// So many bytes have been read and discarded.
    Draining(usize),
    Over,
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

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
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

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Receives until `take` finds what it looks for: true; or until the connection has ended: false, or its error.
    pub(crate) fn poll_receive(
        &mut self,
        inbox: &mut Inbox,
        take: fn(&mut Inbox, &mut Engine, &mut Vec<u8>) -> Found,
        inflate: fn(&mut Inbox, u64) -> Result<bool, ProtocolError>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Error>> {
        // What lies in the buffer is given without a wait. A peer that floods is to leave other tasks their turns all the same.
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            let found = take(inbox, &mut self.engine, self.outbox.replies());
            let step = self.engine.next_step();
            let is_ready = match found {
                Found::Ready => true,
                Found::Compressed if step == NextStep::Open => match inflate(inbox, self.engine.limits().message) {
                    Ok(true) => true,
                    Ok(false) => {
                        self.timing.active();
                        continue;
                    }
                    Err(error) => {
                        self.engine(|engine, out| engine.fail(error, out));
                        continue;
                    }
                },
                Found::Compressed | Found::Nothing => false,
            };
            if is_ready {
                budget.made_progress();
                self.timing.active();
                return Poll::Ready(Ok(true));
            }
            if step != NextStep::Open {
                inbox.discard();
                return self.poll_end(cx).map_ok(|()| false);
            }
            if inbox.has_appended() {
                self.timing.active();
            }
            match self.poll_flush(Task::Reader, cx) {
                // What waits for room has it now: what was in its way is written, or never will be.
                Poll::Ready(_) if inbox.waits_for_room() => continue,
                // If the stream takes no more, the peer may have said why, and what it sent is still to be read.
                Poll::Ready(_) => {}
                // The peer's answers would find no room.
                Poll::Pending if inbox.waits_for_room() => {
                    self.hear_by_writing();
                    match self.rests(inbox, cx) {
                        true => return Poll::Pending,
                        false => continue,
                    }
                }
                Poll::Pending => {}
            }
            // The end of a connection that is closing is not put off by what the peer sends.
            if self.timing.is_overdue(&self.engine) && self.expire(cx) {
                continue;
            }
            self.has_taken = false;
            match inbox.fill(|room| poll_read(&mut self.stream, room, cx)) {
                // What has come of a frame goes first. The end will be there again.
                Ok(0) if !inbox.unread().is_empty() => {}
                Ok(0) => self.engine.receive_eof(),
                Ok(_) => self.timing.received(),
                Err(None) => {
                    if self.rests(inbox, cx) {
                        return Poll::Pending;
                    }
                }
                Err(Some(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // Streams that have failed are not known to go on, whatever the error is called: by HTTP/2 or by TLS, say.
                Err(Some(error)) => {
                    if inbox.unread().is_empty() {
                        self.engine.receive_eof();
                    }
                    self.source = Some(error);
                }
            }
        }
    }

    /// Writes until less is queued than makes who sends wait.
    pub(crate) fn poll_room(&mut self, task: Task, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outbox.is_full() {
            ready!(self.poll_write(task, &[], cx))?;
        }
        self.check(task)
    }

    /// As [`poll_room`](Self::poll_room), for a task that reads and answers. It keeps the time meanwhile; that the stream has ended, or is to end, it
    /// hears by reading.
    pub(crate) fn poll_room_to_reply(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let polled = self.poll_room(Task::Reader, cx);
            self.hear_by_writing();
            match polled {
                Poll::Pending if !self.expire(cx) => return Poll::Pending,
                Poll::Pending if self.engine.may_send() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// As [`poll_flush`](Self::poll_flush), for a task that sends. Behind a Close, the peer has to take it within the time for its answer; where
    /// somebody else reads, that one sees to it.
    pub(crate) fn poll_flush_in_time(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let flushed = self.poll_flush(Task::Writer, cx);
            let may_keep_time = self.reader.as_ref().is_none_or(|reader| reader.will_wake(cx.waker()));
            if flushed.is_ready() || self.engine.may_send() || !may_keep_time || !self.expire(cx) {
                return flushed;
            }
            if self.engine.next_step() == NextStep::Closed {
                self.break_off();
            }
        }
    }

    /// Writes everything.
    pub(crate) fn poll_flush(&mut self, task: Task, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            ready!(self.poll_write(task, &[], cx))?;
        }
        if self.is_unflushed && !self.is_broken {
            let Self { waiters, stream, .. } = self;
            let flushed = ready!(waiters.poll(task, cx, |cx| Pin::new(stream).poll_flush(cx)));
            self.is_unflushed = false;
            if let Err(error) = flushed {
                self.break_off();
                return Poll::Ready(Err(error));
            }
        }
        // The task that reads gives it away as soon as it waits; it may do so already.
        if task == Task::Writer {
            self.outbox.rest();
        }
        self.check(task)
    }

    /// An error for a task that sends, if what it sends gets nowhere. Who reads hears of the end by reading.
    fn check(&mut self, task: Task) -> Poll<io::Result<()>> {
        if self.is_broken {
            self.outbox.clear();
        }
        Poll::Ready(match task {
            Task::Writer if self.is_broken => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "the connection has ended before this was written"))
            }
            _ => Ok(()),
        })
    }

    /// Writes once: what is queued, and `payload` behind it. Gives how many bytes of that were taken.
    pub(crate) fn poll_write(&mut self, task: Task, payload: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_broken {
            self.outbox.clear();
            return self.check(task).map_ok(|()| payload.len());
        }
        loop {
            let Self { waiters, stream, outbox, .. } = self;
            let queued = outbox.unsent();
            let written = waiters.poll(task, cx, |cx| match payload {
                [] => Pin::new(stream).poll_write(cx, queued),
                _ => Pin::new(stream).poll_write_vectored(cx, &[IoSlice::new(queued), IoSlice::new(payload)]),
            });
            match ready!(written) {
                Ok(0) => {
                    self.break_off();
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Ok(count) => {
                    let of_queued = count.min(queued.len());
                    outbox.advance(of_queued);
                    (self.is_unflushed, self.has_taken) = (true, true);
                    return Poll::Ready(Ok((count - of_queued).min(payload.len())));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.break_off();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Queues a message at once, or writes what is better not copied, as far as the stream takes it. A task that waits for the stream is not woken by
    /// what this has written in vain: it polls for itself.
    pub(crate) fn send_now(&mut self, task: Task, message: Message<'_>) -> Result<(), SendError> {
        let payload = message.as_bytes();
        if !self.gathers(payload) {
            return self.engine(|engine, out| engine.send(message, out));
        }
        // The header would otherwise go on with a message that somebody sends in parts.
        if self.engine.is_sending() {
            return Err(SendError::MessageUnderWay);
        }
        self.engine(|engine, out| engine.send_header(message.kind(), payload.len() as u64, true, out))?;
        // What goes wrong is told by the next call that writes.
        let _ = self.queue_behind(task, payload, Some(&mut Context::from_waker(Waker::noop())));
        Ok(())
    }

    /// Whether a payload is better written out of the caller's memory, behind what is queued.
    pub(crate) fn gathers(&self, payload: &[u8]) -> bool {
        payload.len() >= LEAST_GATHERED && self.engine.is_server() && self.stream.is_write_vectored()
    }

    /// Writes what is queued and `payload` behind it, as far as the stream takes it now, and queues what is left. Without a context, queues all.
    pub(crate) fn queue_behind(
        &mut self,
        task: Task,
        mut payload: &[u8],
        mut cx: Option<&mut Context<'_>>,
    ) -> io::Result<()> {
        while !payload.is_empty() {
            let written = match &mut cx {
                Some(cx) => self.poll_write(task, payload, cx),
                None => Poll::Pending,
            };
            match written {
                Poll::Ready(Ok(count)) => payload = &payload[count..],
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.outbox.queue().extend_from_slice(payload);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Brings the transport to its end, and says how the connection ended.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.end != End::Over {
            if self.engine.next_step() == NextStep::Closed {
                self.end = End::Over;
            } else if self.poll_end_further(cx).is_pending() && !self.expire(cx) {
                self.remember_reader(cx);
                return Poll::Pending;
            }
            if self.end == End::Over {
                // The peer sees it now, and not when this is dropped. It may have shut down one direction alone.
                let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                // Who still waits to write does so in vain.
                self.is_broken |= !self.outbox.is_empty() || self.is_unflushed;
                self.outbox.clear();
                self.waiters.wake();
            }
        }
        Poll::Ready(match self.engine.ending().map(|ending| (ending, ending.by())) {
            Some((_, EndedBy::Failure(error))) => Err(Error::Violation(error)),
            Some((ending, EndedBy::Loss(_))) => Err(Error::Lost { ending, source: self.source.take() }),
            _ => Ok(()),
        })
    }

    /// Takes a step towards the end. How the connection ended is known: what the stream says to its burial changes nothing.
    fn poll_end_further(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let step = self.engine.next_step();
        self.end = match self.end {
            End::Writing => match ready!(self.poll_flush(Task::Reader, cx)) {
                Err(_) => End::Over,
                Ok(()) if step == NextStep::AwaitEof => End::Draining(0),
                Ok(()) => End::ShuttingDown,
            },
            End::ShuttingDown => {
                let Self { waiters, stream, .. } = self;
                let _ = ready!(waiters.poll(Task::Reader, cx, |cx| Pin::new(stream).poll_shutdown(cx)));
                // RFC 6455, 7.1.1: the server closes first. The descriptor goes with the WebSocket; the peer sees the end now.
                if step == NextStep::CloseAfterFlush { End::Over } else { End::Draining(0) }
            }
            // A socket that is closed with unread input takes back what it has sent.
            End::Draining(drained) => match poll_read(&mut self.stream, &mut [0; SCRAP], cx) {
                Err(None) => return Poll::Pending,
                Ok(count @ 1..) if drained + count <= DRAINED => End::Draining(drained + count),
                _ => End::Over,
            },
            End::Over => End::Over,
        };
        Poll::Ready(())
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
