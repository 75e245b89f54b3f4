//! Two peers, a model of each, and the program that both follow.

use sansocket::{
    BoundedOutput, CloseCode, Connection, EndedBy, Ending, MAX_HEADER, NextStep, Output, Prepared, ProtocolError, Role,
    SendError,
};
use sansocket_testkit::{End, Pair, Peer, Side, Transcript};

use super::Case;
use super::half::Half;
use super::program::{Action, Send, Step};
use crate::invariants::{ASKED, FRAME, Work, borrows_at_most};

/// Deliveries behind the program that carry everything there is: a chunk of one byte is grown until there are no more than these.
const DELIVERIES: usize = 1024;

/// Plays a program to its end.
pub(super) fn play(case: &Case) {
    let mut game = Game::new(case);
    for step in &case.program {
        game.step(step);
    }
    if !game.server.cut {
        game.settle(case);
    }
    game.finish();
}

/// Both sides as they are and as they should be.
struct Game {
    /// The peers.
    pair: Pair,
    /// The model of the server.
    server: Half,
    /// The model of the client.
    client: Half,
}

impl Game {
    /// Both right behind their handshake.
    fn new(case: &Case) -> Self {
        let mut pair = Pair::new();
        pair.server.connection.set_limits(case.server);
        pair.client.connection.set_limits(case.client);
        Self { pair, server: Half::new(Side::Server, case.server), client: Half::new(Side::Client, case.client) }
    }

    /// One step of the program.
    fn step(&mut self, step: &Step) {
        if let Action::Cut = step.action {
            cut(&mut self.pair.server, &mut self.server);
            cut(&mut self.pair.client, &mut self.client);
            return;
        }
        match step.side {
            Side::Server => {
                let from = (&mut self.pair.client.out, &self.client.log[..]);
                act(step, &mut self.pair.server, &mut self.server, from);
            }
            Side::Client => {
                let from = (&mut self.pair.server.out, &self.server.log[..]);
                act(step, &mut self.pair.client, &mut self.client, from);
            }
        }
    }

    /// Lets the testkit's wire carry what there is, both ways, until nothing moves or the wire breaks.
    fn settle(&mut self, case: &Case) {
        let pending = self.pair.server.out.len() + self.pair.client.out.len();
        let chunk = case.chunk.max(pending / DELIVERIES + 1);
        let mut life = [usize::MAX; 2];
        let mut pair = std::mem::take(&mut self.pair).chunk(chunk);
        pair = match case.cut {
            None => pair,
            Some((Side::Server, bytes)) => {
                life[0] = bytes;
                pair.cut_to_server_after(bytes)
            }
            Some((Side::Client, bytes)) => {
                life[1] = bytes;
                pair.cut_to_client_after(bytes)
            }
        };
        self.pair = pair;
        let mut broken = false;
        loop {
            let moved = self.pair.step();
            if !broken {
                // The outputs were flushed before anything was delivered, so what is in the logs was on the wire.
                take(&mut self.server, &self.client.log, chunk, &mut life[0]);
                take(&mut self.client, &self.server.log, chunk, &mut life[1]);
                broken = life.contains(&0);
            }
            // What is in an output now is new.
            self.server.log.extend(&self.pair.server.out);
            self.client.log.extend(&self.pair.client.out);
            if !moved {
                break;
            }
        }
        let (to_server, to_client) = (self.server.delivered, self.client.delivered);
        self.server.read(&self.client.log, to_server);
        self.client.read(&self.server.log, to_client);
        self.server.cut = broken;
        self.client.cut = broken;
        if !broken {
            assert_eq!((to_server, to_client), (self.client.log.len(), self.server.log.len()), "bytes were lost");
            let ended = !self.server.may_send() || !self.client.may_send();
            let step = if ended { NextStep::Closed } else { NextStep::Open };
            self.pair.server.expect_next_step(step);
            self.pair.client.expect_next_step(step);
        }
    }

    /// Holds what has come of it against what should have.
    fn finish(self) {
        let Self { pair, server, client } = self;
        let server_close = server.check_log();
        let client_close = client.check_log();
        let to_server = finish(pair.server);
        let to_client = finish(pair.client);
        check(&to_server, &server, &client, client_close.as_deref());
        check(&to_client, &client, &server, server_close.as_deref());
        let by = (to_server.1.by(), to_client.1.by());
        assert!(!matches!(by, (EndedBy::Peer, EndedBy::Peer)), "both say that the other has begun");
        if to_server.1.is_clean() && to_client.1.is_clean() && by != (EndedBy::Local, EndedBy::Local) {
            // One has closed, and the other has sent its code back.
            assert_eq!(to_server.1.code(), to_client.1.code());
        }
    }
}

/// What a side has received, and how it has ended.
type Received = (Transcript, Ending);

/// Ends a side's transport, if it has not ended yet.
fn finish<R: Role>(mut peer: Peer<R>) -> Received {
    peer.connection.receive_eof();
    peer.expect_next_step(NextStep::Closed);
    let ending = peer.connection.ending().expect("the transport has ended");
    (peer.finish(), ending)
}

