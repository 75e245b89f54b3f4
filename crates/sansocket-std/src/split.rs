//! A connection in the hands of two threads.
//!
//! One lock is around the engine, and nobody holds it while a socket blocks. A second lock is around the writing side and is held
//! while the socket is written to. The reader only tries it: if a writer has it, that writer sends the reader's replies as well.

use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use sansocket::{CloseCode, Ending, Kind, Message, OwnedMessage, Piece, Prepared, SendError};

use crate::READ_BUFFER;
use crate::error::Error;
use crate::inbox::{Engine, Inbox};
use crate::layer::Layer;
use crate::outbox::{FRAME, Frame, Outbox, frames, queue, queue_frame};
use crate::receiver::{Receiver, Side};
use crate::stream::CloneStream;
use crate::timing::{Limit, Timing};

/// The half of a connection that reads.
#[derive(Debug)]
pub struct Reader<S> {
    receiver: Receiver<Reading<S>>,
}

/// The half of a connection that writes. Clones write to the same connection.
#[derive(Debug)]
pub struct Writer<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for Writer<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct Shared<S> {
    state: Mutex<State>,
    writing: Mutex<Writing<S>>,
}

/// What both halves work with.
#[derive(Debug)]
struct State {
    engine: Engine,
    /// What the engine has put and nobody has begun to write.
    queued: Vec<u8>,
    layer: Layer,
    trace: Trace,
    /// Whether a message was sent of which the reading half, which keeps the time, has not heard.
    has_sent: bool,
    /// Whether the reading half has found the writing side taken, and relies on whoever has it.
    left: bool,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to us.
    Received,
    /// From us to the peer.
    Sent,
}

/// Who wants to see the bytes of the frames.
pub(crate) enum Trace {
    Nobody,
    Somebody(Box<dyn Watch>),
}

/// A function that sees the bytes of the frames.
pub(crate) trait Watch: FnMut(Direction, &[u8]) + Send {}

impl<F: FnMut(Direction, &[u8]) + Send> Watch for F {}

impl Trace {
    const fn is_on(&self) -> bool {
        matches!(self, Self::Somebody(_))
    }

    pub(crate) fn see(&mut self, direction: Direction, bytes: &[u8]) {
        match self {
            Self::Somebody(trace) if !bytes.is_empty() => trace(direction, bytes),
            _ => {}
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trace").field(&self.is_on()).finish()
    }
}

/// What a thread holds while it writes.
#[derive(Debug)]
struct Writing<S> {
    stream: S,
    outbox: Outbox,
}

#[derive(Debug)]
struct Reading<S> {
    stream: S,
    shared: Arc<Shared<S>>,
    raw: Option<Raw>,
    traced: bool,
}

/// What was received and goes through a layer.
#[derive(Debug)]
struct Raw {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Whether the stream has ended.
    ended: bool,
}

pub(crate) fn split<S: CloneStream>(
    stream: S,
    layer: Layer,
    engine: Engine,
    outbox: Outbox,
    inbox: Inbox,
    timing: Timing,
    trace: Trace,
) -> io::Result<(Reader<S>, Writer<S>)> {
    let raw = (!layer.is_none()).then(|| Raw { buffer: vec![0; READ_BUFFER].into(), start: 0, end: 0, ended: false });
    let traced = trace.is_on();
    // What was queued before is not encrypted yet: it goes through the layer like everything else.
    let queued = outbox.into_unsent();
    let writing = Mutex::new(Writing { stream: stream.try_clone()?, outbox: Outbox::new() });
    let shared = Arc::new(Shared {
        state: Mutex::new(State { engine, queued, layer, trace, has_sent: false, left: false }),
        writing,
    });
    let reading = Reading { stream, shared: Arc::clone(&shared), raw, traced };
    Ok((Reader { receiver: Receiver::new(reading, inbox, timing) }, Writer { shared }))
}

/// Locks. A thread that panicked has left nothing half done: the engine's calls do all or nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: CloneStream> Shared<S> {
    fn with_engine<T>(&self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        let State { engine, queued, .. } = &mut *lock(&self.state);
        with(engine, queued)
    }

    /// As [`with_engine`](Self::with_engine), to send a message.
    fn send<T>(&self, send: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        let State { engine, queued, has_sent, .. } = &mut *lock(&self.state);
        *has_sent = true;
        send(engine, queued)
    }

    /// Whether there is something to be written that nobody has taken up.
    fn has_queued(&self) -> bool {
        let State { queued, layer, .. } = &*lock(&self.state);
        !queued.is_empty() || layer.wants_write()
    }

