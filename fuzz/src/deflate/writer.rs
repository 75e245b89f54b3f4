//! Who sends, and what must hold in each call by itself.

use allocation_counter::measure;
use sansocket::deflate::{Compress, Compressor, Config, Pool, PoolLimits, WindowBits};
use sansocket::{
    BoundedOutput, Client, Connection, Either, Kind, Limits, Message as Sent, Negotiated, Prepared, SendError,
};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, Keys, Message, PING, Received, Side, TEXT, split_frames};

use super::Case;
use super::program::{Send, Step};
use crate::invariants::{FRAME, Work};

/// The most payload of a frame that a compressor makes.
const MAX_FRAME: usize = 16 * 1024;

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    /// As bytes.
    pub(super) wire: Vec<u8>,
    /// As what is to be received of it.
    pub(super) expected: Vec<Received>,
    /// The message of which parts were sent, and not the last.
    pub(super) under_way: Option<Message>,
    /// Behind each part that was not the last: how many bytes and receivable things there were, and what there was of its message.
    pub(super) flushed: Vec<(usize, usize, Message)>,
}

/// Sends what the program says.
pub(super) fn write(case: &Case) -> Written {
    let mut writer = Writer::new(case);
    case.program.iter().for_each(|step| writer.step(step));
    let Writer { compressor, pool, written, .. } = writer;
    let holds = case.window.takeover || written.under_way.is_some();
    assert!(holds || compressor.is_idle(), "a compressor is held between messages");
    drop(compressor);
    assert_eq!(pool.lent(), (0, 0));
    written
}

/// A connection and its compressor.
struct Writer<'c> {
    /// The case.
    case: &'c Case,
    /// The connection.
    connection: Connection<Either<Keys>>,
    /// Its compressor.
    compressor: Compressor,
    /// Where that borrows from.
    pool: Pool,
    /// Bytes of memory that the pool and the compressor hold.
    held: i64,
    /// Whether the message under way is compressed.
    is_compressing: bool,
    /// What was written.
    written: Written,
}

impl<'c> Writer<'c> {
    /// A connection right behind its handshake.
    fn new(case: &'c Case) -> Self {
        let role = match case.writer {
            Side::Server => Either::Server,
            Side::Client => Either::Client(Client::new(Keys::default())),
        };
        let pool = Pool::new(PoolLimits { lent: usize::from(case.lends), kept: 1 });
        let parameters = case.parameters();
        Self {
            case,
            connection: Connection::new(role, Negotiated::new(Some(parameters)), Limits::DEFAULT),
            compressor: Compressor::new(parameters, case.writer == Side::Server, &case.config, &pool),
            pool,
            held: 0,
            is_compressing: false,
            written: Written::default(),
        }
    }

    /// Sends one thing.
    fn step(&mut self, step: &Step) {
        let before = self.written.wire.len();
        self.written.wire.reserve(most_bytes(step));
        let (mut result, work) = (Ok(()), Work::begin());
        let memory = measure(|| result = self.call(step));
        let new = self.written.wire[before..].to_vec();
        // What was made and is not sent has been no longer than it may be, and what gets no shorter is sent as it is.
        work.check(FRAME, step.bytes().len() + if result.is_ok() { new.len() } else { most_bytes(step) }, 1);
        self.check_memory(step, self.held + memory.bytes_max as i64);
        self.held += memory.bytes_current;
        match (self.foretell(step), result) {
            (Ok(()), Ok(())) => self.note(step, &split_frames(self.case.writer, &new)),
            (Ok(()), Err(SendError::NoRoom)) => {
                let (room, enough) = (step.room.expect("there is enough"), most_bytes(step));
                assert!(room < enough, "no room in {room} bytes, and {enough} are enough");
                assert_eq!(new, [], "a call that failed has written");
            }
            (foretold, result) => {
                // What is wrong with the call and what with the room may be told in any order.
                assert!(
                    result.is_err() && (result == foretold || result == Err(SendError::NoRoom)),
                    "{result:?} of {step:?}"
                );
                assert_eq!(new, [], "a call that failed has written");
            }
        }
    }

    /// One compressor is all that is held, whatever is sent; a message that is prepared has one of its own, and is there twice.
    fn check_memory(&self, step: &Step, held: i64) {
        let Config { memory_level, .. } = self.case.config;
        // docs/compression.md has a table of this.
        let compressor = (149 << 10) + (4 << self.case.window.bits.get()) + (448 << memory_level.clamp(1, 9));
        let prepared = match step.send {
            Send::Prepared(..) => compressor + 4 * most_bytes(step) as i64,
            _ => 0,
        };
        assert!(held <= compressor + prepared, "{held} bytes of memory, a compressor has {compressor}");
    }

    /// Makes the call.
    fn call(&mut self, Step { send, choice, room }: &Step) -> Result<(), SendError> {
        let Self { connection, compressor, written, case, .. } = self;
        let limit = room.map_or(usize::MAX, |room| written.wire.len() + room);
        let out = &mut BoundedOutput::new(&mut written.wire, limit);
        match send {
            Send::Message(kind, bytes) => compressor.send(sent(*kind, bytes), *choice, connection, out),
            Send::Part(kind, part, last) => compressor.send_part(*kind, part, *last, *choice, connection, out),
            Send::Prepared(kind, bytes) => {
                let prepared = Prepared::compressed(sent(*kind, bytes), *choice, &case.config, &Pool::default());
                connection.send_prepared(&prepared, out)
            }
            Send::Ping(payload) => connection.ping(payload, out),
        }
    }

