//! What a stream holds, read as a whole: frames by RFC 6455, compressed messages by RFC 7692 and `rfc1951.rs`, and each of those once more by
//! miniz_oxide.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use sansocket::{Kind, Limits, Place, ProtocolError};
use sansocket_testkit::naive::{Header, close, read_header};
use sansocket_testkit::{
    BINARY, CLOSE, CONTINUATION, End, Message, PING, PONG, Received, Side, TEXT, Transcript, Utf8, utf8,
};

use super::Case;
use crate::rfc1951::{Fault, Inflated, Inflater, TAIL};

/// What is received if the case's bytes are all that comes.
pub(super) fn decode(case: &Case) -> Transcript {
    let mut reading = Reading {
        reader: case.reader,
        limits: case.limits,
        takeover: case.takeover(),
        inflater: Inflater::default(),
        received: Vec::new(),
        unfinished: None,
        message: None,
    };
    let end = reading.read(&case.bytes).unwrap_or_else(End::Failed);
    let failed = matches!(end, End::Failed(_));
    let unfinished = reading.unfinished.filter(|message| !failed && !message.bytes.is_empty());
    Transcript { received: reading.received, unfinished, end }
}

/// A stream being read.
struct Reading {
    /// Who reads.
    reader: Side,
    /// Its limits.
    limits: Limits,
    /// Whether messages refer to earlier ones.
    takeover: bool,
    /// What they may refer to.
    inflater: Inflater,
    /// What has come and stands, whatever follows.
    received: Vec<Received>,
    /// What was given of a message that has not ended.
    unfinished: Option<Message>,
    /// The message that has begun.
    message: Option<Fragments>,
}

/// A message so far.
struct Fragments {
    /// Text or binary.
    kind: Kind,
    /// Whether it is compressed.
    compressed: bool,
    /// Its payload, as it came.
    payload: Vec<u8>,
    /// Its length, as declared so far.
    declared: u64,
    /// Its frames.
    frames: u32,
    /// Control frames inside of it, and behind how many bytes of its payload each came.
    controls: Vec<(usize, Received)>,
}

impl Reading {
    /// Reads all there is.
    fn read(&mut self, bytes: &[u8]) -> Result<End, ProtocolError> {
        let read = self.frames(bytes);
        // What is wrong inside of a message that has not ended came in front of what was wrong with its next frame, or of a Close.
        if let Some(message) = self.message.take() {
            self.unfinished = self.settle(message, false)?;
        }
        read
    }

    /// Reads frames until the bytes end, the peer has closed, or a frame is wrong.
    fn frames(&mut self, mut rest: &[u8]) -> Result<End, ProtocolError> {
        loop {
            if rest.is_empty() {
                let between = Place::BetweenFragments;
                return Ok(End::Open(if self.message.is_some() { between } else { Place::BetweenMessages }));
            }
            let Some(header) = read_header(&mut rest)? else { return Ok(End::Open(Place::InHeader)) };
            self.check(&header)?;
            let payload = header.take_payload(&mut rest);
            let is_whole = payload.len() as u64 == header.length;
            if let CONTINUATION | TEXT | BINARY = header.opcode {
                self.data(&header, &payload, is_whole)?;
            }
            if !is_whole {
                return Ok(End::Open(Place::InPayload));
            }
            match header.opcode {
                PING => self.control(Received::Ping(payload)),
                PONG => self.control(Received::Pong(payload)),
                CLOSE => return close(&payload, self.limits),
                _ => {}
            }
        }
    }