    /// Moves what is queued into the outbox.
    fn take_queued(&self, outbox: &mut Outbox) -> io::Result<()> {
        let State { queued, layer, trace, .. } = &mut *lock(&self.state);
        trace.see(Direction::Sent, queued);
        layer.seal(queued, &[], outbox).map(drop)
    }

    /// Writes everything queued, with the writing side in hand. What is queued by others in the meantime, too.
    fn flush<'s>(&'s self, mut writing: MutexGuard<'s, Writing<S>>) -> io::Result<()> {
        loop {
            self.write(&mut writing)?;
            drop(writing);
            // Something may have been queued by a thread that found the writing side taken and relies on us: look again now that it
            // is free. If it is taken again, so will whoever has it.
            if !self.has_queued() {
                return Ok(());
            }
            match self.try_writing() {
                Some(free) => writing = free,
                None => return Ok(()),
            }
        }
    }

    /// The writing side, or word to whoever has it that something was left to them.
    fn try_or_leave(&self) -> Option<MutexGuard<'_, Writing<S>>> {
        self.try_writing().or_else(|| {
            lock(&self.state).left = true;
            // Whoever had it may be gone without having seen the word.
            self.try_writing()
        })
    }

    /// Lets go of the writing side, and writes what the reading half has left to us in the meantime.
    fn release<'s>(&'s self, writing: MutexGuard<'s, Writing<S>>) -> io::Result<()> {
        drop(writing);
        let left = mem::take(&mut lock(&self.state).left);
        match left.then(|| self.try_writing()).flatten() {
            Some(writing) => self.flush(writing),
            None => Ok(()),
        }
    }

    fn try_writing(&self) -> Option<MutexGuard<'_, Writing<S>>> {
        match self.writing.try_lock() {
            Ok(writing) => Some(writing),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Writes what is queued, until nothing more is.
    fn write(&self, writing: &mut Writing<S>) -> io::Result<()> {
        loop {
            self.take_queued(&mut writing.outbox)?;
            if writing.outbox.is_empty() {
                return Ok(());
            }
            writing.outbox.flush(&mut writing.stream)?;
        }
    }

    /// Writes what is queued, if it has become much.
    fn write_if_full(&self, writing: &mut Writing<S>) -> io::Result<()> {
        if self.with_engine(|_, out| out.len()) >= FRAME { self.write(writing) } else { Ok(()) }
    }

    /// Queues a frame, and writes it together with all that was queued before it, unless `written` has failed already.
    fn write_frame(
        &self,
        writing: &mut Writing<S>,
        frame: Frame<'_>,
        written: io::Result<()>,
    ) -> Result<io::Result<()>, SendError> {
        let behind = {
            let State { engine, queued, layer, trace, has_sent, .. } = &mut *lock(&self.state);
            *has_sent = true;
            let behind = queue_frame(engine, frame, queued)?;
            trace.see(Direction::Sent, queued);
            trace.see(Direction::Sent, behind);
            // What is queued from now on comes behind the payload.
            match layer.seal(queued, behind, &mut writing.outbox) {
                Ok(behind) => behind,
                Err(error) => return Ok(Err(error)),
            }
        };
        Ok(match written {
            Ok(()) => writing.outbox.flush_with(behind, &mut writing.stream),
            // The message is to be whole all the same, once the stream takes more.
            Err(error) => {
                writing.outbox.bytes.extend_from_slice(behind);
                Err(error)
            }
        })
    }
}

impl<S: CloneStream> Reading<S> {
    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(raw) = &mut self.raw else { return self.stream.read(buffer) };
        loop {
            let mut unread = &raw.buffer[raw.start..raw.end];
            let opened = lock(&self.shared.state).layer.open(&mut unread, raw.ended, buffer);
            raw.start = raw.end - unread.len();
            if let Some(count) = opened? {
                return Ok(count);
            }
            (raw.start, raw.end) = (0, 0);
            raw.end = self.stream.read(&mut raw.buffer)?.min(raw.buffer.len());
            raw.ended = raw.end == 0;
        }
    }
}

impl<S: CloneStream> Side for Reading<S> {
    type Stream = S;

    fn engine<T>(&mut self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        self.shared.with_engine(with)
    }

    const SHARED: bool = true;

    fn is_flushed(&self) -> bool {
        // What a write that ran into a limit has left is known only to whoever has the writing side.
        false
    }

    fn flush(&mut self, wait: bool) -> io::Result<bool> {
        match if wait { Some(lock(&self.shared.writing)) } else { self.shared.try_or_leave() } {
            Some(writing) => self.shared.flush(writing).map(|()| true),
            None => Ok(false),
        }
    }

