//! The oracle: RFC 6455, sections 5 and 7.4, read from a whole stream at once.
//!
//! Every frame that has several faults is refused for one of them. This is the order:
//!
//! 1. what the header's bytes show from left to right: [`ReservedOpcode`](ProtocolError::ReservedOpcode) and
//!    [`FragmentedControl`](ProtocolError::FragmentedControl) with the first byte,
//!    [`ControlTooLong`](ProtocolError::ControlTooLong) with the second, [`LengthTopBit`](ProtocolError::LengthTopBit) with the
//!    third, [`NonMinimalLength`](ProtocolError::NonMinimalLength) with the length's last;
//! 2. with the whole header, key included: [`ReservedBits`](ProtocolError::ReservedBits);
//! 3. [`UnmaskedFrame`](ProtocolError::UnmaskedFrame), [`MaskedFrame`](ProtocolError::MaskedFrame);
//! 4. [`UnexpectedContinuation`](ProtocolError::UnexpectedContinuation),
//!    [`ExpectedContinuation`](ProtocolError::ExpectedContinuation);
//! 5. [`TooManyFragments`](ProtocolError::TooManyFragments), then [`MessageTooBig`](ProtocolError::MessageTooBig);
//! 6. what the payload shows: [`InvalidUtf8`](ProtocolError::InvalidUtf8) with the first byte that cannot be right, or with the
//!    message's end inside a character; of a Close, once it is whole, [`CloseBodyOfOneByte`](ProtocolError::CloseBodyOfOneByte),
//!    [`InvalidCloseCode`](ProtocolError::InvalidCloseCode), [`InvalidCloseReason`](ProtocolError::InvalidCloseReason).
//!
//! Extensions are not known here; who knows one can begin with [`read_header`].

use sansocket::{Kind, Limits, Place, ProtocolError};

use crate::frame::masked;
use crate::{BINARY, CLOSE, CONTINUATION, End, Message, PING, PONG, Received, Side, TEXT, Transcript, Utf8, utf8};

/// What `reader` receives if `bytes` are all that its peer sends.
pub fn decode(reader: Side, bytes: &[u8], limits: &Limits) -> Transcript {
    let mut reading = Reading { reader, limits: *limits, received: Vec::new(), message: None, under_way: None };
    let mut rest = bytes;
    let end = loop {
        match reading.frame(&mut rest) {
            Ok(None) => {}
            Ok(Some(end)) => break end,
            Err(error) => break End::Failed(error),
        }
    };
    let failed = matches!(end, End::Failed(_));
    let unfinished = reading.under_way.or(reading.message).filter(|_| !failed);
    Transcript {
        received: reading.received,
        unfinished: unfinished.map(|fragments| fragments.given()).filter(|m| !m.bytes.is_empty()),
        end,
    }
}

/// The fragments so far of a message that has not ended.
#[derive(Clone)]
struct Fragments {
    kind: Kind,
    bytes: Vec<u8>,
    frames: u64,
}

impl Fragments {
    /// What a reader can be given of it: of a text, whole characters.
    fn given(&self) -> Message {
        let end = match (self.kind, utf8(&self.bytes)) {
            (Kind::Text, Utf8::Cut(at)) => at,
            _ => self.bytes.len(),
        };
        Message { kind: self.kind, bytes: self.bytes[..end].to_vec() }
    }
}

struct Reading {
    reader: Side,
    limits: Limits,
    received: Vec<Received>,
    /// The message between two of its fragments.
    message: Option<Fragments>,
    /// The message with the part of its last frame that has come.
    under_way: Option<Fragments>,
}

/// A frame's header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// FIN.
    pub fin: bool,
    /// RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub reserved: u8,
    /// The opcode.
    pub opcode: u8,
    /// Bytes of payload.
    pub length: u64,
    /// The masking key.
    pub key: Option<[u8; 4]>,
}

impl Header {
    /// Takes so much of the payload as is there from the front, unmasked.
    pub fn take_payload(&self, rest: &mut &[u8]) -> Vec<u8> {
        let there = usize::try_from(self.length).unwrap_or(usize::MAX).min(rest.len());
        let (payload, tail) = rest.split_at(there);
        *rest = tail;
        masked(payload, self.key)
    }
}

