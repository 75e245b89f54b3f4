//! A connection in the hands of one task.

use std::future::poll_fn;

use sansocket::deflate::Compress;
use sansocket::{
    CloseCode, CloseFrame, Ending, Kind, Limits, Message, Negotiated, OwnedMessage, Piece, Prepared, SendError,
};
use sansocket_stream::{Error, ResponseHead, Sender};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::link::Link;
use crate::receiver::Receiver;
use crate::replies::Replies;
use crate::sending;
use crate::settings::Opening;
use crate::split::{Reader, Writer, split};
use crate::waiters::Task;

/// An open connection, client or server, over a stream of tokio's.
///
/// Every method that waits is cancel safe: when its future is dropped before it is done, nothing that came is lost, and nothing that was
/// sent is torn. What that means for each is said there.
#[derive(Debug)]
pub struct WebSocket<S> {
    pub(crate) link: Link<S>,
    pub(crate) receiver: Receiver,
    pub(crate) codec: Sender,
    opening: Opening,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Reads the next message and lends it. `None`: the connection has ended by a closing handshake.
    ///
    /// Writes what is queued before it waits. A message that came in one piece lies in the read buffer and is not copied.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the next read goes on where this one stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Violation`], [`Error::Lost`]: the connection has ended, and every further call says the same.
    pub async fn read(&mut self) -> Result<Option<Message<'_>>, Error> {
        self.receiver.read(&mut &mut self.link).await
    }

    /// As [`read`](Self::read), and lends with the message what is needed to answer it while it is lent. What was answered leaves together
    /// before the next read waits.
    ///
    /// Where more is queued than 64 KiB, that is written first: who answers does not queue without a bound.
    ///
    /// ```
    /// # async fn echo(mut ws: sansocket_tokio::WebSocket<tokio::net::TcpStream>) -> Result<(), sansocket_tokio::Error> {
    /// while let Some((message, mut replies)) = ws.read_to_reply().await? {
    ///     replies.queue(message)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_to_reply(&mut self) -> Result<Option<(Message<'_>, Replies<'_, S>)>, Error> {
        let Self { link, receiver, codec, .. } = self;
        poll_fn(|cx| link.poll_room_to_reply(cx)).await;
        let message = receiver.read(&mut &mut *link).await?;
        Ok(message.map(|message| (message, Replies::new(link, codec, Task::Reader))))
    }

    /// As [`read`](Self::read), and gives the message away.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_owned(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.receiver.read_owned(&mut &mut self.link).await
    }

    /// Reads what there is of a message, for messages that are too long to be held. A piece of a text has whole characters only;
    /// a piece may be empty. To be used from a message's first piece to its last.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_piece(&mut self) -> Result<Option<Piece<'_>>, Error> {
        self.receiver.read_piece(&mut &mut self.link).await
    }

    /// Appends a message to what will be written by [`flush`](Self::flush), [`send`](Self::send) or a read. Waits for the stream where 64 KiB
    /// or more are queued. A long message goes out in frames, and a server's is written out of the caller's memory.
    ///
    /// # Cancel safety
    ///
    /// The first poll queues the message, and it stays queued as a whole. Only the wait is given up, so who gives up again and again queues without a
    /// bound: there, [`try_queue`](Self::try_queue) is better.
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: nothing was queued. [`Error::Io`]: the stream has failed, and takes no more; a read says how the connection ended.
    pub async fn queue<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        sending::queue(&mut self.link, &mut self.codec, message.into(), Compress::Auto).await
    }

    /// As [`queue`](Self::queue), and says whether the message is compressed; `queue` leaves that to its length.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub async fn queue_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), Error> {
        sending::queue(&mut self.link, &mut self.codec, message.into(), compress).await
    }

    /// As [`queue`](Self::queue), without a wait.
    ///
    /// # Errors
    ///
    /// [`SendError::NoRoom`]: 64 KiB or more are queued, and the stream has to take some of it first: see [`flush`](Self::flush). Otherwise the
    /// engine's. Nothing was queued.
    pub fn try_queue<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        sending::try_queue(&mut self.link, &mut self.codec, |mut replies| replies.queue(message))
    }

    /// As [`try_queue`](Self::try_queue), for a message that was encoded once for many clients. Only a server can.
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::MustMask`].
    pub fn try_queue_prepared(&mut self, prepared: &Prepared) -> Result<(), SendError> {
        sending::try_queue(&mut self.link, &mut self.codec, |mut replies| replies.queue_prepared(prepared))
    }

    /// Sends a message: queues it, and writes all that is queued.
    ///
    /// # Cancel safety
    ///
    /// As [`queue`](Self::queue): the message is queued by the first poll, and leaves with whatever writes next, [`flush`](Self::flush) or a
    /// read, say.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    pub async fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.queue(message).await?;
        self.flush().await
    }

    /// As [`send`](Self::send), and says whether the message is compressed; `send` leaves that to its length.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub async fn send_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), Error> {
        self.queue_with(message, compress).await?;
        self.flush().await
    }

    /// As [`queue`](Self::queue), for a message that was encoded once for many clients. Only a server can.
    ///
    /// # Cancel safety
    ///
    /// As [`queue`](Self::queue).
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    pub async fn queue_prepared(&mut self, prepared: &Prepared) -> Result<(), Error> {
        sending::queue_prepared(&mut self.link, prepared).await
    }

    /// Sends a part of a message, whose length nobody needs to know; `last` ends it. Parts of a text may cut characters.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send): the part is sent.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    pub async fn send_part(&mut self, kind: Kind, part: &[u8], last: bool) -> Result<(), Error> {
        sending::queue_part(&mut self.link, &mut self.codec, (kind, part, last), Compress::Auto).await?;
        self.flush().await
    }

    /// As [`send_part`](Self::send_part), and says with a message's first part whether all of it is compressed; `send_part` compresses
    /// unless the first part is the last and short.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub async fn send_part_with(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        compress: Compress,
    ) -> Result<(), Error> {
        sending::queue_part(&mut self.link, &mut self.codec, (kind, part, last), compress).await?;
        self.flush().await
    }

    /// Sends a ping of at most 125 bytes. The answer is taken by the reads.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.link.engine(|engine, out| engine.ping(payload, out))?;
        self.flush().await
    }

    /// Writes all that is queued.
    ///
    /// # Cancel safety
    ///
    /// A further call goes on where this one stopped.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub async fn flush(&mut self) -> Result<(), Error> {
        sending::flush(&mut self.link).await
    }

    /// Closes the connection and waits for the peer's answer; messages that still come are discarded. Does no harm if the
    /// connection is closing already.
    ///
    /// To get what the peer still sends, call [`start_close`](Self::start_close) and read until `None`.
    ///
    /// # Cancel safety
    ///
    /// The Close is queued by the first poll; a further call, or reading until `None`, goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: the reason is too long, or has no code. [`Error::Lost`]: the peer did not answer, or not in time.
    pub async fn close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), Error> {
        match self.link.close(code.into(), reason) {
            // The reads write it, and within the time that the peer has for its answer.
            Ok(()) | Err(SendError::Closing) => {}
            Err(error) => return Err(error.into()),
        }
        self.receiver.read_to_end(&mut &mut self.link).await
    }

    /// Sends a Close. The peer may still send messages before it answers: read until `None`. It has to take the Close within
    /// [`Timeouts::close`](crate::Timeouts::close).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: the reason is too long, or has no code, or the connection is closing already.
    pub async fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), Error> {
        self.link.close(code.into(), reason)?;
        self.flush().await
    }

    /// Splits into a half that reads and a half that writes, for two tasks.
    pub fn split(self) -> (Reader<S>, Writer<S>) {
        split(self)
    }
}

impl<S> WebSocket<S> {
    pub(crate) fn into_parts(self) -> (Link<S>, Receiver, Sender, Opening) {
        let Self { link, receiver, codec, opening } = self;
        (link, receiver, codec, opening)
    }

    pub(crate) const fn from_parts(link: Link<S>, receiver: Receiver, codec: Sender, opening: Opening) -> Self {
        Self { link, receiver, codec, opening }
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
        self.link.engine.negotiated()
    }

    /// How the connection ended, once nothing more will be read.
    pub fn ending(&self) -> Option<Ending> {
        self.link.engine.ending()
    }

    /// The code and the reason of the peer's Close, once it has come.
    pub fn peer_close(&self) -> Option<CloseFrame<'_>> {
        self.link.engine.peer_close()
    }

    /// Whether messages may still be sent.
    pub const fn may_send(&self) -> bool {
        self.link.engine.may_send()
    }

    /// How many bytes are queued that the stream has not taken.
    pub const fn queued(&self) -> usize {
        self.link.outbox.len()
    }

    /// The limits in force.
    pub const fn limits(&self) -> Limits {
        self.link.engine.limits()
    }

    /// Changes the limits.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.link.engine.set_limits(limits);
    }

    /// The stream below, to look at it or to set its options. Reading or writing through it breaks the connection.
    pub const fn stream(&self) -> &S {
        &self.link.stream
    }

    /// As [`stream`](Self::stream).
    pub const fn stream_mut(&mut self) -> &mut S {
        &mut self.link.stream
    }
}
