//! Answers to a message, while it is lent.

use sansocket::deflate::Compress;
use sansocket::{CloseCode, Message, Prepared, SendError};
use sansocket_stream::Sender;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::link::Link;
use crate::waiters::Task;

/// Queues answers to the message that it was lent with. They are written before the next read waits; a server's long ones at once, as far as the
/// stream takes them, out of the caller's memory.
#[derive(Debug)]
pub struct Replies<'w, S> {
    link: &'w mut Link<S>,
    codec: &'w mut Sender,
    task: Task,
}

impl<'w, S: AsyncRead + AsyncWrite + Unpin> Replies<'w, S> {
    pub(crate) const fn new(link: &'w mut Link<S>, codec: &'w mut Sender, task: Task) -> Self {
        Self { link, codec, task }
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// Nothing was queued: the connection is closing, say. [`SendError::NoRoom`]: there is no memory for the message.
    pub fn queue<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.queue_message(message.into(), Compress::Auto)
    }

    /// As [`queue`](Self::queue), and says whether the message is compressed; `queue` leaves that to its length.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn queue_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), SendError> {
        self.queue_message(message.into(), compress)
    }

    fn queue_message(&mut self, message: Message<'_>, compress: Compress) -> Result<(), SendError> {
        let Self { link, codec, task } = self;
        link.timing.sent();
        let mut payload = message.as_bytes();
        if !codec.begin(payload.len(), compress, &link.engine)? {
            return link.send_now(*task, message);
        }
        while let Some(fragment) = codec.compress(&mut payload, true) {
            if let Err(error) = link.reserve(fragment.as_bytes().len()) {
                link.lose_for_want_of_memory();
                return Err(error);
            }
            link.engine(|engine, out| fragment.send(message.kind(), engine, out))?;
        }
        Ok(())
    }

    /// Queues a message that was encoded once for many clients. Only a server can.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue), and [`SendError::MustMask`].
    pub fn queue_prepared(&mut self, prepared: &Prepared) -> Result<(), SendError> {
        self.link.timing.sent();
        self.link.engine(|engine, out| engine.send_prepared(prepared, out))
    }

    /// Queues a Close. Messages may still come before the peer answers.
    ///
    /// # Errors
    ///
    /// The reason is too long, or has no code, or the connection is closing already.
    pub fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), SendError> {
        self.link.close(code.into(), reason)
    }
}
