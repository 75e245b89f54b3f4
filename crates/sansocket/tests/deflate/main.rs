//! RFC 7692: permessage-deflate.
//!
//! | file | what for |
//! |---|---|
//! | `offers.rs` | what a server makes of a client's offers (sections 5 and 7.1) |
//! | `answers.rs` | what a client makes of a server's answer |
//! | `negotiating.rs` | what these three have in common |
//! | `agreement.rs` | our client against our server, and a server against any text |
//! | `vectors.rs` | the examples of section 7.2.3, received and sent |
//! | `framing.rs` | which frames of which messages are compressed (section 6) |
//! | `streaming.rs` | messages cut anywhere, inflated into anything |
//! | `damage.rs` | messages that end too early, or hold what is no DEFLATE data |
//! | `bounds.rs` | limits at N and at N + 1 |
//! | `oracle.rs` | that other DEFLATE, and a third that tells how far back its data refer |

#![cfg(feature = "deflate")]

mod agreement;
mod answers;
mod bombs;
mod bound;
mod bounds;
mod damage;
mod distance;
mod framing;
mod memory;
mod negotiating;
mod offers;
mod oracle;
mod parts;
mod pieces;
mod pool;
mod prepared;
mod properties;
mod sending;
mod streaming;
mod vectors;

use sansocket::deflate::{Compress, Compressor, Config, Decompressor, Parameters, Policy, Pool, Window, WindowBits};
use sansocket::{
    Client, Connection, Either, Event, Kind, Limits, Message as Sent, Negotiated, Output, ProtocolError, SendError,
};
use sansocket_testkit::{Frame, Keys, Message, Received, Recorder, Side, Transcript, split_frames};

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
/// RSV1 as `Frame::reserved` counts.
const RSV1: u8 = 4;

/// Neither side refers to earlier messages.
const FRESH: Parameters = same(15, false);
/// Both sides refer to earlier messages.
const TAKEOVER: Parameters = same(15, true);

const fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("8 to 15")
}

const fn window(window_bits: u8, takeover: bool) -> Window {
    Window { bits: bits(window_bits), takeover }
}

const fn same(window_bits: u8, takeover: bool) -> Parameters {
    Parameters { server: window(window_bits, takeover), client: window(window_bits, takeover) }
}

fn config(level: u8) -> Config {
    Config { level, ..Config::DEFAULT }
}

/// A config whose policy has nothing against what was negotiated.
fn all_of(level: u8, memory_level: u8) -> Config {
    Config { level, memory_level, threshold: 0, policy: Policy::TAKEOVER }
}

/// Bytes that cannot be compressed, the same in every run.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len.div_ceil(8)).flat_map(|_| word().to_le_bytes()).take(len).collect()
}

fn connection(side: Side, negotiated: Option<Parameters>, limits: Limits) -> Connection<Either<Keys>> {
    let role = match side {
        Side::Server => Either::Server,
        Side::Client => Either::Client(Client::new(Keys::default())),
    };
    Connection::new(role, Negotiated::new(negotiated), limits)
}

fn limit(message: u64) -> Limits {
    Limits { message, ..Limits::DEFAULT }
}

/// The frames of a message that is compressed already, in these fragments.
fn fragments<B: AsRef<[u8]>>(opcode: u8, fragments: &[B]) -> Vec<Frame> {
    let frame = |(at, bytes): (usize, &B)| {
        let (opcode, rsv1) = if at == 0 { (opcode, RSV1) } else { (0, 0) };
        Frame::new(opcode, bytes).reserved(rsv1).fin(at + 1 == fragments.len())
    };
    fragments.iter().enumerate().map(frame).collect()
}

/// Frames as bytes, masked for this reader.
fn wire(reader: Side, frames: &[Frame]) -> Vec<u8> {
    frames.iter().cloned().flat_map(|frame| frame.for_reader(reader, KEY).bytes()).collect()
}

/// What lies behind the memory that a decompressor was lent, and must not change.
const CANARY: [u8; 32] = [0xC5; 32];

/// A connection that inflates what it receives.
struct Receiver {
    side: Side,
    connection: Connection<Either<Keys>>,
    decompressor: Decompressor,
    recorder: Recorder,
    out: Vec<u8>,
    /// Bytes of scratch lent to each call.
    scratch: usize,
}

impl Receiver {
    fn new(side: Side, parameters: Parameters) -> Self {
        Self::with(side, parameters, Limits::DEFAULT, &Pool::default())
    }

    fn with(side: Side, parameters: Parameters, limits: Limits, pool: &Pool) -> Self {
        Self {
            side,
            connection: connection(side, Some(parameters), limits),
            decompressor: Decompressor::new(parameters, side == Side::Server, pool),
            recorder: Recorder::new(),
            out: Vec::new(),
            scratch: 4096,
        }
    }

    fn scratch(mut self, scratch: usize) -> Self {
        self.scratch = scratch;
        self
    }

