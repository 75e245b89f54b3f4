//! A connection in the hands of two threads.
//!
//! One lock is around the engine, and nobody holds it while a socket blocks. A second lock is around the writing side and is held
//! while the socket is written to. The reader only tries it: if a writer has it, that writer sends the reader's replies as well.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use sansocket::{CloseCode, Ending, Kind, Message, OwnedMessage, Piece, Prepared, SendError};

use crate::error::Error;
use crate::inbox::{Engine, Inbox};
use crate::outbox::{Frame, Outbox, frames, queue, queue_frame};
use crate::receiver::{Receiver, Side};
use crate::stream::CloneStream;
use crate::timing::Timing;

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
    engine: Mutex<(Engine, Vec<u8>)>,
    writing: Mutex<Writing<S>>,
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
}

pub(crate) fn split<S: CloneStream>(
    stream: S,
    engine: Engine,
    outbox: Outbox,
    inbox: Inbox,
    timing: Timing,
) -> io::Result<(Reader<S>, Writer<S>)> {
    let writing = Mutex::new(Writing { stream: stream.try_clone()?, outbox });
    let shared = Arc::new(Shared { engine: Mutex::new((engine, Vec::new())), writing });
    let reading = Reading { stream, shared: Arc::clone(&shared) };
    Ok((Reader { receiver: Receiver::new(reading, inbox, timing) }, Writer { shared }))
}

/// Locks. A thread that panicked has left nothing half done: the engine's calls do all or nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: CloneStream> Shared<S> {
    fn with_engine<T>(&self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        let (engine, out) = &mut *lock(&self.engine);
        with(engine, out)
    }

    /// Writes everything queued. Without `wait`, leaves it to the thread that is writing now, if there is one.
    fn flush(&self, wait: bool) -> io::Result<()> {
        let mut writing = if wait { Some(lock(&self.writing)) } else { self.try_writing() };
        while let Some(held) = &mut writing {
            self.write(held)?;
            // Something may have been queued by a thread that found the writing side taken: look again once it is free.
            writing = None;
            if !self.with_engine(|_, out| out.is_empty()) {
                writing = self.try_writing();
            }
        }
        Ok(())
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
            self.with_engine(|_, out| writing.outbox.take(out));
            if writing.outbox.is_empty() {
                return Ok(());
            }
            writing.outbox.flush(&mut writing.stream)?;
        }
    }

    /// Queues a frame, and writes it together with all that was queued before it, unless `written` has failed already.
    fn write_frame(
        &self,
        writing: &mut Writing<S>,
        frame: Frame<'_>,
        written: io::Result<()>,
    ) -> Result<io::Result<()>, SendError> {
        let behind = self.with_engine(|engine, out| {
            let behind = queue_frame(engine, frame, out)?;
            // What is queued from now on comes behind the payload.
            writing.outbox.take(out);
            Ok(behind)
        })?;
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

impl<S: CloneStream> Side for Reading<S> {
    type Stream = S;

    fn engine<T>(&mut self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        self.shared.with_engine(with)
    }

    fn flush(&mut self, wait: bool) -> io::Result<()> {
        if !wait && self.shared.with_engine(|_, out| out.is_empty()) { Ok(()) } else { self.shared.flush(wait) }
    }

    fn discard(&mut self) {
        self.shared.with_engine(|_, out| out.clear());
    }

    fn stream(&mut self) -> &mut S {
        &mut self.stream
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
        if let Some(queued) = self.shared.with_engine(|engine, out| queue(engine, message, out)) {
            return Ok(queued?);
        }
        let mut written = Ok(());
        for frame in frames(message) {
            written = self.shared.write_frame(&mut writing, frame, written)?;
        }
        Ok(written?)
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
        let _writing = lock(&self.shared.writing);
        Ok(self.shared.with_engine(|engine, out| engine.send_prepared(prepared, out))?)
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

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub fn flush(&self) -> Result<(), Error> {
        Ok(self.shared.flush(true)?)
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