    fn flush_within(&mut self, limit: Limit) -> io::Result<bool> {
        let Some(mut writing) = self.shared.try_or_leave() else { return Ok(false) };
        let Writing { stream, outbox } = &mut *writing;
        self.shared.take_queued(outbox)?;
        outbox.flush_within(stream, limit).map(|()| true)
    }

    fn discard(&mut self) {
        self.shared.with_engine(|_, out| out.clear());
    }

    fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_plain(buffer)?;
        // Without a trace, no read of a plain socket takes the lock for this.
        if self.traced {
            lock(&self.shared.state).trace.see(Direction::Received, &buffer[..count.min(buffer.len())]);
        }
        Ok(count)
    }

    fn has_sent(&mut self) -> bool {
        mem::take(&mut lock(&self.shared.state).has_sent)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        lock(&self.shared.state).layer.close();
        self.flush(false)?;
        self.stream.shutdown_write()
    }
}

impl<S: CloneStream> Reader<S> {
    /// As [`WebSocket::read`](crate::WebSocket::read).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read(&mut self) -> Result<Option<Message<'_>>, Error> {
        self.receiver.read()
    }

    /// As [`WebSocket::read_owned`](crate::WebSocket::read_owned).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_owned(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.receiver.read_owned()
    }

    /// As [`WebSocket::read_piece`](crate::WebSocket::read_piece).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_piece(&mut self) -> Result<Option<Piece<'_>>, Error> {
        self.receiver.read_piece()
    }

    /// As [`WebSocket::set_read_timeout`](crate::WebSocket::set_read_timeout).
    pub const fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.receiver.timing.read_timeout = timeout;
    }

    /// The code and the reason of the peer's Close, once it has come.
    pub fn peer_close(&self) -> Option<(Option<CloseCode>, String)> {
        self.receiver
            .side
            .shared
            .with_engine(|engine, _| engine.peer_close().map(|close| (close.code(), close.reason().to_owned())))
    }

    /// How the connection ended, once nothing more will be read.
    pub fn ending(&self) -> Option<Ending> {
        self.receiver.side.shared.with_engine(|engine, _| engine.ending())
    }
}

impl<S: CloneStream> Writer<S> {
    /// As [`WebSocket::queue`](crate::WebSocket::queue). Waits while another thread is writing.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn queue<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let message = message.into();
        let mut writing = lock(&self.shared.writing);
        if self.shared.send(|engine, out| queue(engine, message, out))? {
            self.shared.write_if_full(&mut writing)?;
            return Ok(self.shared.release(writing)?);
        }
        let mut written = Ok(());
        for frame in frames(message) {
            written = self.shared.write_frame(&mut writing, frame, written)?;
        }
        written?;
        Ok(self.shared.release(writing)?)
    }

    /// As [`WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.queue(message)?;
        self.flush()
    }

    /// As [`WebSocket::queue_prepared`](crate::WebSocket::queue_prepared). Waits while another thread is writing.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn queue_prepared(&self, prepared: &Prepared) -> Result<(), Error> {
        let mut writing = lock(&self.shared.writing);
        self.shared.send(|engine, out| engine.send_prepared(prepared, out))?;
        self.shared.write_if_full(&mut writing)?;
        Ok(self.shared.release(writing)?)
    }

    /// As [`WebSocket::send_part`](crate::WebSocket::send_part). Parts of one message are to be sent by one thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_part(&self, kind: Kind, part: &[u8], last: bool) -> Result<(), Error> {
        let frame = Frame { kind, part, last, trusted: false };
        self.shared.write_frame(&mut lock(&self.shared.writing), frame, Ok(()))??;
        self.flush()
    }

    /// As [`WebSocket::ping`](crate::WebSocket::ping).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ping(&self, payload: &[u8]) -> Result<(), Error> {
        self.shared.with_engine(|engine, out| engine.ping(payload, out))?;
        self.flush()
    }

    /// Whether messages may still be sent.
    pub fn may_send(&self) -> bool {
        self.shared.with_engine(|engine, _| engine.may_send())
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub fn flush(&self) -> Result<(), Error> {
        Ok(self.shared.flush(lock(&self.shared.writing))?)
    }

    /// Sends a Close. The reading half gives what the peer still sends, and then `None`.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::start_close`](crate::WebSocket::start_close).
    pub fn start_close(&self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), Error> {
        self.shared.with_engine(|engine, out| engine.close(code.into(), reason, out))?;
        self.flush()
    }
}
