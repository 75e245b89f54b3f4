//! A connection in the hands of one thread.

use std::io;
use std::time::Duration;

use sansocket::deflate::{Compress, Policy};
use sansocket::handshake::Accept;
use sansocket::{
    CloseCode, CloseFrame, Connection, Either, Ending, Kind, Limits, Message, Negotiated, OwnedMessage, Piece,
    Prepared, RandomKeys, SendError, Timeouts,
};
use sansocket_stream::{Compression, Engine, Error, Frame, Inbox, ResponseHead, Sender, frames, queue, queue_frame};

use crate::outbox::Outbox;
use crate::receiver::{Receiver, Side};
use crate::split::{Direction, Reader, Trace, Writer, split};
use crate::stream::{CloneStream, SplitStream, Stream};
use crate::timing::{Limit, Timing};

/// An open connection, client or server, over a blocking stream.
#[derive(Debug)]
pub struct WebSocket<S> {
    pub(crate) receiver: Receiver<Owner<S>>,
    opening: Opening,
}

/// What the opening handshake has brought besides the connection.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    pub(crate) protocol: Option<Box<str>>,
    pub(crate) response: Option<Box<ResponseHead>>,
}

/// What both kinds of options say of an open connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) read_buffer: usize,
    pub(crate) timeouts: Timeouts,
    pub(crate) compression: Option<Compression>,
}

impl Settings {
    pub(crate) const DEFAULT: Self = Self {
        limits: Limits::DEFAULT,
        read_buffer: sansocket_stream::READ_BUFFER,
        timeouts: Timeouts::DEFAULT,
        compression: None,
    };

    /// What is offered and accepted of compression.
    pub(crate) fn policy(&self) -> Option<Policy> {
        self.compression.map(|compression| compression.policy())
    }

    /// `accept`, with compression unless it says something of that by itself.
    pub(crate) fn accept<'a>(&self, accept: &Accept<'a>) -> Accept<'a> {
        sansocket_stream::supported_answer(
            self.policy().map_or(*accept, |policy| accept.compression_by_default(policy)),
        )
    }

    /// A connection whose opening handshake is done. `unread` came behind it.
    pub(crate) fn open<S: Stream>(
        self,
        role: Either<RandomKeys>,
        stream: S,
        outbox: Outbox,
        negotiated: Negotiated,
        opening: Opening,
        unread: &[u8],
    ) -> WebSocket<S> {
        let engine = Connection::new(role, sansocket_stream::supported(negotiated), self.limits);
        let negotiated = engine.negotiated();
        let is_server = engine.is_server();
        // Somebody else may have agreed on it.
        let compression = self.compression.unwrap_or_default();
        let codec = Sender::new(negotiated, is_server, &compression);
        let owner = Owner { stream, engine, outbox, codec };
        let inbox =
            Inbox::new(self.read_buffer, unread, sansocket_stream::Receiver::new(negotiated, is_server, &compression));
        WebSocket { receiver: Receiver::new(owner, inbox, Timing::new(self.timeouts)), opening }
    }
}

/// Everything that the sending side needs.
#[derive(Debug)]
pub(crate) struct Owner<S> {
    stream: S,
    engine: Engine,
    outbox: Outbox,
    codec: Sender,
}

impl<S: Stream> Side for Owner<S> {
    type Stream = S;

    fn engine<T>(&mut self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        with(&mut self.engine, &mut self.outbox.bytes)
    }

    const SHARED: bool = false;

    fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    fn flush(&mut self, _wait: bool, limit: Limit) -> io::Result<bool> {
        self.outbox.flush(&mut self.stream, limit).map(|()| true)
    }

    fn discard(&mut self) {
        self.outbox.clear();
    }

    fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    fn has_sent(&mut self) -> bool {
        // Whoever sends has told already: there is one thread.
        false
    }

    fn lift_write_limit(&mut self) {
        self.outbox.limit.lift();
    }

    fn shutdown_write(&mut self, limit: Limit) -> io::Result<()> {
        self.outbox.shutdown(&mut self.stream, limit)
    }

    fn await_writer(&mut self, _: Limit) -> io::Result<()> {
        // There is nobody else.
        Ok(())
    }

    fn interrupt(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Stream> WebSocket<S> {
    /// Reads the next message and lends it. `None`: the connection has ended by a closing handshake.
    ///
    /// Writes what is queued before it blocks. A message that came in one piece lies in the read buffer and is not copied.
    ///
    /// # Errors
    ///
    /// [`Error::Violation`], [`Error::Lost`]: the connection has ended, and every further call says the same. [`Error::Io`]: the
    /// stream's time limit has passed, say; the call may be repeated.
    pub fn read(&mut self) -> Result<Option<Message<'_>>, Error> {
        self.receiver.read()
    }

    /// As [`read`](Self::read), and gives the message away.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_owned(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.receiver.read_owned()
    }

