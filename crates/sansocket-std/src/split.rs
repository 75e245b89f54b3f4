//! A connection in the hands of two threads.
//!
//! The reader does not wait for a writer, but leaves its replies to whoever is writing.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sansocket::deflate::Compress;
use sansocket::{CloseCode, Ending, Kind, Message, OwnedMessage, Piece, Prepared, SendError};
use sansocket_stream::{Engine, Error, Inbox, READ_BUFFER, Sender};

use crate::layer::Layer;
use crate::outbox::{Outbox, uninterrupted};
use crate::receiver::{Receiver, Side};
use crate::shared::{Shared, Turn, Writing};
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
    (mut outbox, codec): (Outbox, Sender),
    inbox: Inbox,
    timing: Timing,
    trace: Trace,
) -> io::Result<(Reader<S>, Writer<S>)> {
    let raw = (!layer.is_none()).then(|| Raw { buffer: vec![0; READ_BUFFER].into(), start: 0, end: 0, ended: false });
    let traced = trace.is_on();
    let mut writing = stream.try_clone()?;
    // Of a stream that is no socket, the second handle may have a limit of its own.
    outbox.limit.repeat(&mut writing)?;
    // What was queued before is not encrypted yet: it goes through the layer like everything else.
    let queued = outbox.take_unsent();
    let shared = Arc::new(Shared::new(engine, queued, layer, trace, Writing { stream: writing, outbox, codec }));
    let reading = Reading { stream, shared: Arc::clone(&shared), raw, traced };
    Ok((Reader { receiver: Receiver::new(reading, inbox, timing) }, Writer { shared }))
}

impl<S: CloneStream> Reading<S> {
    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(raw) = &mut self.raw else { return self.stream.read(buffer) };
        loop {
            let mut unread = &raw.buffer[raw.start..raw.end];
            let opened = self.shared.lock().layer.open(&mut unread, raw.ended, buffer);
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
        self.shared.lock().is_flushed()
    }

    fn flush(&mut self, wait: bool, limit: Limit) -> io::Result<bool> {
        match self.shared.turn_or_leave(wait, limit)? {
            Some(turn) => turn.flush(limit).map(|()| true),
            None => Ok(false),
        }
    }

    fn discard(&mut self) {
        self.shared.lock().discard();
    }

    fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_plain(buffer)?;
        // Without a trace, no read of a plain socket takes the lock for this.
        if self.traced {
            self.shared.lock().trace.see(Direction::Received, &buffer[..count.min(buffer.len())]);
        }
        Ok(count)
    }

    fn has_sent(&mut self) -> bool {
        self.shared.has_sent()
    }

    fn lift_write_limit(&mut self) {
        self.shared.lock().lift_write_limit();
    }

    fn shutdown_write(&mut self, limit: Limit) -> io::Result<()> {
        match self.shared.last_turn_or_leave() {
            Some(turn) => turn.flush(limit).or_else(|error| end_writing(&mut self.stream).and(Err(error))),
            None => Ok(()),
        }
    }

    fn await_writer(&mut self, limit: Limit) -> io::Result<()> {
        self.shared.await_end_of_turn(limit)
    }

    fn interrupt(&mut self) -> io::Result<()> {
        end_writing(&mut self.stream)
    }
}

/// Ends the stream from this side, whoever is writing to it.
fn end_writing(stream: &mut impl CloneStream) -> io::Result<()> {
    uninterrupted(|| stream.shutdown_write())
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
        self.with_turn(|turn| turn.queue(message, Compress::Auto), Turn::release)
    }

    /// As [`WebSocket::queue_with`](crate::WebSocket::queue_with). Waits while another thread is writing.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn queue_with<'m>(&self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), Error> {
        let message = message.into();
        self.with_turn(|turn| turn.queue(message, compress), Turn::release)
    }

    /// As [`WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let message = message.into();
        self.with_turn(|turn| turn.queue(message, Compress::Auto), |turn| turn.flush(Limit::NONE))
    }

    /// As [`WebSocket::send_with`](crate::WebSocket::send_with).
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_with<'m>(&self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), Error> {
        let message = message.into();
        self.with_turn(|turn| turn.queue(message, compress), |turn| turn.flush(Limit::NONE))
    }

    /// As [`WebSocket::queue_prepared`](crate::WebSocket::queue_prepared). Waits while another thread is writing.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn queue_prepared(&self, prepared: &Prepared) -> Result<(), Error> {
        self.with_turn(|turn| turn.queue_prepared(prepared), Turn::release)
    }

    fn with_turn<'s>(
        &'s self,
        send: impl FnOnce(&mut Turn<'s, S>) -> Result<io::Result<()>, SendError>,
        end: impl FnOnce(Turn<'s, S>) -> io::Result<()>,
    ) -> Result<(), Error> {
        let mut turn = self.shared.turn();
        turn.check()?;
        match send(&mut turn) {
            Ok(written) => {
                written?;
                Ok(end(turn)?)
            }
            Err(error) => {
                // What was left to us in the meantime is to leave all the same.
                let _ = turn.release();
                Err(Error::Send(error))
            }
        }
    }

    /// As [`WebSocket::send_part`](crate::WebSocket::send_part). Parts of one message are to be sent by one thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_part(&self, kind: Kind, part: &[u8], last: bool) -> Result<(), Error> {
        self.with_turn(|turn| turn.send_part(kind, part, last, Compress::Auto), |turn| turn.flush(Limit::NONE))
    }

    /// As [`WebSocket::send_part_with`](crate::WebSocket::send_part_with). Parts of one message are to be sent by one thread.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_part_with(&self, kind: Kind, part: &[u8], last: bool, compress: Compress) -> Result<(), Error> {
        self.with_turn(|turn| turn.send_part(kind, part, last, compress), |turn| turn.flush(Limit::NONE))
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
        Ok(self.shared.turn().flush(Limit::NONE)?)
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