    /// What a header shows: RFC 6455, 5.1, 5.2, 5.4, 10.4; RFC 7692, 6.1.
    fn check(&self, header: &Header) -> Result<(), ProtocolError> {
        let begins = matches!(header.opcode, TEXT | BINARY);
        if header.reserved != 0 && !(begins && header.reserved == 4) {
            return Err(ProtocolError::ReservedBits);
        }
        match (self.reader, header.key) {
            (Side::Server, None) => return Err(ProtocolError::UnmaskedFrame),
            (Side::Client, Some(_)) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        match (header.opcode, &self.message) {
            (CLOSE | PING | PONG, _) => return Ok(()),
            (CONTINUATION, None) => return Err(ProtocolError::UnexpectedContinuation),
            (TEXT | BINARY, Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            _ => {}
        }
        let (declared, frames, compressed) =
            self.message.as_ref().map_or((0, 0, header.reserved == 4), |m| (m.declared, m.frames, m.compressed));
        if frames + 1 > self.limits.fragments.max(1) {
            return Err(ProtocolError::TooManyFragments);
        }
        // As the docs of `Limits::message` have it.
        let more = if compressed { self.limits.message / 8 + 1024 + 8 * u64::from(frames + 1) } else { 0 };
        if u128::from(declared) + u128::from(header.length) > u128::from(self.limits.message + more) {
            return Err(ProtocolError::MessageTooBig);
        }
        Ok(())
    }

    /// A data frame, whole or cut.
    fn data(&mut self, header: &Header, payload: &[u8], is_whole: bool) -> Result<(), ProtocolError> {
        let message = self.message.get_or_insert_with(|| Fragments {
            kind: if header.opcode == TEXT { Kind::Text } else { Kind::Binary },
            compressed: header.reserved == 4,
            payload: Vec::new(),
            declared: 0,
            frames: 0,
            controls: Vec::new(),
        });
        message.payload.extend(payload);
        message.declared += header.length;
        message.frames += 1;
        if header.fin && is_whole {
            let message = self.message.take().expect("it was just there");
            self.settle(message, true)?;
        }
        Ok(())
    }

    /// A ping or a pong.
    fn control(&mut self, received: Received) {
        match &mut self.message {
            Some(message) => message.controls.push((message.payload.len(), received)),
            None => self.received.push(received),
        }
    }

    /// Finds out what a message has in it. What is received of it is noted; if it is not whole, it is given.
    fn settle(&mut self, message: Fragments, is_whole: bool) -> Result<Option<Message>, ProtocolError> {
        let Fragments { kind, compressed, payload, controls, .. } = message;
        let most = usize::try_from(self.limits.message).expect("limits are small");
        // What is wrong, and with how many bytes of the payload that shows.
        let mut fault = None;
        let (mut bytes, needed) = if compressed {
            let before = if self.takeover { std::mem::take(&mut self.inflater) } else { Inflater::default() };
            let mut inflater = before.clone();
            let inflated = inflater.message(&payload, is_whole, most + 1);
            check_miniz(before, &payload, is_whole, &inflated, most + 1);
            self.inflater = inflater;
            fault = inflated.fault.map(|(what, needed)| {
                (ProtocolError::InvalidCompression, if what == Fault::End { AT_END } else { needed })
            });
            (inflated.bytes, inflated.needed)
        } else {
            (payload.clone(), (1..=payload.len()).collect())
        };
        if bytes.len() > most {
            fault = Some((ProtocolError::MessageTooBig, needed[most]));
            bytes.truncate(most);
        }
        if kind == Kind::Text {
            match utf8(&bytes) {
                Utf8::Valid => {}
                Utf8::Invalid(at) => fault = Some((ProtocolError::InvalidUtf8, needed[at])),
                Utf8::Cut(_) if is_whole => fault = fault.or(Some((ProtocolError::InvalidUtf8, AT_END))),
                Utf8::Cut(at) => bytes.truncate(at),
            }
        }
        let shows = fault.map_or(AT_END, |(_, needed)| needed);
        self.received.extend(controls.into_iter().filter(|(at, _)| *at < shows).map(|(_, received)| received));
        if let Some((error, _)) = fault {
            return Err(error);
        }
        let message = Message { kind, bytes };
        if !is_whole {
            return Ok(Some(message));
        }
        self.received.push(Received::Message(message));
        Ok(None)
    }
}

/// What shows with a message's end shows behind all of its payload.
const AT_END: usize = usize::MAX;

/// Where miniz_oxide takes what RFC 1951 does not allow, or does not say, and zlib refuses.
const MINIZ_TAKES: [Fault; 4] = [
    // It may end inside of a block: miniz_oxide waits for more.
    Fault::End,
    // The symbols behind the last code stand for nothing, and unless one of them comes, that does no harm.
    Fault::TooManyCodes,
    // Codes of one symbol with more than one bit.
    Fault::Code,
    // A block that cannot end.
    Fault::NoEndOfBlock,
];

/// Holds what has come of a message, of which no more than `wanted` bytes were, against what miniz_oxide makes of it: it refuses nothing that is
/// taken, takes nothing that is refused but what is listed, and the bytes are the same.
fn check_miniz(before: Inflater, payload: &[u8], is_whole: bool, inflated: &Inflated, wanted: usize) {
    if before.is_inside_a_byte() {
        return;
    }
    let data = if is_whole { [payload, &TAIL].concat() } else { payload.to_vec() };
    let (mut rest, mut history, mut made) = (&data[..], before.history, Vec::new());
    let status = loop {
        let start = history.len();
        history.resize(start + inflated.bytes.len() - made.len() + 1, 0);
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT;
        let (status, taken, wrote) = decompress(&mut DecompressorOxide::new(), rest, &mut history, start, flags);
        made.extend(&history[start..start + wrote]);
        rest = &rest[taken..];
        if status != TINFLStatus::Done || rest.is_empty() || made.len() > inflated.bytes.len() {
            break status;
        }
        history.clear();
    };
    let bytes = &inflated.bytes;
    let is_prefix = made.starts_with(bytes) || bytes.starts_with(&made);
    assert!(is_prefix, "miniz_oxide makes something else of {payload:02x?}");
    match (status, inflated.fault) {
        // What is behind the bytes that were wanted was not looked at.
        (_, None) if bytes.len() == wanted => {
            assert!(made.len() >= wanted, "miniz_oxide stops within {payload:02x?}: {status:?}");
        }
        (TINFLStatus::NeedsMoreInput | TINFLStatus::Done, None) => assert_eq!(&made, bytes),
        (TINFLStatus::NeedsMoreInput | TINFLStatus::Done | TINFLStatus::HasMoreOutput, Some((fault, _))) => {
            assert!(MINIZ_TAKES.contains(&fault), "miniz_oxide takes {payload:02x?}: {fault:?}");
        }
        (TINFLStatus::Failed, None) if inflated.is_doomed => {}
        (status, None) => panic!("miniz_oxide sees something else in {payload:02x?}: {status:?}"),
        (_, Some(_)) => {}
    }
}