    /// Receives `bytes` in one read, and inflates all that comes of them.
    #[track_caller]
    fn feed(&mut self, bytes: &[u8]) -> &mut Self {
        let Self { connection, decompressor, recorder, out, .. } = self;
        let mut memory = bytes.to_vec();
        let mut input = &mut memory[..];
        while let Some(event) = connection.receive(&mut input, out) {
            let Event::Compressed(mut piece) = event else {
                recorder.record(connection, event);
                continue;
            };
            loop {
                // Without room nothing happens, and nothing is lost.
                let mut no_room = [];
                let nothing = decompressor.inflate(&mut piece, &mut no_room, connection, out);
                assert!(nothing.is_none(), "{nothing:?} in no room");
                let mut room = vec![0xC5; self.scratch + CANARY.len()];
                let (scratch, behind) = room.split_at_mut(self.scratch);
                let Some(event) = decompressor.inflate(&mut piece, scratch, connection, out) else { break };
                recorder.record(connection, event);
                assert_eq!(behind, CANARY, "scratch was written past its end");
            }
            let mut room = [0; 64];
            let again = decompressor.inflate(&mut piece, &mut room, connection, out);
            assert!(again.is_none(), "{again:?} of a piece that was used up");
        }
        assert!(input.is_empty());
        self
    }

    #[track_caller]
    fn feed_frames(&mut self, frames: &[Frame]) -> &mut Self {
        let bytes = wire(self.side, frames);
        self.feed(&bytes)
    }

    /// As [`feed`](Self::feed), cut at these places.
    #[track_caller]
    fn feed_cut(&mut self, bytes: &[u8], cuts: &[usize]) -> &mut Self {
        let mut cuts: Vec<_> = cuts.iter().map(|&cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut start = 0;
        for end in cuts.into_iter().chain([bytes.len()]) {
            self.feed(&bytes[start..end]);
            start = end;
        }
        self
    }

    #[track_caller]
    fn expect(&mut self, expected: Received) -> &mut Self {
        let received = self.recorder.received();
        let first = (!received.is_empty()).then(|| received.remove(0));
        assert_eq!(first, Some(expected), "{:?}", self.connection.failure());
        self
    }

    #[track_caller]
    fn expect_text(&mut self, text: &str) -> &mut Self {
        self.expect(Received::Message(Message::text(text)))
    }

    #[track_caller]
    fn expect_binary(&mut self, bytes: &[u8]) -> &mut Self {
        self.expect(Received::Message(Message::binary(bytes)))
    }

    #[track_caller]
    fn expect_nothing(&mut self) -> &mut Self {
        assert_eq!(self.recorder.received().as_slice(), []);
        self
    }

    /// It has failed, has told the peer so by a Close and nothing else, and holds no decompressor.
    #[track_caller]
    fn expect_failed(&mut self, error: ProtocolError) -> &mut Self {
        self.expect_nothing();
        assert_eq!(self.connection.failure(), Some(error));
        let frames = split_frames(self.side, &std::mem::take(&mut self.out));
        let body = sansocket_testkit::close_body(error.close_code().get(), error.text());
        assert_eq!(frames.iter().map(Frame::payload).collect::<Vec<_>>(), [&body[..]]);
        self
    }

    #[track_caller]
    fn expect_open(&mut self) -> &mut Self {
        assert_eq!(self.connection.failure(), None);
        assert!(self.connection.may_send());
        self
    }

    /// What it has received, as of a transport that ends now, and what it has written.
    fn finish(mut self) -> (Transcript, Vec<u8>) {
        self.connection.receive_eof();
        (self.recorder.finish(self.connection.ending().expect("the transport has ended")), self.out)
    }
}

/// A connection that compresses what it sends.
struct Sender {
    side: Side,
    connection: Connection<Either<Keys>>,
    compressor: Compressor,
    out: Vec<u8>,
}

impl Sender {
    fn new(side: Side, parameters: Parameters, config: &Config) -> Self {
        Self::with(side, parameters, config, &Pool::default())
    }

    fn with(side: Side, parameters: Parameters, config: &Config, pool: &Pool) -> Self {
        Self {
            side,
            connection: connection(side, Some(parameters), Limits::DEFAULT),
            compressor: Compressor::new(parameters, side == Side::Server, config, pool),
            out: Vec::new(),
        }
    }

    #[track_caller]
    fn send<'m>(&mut self, message: impl Into<Sent<'m>>, choice: Compress) -> &mut Self {
        assert_eq!(self.compressor.send(message, choice, &mut self.connection, &mut self.out), Ok(()));
        self
    }

    #[track_caller]
    fn part(&mut self, kind: Kind, part: &[u8], last: bool, choice: Compress) -> &mut Self {
        assert_eq!(self.part_into(kind, part, last, choice, None), Ok(()));
        self
    }

    /// Sends a part into `out`, or else into its own output.
    fn part_into(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        choice: Compress,
        out: Option<&mut dyn Output>,
    ) -> Result<(), SendError> {
        let out = out.unwrap_or(&mut self.out);
        self.compressor.send_part(kind, part, last, choice, &mut self.connection, out)
    }

    /// What it has written since the last call.
    fn wire(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// As frames.
    #[track_caller]
    fn frames(&mut self) -> Vec<Frame> {
        split_frames(self.side, &self.wire())
    }
}
