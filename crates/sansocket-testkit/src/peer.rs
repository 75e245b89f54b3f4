//! One connection, and verbs that say what is expected of it.

use sansocket::{
    Client, CloseCode, Connection, Either, EndedBy, Limits, MaskKeys, Negotiated, NextStep, ProtocolError, Role,
    SendError, Server,
};

use crate::feed::feed_chunk;
use crate::{End, Frame, Message, Received, Recorder, Side, split_frames};

/// A connection with its output and with what it has received. Verbs may be chained.
///
/// ```
/// use sansocket_testkit::{Frame, Peer, TEXT};
///
/// Peer::server()
///     .feed(&Frame::new(TEXT, "hi").masked([1, 2, 3, 4]).bytes())
///     .expect_text("hi")
///     .expect_wire(&[])
///     .expect_open();
/// ```
#[derive(Debug)]
pub struct Peer<R> {
    /// The connection.
    pub connection: Connection<R>,
    /// What it has written and nobody has taken.
    pub out: Vec<u8>,
    recorder: Recorder,
    side: Side,
}

/// Masking keys that are all different and the same in every run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys(u32);

impl MaskKeys for Keys {
    fn next_key(&mut self) -> [u8; 4] {
        // Odd multiplier: a permutation of all keys; the first is not zero.
        self.0 = self.0.wrapping_add(1);
        self.0.wrapping_mul(0x9E37_79B1).to_be_bytes()
    }
}

impl Peer<Server> {
    /// A server with the default limits.
    pub fn server() -> Self {
        Self::server_with(Limits::DEFAULT)
    }

    /// A server with other limits.
    pub fn server_with(limits: Limits) -> Self {
        Self::new(Side::Server, Server, limits)
    }
}

impl Peer<Client<Keys>> {
    /// A client with the default limits.
    pub fn client() -> Self {
        Self::client_with(Limits::DEFAULT)
    }

    /// A client with other limits.
    pub fn client_with(limits: Limits) -> Self {
        Self::new(Side::Client, Client::new(Keys::default()), limits)
    }
}

impl Peer<Either<Keys>> {
    /// A side that only a value tells, for tests that hold for both.
    pub fn either(side: Side) -> Self {
        Self::either_with(side, Limits::DEFAULT)
    }

    /// As [`either`](Self::either), with other limits.
    pub fn either_with(side: Side, limits: Limits) -> Self {
        let role = match side {
            Side::Server => Either::Server,
            Side::Client => Either::Client(Client::new(Keys::default())),
        };
        Self::new(side, role, limits)
    }
}

impl<R: Role> Peer<R> {
    fn new(side: Side, role: R, limits: Limits) -> Self {
        let connection = Connection::new(role, Negotiated::default(), limits);
        Self { connection, out: Vec::new(), recorder: Recorder::new(), side }
    }

    /// Which side it is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The transcript of what was received and not yet taken by an `expect`, as of a transport that ends now.
    pub fn finish(mut self) -> crate::Transcript {
        self.connection.receive_eof();
        self.recorder.finish(self.connection.ending().expect("the transport has ended"))
    }

    // What is done to it.

    /// Receives `bytes` in one read.
    #[track_caller]
    pub fn feed(&mut self, bytes: &[u8]) -> &mut Self {
        feed_chunk(&mut self.connection, bytes, &mut self.out, &mut self.recorder);
        self
    }

    /// Receives frames in one read, masked or not as this side's peer has to.
    #[track_caller]
    pub fn feed_frames(&mut self, frames: &[Frame]) -> &mut Self {
        let key = [0xA5, 0x5A, 0x0F, 0xF1];
        let frames = frames.iter().cloned().map(|frame| frame.for_reader(self.side, key).bytes());
        self.feed(&frames.collect::<Vec<_>>().concat())
    }

    /// The transport ends.
    pub fn eof(&mut self) -> &mut Self {
        self.connection.receive_eof();
        self
    }

    /// Sends by any method of the connection, which must succeed.
    #[track_caller]
    pub fn send(&mut self, send: impl FnOnce(&mut Connection<R>, &mut Vec<u8>) -> Result<(), SendError>) -> &mut Self {
        assert_eq!(send(&mut self.connection, &mut self.out), Ok(()));
        self
    }

