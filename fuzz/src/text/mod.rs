//! Text and masking, against what the standard library and the RFC's formula say.
//!
//! Whatever the bytes, the cuts, the frames, the key and the place in memory are:
//!
//! 1. a text is given if and only if the standard library takes it for one, and then it is the same;
//! 2. what is no text fails at the first byte after which nothing can make it one;
//! 3. masking is the formula of section 5.3, and touches nothing around its bytes;
//! 4. the work is linear.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the reader, by bit 7, and where in memory the bytes lie, modulo 64 |
//! | 4 | the key |
//! | 1 + 2n | n borders between frames, n modulo 8 |
//! | 1 + 2n | n cuts of the stream, n modulo 8 |
//! | 1 + 1 + 1 | how often the bytes are repeated before them: a byte, so many times this many |
//! | rest | the text's bytes |

use arbitrary::{Arbitrary, Unstructured};
use sansocket::{Client, Connection, Either, Event, Limits, Negotiated, ProtocolError, apply_mask};
use sansocket_testkit::{CONTINUATION, Frame, Keys, Side, TEXT};

use crate::bytes::{byte, key, word};
use crate::invariants::{FRAME, Work, borrows_at_most, ends, is_linear};

/// Streams above this are not fed byte for byte all the way.
const BYTE_FOR_BYTE: usize = 512;

/// A text message.
#[derive(Debug)]
pub struct Case {
    /// Who reads it.
    reader: Side,
    /// Where in memory it lies.
    offset: usize,
    /// The key of all frames.
    key: [u8; 4],
    /// Where its frames end.
    borders: Vec<usize>,
    /// Where the stream is cut.
    cuts: Vec<usize>,
    /// Its bytes.
    text: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let first = byte(u);
        let key = key(u);
        let mut places = || (0..byte(u) % 8).map(|_| usize::from(word(u))).collect::<Vec<_>>();
        let (borders, cuts) = (places(), places());
        let (filling, times, many) = (byte(u), byte(u), byte(u));
        let mut text = vec![filling; usize::from(times) * usize::from(many % 8)];
        text.extend(u.bytes(u.len())?);
        let borders = borders.into_iter().map(|border| border % (text.len() + 1)).collect();
        let reader = if first & 0x80 == 0 { Side::Server } else { Side::Client };
        Ok(Self { reader, offset: usize::from(first % 64), key, borders, cuts, text })
    }
}

/// Holds the reader of a text, and masking, against what they should do.
///
/// # Panics
///
/// If they do something else.
pub fn check(case: &Case) {
    check_mask(case);
    let stream = stream(case);
    let (whole, _) = drive(case, &stream, &[]);
    let expected = std::str::from_utf8(&case.text).map(str::to_owned).map_err(|_| ProtocolError::InvalidUtf8);
    assert_eq!(whole, expected, "at once");
    let cuts: Vec<_> = case.cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    assert_eq!(drive(case, &stream, &cuts).0, expected, "cut at {cuts:?}");
    let singles: Vec<_> = (1..stream.len().min(BYTE_FOR_BYTE)).collect();
    let (single, at) = drive(case, &stream, &singles);
    assert_eq!(single, expected, "byte for byte");
    if stream.len() <= BYTE_FOR_BYTE {
        assert_eq!(at, end(case, &stream), "it ends at another byte");
    }
}

/// 5.3: octet i of the payload is combined with octet i modulo 4 of the key.
fn check_mask(case: &Case) {
    let (offset, len) = (case.offset, case.text.len());
    let mut memory = [&[0xA5; 64][..offset], &case.text, &[0x5A; 64]].concat();
    is_linear(FRAME, len, || apply_mask(&mut memory[offset..offset + len], case.key));
    let masked: Vec<_> = case.text.iter().zip(case.key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    assert_eq!(memory, [&[0xA5; 64][..offset], &masked, &[0x5A; 64]].concat());
}

/// The frames of the message.
fn frames(case: &Case) -> Vec<Frame> {
    let ends = ends(&case.borders, case.text.len());
    let mut start = 0;
    let frames = ends.iter().enumerate().map(|(at, &end)| {
        let payload = &case.text[start..end];
        start = end;
        let opcode = if at == 0 { TEXT } else { CONTINUATION };
        Frame::new(opcode, payload).fin(at + 1 == ends.len()).for_reader(case.reader, case.key)
    });
    frames.collect()
}

/// The message as bytes.
fn stream(case: &Case) -> Vec<u8> {
    frames(case).iter().flat_map(Frame::bytes).collect()
}

/// After how many bytes of the stream it must be known what the message is.
fn end(case: &Case, stream: &[u8]) -> usize {
    let Err(error) = std::str::from_utf8(&case.text) else { return stream.len() };
    // The shortest beginning of which nothing can make a text.
    let is_lost = |len: &usize| std::str::from_utf8(&case.text[..*len]).is_err_and(|error| error.error_len().is_some());
    let Some(mut bad) = (error.valid_up_to()..=case.text.len()).find(is_lost) else { return stream.len() };
    let mut at = 0;
    for frame in frames(case) {
        let header = frame.bytes().len() - frame.payload().len();
        if bad <= frame.payload().len() {
            return at + header + bad;
        }
        bad -= frame.payload().len();
        at += header + frame.payload().len();
    }
    unreachable!("the fault lies in one of the frames")
}

/// Feeds the stream in chunks; what came, and after how many bytes.
fn drive(case: &Case, stream: &[u8], cuts: &[usize]) -> (Result<String, ProtocolError>, usize) {
    let role = match case.reader {
        Side::Server => Either::Server,
        Side::Client => Either::Client(Client::new(Keys::default())),
    };
    let limits = Limits { message: u64::MAX, fragments: u32::MAX, ..Limits::DEFAULT };
    let mut connection = Connection::new(role, Negotiated::default(), limits);
    let mut memory = [&[0; 64][..case.offset], stream].concat();
    let mut rest = &mut memory[case.offset..];
    let mut out = Vec::with_capacity(sansocket::MAX_REPLY);
    let (mut text, mut start) = (String::new(), 0);
    for end in ends(cuts, stream.len()) {
        let mut input = rest.split_off_mut(..end - start).expect("the cuts are in order");
        start = end;
        loop {
            let (work, before) = (Work::begin(), input.len());
            let event = borrows_at_most(0, || connection.receive(&mut input, &mut out));
            work.check(FRAME, before - input.len() + out.len(), 1);
            match event {
                None => break,
                Some(Event::Text(piece)) => {
                    text.push_str(piece.as_str());
                    if piece.is_last() {
                        return (Ok(text), end);
                    }
                }
                Some(Event::Failed(error)) => return (Err(error), end),
                Some(event) => panic!("{event:?} in a text"),
            }
        }
    }
    panic!("the message has not ended")
}