/// Holds one side against its model and against the other side, whose first Close is `close`.
fn check((transcript, ending): &Received, half: &Half, other: &Half, close: Option<&[u8]>) {
    assert_eq!(*transcript, half.expected);
    let (by, code) = match &half.expected.end {
        End::Open(place) => (EndedBy::Loss(*place), 1006),
        End::Failed(error) => (EndedBy::Failure(*error), 1006),
        End::Closed { code, .. } => (if half.closed { EndedBy::Local } else { EndedBy::Peer }, code.unwrap_or(1005)),
    };
    assert_eq!((ending.by(), ending.code()), (by, code));

    // What one side has sent is what the other has received, in order. Here the naive codec has no say.
    let sent: Vec<_> = other.messages.iter().collect();
    let received = transcript.messages();
    assert!(sent.starts_with(&received), "{received:?} of {sent:?}");
    let failed = matches!(half.expected.end, End::Failed(_));
    let all_came = half.delivered == other.log.len() && !failed;
    assert!(received.len() == sent.len() || !all_came, "{received:?} of {sent:?}");
    if let (Some(body), true) = (close, all_came) {
        assert!(ending.is_clean());
        let code = body.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
        assert_eq!(ending.code(), code);
    }
}

/// The wire has delivered a chunk.
fn take(half: &mut Half, log: &[u8], chunk: usize, life: &mut usize) {
    let bytes = (log.len() - half.delivered).min(chunk).min(*life);
    half.delivered += bytes;
    *life -= if *life == usize::MAX { 0 } else { bytes };
}

/// A side's transport is gone, and what it has written with it.
fn cut<R: Role>(peer: &mut Peer<R>, half: &mut Half) {
    peer.eof();
    peer.out.clear();
    half.cut = true;
}

/// One side acts. `from` is the other side's output, with what has not reached this side, and its log.
fn act<R: Role>(step: &Step, peer: &mut Peer<R>, half: &mut Half, (wire, log): (&mut Vec<u8>, &[u8])) {
    let before = peer.out.len();
    let limit = step.room.map_or(usize::MAX, |room| before + room);
    match &step.action {
        Action::Send(send) => {
            let expected = half.send(send, step.room);
            peer.out.reserve(send.len() + MAX_HEADER);
            // A prepared message is a frame of its own, and is copied into it.
            let most = if let Send::Prepared(text) = send { 3 * (text.len() + MAX_HEADER) + 32 } else { 0 };
            let work = Work::begin();
            let result = borrows_at_most(most, || {
                call(send, &mut peer.connection, &mut BoundedOutput::new(&mut peer.out, limit))
            });
            work.check(FRAME, send.len() + peer.out.len() - before, 1);
            assert_eq!(result, expected, "{:?} {step:?}", peer.side());
            assert!(result.is_ok() || peer.out.len() == before, "a call that failed has written");
            if let (Send::Header(_, payload, _), Ok(())) = (send, result) {
                peer.out.extend(payload.as_bytes());
            }
        }
        Action::Fail(error) => {
            half.fail(*error, step.room);
            peer.connection.fail(*error, &mut BoundedOutput::new(&mut peer.out, limit));
        }
        Action::Deliver(bytes) => {
            let chunk: Vec<_> = wire.drain(..wire.len().min(*bytes)).collect();
            let work = Work::begin();
            peer.feed(&chunk);
            work.check(ASKED, chunk.len() + peer.out.len() - before, 1);
            half.read(log, half.delivered + chunk.len());
        }
        Action::Raise(message, fragments) => {
            half.limits.message = half.limits.message.saturating_add(*message);
            half.limits.fragments = half.limits.fragments.saturating_add(*fragments);
            peer.connection.set_limits(half.limits);
        }
        Action::Cut => unreachable!("it happens to both"),
    }
    half.log.extend(&peer.out[before..]);
    check_state(&peer.connection, half);
}

/// What the connection says of itself at any time is what the model says.
fn check_state<R: Role>(connection: &Connection<R>, half: &Half) {
    assert_eq!(connection.may_send(), half.may_send());
    let failure: Option<ProtocolError> = half.expected.failure();
    assert_eq!(connection.failure(), failure);
    assert_eq!(connection.peer_close().is_some(), matches!(half.expected.end, End::Closed { .. }));
    assert_eq!(connection.next_step() == NextStep::Open, half.is_reading());
}

/// Makes the call.
fn call<R: Role>(send: &Send, connection: &mut Connection<R>, out: &mut impl Output) -> Result<(), SendError> {
    match send {
        Send::Text(text) => connection.send_text(text, out),
        Send::Binary(bytes) => connection.send_binary(bytes, out),
        Send::Prepared(text) => connection.send_prepared(&Prepared::new(text), out),
        Send::Part(kind, part, last) => connection.send_part(*kind, part, *last, out),
        Send::Header(kind, payload, last) => connection.send_header(*kind, payload.len() as u64, *last, out),
        Send::Ping(payload) => connection.ping(payload, out),
        Send::Pong(payload) => connection.pong(payload, out),
        Send::Close(code, reason) => connection.close(code.and_then(CloseCode::new), reason, out),
    }
}
