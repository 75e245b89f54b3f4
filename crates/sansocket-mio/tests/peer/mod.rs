//! A peer that compresses and inflates, between bytes and messages.

use std::collections::VecDeque;
use std::mem;

use sansocket::deflate::{Compress, Compressor, Config, Decompressor, Policy, Pool};
use sansocket::handshake::{ClientHandshake, ClientRequest, ResponseProgress, Uri};
use sansocket::{Client, CloseCode, Connection, Either, Ending, Event, Kind, Limits, Message, Negotiated, Piece};
use sansocket_testkit::{Frame, Keys, Side};

/// RSV1 among the reserved bits: the message is compressed (RFC 7692, section 6).
pub(crate) const RSV1: u8 = 4;

/// A client's request that offers this, and what its answer is for.
pub(crate) fn request(policies: &[Policy]) -> (Vec<u8>, ClientHandshake<'static>) {
    let uri = Uri::parse("ws://localhost/chat").unwrap();
    let mut request = Vec::new();
    let handshake = ClientRequest::new(&uri).compression(policies).start([7; 16], &mut request).unwrap();
    (request, handshake.into_owned())
}

/// What an answer has agreed on, and how long its head is.
pub(crate) fn agreed(mut handshake: ClientHandshake<'_>, answer: &[u8]) -> (Negotiated, usize) {
    match handshake.receive(answer) {
        ResponseProgress::Accepted(response) => (response.negotiated(), response.head_len()),
        other => panic!("{other:?}"),
    }
}

/// What a peer has received.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Got {
    Message(Kind, Vec<u8>),
    /// As [`Message`](Self::Message), and it came compressed.
    Compressed(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

impl Got {
    pub(crate) fn message(message: Message<'_>, compressed: bool) -> Self {
        let (kind, bytes) = (message.kind(), message.as_bytes().to_vec());
        if compressed { Self::Compressed(kind, bytes) } else { Self::Message(kind, bytes) }
    }
}

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) connection: Connection<Either<Keys>>,
    side: Side,
    codecs: Option<(Compressor, Decompressor)>,
    out: Vec<u8>,
    /// The message under way.
    joined: Vec<u8>,
    pub(crate) got: VecDeque<Got>,
}

impl Peer {
    pub(crate) fn client(negotiated: Negotiated) -> Self {
        Self::new(Side::Client, negotiated, &Config::DEFAULT)
    }

    pub(crate) fn new(side: Side, negotiated: Negotiated, config: &Config) -> Self {
        let is_server = side == Side::Server;
        let role = if is_server { Either::Server } else { Either::Client(Client::new(Keys::default())) };
        let pool = Pool::default();
        let codecs = negotiated.compression().map(|parameters| {
            let compressor = Compressor::new(parameters, is_server, config, &pool);
            (compressor, Decompressor::new(parameters, is_server, &pool))
        });
        let connection = Connection::new(role, negotiated, Limits::UNLIMITED);
        Self { connection, side, codecs, out: Vec::new(), joined: Vec::new(), got: VecDeque::new() }
    }

    pub(crate) fn send<'m>(&mut self, message: impl Into<Message<'m>>, choice: Compress) {
        match &mut self.codecs {
            Some((compressor, _)) => compressor.send(message, choice, &mut self.connection, &mut self.out).unwrap(),
            None => self.connection.send(message, &mut self.out).unwrap(),
        }
    }

    pub(crate) fn send_part(&mut self, kind: Kind, part: &[u8], last: bool, choice: Compress) {
        match &mut self.codecs {
            Some((compressor, _)) => {
                compressor.send_part(kind, part, last, choice, &mut self.connection, &mut self.out).unwrap();
            }
            None => self.connection.send_part(kind, part, last, &mut self.out).unwrap(),
        }
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) {
        self.connection.ping(payload, &mut self.out).unwrap();
    }

    pub(crate) fn close(&mut self, code: CloseCode) {
        self.connection.close(Some(code), "", &mut self.out).unwrap();
    }

    /// Sends frames as they are.
    pub(crate) fn frame(&mut self, frame: Frame) {
        self.out.extend(frame.for_reader(self.side.other(), [0x37, 0xFA, 0x21, 0x3D]).bytes());
    }

    /// What it has put since the last call.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.out)
    }

    /// The payload of a compressed message, as other compressors put it: in one frame, however long.
    pub(crate) fn compressed<'m>(&mut self, message: impl Into<Message<'m>>) -> Vec<u8> {
        let before = self.out.len();
        self.send(message, Compress::Always);
        let frames = sansocket_testkit::split_frames(self.side, &self.out.split_off(before));
        assert_eq!(frames[0].reserved_bits(), RSV1);
        frames.iter().flat_map(Frame::payload).copied().collect()
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let Self { connection, codecs, out, joined, got, .. } = self;
        let mut memory = bytes.to_vec();
        let mut input = &mut memory[..];
        while let Some(event) = connection.receive(&mut input, out) {
            match event {
                Event::Compressed(mut piece) => {
                    let (_, decompressor) = codecs.as_mut().expect("the engine knows what was agreed on");
                    let mut scratch = [0; 16 * 1024];
                    while let Some(event) = decompressor.inflate(&mut piece, &mut scratch, connection, out) {
                        join(event.piece().expect("our own compressor makes no mistakes"), true, joined, got);
                    }
                }
                Event::Ping => got.push_back(Got::Ping(connection.control().to_vec())),
                Event::Pong => got.push_back(Got::Pong(connection.control().to_vec())),
                event => {
                    if let Some(piece) = event.piece() {
                        join(piece, false, joined, got);
                    }
                }
            }
        }
        assert!(input.is_empty());
    }

    /// How the connection has ended, as far as it has heard.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.connection.ending()
    }
}

fn join(piece: Piece<'_>, compressed: bool, joined: &mut Vec<u8>, got: &mut VecDeque<Got>) {
    joined.extend_from_slice(piece.as_bytes());
    if piece.is_last() {
        let (kind, bytes) = (piece.kind(), mem::take(joined));
        got.push_back(if compressed { Got::Compressed(kind, bytes) } else { Got::Message(kind, bytes) });
    }
}
