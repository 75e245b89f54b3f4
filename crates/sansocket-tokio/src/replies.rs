//! Answers to a message, while it is lent.

use sansocket::deflate::Compress;
use sansocket::{CloseCode, Message, Prepared, SendError};
use sansocket_stream::{Engine, Sender};

use crate::link::Link;
use crate::outbox::Outbox;
use crate::timing::Timing;

/// Queues answers to the message that it was lent with. They are written before the next read waits.
#[derive(Debug)]
pub struct Replies<'w> {
    engine: &'w mut Engine,
    outbox: &'w mut Outbox,
    timing: &'w mut Timing,
    codec: &'w mut Sender,
}

impl<'w> Replies<'w> {
    pub(crate) const fn new<S>(link: &'w mut Link<S>, codec: &'w mut Sender) -> Self {
        let Link { engine, outbox, timing, .. } = link;
        Self { engine, outbox, timing, codec }
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// Nothing was queued: the connection is closing, say.
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
        self.timing.sent();
        let mut payload = message.as_bytes();
        if !self.codec.begin(payload.len(), compress, self.engine)? {
            return self.engine.send(message, self.outbox.queue());
        }
        while let Some(fragment) = self.codec.compress(&mut payload, true) {
            fragment.send(message.kind(), self.engine, self.outbox.queue())?;
        }
        Ok(())
    }

    /// Queues a message that was encoded once for many clients. Only a server can.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue), and [`SendError::MustMask`].
    pub fn queue_prepared(&mut self, prepared: &Prepared) -> Result<(), SendError> {
        self.timing.sent();
        self.engine.send_prepared(prepared, self.outbox.queue())
    }

    /// Queues a Close. Messages may still come before the peer answers.
    ///
    /// # Errors
    ///
    /// The reason is too long, or has no code, or the connection is closing already.
    pub fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), SendError> {
        self.engine.close(code.into(), reason, self.outbox.queue())
    }
}