    /// Reads what there is of a message, for messages that are too long to be held. A piece of a text has whole characters only;
    /// a piece may be empty. To be used from a message's first piece to its last.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_piece(&mut self) -> Result<Option<Piece<'_>>, Error> {
        self.receiver.read_piece()
    }

    /// Appends a message to what will be written by [`flush`](Self::flush), [`send`](Self::send) or a read. A long message that is not
    /// compressed is written at once, and so is a queue of 64 KiB.
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: nothing was queued. [`Error::Io`]: see there.
    pub fn queue<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.queue_message(message.into(), Compress::Auto)
    }

    /// As [`queue`](Self::queue), and says whether the message is compressed; `queue` leaves that to its length.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn queue_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), Error> {
        self.queue_message(message.into(), compress)
    }

    fn queue_message(&mut self, message: Message<'_>, compress: Compress) -> Result<(), Error> {
        self.receiver.timing.active(true);
        let Owner { stream, engine, outbox, codec } = &mut self.receiver.side;
        outbox.check()?;
        if codec.begin(message.as_bytes().len(), compress, engine)? {
            self.queue_compressed(message.kind(), message.as_bytes(), true)?;
            return self.flush_if_full();
        }
        if queue(engine, message, &mut outbox.bytes)? {
            return self.flush_if_full();
        }
        let mut written = Ok(());
        for frame in frames(message) {
            let behind = queue_frame(engine, frame, &mut outbox.bytes)?;
            match written {
                Ok(()) => written = outbox.flush_with(behind, stream),
                // The message is to be whole all the same, once the stream takes more.
                Err(_) => outbox.bytes.extend_from_slice(behind),
            }
            if outbox.gives_up(&written) {
                break;
            }
        }
        Ok(written?)
    }

    /// Queues what was begun to be compressed, and writes it if it is much.
    fn queue_compressed(&mut self, kind: Kind, mut part: &[u8], last: bool) -> Result<(), Error> {
        let Owner { stream, engine, outbox, codec } = &mut self.receiver.side;
        let mut written = Ok(());
        while let Some(fragment) = codec.compress(&mut part, last) {
            fragment.send(kind, engine, &mut outbox.bytes)?;
            // Behind an error, the message is to be whole all the same, once the stream takes more.
            if outbox.is_full() && written.is_ok() {
                written = outbox.flush(stream, Limit::NONE);
            }
            if outbox.gives_up(&written) {
                break;
            }
        }
        Ok(written?)
    }

    /// Sends a message: queues it, and writes all that is queued.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.queue(message)?;
        self.flush()
    }

    /// As [`send`](Self::send), and says whether the message is compressed; `send` leaves that to its length.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), Error> {
        self.queue_with(message, compress)?;
        self.flush()
    }

    /// As [`queue`](Self::queue), for a message that was encoded once for many clients. Only a server can.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    pub fn queue_prepared(&mut self, prepared: &Prepared) -> Result<(), Error> {
        self.receiver.timing.active(true);
        let Owner { engine, outbox, .. } = &mut self.receiver.side;
        outbox.check()?;
        engine.send_prepared(prepared, &mut outbox.bytes)?;
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<(), Error> {
        if self.receiver.side.outbox.is_full() { self.flush() } else { Ok(()) }
    }

    /// Sends a part of a message, whose length nobody needs to know; `last` ends it. Parts of a text may cut characters.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    pub fn send_part(&mut self, kind: Kind, part: &[u8], last: bool) -> Result<(), Error> {
        self.send_message_part(kind, part, last, Compress::Auto)
    }

    /// As [`send_part`](Self::send_part), and says with a message's first part whether all of it is compressed; `send_part` compresses
    /// unless the first part is the last and short.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_part_with(&mut self, kind: Kind, part: &[u8], last: bool, compress: Compress) -> Result<(), Error> {
        self.send_message_part(kind, part, last, compress)
    }

    fn send_message_part(&mut self, kind: Kind, part: &[u8], last: bool, compress: Compress) -> Result<(), Error> {
        self.receiver.timing.active(true);
        let Owner { stream, engine, outbox, codec } = &mut self.receiver.side;
        outbox.check()?;
        if codec.begin_part(kind, part, last, compress, engine)? {
            self.queue_compressed(kind, part, last)?;
            return self.flush();
        }
        let behind = queue_frame(engine, Frame { kind, part, last, trusted: false }, &mut outbox.bytes)?;
        Ok(outbox.flush_with(behind, stream)?)
    }

    /// Sends a ping of at most 125 bytes. The answer is taken by the reads.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        let Owner { engine, outbox, .. } = &mut self.receiver.side;
        engine.ping(payload, &mut outbox.bytes)?;
        self.flush()
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// The stream's. Behind `WouldBlock` and `TimedOut`, a further call goes on where this one stopped.
    pub fn flush(&mut self) -> Result<(), Error> {
        Ok(self.receiver.side.flush(true, Limit::NONE).map(drop)?)
    }

    /// Closes the connection and waits for the peer's answer; messages that still come are discarded. Does no harm if the
    /// connection is closing already.
    ///
    /// To get what the peer still sends, call [`start_close`](Self::start_close) and read until `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: the reason is too long, or has no code. [`Error::Lost`]: the peer did not answer, or not in time.
    pub fn close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), Error> {
        let Owner { engine, outbox, .. } = &mut self.receiver.side;
        match engine.close(code.into(), reason, &mut outbox.bytes) {
            // The reads write it, and within the time that the peer has for its answer.
            Ok(()) | Err(SendError::Closing) => self.receiver.await_close(),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a Close. The peer may still send messages before it answers: read until `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: the reason is too long, or has no code, or the connection is closing already.
    pub fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), Error> {
        let Owner { engine, outbox, .. } = &mut self.receiver.side;
        engine.close(code.into(), reason, &mut outbox.bytes)?;
        self.flush()
    }

    /// Limits how long a read may wait for its message: it then fails with `TimedOut`, and may be repeated. `None`, the default, waits as
    /// long as the connection lives.
    pub const fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.receiver.timing.read_timeout = timeout;
    }

    /// Limits how long a write may block: it then fails with `WouldBlock` or `TimedOut`, and what was not written stays queued. `None`, the
    /// default, waits as long as the connection lives.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Owner { stream, outbox, .. } = &mut self.receiver.side;
        outbox.limit.set(timeout, stream)
    }

    /// The subprotocol that was agreed on, if any.
    pub fn protocol(&self) -> Option<&str> {
        self.opening.protocol.as_deref()
    }

    /// The response that opened this connection, on a client.
    pub fn response(&self) -> Option<&ResponseHead> {
        self.opening.response.as_deref()
    }

    /// What the opening handshake has agreed on: whether messages may be compressed, say.
    pub const fn negotiated(&self) -> Negotiated {
        self.receiver.side.engine.negotiated()
    }

    /// How the connection ended, once nothing more will be read.
    pub fn ending(&self) -> Option<Ending> {
        self.receiver.side.engine.ending()
    }

    /// The code and the reason of the peer's Close, once it has come.
    pub fn peer_close(&self) -> Option<CloseFrame<'_>> {
        self.receiver.side.engine.peer_close()
    }

    /// Whether messages may still be sent.
    pub const fn may_send(&self) -> bool {
        self.receiver.side.engine.may_send()
    }

    /// The limits in force.
    pub const fn limits(&self) -> Limits {
        self.receiver.side.engine.limits()
    }

    /// Changes the limits.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.receiver.side.engine.set_limits(limits);
    }

    /// The stream below, to look at it or to set its options. Reading or writing through it breaks the connection, and its time
    /// limits are the adapter's: set them with [`set_read_timeout`](Self::set_read_timeout) and
    /// [`set_write_timeout`](Self::set_write_timeout).
    pub const fn stream(&self) -> &S {
        &self.receiver.side.stream
    }

    /// As [`stream`](Self::stream).
    pub const fn stream_mut(&mut self) -> &mut S {
        &mut self.receiver.side.stream
    }

    /// Splits into a half that reads and a half that writes, for two threads.
    ///
    /// # Errors
    ///
    /// The stream's: no second handle could be had.
    pub fn split<R: CloneStream>(self) -> io::Result<(Reader<R>, Writer<R>)>
    where
        S: SplitStream<Raw = R>,
    {
        self.split_with(Trace::Nobody)
    }

    /// As [`split`](Self::split), and shows the bytes of all frames to `trace`, received and sent, as they are without TLS. It is called
    /// under a lock of both halves, so it should be quick.
    ///
    /// # Errors
    ///
    /// As [`split`](Self::split).
    pub fn split_traced<R: CloneStream>(
        self,
        trace: impl FnMut(Direction, &[u8]) + Send + 'static,
    ) -> io::Result<(Reader<R>, Writer<R>)>
    where
        S: SplitStream<Raw = R>,
    {
        let mut trace = Trace::Somebody(Box::new(trace));
        trace.see(Direction::Received, self.receiver.inbox.unread());
        self.split_with(trace)
    }

    fn split_with<R: CloneStream>(self, trace: Trace) -> io::Result<(Reader<R>, Writer<R>)>
    where
        S: SplitStream<Raw = R>,
    {
        let Receiver { side: Owner { stream, engine, outbox, codec }, inbox, timing, .. } = self.receiver;
        let (stream, layer) = stream.into_raw();
        split(stream, layer, engine, (outbox, codec), inbox, timing, trace)
    }
}
