//! What the options of both sides say of an open connection.

use sansocket::deflate::Policy;
use sansocket::handshake::Accept;
use sansocket::{Connection, Either, Limits, Negotiated, RandomKeys, Timeouts};
use sansocket_stream::{self as stream, Compression, Inbox, ResponseHead, Sender};

use crate::link::Link;
use crate::outbox::Outbox;
use crate::receiver::Receiver;
use crate::websocket::WebSocket;

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
        read_buffer: stream::READ_BUFFER,
        timeouts: Timeouts::DEFAULT,
        compression: None,
    };

    /// What is offered and accepted of compression.
    pub(crate) fn policy(&self) -> Option<Policy> {
        self.compression.map(|compression| compression.policy())
    }

    /// `accept`, with compression unless it says something of that by itself.
    pub(crate) fn accept<'a>(&self, accept: &Accept<'a>) -> Accept<'a> {
        stream::supported_answer(self.policy().map_or(*accept, |policy| accept.compression_by_default(policy)))
    }

    /// A connection whose opening handshake is done. `queued` is still to be written, `unread` came behind it.
    pub(crate) fn open<S>(
        self,
        role: Either<RandomKeys>,
        stream: S,
        queued: Vec<u8>,
        negotiated: Negotiated,
        opening: Opening,
        unread: &[u8],
    ) -> WebSocket<S> {
        let engine = Connection::new(role, stream::supported(negotiated), self.limits);
        let negotiated = engine.negotiated();
        let is_server = engine.is_server();
        // Somebody else may have agreed on it.
        let compression = self.compression.unwrap_or_default();
        let codec = Sender::new(negotiated, is_server, &compression);
        let codec_in = stream::Receiver::new(negotiated, is_server, &compression);
        let inbox = Inbox::new(self.read_buffer, unread, codec_in);
        let link = Link::new(stream, engine, Outbox::new(queued), self.timeouts);
        WebSocket::from_parts(link, Receiver::new(inbox), codec, opening)
    }
}
