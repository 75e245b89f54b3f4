//! What the peer sends: from the input's bytes to an event.
//!
//! Here is the long way, which takes everything, split anywhere. The short ones, in `whole.rs`, take what nearly all traffic consists of. All give
//! the same events; the tests hold them against each other.

use super::{Connection, Control, Incoming, Phase};
use crate::event::{Binary, Compressed, Event, Kind, Position, Text};
use crate::frame::{FrameHeader, MAX_HEADER, Opcode, RSV1};
use crate::mask::{advance_key, apply_mask, apply_mask_to_ascii, is_ascii};
use crate::output::{MAX_REPLY, Output};
use crate::role::Role;
use crate::steps;
use crate::utf8::InvalidUtf8;
use crate::{CloseFrame, ProtocolError};

impl<R: Role> Connection<R> {
    /// Takes the next event from the front of `input`, unmasks what belongs to it in place, and moves `input` past it.
    ///
    /// `None`: nothing more can be taken now. `input` is then empty, unless `out` has less room than
    /// [`MAX_REPLY`](crate::MAX_REPLY): send what it holds and call again. Every reply that the protocol demands is appended to
    /// `out` by the call that gives its event: pongs, the answer to a Close, the Close that answers a violation. Send `out` after
    /// the last call, also behind a violation.
    ///
    /// A piece of a message is handed out as soon as it is there: one for each frame, more where the input cuts a frame. How a
    /// message is cut into pieces depends on how the input is; nothing else does.
    // Inlined into the caller's loop, an event is matched where it is made and need not be passed in memory: 7 ns instead of 8.5
    // for a message of 16 bytes.
    #[inline(always)]
    pub fn receive<'b>(&mut self, input: &mut &'b mut [u8], out: &mut (impl Output + ?Sized)) -> Option<Event<'b>> {
        if out.room() >= MAX_REPLY {
            if let Some(event) = self.receive_whole(input, out) {
                return Some(event);
            }
        } else if self.closing.may_receive() {
            return None;
        }
        if input.is_empty() {
            return None;
        }
        // Through memory of its own. An event that the short way gives then stays in registers: 107 instructions instead of 126 for a
        // message of 16 bytes.
        let mut event = None;
        self.receive_any(input, &mut &mut *out, &mut event);
        event
    }

    /// The long way, for everything, and once for all outputs: they get few replies.
    #[inline(never)]
    fn receive_any<'b>(&mut self, input: &mut &'b mut [u8], out: &mut dyn Output, event: &mut Option<Event<'b>>) {
        if let Some(fragment) = self.receive_fragment(input) {
            *event = Some(fragment);
            return;
        }
        let taken = match self.phase {
            Phase::BetweenMessages | Phase::Header => self.take_frame(input, out),
            Phase::Control => self.take_control(input, out),
            Phase::Data => {
                let Some(incoming) = self.incoming else { unreachable!("a data frame belongs to a message") };
                self.take_data(self.frame(), incoming, input)
            }
            Phase::Over => {
                *input = &mut [];
                Ok(None)
            }
        };
        *event = taken.unwrap_or_else(|error| Some(self.violation(error, out)));
    }

    #[cold]
    pub(super) fn violation<'b>(&mut self, error: ProtocolError, out: &mut dyn Output) -> Event<'b> {
        self.fail_to(error, out);
        Event::Failed(error)
    }

    /// Takes a header and what there is of its payload.
    #[inline(always)]
    fn take_frame<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        out: &mut dyn Output,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let Some(header) = self.take_header(input)? else { return Ok(None) };
        let frame =
            Frame { payload_left: header.payload_len(), key: header.key().unwrap_or_default(), fin: header.is_fin() };
        match self.check_header(header)? {
            Begun::Data(incoming) => self.take_data(frame, incoming, input),
            // Control frames come between data frames, so this overwrites nothing that is still needed.
            Begun::Control(control) => {
                self.control = control;
                self.control_len = 0;
                self.keep(frame);
                self.phase = Phase::Control;
                self.take_control(input, out)
            }
        }
    }

    /// Takes a header, or keeps the part of it that is there.
    #[inline(always)]
    fn take_header(&mut self, input: &mut &mut [u8]) -> Result<Option<FrameHeader>, ProtocolError> {
        // Nearly all headers lie in the input as a whole, and are read there.
        if self.held == 0
            && let Some((header, end)) = FrameHeader::parse(input)?
        {
            advance(input, end);
            return Ok(Some(header));
        }
        self.take_cut_header(input)
    }

    /// Takes the rest of a header, or keeps the part of it that is there.
    #[inline(never)]
    fn take_cut_header(&mut self, input: &mut &mut [u8]) -> Result<Option<FrameHeader>, ProtocolError> {
        let held = usize::from(self.held);
        let (joined, len) = self.join_header(input);
        if let Some((header, end)) = FrameHeader::parse(&joined[..len])? {
            advance(input, end - held);
            self.held = 0;
            return Ok(Some(header));
        }
        self.small[..len].copy_from_slice(&joined[..len]);
        self.held = small_len(len);
        self.control_len = 0;
        self.phase = Phase::Header;
        *input = &mut [];
        Ok(None)
    }

    /// The bytes of a header that are held, and behind them as many of the input's as a header may need.
    pub(super) fn join_header(&self, input: &[u8]) -> ([u8; MAX_HEADER], usize) {
        let held = usize::from(self.held);
        let len = MAX_HEADER.min(held + input.len());
        steps::count(len);
        let mut joined = [0; MAX_HEADER];
        joined[..held].copy_from_slice(&self.small[..held]);
        joined[held..len].copy_from_slice(&input[..len - held]);
        (joined, len)
    }

    /// Checks a header against role, negotiation, limits and the frames before it.
    #[inline(always)]
    fn check_header(&self, header: FrameHeader) -> Result<Begun, ProtocolError> {
        let begins_data = matches!(header.opcode(), Opcode::Text | Opcode::Binary);
        // 5.2: reserved bits "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values";
        // RFC 7692, 6.1: RSV1 is set on the first frame of a compressed message and on no other.
        let compressed = header.reserved() == RSV1 && begins_data && self.negotiated.compression().is_some();
        if header.reserved() != 0 && !compressed {
            return Err(ProtocolError::ReservedBits);
        }
        match (self.role.is_server(), header.key()) {
            // 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
            (true, None) => return Err(ProtocolError::UnmaskedFrame),
            // 5.1: "A client MUST close a connection if it detects a masked frame."
            (false, Some(_)) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        let data = match (header.opcode(), self.incoming) {
            (Opcode::Close, _) => return Ok(Begun::Control(Control::Close)),
            (Opcode::Ping, _) => return Ok(Begun::Control(Control::Ping)),
            (Opcode::Pong, _) => return Ok(Begun::Control(Control::Pong)),
            // 5.4: continuation frames continue a message, and nothing else may come inside of one.
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Continuation, Some(incoming)) => incoming,
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(ProtocolError::ExpectedContinuation);
            }
            (Opcode::Text, None) => Incoming::begin(Kind::Text, compressed),
            (Opcode::Binary, None) => Incoming::begin(Kind::Binary, compressed),
        };
        // 10.4: limits on a frame and on the message that it belongs to, from the header alone. Empty frames count.
        let fragments = data.fragments.saturating_add(1);
        if fragments > self.limits.fragments.max(1) {
            return Err(ProtocolError::TooManyFragments);
        }
        let bytes = data.bytes.checked_add(header.payload_len());
        let most = if data.compressed { self.limits.compressed_message(fragments) } else { self.limits.message };
        let bytes = bytes.filter(|&bytes| bytes <= most).ok_or(ProtocolError::MessageTooBig)?;
        Ok(Begun::Data(Incoming { fragments, bytes, ..data }))
    }

    /// Takes the payload of a control frame, and answers once it is whole.
    #[inline(never)]
    fn take_control<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        out: &mut dyn Output,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let mut frame = self.frame();
        let bytes = frame.take(input, usize::MAX);
        if self.role.is_server() {
            frame.unmask(bytes);
        }
        self.keep(frame);
        let held = usize::from(self.held);
        let end = held + bytes.len();
        steps::count(bytes.len());
        self.small[held..end].copy_from_slice(bytes);
        if frame.payload_left > 0 {
            self.held = small_len(end);
            return Ok(None);
        }
        self.held = 0;
        self.control_len = small_len(end);
        self.phase = if self.incoming.is_none() { Phase::BetweenMessages } else { Phase::Header };
        let payload = self.small;
        let payload = &payload[..end];
        match self.control {
            Control::Ping => {
                // 5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already
                // received a Close frame"; 5.5.3: with the same payload.
                let answered = self.put_frame(Opcode::Pong, true, payload, out);
                debug_assert_eq!(answered, Ok(()));
                Ok(Some(Event::Ping))
            }
            // 5.5.3: "A response to an unsolicited Pong frame is not expected."
            Control::Pong => Ok(Some(Event::Pong)),
            Control::Close => {
                let close = CloseFrame::parse(payload, self.limits.undefined_close_codes)?;
                self.answer_close(close.code(), out);
                Ok(Some(Event::Close))
            }
        }
    }

    /// Takes what there is of a data frame's payload. Only what another call needs is kept: of a frame that has come as a whole, nothing.
    #[inline(always)]
    fn take_data<'b>(
        &mut self,
        mut frame: Frame,
        incoming: Incoming,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        if input.is_empty() && frame.payload_left > 0 {
            self.keep(frame);
            self.incoming = Some(incoming);
            self.phase = Phase::Data;
            return Ok(None);
        }
        match incoming.kind {
            _ if incoming.compressed => return Ok(Some(self.take_compressed(frame, incoming, input))),
            Kind::Text => return self.take_text(frame, incoming, input),
            Kind::Binary => {}
        }
        let bytes = frame.take(input, usize::MAX);
        if self.role.is_server() {
            frame.unmask(bytes);
        }
        let position = self.put_back(frame, incoming);
        Ok(Some(Event::Binary(Binary::new(bytes, position))))
    }

    #[inline(never)]
    fn take_compressed<'b>(&mut self, mut frame: Frame, incoming: Incoming, input: &mut &'b mut [u8]) -> Event<'b> {
        let bytes = frame.take(input, usize::MAX);
        if self.role.is_server() {
            frame.unmask(bytes);
        }
        let position = self.put_back(frame, incoming);
        Event::Compressed(Compressed::new(bytes, incoming.kind, position))
    }

    #[inline(never)]
    fn take_text<'b>(
        &mut self,
        mut frame: Frame,
        incoming: Incoming,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        // A character that the last chunk has cut goes first, and alone: its bytes do not lie in one place.
        let finishes_char = !self.cut.is_empty();
        let bytes = frame.take(input, if finishes_char { self.cut.missing() } else { usize::MAX });
        let ascii = if self.role.is_server() { frame.unmask_to_ascii(bytes) } else { is_short_ascii(bytes) };
        let position = self.put_back(frame, incoming);
        let text = if finishes_char {
            self.cut.extend(bytes)?.map_or(Text::decoded("", position), |char| Text::char(char, position))
        } else if ascii {
            Text::ascii(bytes, position)
        } else {
            Text::decoded(self.cut.split(bytes)?, position)
        };
        // 5.6: the message as a whole is UTF-8: it does not end inside a character.
        if text.is_last() && !self.cut.is_empty() {
            return Err(ProtocolError::InvalidUtf8);
        }
        Ok(Some(Event::Text(text)))
    }

    /// Notes what is still to come behind a piece, and says where the piece lies.
    #[inline(always)]
    pub(super) fn put_back(&mut self, frame: Frame, incoming: Incoming) -> Position {
        let ends = frame.payload_left == 0;
        let last = ends && frame.fin;
        if last {
            self.incoming = None;
            self.phase = Phase::BetweenMessages;
        } else {
            self.incoming = Some(Incoming { begun: true, ..incoming });
            if ends {
                self.phase = Phase::Header;
            } else {
                self.keep(frame);
                self.phase = Phase::Data;
            }
        }
        Position::new(!incoming.begun, last)
    }

    /// The frame under way.
    #[inline]
    fn frame(&self) -> Frame {
        Frame { payload_left: self.payload_left, key: self.key, fin: self.fin }
    }

    /// Keeps a frame for the next call.
    #[inline]
    fn keep(&mut self, frame: Frame) {
        Frame { payload_left: self.payload_left, key: self.key, fin: self.fin } = frame;
    }
}

