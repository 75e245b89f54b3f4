//! What the application does with what happens.

use std::fmt;
use std::io;

#[cfg(feature = "deflate")]
use sansocket::deflate::Compress;
use sansocket::handshake::{OriginPolicy, Request, Response};
use sansocket::{CloseCode, Ending, Kind, Limits, Message, Prepared, SendError};

use super::connections::{ConnectionId, Connections};
use crate::answer::Answer;
use crate::driver::Sent;
use crate::event::{OpenError, Part};
use crate::stream::Stream;

/// An application on a [`Server`](super::Server): one value for all connections, called on the loop's thread.
///
/// What its methods send is written when they have returned, together with everything else that this connection has to say. They
/// should return soon: all connections wait for them.
///
/// # Panics
///
/// A method that panics costs the connection that it was called for, and no other one: the client gets a Close with 1011, of
/// [`ProtocolError::ApplicationFailed`](sansocket::ProtocolError::ApplicationFailed), or a 500 if it was [`request`](Self::request), and the handler
/// hears of its end by [`close`](Self::close) or [`not_opened`](Self::not_opened). What was sent before goes out. A panic of a
/// [command](super::Handle::run), or of what is done for a [watched](super::Server::watch) source, costs nothing but that call.
///
/// The handler itself and what it keeps stay as the panic has left them, as a mutex's content would: who changes several things that belong
/// together does so where nothing panics in between. With `panic = "abort"`, the process ends, as always.
pub trait Handler: Sized {
    /// What connections run over: mio's `TcpStream` or `UnixStream`, or TLS.
    type Stream: Stream;

    /// What is kept for each connection, from its first moment on.
    type Data: Default;

    /// A client asks to be let in. The default lets in pages of the same origin, and whoever is no page.
    fn request(&mut self, cx: &mut Context<'_, Self>, request: &Request<'_>) -> Answer {
        let _ = cx;
        Answer::accept_from(request, OriginPolicy::default())
    }

    /// A server has let this client in. [`open`](Self::open) comes next.
    fn response(&mut self, cx: &mut Context<'_, Self>, response: &Response<'_>) {
        let _ = (cx, response);
    }

    /// The connection is open.
    fn open(&mut self, cx: &mut Context<'_, Self>) {
        let _ = cx;
    }

    /// A message has come.
    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>);

    /// A part of a message longer than [`Settings::whole`](crate::Settings::whole) has come, which by default is no message. The default
    /// refuses it: the connection is closed with 1009.
    fn part(&mut self, cx: &mut Context<'_, Self>, part: &Part<'_>) {
        let _ = part;
        let _ = cx.close(CloseCode::MESSAGE_TOO_BIG, "");
    }

    /// A ping has come, and is answered.
    fn ping(&mut self, cx: &mut Context<'_, Self>, payload: &[u8]) {
        let _ = (cx, payload);
    }

    /// A pong has come.
    fn pong(&mut self, cx: &mut Context<'_, Self>, payload: &[u8]) {
        let _ = (cx, payload);
    }

    /// More was queued than the high mark allows, and now it is less than the low one: go on sending.
    fn drained(&mut self, cx: &mut Context<'_, Self>) {
        let _ = cx;
    }

    /// An open connection has ended: nothing more comes, and nothing more may be sent.
    fn close(&mut self, cx: &mut Context<'_, Self>, closed: &Closed<'_>) {
        let _ = (cx, closed);
    }

    /// A connection was not opened.
    fn not_opened(&mut self, cx: &mut Context<'_, Self>, error: OpenError) {
        let _ = (cx, error);
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
pub struct Closed<'c> {
    /// Who began it, with which code, clean or not.
    pub ending: Ending,
    /// The peer's reason, if it gave one.
    pub reason: &'c str,
    /// What the socket said, if that was more than its end.
    pub error: Option<&'c io::Error>,
}

/// The connection that something has happened on, and from there all others.
pub struct Context<'c, H: Handler> {
    pub(crate) connections: &'c mut Connections<H>,
    pub(crate) id: ConnectionId,
}

impl<H: Handler> fmt::Debug for Context<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<H: Handler> Context<'_, H> {
    /// The connection's name.
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// All connections, this one included.
    pub const fn connections(&mut self) -> &mut Connections<H> {
        self.connections
    }

    /// What is kept for this connection.
    pub fn data(&mut self) -> &mut H::Data {
        self.connections.data_of_turn(self.id)
    }

    /// Its stream: its addresses, say.
    pub fn stream(&self) -> &H::Stream {
        self.connections.stream_of_turn(self.id)
    }

    /// Bytes that wait for the socket to take them.
    pub fn queued(&self) -> usize {
        self.connections.queued(self.id)
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
        self.connections.send(self.id, message)
    }

    /// As [`send`](Self::send), and says whether the message is compressed; `send` leaves that to its length.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<Sent, SendError> {
        self.connections.send_with(self.id, message, compress)
    }

    /// Sends a part of a message; `last` ends it.
    ///
    /// # Errors
    ///
    /// As [`Turn::send_part`](crate::Turn::send_part).
    pub fn send_part(&mut self, kind: Kind, part: &[u8], last: bool) -> Result<Sent, SendError> {
        self.connections.send_part(self.id, kind, part, last)
    }

    /// As [`send_part`](Self::send_part), and says with a message's first part whether all of it is compressed.
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
        self.connections.send_part_with(self.id, kind, part, last, compress)
    }

    /// Sends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`Turn::send_prepared`](crate::Turn::send_prepared).
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<Sent, SendError> {
        self.connections.send_prepared(self.id, prepared)
    }

    /// Sends a ping of at most 125 bytes.
    ///
    /// # Errors
    ///
    /// As [`Turn::ping`](crate::Turn::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.connections.ping(self.id, payload)
    }

    /// Begins the closing handshake. Messages may still come before the peer answers.
    ///
    /// # Errors
    ///
    /// As [`Connection::close`](sansocket::Connection::close).
    pub fn close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), SendError> {
        self.connections.close(self.id, code, reason)
    }

    /// Changes the limits of what this peer sends: behind a login, say.
    pub fn set_limits(&mut self, limits: Limits) {
        self.connections.set_limits(self.id, limits);
    }
}
