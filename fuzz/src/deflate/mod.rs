//! A program of messages through a compressor, and who reads what it writes.
//!
//! Whatever is sent, in whatever settings:
//!
//! 1. each call succeeds or fails as its docs say, and one that fails writes nothing and leaves no trace (`writer.rs`);
//! 2. what is to be compressed is, what is not to be is not, and a compressed frame has up to 16 KiB (`writer.rs`);
//! 3. a connection and its decompressor receive what was sent, however it is cut, a part as soon as it was sent, and each call does as
//!    `inflate` demands;
//! 4. miniz_oxide reads the same, and so does RFC 1951 bit by bit, which never finds a reference beyond the window.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags, see [`flags`] |
//! | 1 | window bits, 8 and this modulo 8 |
//! | 1 | level |
//! | 1 | memory level |
//! | 2 | threshold, modulo 2048 |
//! | 2 | bytes of scratch, 1 and this modulo 5000 |
//! | 1 | bytes read at a time, 1 and 8 times this |
//! | rest | the program (`program.rs`) |

mod program;
mod writer;

pub(crate) use program::op;

use arbitrary::{Arbitrary, Unstructured};
use sansocket::deflate::{Config, Parameters, Policy, Window, WindowBits};
use sansocket::{Kind, Limits};
use sansocket_testkit::{CONTINUATION, End, Message, Side, Utf8, split_frames, utf8};

use crate::bytes::{byte, word};
use crate::inflate;
use crate::oracle::Unpacker;
use crate::rfc1951::Inflater;
use program::Step;
use writer::Written;

/// Bits of an input's first byte.
pub mod flags {
    /// A client sends.
    pub const CLIENT: u8 = 1;
    /// Messages refer to earlier ones.
    pub const TAKEOVER: u8 = 2;
    /// The pool lends no compressor.
    pub const NONE_TO_LEND: u8 = 4;
}

/// At how many of the places behind a part the wire is looked at.
const PLACES: usize = 4;

/// A compressor and what is sent through it.
#[derive(Debug)]
pub struct Case {
    /// Who sends.
    writer: Side,
    /// What was agreed on.
    window: Window,
    /// How it compresses.
    config: Config,
    /// Whether the pool lends compressors.
    lends: bool,
    /// Bytes of the reader's scratch.
    scratch: usize,
    /// Bytes that the reader reads at a time.
    read: usize,
    /// What is sent.
    program: Vec<Step>,
}

impl Case {
    /// What was agreed on.
    fn parameters(&self) -> Parameters {
        Parameters { server: self.window, client: self.window }
    }
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let flag = byte(u);
        let has = |bit| flag & bit != 0;
        let bits = WindowBits::new(8 + byte(u) % 8).expect("8 to 15");
        let policy = Policy { window_bits: bits, ..Policy::TAKEOVER };
        Ok(Self {
            writer: if has(flags::CLIENT) { Side::Client } else { Side::Server },
            window: Window { bits, takeover: has(flags::TAKEOVER) },
            config: Config { policy, level: byte(u), memory_level: byte(u), threshold: usize::from(word(u) % 2048) },
            lends: !has(flags::NONE_TO_LEND),
            scratch: 1 + usize::from(word(u) % 5000),
            read: 1 + usize::from(byte(u)) * 8,
            program: program::read(u),
        })
    }
}

/// Sends what the program says, and holds those who read it against that.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(case: &Case) {
    let written = writer::write(case);
    let reader = reader(case, written.wire.clone());
    let whole = inflate::outcome(&reader);
    assert_eq!(whole.transcript.received, written.expected);
    assert_eq!(whole.transcript.unfinished, written.under_way.as_ref().and_then(given));
    assert!(matches!(whole.transcript.end, End::Open(_)), "{:?}", whole.transcript.end);
    for (end, count, message) in written.flushed.iter().rev().take(PLACES) {
        let reader = self::reader(case, written.wire[..*end].to_vec());
        let part = inflate::line::drive(&reader, &[], reader.scratch).transcript;
        assert_eq!((&part.received[..], part.unfinished), (&written.expected[..*count], given(message)));
    }
    check_others(case, &written);
}

/// A connection to read what was sent.
fn reader(case: &Case, bytes: Vec<u8>) -> inflate::Case {
    let cuts = (0..bytes.len()).step_by(case.read.max(bytes.len() / 256)).collect();
    let (reader, limits) = (case.writer.other(), Limits::DEFAULT);
    let total: usize = case.program.iter().map(|step| step.bytes().len()).sum();
    let scratch = case.scratch.max(total / inflate::PIECES);
    inflate::Case { reader, parameters: case.parameters(), limits, scratch, cuts, bytes }
}

/// What can be given of a message that has not ended: of a text, whole characters; of nothing, nothing.
fn given(message: &Message) -> Option<Message> {
    let end = match (message.kind, utf8(&message.bytes)) {
        (Kind::Text, Utf8::Cut(at)) => at,
        _ => message.bytes.len(),
    };
    (end > 0).then(|| Message { kind: message.kind, bytes: message.bytes[..end].to_vec() })
}

/// Reads the compressed messages by miniz_oxide, and by RFC 1951.
fn check_others(case: &Case, written: &Written) {
    let (mut unpacker, mut inflater) = (Unpacker::new(), Inflater::default());
    let mut messages = written.expected.iter().filter_map(|received| match received {
        sansocket_testkit::Received::Message(message) => Some(message),
        _ => None,
    });
    let (mut payload, mut is_compressed) = (Vec::new(), false);
    for frame in split_frames(case.writer, &written.wire) {
        if frame.opcode() > 7 {
            continue;
        }
        if frame.opcode() != CONTINUATION {
            is_compressed = frame.reserved_bits() != 0;
        }
        payload.extend(frame.payload());
        if !frame.is_fin() {
            continue;
        }
        let (message, payload) =
            (messages.next().expect("each that was written is known"), std::mem::take(&mut payload));
        if !is_compressed {
            assert_eq!(payload, message.bytes);
            continue;
        }
        assert_eq!(unpacker.message(&payload), message.bytes);
        let inflated = inflater.message(&payload, true, usize::MAX);
        assert_eq!((&inflated.bytes, inflated.fault), (&message.bytes, None));
        assert!(inflater.farthest <= 1 << case.window.bits.get(), "{} bytes back", inflater.farthest);
        if !case.window.takeover {
            (unpacker, inflater) = (Unpacker::new(), Inflater::default());
        }
    }
}