/// A frame on its way in, behind its header.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// How many bytes are still to come.
    pub(super) payload_left: u64,
    /// Turned to the next byte.
    pub(super) key: [u8; 4],
    /// Whether it is its message's last.
    pub(super) fin: bool,
}

impl Frame {
    /// Takes up to `most` bytes of the payload.
    #[inline]
    fn take<'b>(&mut self, input: &mut &'b mut [u8], most: usize) -> &'b mut [u8] {
        // Compared as u64: a payload may be longer than this machine can address.
        let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
        let bytes = advance(input, left.min(most).min(input.len()));
        self.payload_left -= bytes.len() as u64;
        bytes
    }

    /// Unmasks what comes next. 5.3: octet i of the payload belongs to octet i mod 4 of the key.
    #[inline]
    fn unmask(&mut self, bytes: &mut [u8]) {
        apply_mask(bytes, self.key);
        self.key = advance_key(self.key, bytes.len());
    }

    /// As [`unmask`](Self::unmask), and says whether all of it is ASCII.
    #[inline]
    fn unmask_to_ascii(&mut self, bytes: &mut [u8]) -> bool {
        let ascii = apply_mask_to_ascii(bytes, self.key);
        self.key = advance_key(self.key, bytes.len());
        ascii
    }
}

impl Incoming {
    pub(super) const fn begin(kind: Kind, compressed: bool) -> Self {
        Self { kind, compressed, begun: false, fragments: 0, bytes: 0 }
    }
}