    /// Tries to send, which must fail, and write nothing.
    #[track_caller]
    pub fn send_fails(
        &mut self,
        error: SendError,
        send: impl FnOnce(&mut Connection<R>, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> &mut Self {
        let before = self.out.clone();
        assert_eq!(send(&mut self.connection, &mut self.out), Err(error));
        assert_eq!(self.out, before, "a call that failed has written");
        self
    }

    /// Closes with a code and a reason.
    #[track_caller]
    pub fn close(&mut self, code: u16, reason: &str) -> &mut Self {
        let code = CloseCode::new(code).expect("a code that may travel");
        self.send(|connection, out| connection.close(Some(code), reason, out))
    }

    /// Fails for a layer above.
    pub fn fail(&mut self, error: ProtocolError) -> &mut Self {
        self.connection.fail(error, &mut self.out);
        self
    }

    // What is expected of it.

    /// The next thing received is this text message.
    #[track_caller]
    pub fn expect_text(&mut self, text: &str) -> &mut Self {
        self.expect(Received::Message(Message::text(text)))
    }

    /// The next thing received is this binary message.
    #[track_caller]
    pub fn expect_binary(&mut self, bytes: &[u8]) -> &mut Self {
        self.expect(Received::Message(Message::binary(bytes)))
    }

    /// The next thing received is this ping.
    #[track_caller]
    pub fn expect_ping(&mut self, payload: &[u8]) -> &mut Self {
        self.expect(Received::Ping(payload.into()))
    }

    /// The next thing received is this pong.
    #[track_caller]
    pub fn expect_pong(&mut self, payload: &[u8]) -> &mut Self {
        self.expect(Received::Pong(payload.into()))
    }

    #[track_caller]
    fn expect(&mut self, expected: Received) -> &mut Self {
        let received = self.recorder.received();
        let first = (!received.is_empty()).then(|| received.remove(0));
        assert_eq!(first.as_ref(), Some(&expected), "behind it: {:?}", self.recorder);
        self
    }

    /// Nothing was received that no `expect` has taken.
    #[track_caller]
    pub fn expect_nothing(&mut self) -> &mut Self {
        assert_eq!(self.recorder.received().as_slice(), []);
        self
    }

    /// The peer's Close has come, behind everything else that was taken.
    #[track_caller]
    pub fn expect_close(&mut self, code: Option<u16>, reason: &str) -> &mut Self {
        self.expect_nothing();
        match self.recorder.end() {
            Some(End::Closed { code: c, reason: r, .. }) if *c == code && r == reason => self,
            other => panic!("a Close {code:?} {reason:?} was expected, not {other:?}"),
        }
    }

    /// The peer has violated the protocol, behind everything else that was taken.
    #[track_caller]
    pub fn expect_failed(&mut self, error: ProtocolError) -> &mut Self {
        self.expect_nothing();
        assert_eq!(self.recorder.end(), Some(&End::Failed(error)));
        assert_eq!(self.connection.failure(), Some(error));
        self
    }

    /// It has written exactly these bytes, and they are taken.
    #[track_caller]
    pub fn expect_wire(&mut self, bytes: &[u8]) -> &mut Self {
        let out = core::mem::take(&mut self.out);
        assert_eq!(out, bytes, "wrote {out:02x?}, not {bytes:02x?}");
        self
    }

    /// It has written exactly these whole frames, masked if it must, and they are taken.
    #[track_caller]
    pub fn expect_frames(&mut self, expected: &[(u8, &[u8])]) -> &mut Self {
        let out = core::mem::take(&mut self.out);
        let frames = split_frames(self.side, &out);
        assert!(frames.iter().all(|frame| frame.is_fin() && frame.reserved_bits() == 0));
        let found: Vec<_> = frames.iter().map(|frame| (frame.opcode(), frame.payload())).collect();
        assert_eq!(found, expected);
        self
    }

    /// It has written the Close that tells the peer of this violation, and nothing else.
    #[track_caller]
    pub fn expect_fail_close(&mut self, error: ProtocolError) -> &mut Self {
        let body = crate::close_body(error.close_code().get(), error.text());
        self.expect_frames(&[(crate::CLOSE, &body)])
    }

    /// It goes on: nothing has begun to end it.
    #[track_caller]
    pub fn expect_open(&mut self) -> &mut Self {
        assert!(self.connection.may_send(), "{:?}", self.recorder);
        assert_eq!(self.connection.failure(), None);
        assert_eq!(self.connection.ending(), None);
        assert!(self.connection.peer_close().is_none());
        self.expect_next_step(NextStep::Open)
    }

    /// This is to be done with the transport.
    #[track_caller]
    pub fn expect_next_step(&mut self, step: NextStep) -> &mut Self {
        assert_eq!(self.connection.next_step(), step);
        self
    }

    /// It has ended so.
    #[track_caller]
    pub fn expect_ending(&mut self, by: EndedBy, code: u16) -> &mut Self {
        let ending = self.connection.ending().expect("an ending");
        assert_eq!((ending.by(), ending.code()), (by, code));
        assert_eq!(ending.is_clean(), matches!(by, EndedBy::Local | EndedBy::Peer));
        self
    }
}
