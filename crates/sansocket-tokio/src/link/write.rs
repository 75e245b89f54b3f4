//! From what is queued to the stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use sansocket::{MAX_HEADER, Message, NextStep, SendError};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Link;
use crate::waiters::Task;

/// A server does not copy payloads of so many bytes into the queue, if the stream can be written to out of several places at once.
const LEAST_GATHERED: usize = 16 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
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
            let flushed = loop {
                match ready!(waiters.poll(task, cx, |cx| Pin::new(&mut *stream).poll_flush(cx))) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    flushed => break flushed,
                }
            };
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
                    if task == Task::Writer {
                        self.timing.sent();
                    }
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
            self.reserve(payload.len())?;
            return self.engine(|engine, out| engine.send(message, out));
        }
        // The header would otherwise go on with a message that somebody sends in parts.
        if self.engine.is_sending() {
            return Err(SendError::MessageUnderWay);
        }
        self.engine(|engine, out| engine.send_header(message.kind(), payload.len() as u64, true, out))?;
        if let Err(error) = self.queue_behind(task, payload, Some(&mut Context::from_waker(Waker::noop()))) {
            self.note(error);
        }
        Ok(())
    }

    /// Takes memory for a frame of so many bytes that is about to be queued. How long it is may be the peer's doing, so that there is none is no reason to
    /// end the process.
    pub(crate) fn reserve(&mut self, payload_len: usize) -> Result<(), SendError> {
        self.outbox.queue().try_reserve(payload_len + MAX_HEADER).map_err(|_| SendError::NoRoom)
    }

    /// The rest of a message cannot be queued, and the peer could make nothing of what is behind the gap.
    pub(crate) fn lose_for_want_of_memory(&mut self) -> io::Error {
        self.break_off();
        self.engine.receive_eof();
        self.note(io::ErrorKind::OutOfMemory.into());
        self.wake_reader();
        io::ErrorKind::OutOfMemory.into()
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
                    if self.reserve(payload.len()).is_err() {
                        return Err(self.lose_for_want_of_memory());
                    }
                    self.outbox.queue().extend_from_slice(payload);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
