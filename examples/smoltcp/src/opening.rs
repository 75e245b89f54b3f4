//! The opening handshake of either side, over a socket.

use sansocket::handshake::{
    Accept, ClientHandshake, ClientRequest, HeadLimits, RequestError, RequestProgress, ResponseProgress,
    ServerHandshake,
};
use sansocket::{Client, Connection, Limits, MaskKeys, Role, Server, SliceOutput};
use smoltcp::socket::tcp::Socket;

use crate::reply;

/// One side's opening handshake.
pub trait Opening {
    /// The side.
    type Role: Role;

    /// Goes as far as the socket allows. The TCP connection is established.
    fn step(&mut self, socket: &mut Socket<'_>, scratch: &mut [u8]) -> Opened<Self::Role>;

    /// It has taken too long.
    fn expire(&mut self, socket: &mut Socket<'_>, scratch: &mut [u8]);
}

/// What an opening handshake has come to.
pub enum Opened<R> {
    /// More has to be received, or sent.
    NotYet,
    /// It is done. What lies behind the head in the receive buffer are the first frames.
    Open(Connection<R>),
    /// It has failed, and whoever is to be told is told.
    Failed,
}

/// A server that takes every good request.
#[derive(Debug)]
pub struct ServerOpening {
    handshake: ServerHandshake<'static>,
}

impl ServerOpening {
    /// For a socket with a receive buffer of so many bytes. A head is looked at in there as a whole, so it cannot be longer.
    pub const fn new(receive_buffer: usize) -> Self {
        let limits = HeadLimits { bytes: receive_buffer, ..HeadLimits::DEFAULT };
        Self { handshake: ServerHandshake::new().limits(limits) }
    }
}

impl Opening for ServerOpening {
    type Role = Server;

    fn step(&mut self, socket: &mut Socket<'_>, scratch: &mut [u8]) -> Opened<Server> {
        let handshake = &mut self.handshake;
        reply(socket, scratch, |socket, out| {
            let opened = socket.recv(|received| match handshake.receive(received, out) {
                // What is not taken stays, and is lent again with what has come behind it.
                RequestProgress::Incomplete => (0, Opened::NotYet),
                RequestProgress::Refused(_) => (received.len(), Opened::Failed),
                RequestProgress::Request(request) => match request.accept(&Accept::new(), out) {
                    Ok(negotiated) => {
                        let connection = Connection::new(Server, negotiated, Limits::DEFAULT);
                        (request.head_len(), Opened::Open(connection))
                    }
                    // The send buffer is too small for an answer.
                    Err(_) => (received.len(), Opened::Failed),
                },
            });
            opened.unwrap_or_else(|_| {
                // The client has ended its side inside the head. It can still be told.
                handshake.receive_eof(out);
                Opened::Failed
            })
        })
    }

    fn expire(&mut self, socket: &mut Socket<'_>, scratch: &mut [u8]) {
        reply(socket, scratch, |_, out| self.handshake.refuse(RequestError::TimedOut, out));
    }
}

/// A client with a request.
pub struct ClientOpening<'a, K> {
    request: ClientRequest<'a>,
    nonce: [u8; 16],
    /// Once the request is sent.
    handshake: Option<ClientHandshake<'a>>,
    /// Until the connection has them.
    keys: Option<K>,
}

impl<'a, K: MaskKeys> ClientOpening<'a, K> {
    /// For a socket with a receive buffer of so many bytes, as for a server. `nonce` and `keys` are random numbers that nobody can foresee.
    pub const fn new(request: ClientRequest<'a>, nonce: [u8; 16], keys: K, receive_buffer: usize) -> Self {
        let limits = HeadLimits { bytes: receive_buffer, ..HeadLimits::DEFAULT };
        Self { request: request.limits(limits), nonce, handshake: None, keys: Some(keys) }
    }
}

impl<K: MaskKeys> Opening for ClientOpening<'_, K> {
    type Role = Client<K>;

    fn step(&mut self, socket: &mut Socket<'_>, _scratch: &mut [u8]) -> Opened<Client<K>> {
        let handshake = match &mut self.handshake {
            Some(handshake) => handshake,
            none => {
                // Straight into the send buffer, which is empty and so lies in one piece.
                let started = socket.send(|room| {
                    let mut out = SliceOutput::new(room);
                    let started = self.request.start(self.nonce, &mut out);
                    (out.bytes().len(), started)
                });
                // Otherwise the request is wrong, or the send buffer too small for it.
                let Ok(Ok(handshake)) = started else { return Opened::Failed };
                none.insert(handshake)
            }
        };
        let opened = socket.recv(|received| match (handshake.receive(received), self.keys.take()) {
            (ResponseProgress::Accepted(response), Some(keys)) => {
                let connection = Connection::new(Client::new(keys), response.negotiated(), Limits::DEFAULT);
                (response.head_len(), Opened::Open(connection))
            }
            (ResponseProgress::Incomplete, keys) => {
                self.keys = keys;
                (0, Opened::NotYet)
            }
            // Refused, or not an answer to this request. The response's status, headers and body are here to be looked at.
            _ => (received.len(), Opened::Failed),
        });
        opened.unwrap_or(Opened::Failed)
    }

    fn expire(&mut self, _socket: &mut Socket<'_>, _scratch: &mut [u8]) {
        // A client has nothing to say before it is answered.
    }
}