impl Reading {
    /// Reads one frame. `Some`: there is no further one.
    fn frame(&mut self, rest: &mut &[u8]) -> Result<Option<End>, ProtocolError> {
        let between = match self.message {
            Some(_) => Place::BetweenFragments,
            None => Place::BetweenMessages,
        };
        if rest.is_empty() {
            return Ok(Some(End::Open(between)));
        }
        let Some(header) = read_header(rest)? else { return Ok(Some(End::Open(Place::InHeader))) };
        self.check(&header)?;

        let payload = header.take_payload(rest);
        let is_whole = payload.len() as u64 == header.length;
        if matches!(header.opcode, CONTINUATION | TEXT | BINARY) {
            return self.data(&header, &payload, is_whole);
        }
        if !is_whole {
            return Ok(Some(End::Open(Place::InPayload)));
        }
        match header.opcode {
            PING => self.received.push(Received::Ping(payload)),
            PONG => self.received.push(Received::Pong(payload)),
            _ => return close(&payload, self.limits).map(Some),
        }
        Ok(None)
    }

    /// Steps 2 to 5 of the order above.
    fn check(&self, header: &Header) -> Result<(), ProtocolError> {
        // 5.2: RSV1, RSV2, RSV3 "MUST be 0 unless an extension is negotiated".
        if header.reserved != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        // 5.1.
        match (self.reader, header.key) {
            (Side::Server, None) => return Err(ProtocolError::UnmaskedFrame),
            (Side::Client, Some(_)) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        // 5.4.
        match (header.opcode, &self.message) {
            (CLOSE | PING | PONG, _) => return Ok(()),
            (CONTINUATION, None) => return Err(ProtocolError::UnexpectedContinuation),
            (TEXT | BINARY, Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            _ => {}
        }
        // 10.4. In u128 nothing overflows.
        let frames = self.message.as_ref().map_or(0, |message| message.frames) + 1;
        if frames > u64::from(self.limits.fragments.max(1)) && self.limits.fragments != u32::MAX {
            return Err(ProtocolError::TooManyFragments);
        }
        let before = self.message.as_ref().map_or(0, |message| message.bytes.len());
        if before as u128 + u128::from(header.length) > u128::from(self.limits.message) {
            return Err(ProtocolError::MessageTooBig);
        }
        Ok(())
    }

    fn data(&mut self, header: &Header, payload: &[u8], is_whole: bool) -> Result<Option<End>, ProtocolError> {
        let kind = if header.opcode == TEXT { Kind::Text } else { Kind::Binary };
        let begun = Fragments { kind, bytes: Vec::new(), frames: 0 };
        let mut message = self.message.take().unwrap_or(begun);
        message.bytes.extend(payload);
        message.frames += 1;
        let ends = header.fin && is_whole;
        // 5.6, 8.1.
        match utf8(&message.bytes) {
            _ if message.kind == Kind::Binary => {}
            Utf8::Invalid(_) => return Err(ProtocolError::InvalidUtf8),
            Utf8::Cut(_) if ends => return Err(ProtocolError::InvalidUtf8),
            _ => {}
        }
        if !is_whole {
            self.under_way = Some(message);
            return Ok(Some(End::Open(Place::InPayload)));
        }
        if header.fin {
            self.received.push(Received::Message(message.given()));
        } else {
            self.message = Some(message);
        }
        Ok(None)
    }
}

/// Takes a header from the front: step 1 of the order above. `None`: it is cut.
pub fn read_header(rest: &mut &[u8]) -> Result<Option<Header>, ProtocolError> {
    let bytes = *rest;
    let Some(&first) = bytes.first() else { return Ok(None) };
    let opcode = first & 0x0F;
    let fin = first & 0x80 != 0;
    // 5.2.
    if matches!(opcode, 3..=7 | 11..=15) {
        return Err(ProtocolError::ReservedOpcode);
    }
    // 5.5.
    let is_control = matches!(opcode, CLOSE | PING | PONG);
    if is_control && !fin {
        return Err(ProtocolError::FragmentedControl);
    }
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let short = second & 0x7F;
    if is_control && short > 125 {
        return Err(ProtocolError::ControlTooLong);
    }
    // 5.2.
    let mut at = 2;
    let mut length = u64::from(short);
    if short == 126 {
        let (Some(&a), Some(&b)) = (bytes.get(2), bytes.get(3)) else { return Ok(None) };
        length = u64::from(a) << 8 | u64::from(b);
        at = 4;
        if length < 126 {
            return Err(ProtocolError::NonMinimalLength);
        }
    }
    if short == 127 {
        match bytes.get(2) {
            None => return Ok(None),
            Some(top) if *top >= 0x80 => return Err(ProtocolError::LengthTopBit),
            Some(_) if bytes.len() < 10 => return Ok(None),
            Some(_) => {}
        }
        length = bytes[2..10].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        at = 10;
        if length < 65536 {
            return Err(ProtocolError::NonMinimalLength);
        }
    }
    let mut key = None;
    if second & 0x80 != 0 {
        if bytes.len() < at + 4 {
            return Ok(None);
        }
        key = Some([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        at += 4;
    }
    *rest = &bytes[at..];
    Ok(Some(Header { fin, reserved: first >> 4 & 7, opcode, length, key }))
}

/// What a Close with that body is (5.5.1 and 7.4).
pub fn close(body: &[u8], limits: Limits) -> Result<End, ProtocolError> {
    if body.is_empty() {
        return Ok(End::Closed { code: None, reason: String::new() });
    }
    if body.len() == 1 {
        return Err(ProtocolError::CloseBodyOfOneByte);
    }
    let code = u16::from(body[0]) << 8 | u16::from(body[1]);
    let is_defined = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    let is_undefined = matches!(code, 0..=999 | 1004 | 1016..=2999 | 5000..=65535);
    let may_travel = is_defined || (is_undefined && limits.undefined_close_codes);
    if !may_travel {
        return Err(ProtocolError::InvalidCloseCode);
    }
    if utf8(&body[2..]) != Utf8::Valid {
        return Err(ProtocolError::InvalidCloseReason);
    }
    let reason = String::from_utf8(body[2..].to_vec()).expect("it was found valid");
    Ok(End::Closed { code: Some(code), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    fn fails(reader: Side, bytes: &[u8]) -> Option<ProtocolError> {
        decode(reader, bytes, &Limits::DEFAULT).failure()
    }

    #[test]
    fn a_stream_that_is_cut_is_open_where_it_is_cut() {
        let bytes = [Frame::new(TEXT, "häl").fin(false).bytes(), Frame::new(PING, "p").bytes()].concat();
        let ends: Vec<_> = (0..=bytes.len()).map(|end| decode(Side::Client, &bytes[..end], &Limits::DEFAULT)).collect();
        assert_eq!(ends[0].end, End::Open(Place::BetweenMessages));
        assert_eq!(ends[1].end, End::Open(Place::InHeader));
        assert_eq!(ends[2].end, End::Open(Place::InPayload));
        assert_eq!(ends[4].unfinished, Some(Message::text("h")));
        assert_eq!(ends[5].unfinished, Some(Message::text("hä")));
        assert_eq!(ends[6].end, End::Open(Place::BetweenFragments));
        assert_eq!(ends[9].received, [Received::Ping(b"p".to_vec())]);
        assert_eq!(ends[9].end, End::Open(Place::BetweenFragments));
    }

    #[test]
    fn of_several_faults_the_first_in_the_order_wins() {
        use ProtocolError::*;
        assert_eq!(fails(Side::Server, &[0x73]), Some(ReservedOpcode));
        assert_eq!(fails(Side::Server, &[0x78]), Some(FragmentedControl));
        assert_eq!(fails(Side::Server, &[0xF8, 126]), Some(ControlTooLong));
        assert_eq!(fails(Side::Server, &[0xF1, 127, 0x80]), Some(LengthTopBit));
        assert_eq!(fails(Side::Server, &[0xF1, 126, 0, 125]), Some(NonMinimalLength));
        assert_eq!(fails(Side::Server, &[0xF1, 0]), Some(ReservedBits));
        assert_eq!(fails(Side::Server, &[0x80, 0]), Some(UnmaskedFrame));
        assert_eq!(fails(Side::Client, &[0x80, 0]), Some(UnexpectedContinuation));
    }
}
