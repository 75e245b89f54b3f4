//! Headers of frames, read and written, against a naive reader and the testkit's frames.
//!
//! Whatever the bytes and the fields are:
//!
//! 1. a header is read as the naive reader does, and refused for the same reason, at the first byte that tells;
//! 2. what was read is written as it was, and what was written is read as it was meant;
//! 3. an encoded header is the testkit's, for every opcode, length and key;
//! 4. neither takes memory, nor looks at a byte twice.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | FIN, by bit 7; whether there is a key, by bit 6; the opcode, modulo 6 |
//! | 8 | the length, of which as many bits are dropped as the first byte's bits 3 to 5 say, times 8 |
//! | 4 | the key |
//! | rest | bytes to be read |

use arbitrary::{Arbitrary, Unstructured};
use sansocket::{FrameHeader, MAX_CONTROL_PAYLOAD, MAX_HEADER, Opcode, ProtocolError};
use sansocket_testkit::Frame;

use crate::bytes::{byte, key};
use crate::invariants::{borrows_at_most, is_linear};

/// All opcodes, with their bits.
const OPCODES: [(Opcode, u8); 6] = [
    (Opcode::Continuation, 0),
    (Opcode::Text, 1),
    (Opcode::Binary, 2),
    (Opcode::Close, 8),
    (Opcode::Ping, 9),
    (Opcode::Pong, 10),
];

/// A header to be written, and bytes to be read.
#[derive(Debug)]
pub struct Case {
    /// FIN.
    fin: bool,
    /// The opcode, and its bits.
    opcode: (Opcode, u8),
    /// The payload's length.
    len: u64,
    /// The key.
    key: Option<[u8; 4]>,
    /// The bytes.
    bytes: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let first = byte(u);
        let opcode = OPCODES[usize::from(first % 8) % OPCODES.len()];
        let len = u64::from_be_bytes(std::array::from_fn(|_| byte(u))) >> (u32::from(first >> 3 & 7) * 8);
        let key = Some(key(u)).filter(|_| first & 0x40 != 0);
        let (fin, len) = match opcode.0.is_control() {
            true => (true, len % (MAX_CONTROL_PAYLOAD as u64 + 1)),
            false => (first & 0x80 != 0, len & (u64::MAX >> 1)),
        };
        Ok(Self { fin, opcode, len, key, bytes: u.bytes(u.len())?.to_vec() })
    }
}

/// Holds reading and writing of headers against the naive reader.
///
/// # Panics
///
/// If they differ.
pub fn check(case: &Case) {
    check_written(case);
    for end in 0..=case.bytes.len().min(MAX_HEADER + 2) {
        check_read(&case.bytes[..end]);
    }
}

/// A header that is written.
fn check_written(case: &Case) {
    let header = FrameHeader::new(case.opcode.0, case.fin, case.len, case.key);
    let mut buffer = [0; MAX_HEADER];
    let written = is_linear(1, header.encoded_len(), || borrows_at_most(0, || header.encode(&mut buffer)));
    assert_eq!(FrameHeader::parse(written), Ok(Some((header, written.len()))));
    for end in 0..written.len() {
        assert_eq!(FrameHeader::parse(&written[..end]), Ok(None), "{end} bytes of it");
    }
    let mut frame = Frame::new(case.opcode.1, []).fin(case.fin).declared(case.len);
    if let Some(key) = case.key {
        frame = frame.masked(key);
    }
    assert_eq!(written, frame.bytes());
}

/// Bytes that are read.
fn check_read(bytes: &[u8]) {
    let read = is_linear(1, bytes.len(), || borrows_at_most(0, || FrameHeader::parse(bytes)));
    let plain = read.map(|read| read.map(|(header, end)| (Fields::of(&header), end)));
    assert_eq!(plain, naive(bytes), "{bytes:02x?}");
    if let Ok(Some((header, end))) = read {
        assert_eq!(header.encode(&mut [0; MAX_HEADER]), &bytes[..end], "not in the shortest form");
    }
}

/// What a header says.
#[derive(Debug, PartialEq)]
struct Fields {
    /// FIN, the reserved bits and the opcode, as a header's first byte has them.
    first: u8,
    /// The payload's length.
    len: u64,
    /// The key.
    key: Option<[u8; 4]>,
}

impl Fields {
    /// The same of a header that was read.
    fn of(header: &FrameHeader) -> Self {
        let (_, opcode) = OPCODES.into_iter().find(|&(opcode, _)| opcode == header.opcode()).expect("there are six");
        let first = u8::from(header.is_fin()) << 7 | header.reserved() << 4 | opcode;
        Self { first, len: header.payload_len(), key: header.key() }
    }
}

/// Section 5.2, field by field; the faults in the order in which their bytes come.
fn naive(bytes: &[u8]) -> Result<Option<(Fields, usize)>, ProtocolError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let is_control = first & 8 != 0;
    match first & 0xF {
        3..=7 | 11.. => return Err(ProtocolError::ReservedOpcode),
        8.. if first & 0x80 == 0 => return Err(ProtocolError::FragmentedControl),
        _ => {}
    }
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let short = second % 128;
    if is_control && short > 125 {
        return Err(ProtocolError::ControlTooLong);
    }
    let wide = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if wide == 8 && bytes.get(2).is_some_and(|&top| top >= 128) {
        return Err(ProtocolError::LengthTopBit);
    }
    let Some(wider) = bytes.get(2..2 + wide) else { return Ok(None) };
    let len = wider.iter().fold(0, |len, &byte| len << 8 | u64::from(byte));
    let len = match wide {
        0 => u64::from(short),
        2 if len < 126 => return Err(ProtocolError::NonMinimalLength),
        8 if len < 65536 => return Err(ProtocolError::NonMinimalLength),
        _ => len,
    };
    let mut end = 2 + wide;
    let mut key = None;
    if second >= 128 {
        let Some(bytes) = bytes.get(end..end + 4) else { return Ok(None) };
        key = bytes.try_into().ok();
        end += 4;
    }
    Ok(Some((Fields { first, len, key }, end)))
}