    /// What the call has to give, if there is room.
    fn foretell(&self, Step { send, .. }: &Step) -> Result<(), SendError> {
        match (send, &self.written.under_way) {
            (Send::Ping(_), _) => Ok(()),
            (Send::Part(kind, ..), Some(message)) if message.kind != *kind => Err(SendError::MessageUnderWay),
            (Send::Message(..) | Send::Prepared(..), Some(_)) => Err(SendError::MessageUnderWay),
            (Send::Prepared(..), None) if self.case.writer == Side::Client => Err(SendError::MustMask),
            _ => Ok(()),
        }
    }

    /// Notes what was sent, and looks at its frames.
    fn note(&mut self, step: &Step, frames: &[Frame]) {
        let (kind, bytes, last) = match &step.send {
            Send::Ping(payload) => {
                assert_eq!(frames, [Frame::new(PING, payload).for_reader(self.case.writer.other(), key(frames))]);
                return self.written.expected.push(Received::Ping(payload.clone()));
            }
            Send::Message(kind, bytes) | Send::Prepared(kind, bytes) => (*kind, bytes, true),
            Send::Part(kind, bytes, last) => (*kind, bytes, *last),
        };
        let begins = self.written.under_way.is_none();
        self.check_frames(kind, begins, last, frames);
        if let Some(frame) = frames.first().filter(|_| begins) {
            self.is_compressing = frame.reserved_bits() != 0;
            self.check_choice(step, bytes, frames);
        }
        let longest = frames.iter().map(|frame| frame.payload().len()).max().unwrap_or(0);
        assert!(
            !self.is_compressing || longest <= MAX_FRAME || matches!(step.send, Send::Prepared(..)),
            "{longest} bytes"
        );
        let mut message = self.written.under_way.take().unwrap_or(Message { kind, bytes: Vec::new() });
        message.bytes.extend(bytes);
        if last {
            self.written.expected.push(Received::Message(message));
        } else {
            self.written.flushed.push((self.written.wire.len(), self.written.expected.len(), message.clone()));
            self.written.under_way = Some(message);
        }
    }

    /// RFC 6455, 5.4, and RFC 7692, 6.1: how a message is put into frames.
    fn check_frames(&self, kind: Kind, begins: bool, last: bool, frames: &[Frame]) {
        let opcode = if kind == Kind::Text { TEXT } else { BINARY };
        assert!(!frames.is_empty() || !begins && !last, "nothing was sent");
        for (at, frame) in frames.iter().enumerate() {
            let is_first = begins && at == 0;
            assert_eq!(frame.opcode(), if is_first { opcode } else { CONTINUATION });
            assert!(matches!((frame.reserved_bits(), is_first), (0, _) | (4, true)));
            assert_eq!(frame.is_fin(), last && at + 1 == frames.len());
        }
    }

    /// Whether what was to be compressed is.
    fn check_choice(&self, Step { send, choice, .. }: &Step, bytes: &[u8], frames: &[Frame]) {
        let Case { window, config, lends, .. } = self.case;
        let is_prepared = matches!(send, Send::Prepared(..));
        let is_whole = !matches!(send, Send::Part(_, _, false));
        let can =
            window.bits > WindowBits::MIN && if is_prepared { !window.takeover } else { window.takeover || *lends };
        let threshold = if window.takeover { config.threshold / 8 } else { config.threshold };
        let len: usize = frames.iter().map(|frame| frame.payload().len()).sum();
        match choice {
            _ if !can => assert!(!self.is_compressing, "there is no compressor"),
            Compress::Never => assert!(!self.is_compressing),
            Compress::Always => assert!(self.is_compressing),
            Compress::Auto if is_whole && bytes.len() < threshold => assert!(!self.is_compressing, "it is too short"),
            Compress::Auto if is_whole && (frames.len() == 1 || is_prepared) => {
                assert!(!self.is_compressing || len < bytes.len(), "it got no shorter");
            }
            Compress::Auto => {}
        }
    }
}

/// The masking key of what was sent.
fn key(frames: &[Frame]) -> [u8; 4] {
    frames.first().and_then(Frame::key).unwrap_or_default()
}

/// A message as it is sent.
fn sent(kind: Kind, bytes: &[u8]) -> Sent<'_> {
    match kind {
        Kind::Text => Sent::Text(std::str::from_utf8(bytes).expect("it was made of a text")),
        Kind::Binary => Sent::Binary(bytes),
    }
}

/// The most room that the docs of `Compressor::send` ask for, and what a frame as it is takes.
fn most_bytes(step: &Step) -> usize {
    let len = step.bytes().len();
    let compressed = len + len / 8 + 64;
    compressed + (compressed / (MAX_FRAME - 4) + 1) * 14
}
