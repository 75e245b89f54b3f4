//! A connection's turn.

use sansocket::deflate::Compress;
use sansocket::handshake::Request;
use sansocket::{CloseCode, Kind, Message, Prepared, SendError};

use crate::answer::Answer;
use crate::driver::{Driver, Sent};
use crate::event::{Event, Received};
use crate::settings::Common;
use crate::stream::Stream;

/// Work on one connection, between two waits. Whatever it puts is written at its end, when it is dropped, in one system call.
#[derive(Debug)]
pub struct Turn<'d, S: Stream> {
    driver: &'d mut Driver<S>,
    common: &'d mut Common,
}

impl<'d, S: Stream> Turn<'d, S> {
    pub(crate) fn new(driver: &'d mut Driver<S>, common: &'d mut Common) -> Self {
        Self { driver, common }
    }

    /// The socket has become readable. `read_closed`: the peer has shut down writing, or is gone
    /// ([`is_read_closed`](mio::event::Event::is_read_closed)); then it is read until the end, however short the reads are.
    pub fn on_readable(&mut self, read_closed: bool) {
        self.driver.on_readable(read_closed);
    }

    /// The socket has become writable: writes what is queued.
    pub fn on_writable(&mut self) {
        self.driver.on_writable(self.common);
    }

    /// Reads once, if it [may be read](Driver::may_read), and lends what has come, to be taken by [`next`](Self::next). If another turn
    /// [is wanted](Driver::wants_turn) behind this one, let other connections have theirs first.
    pub fn read<'b>(&mut self, buffer: &'b mut [u8]) -> &'b mut [u8] {
        let count = self.driver.read(buffer, self.common);
        &mut buffer[..count]
    }

    /// Gives what comes next in `input`, until there is no more: also behind a deadline, with an empty input.
    // Inlined, the event of a whole message is matched where it is made, and is not passed in memory.
    #[inline(always)]
    pub fn next<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        match self.driver.next_whole(input, self.common) {
            Some(message) => Some(Event::Message(Received::Lent(message))),
            None => self.driver.next(input, self.common),
        }
    }

    /// The deadline has passed. To be called behind the events of the wait: after a pause, who was not read yet is not silent for that.
    pub fn on_deadline(&mut self) {
        self.driver.on_deadline(self.common);
    }

    /// Answers a request: the one that [`next`](Self::next) has just given, or with `None` the one whose answer was
    /// [`Answer::later`]. If the answer cannot be sent as it is, the client gets a 500, and `next` gives the error.
    pub fn answer(&mut self, request: Option<&Request<'_>>, answer: &Answer) {
        self.driver.answer(request, answer, self.common);
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`]: the connection is not open. [`SendError::NoRoom`]: more is queued than
    /// [`Settings::queue`](crate::Settings::queue), because the peer does not read; the connection has failed. [`SendError::MessageUnderWay`]: another
    /// message is being sent in parts. Nothing of the message was sent in any of these cases.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<Sent, SendError> {
        self.driver.send(message.into(), Compress::Auto, self.common)
    }

    /// As [`send`](Self::send), and says whether the message is compressed; `send` leaves that to its length.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<Sent, SendError> {
        self.driver.send(message.into(), compress, self.common)
    }

    /// Sends a part of a message, whose length nobody needs to know; `last` ends it. Parts of a text may cut characters.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::InvalidUtf8`], [`SendError::MessageUnderWay`].
    pub fn send_part(&mut self, kind: Kind, part: &[u8], last: bool) -> Result<Sent, SendError> {
        self.driver.send_part(kind, part, last, Compress::Auto, self.common)
    }

    /// As [`send_part`](Self::send_part), and says with a message's first part whether all of it is compressed; `send_part` compresses unless the
    /// first part is the last and short.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_part_with(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        compress: Compress,
    ) -> Result<Sent, SendError> {
        self.driver.send_part(kind, part, last, compress, self.common)
    }

    /// Sends a message that was encoded before. Only a server can.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::MustMask`].
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<Sent, SendError> {
        self.driver.send_prepared(prepared, self.common)
    }

    /// Sends a ping of at most 125 bytes.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::ControlTooLong`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.driver.ping(payload, self.common)
    }

    /// Begins the closing handshake. Messages may still come before the peer answers.
    ///
    /// # Errors
    ///
    /// As [`Connection::close`](sansocket::Connection::close).
    pub fn close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), SendError> {
        self.driver.close(code.into(), reason, self.common)
    }

    /// The connection, to look at it.
    pub const fn driver(&self) -> &Driver<S> {
        self.driver
    }

    /// What all connections of the loop have in common: the time, say.
    pub const fn common(&self) -> &Common {
        self.common
    }

    /// Gives the memory of a message back, for the next one that has to be joined.
    pub fn reuse(&mut self, message: Received<'_>) {
        if let Received::Joined(message) = message {
            self.common.keep(message);
        }
    }

    /// The payload of the last ping or pong.
    pub fn control(&self) -> &[u8] {
        self.driver.control()
    }
}

impl<S: Stream> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        self.driver.flush(self.common);
    }
}