/// What a header begins.
enum Begun {
    Control(Control),
    /// A frame of this message, counted.
    Data(Incoming),
}

impl From<InvalidUtf8> for ProtocolError {
    fn from(InvalidUtf8: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

/// Moves `input` past its first `len` bytes and gives them.
#[inline]
fn advance<'b>(input: &mut &'b mut [u8], len: usize) -> &'b mut [u8] {
    input.split_off_mut(..len).unwrap_or_default()
}

/// Whether text that was not masked is known to be ASCII. Of more than 125 bytes nobody asks: there, validation finds out as fast by
/// itself.
#[inline]
pub(super) fn is_short_ascii(text: &[u8]) -> bool {
    text.len() <= 125 && is_ascii(text)
}

/// The number of bytes held of a header or of a control frame.
fn small_len(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::negotiated::tests::COMPRESSED;
    use crate::{Client, Either, Limits, Negotiated};

    pub(in crate::connection) type Sides = Connection<Either<fn() -> [u8; 4]>>;

    pub(in crate::connection) const SERVER: bool = true;

    pub(in crate::connection) fn connection(is_server: bool, negotiated: Negotiated, limits: Limits) -> Sides {
        let keys: fn() -> [u8; 4] = || [0; 4];
        Connection::new(if is_server { Either::Server } else { Either::Client(Client::new(keys)) }, negotiated, limits)
    }

    /// What a client makes of unmasked frames, if it has agreed on compression.
    fn compressed(input: &mut [u8]) -> Vec<Event<'_>> {
        let mut connection = connection(!SERVER, COMPRESSED, Limits::DEFAULT);
        assert_eq!(connection.negotiated(), COMPRESSED);
        let (mut input, mut out) = (input, Vec::new());
        core::iter::from_fn(|| connection.receive(&mut input, &mut out)).collect()
    }

    #[test]
    fn rfc7692_6_rsv1_makes_a_compressed_message_of_either_kind() {
        for (first, kind) in [(0xC1, Kind::Text), (0xC2, Kind::Binary)] {
            // Not UTF-8: what is compressed is no text yet.
            let mut whole = [first, 2, 0xE2, 0xFF];
            let [Event::Compressed(piece)] = compressed(&mut whole)[..] else { panic!("{kind:?}") };
            assert_eq!((piece.kind(), piece.as_bytes(), piece.is_whole()), (kind, &b"\xE2\xFF"[..], true));

            let mut fragments = [first & !0x80, 1, 0xE2, 0x89, 0, 0x80, 1, 0xFF];
            let [Event::Compressed(one), Event::Ping, Event::Compressed(two)] = compressed(&mut fragments)[..] else {
                panic!("{kind:?}");
            };
            for (piece, byte, is_first) in [(one, 0xE2, true), (two, 0xFF, false)] {
                assert_eq!((piece.kind(), piece.as_bytes()), (kind, &[byte][..]));
                assert_eq!((piece.is_first(), piece.is_last()), (is_first, !is_first));
            }
        }
    }

    #[test]
    fn rfc7692_6_messages_without_rsv1_are_not_compressed() {
        let mut both = *b"\x81\x01a\x82\x01\xFF\x01\x01b\x80\x01c\xC1\x01d\x81\x01\xFF";
        let events = compressed(&mut both);
        let [
            Event::Text(a),
            Event::Binary(_),
            Event::Text(b),
            Event::Text(c),
            Event::Compressed(_),
            Event::Failed(ProtocolError::InvalidUtf8),
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert_eq!([a.as_str(), b.as_str(), c.as_str()], ["a", "b", "c"]);
    }

    #[test]
    fn rfc7692_6_1_rsv1_is_set_on_the_first_frame_of_a_message_alone() {
        for reserved in 0..8 {
            let rsv = reserved << 4;
            for first in [0x81, 0x82, 0x01, 0x02, 0x88, 0x89, 0x8A] {
                let good = reserved == 0 || reserved == RSV1 && first & 0x08 == 0;
                let mut frame = [first | rsv, 0];
                let events = compressed(&mut frame);
                let failed = matches!(events[..], [Event::Failed(ProtocolError::ReservedBits)]);
                assert_eq!(failed, !good, "{first:02x} {reserved}: {events:?}");
            }
            for first in [0x01, 0x41] {
                let mut frames = [first, 0, 0x80 | rsv, 0];
                let events = compressed(&mut frames);
                let failed = matches!(events[..], [_, Event::Failed(ProtocolError::ReservedBits)]);
                assert_eq!(failed, reserved != 0, "{first:02x} {reserved}: {events:?}");
            }
        }
    }

    /// A frame of that first byte and payload, as this side's peer sends it, and the first bytes of another behind it.
    pub(in crate::connection) fn frame(is_server: bool, first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = if is_server { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(mask | small_len(short)),
            len => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
        }
        frame.extend(&[0; 4][..if is_server { 4 } else { 0 }]);
        frame.extend(payload);
        frame.extend([0x89, mask]);
        frame
    }
}
