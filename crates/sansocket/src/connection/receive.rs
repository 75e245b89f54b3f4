//! What the peer sends: from the input's bytes to an event.
//!
//! Two ways lead through this file. [`Connection::receive_whole`] takes what nearly all traffic consists of, a whole unfragmented
//! message that lies in the input from its first byte to its last. [`Connection::receive_any`] takes everything, split anywhere.
//! Both give the same events; the tests hold one against the other.

use super::{Connection, Control, Incoming, Phase};
use crate::event::{Binary, Compressed, Event, Kind, Position, Text};
use crate::frame::{FrameHeader, MAX_HEADER, Opcode, RSV1};
use crate::mask::{advance_key, apply_mask, apply_mask_to_ascii, is_ascii};
use crate::output::{MAX_REPLY, Output};
use crate::role::Role;
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

    /// Whether `input` holds the rest of a message's last frame: without more input, `receive` will give the last piece of a message (a
    /// character that was cut may come before it, as a piece of its own), or find the message to be bad, if the output has room for [`MAX_REPLY`](crate::MAX_REPLY) bytes.
    ///
    /// An adapter that lends messages out of its own buffer asks this before it borrows the buffer for good. A compressed message has no
    /// pieces that could be lent from there: of such a one, this is false.
    pub fn completes_message(&self, input: &[u8]) -> bool {
        self.data_ahead(input).is_some_and(|data| data.fin && data.left <= data.there as u64)
    }

    /// Whether `input` begins with something of a message: the next `receive` over it will give a piece, or find the message to
    /// be bad, if the output has room for [`MAX_REPLY`](crate::MAX_REPLY) bytes. Of a compressed message, this is false.
    pub fn continues_message(&self, input: &[u8]) -> bool {
        self.data_ahead(input).is_some_and(|data| data.there > 0 || data.left == 0)
    }

    /// How many bytes of the frame that `input` begins with have not come; of a header that is cut itself, at least one. 0: the frame is there as
    /// a whole or is bad, or what `input` begins with is not a frame's beginning.
    ///
    /// A read that has filled its buffer leaves a cut frame at the end. Where this much still fits behind it, it may be moved to the
    /// front before more is read: then its message lies in one place, and need not be joined. What is left to lie there is not
    /// validated, so do that only if more bytes are sure to be there.
    #[inline]
    pub fn missing(&self, input: &[u8]) -> u64 {
        // Whatever it is, nothing is missing of it if there are so many bytes: that is known at once for all but the last frame of a read.
        let at_most = match *input {
            [_, second, high, low, ..] => match second & 0x7F {
                126 => 8 + usize::from(u16::from_be_bytes([high, low])),
                127 => usize::MAX,
                len => 6 + usize::from(len),
            },
            _ => usize::MAX,
        };
        if input.len() >= at_most { 0 } else { self.missing_of_last(input) }
    }

    #[inline(never)]
    fn missing_of_last(&self, input: &[u8]) -> u64 {
        if !matches!(self.phase, Phase::BetweenMessages | Phase::Header) || self.held > 0 || input.is_empty() {
            return 0;
        }
        match FrameHeader::parse(input) {
            Ok(Some((header, end))) => header.payload_len().saturating_sub((input.len() - end) as u64),
            Ok(None) => 1,
            Err(_) => 0,
        }
    }

    /// The data frame that `input` begins with or continues, if it does.
    fn data_ahead(&self, input: &[u8]) -> Option<DataAhead> {
        match self.phase {
            Phase::Control | Phase::Over => None,
            Phase::Data if self.incoming.is_some_and(|incoming| incoming.compressed) => None,
            Phase::Data => Some(DataAhead { fin: self.fin, left: self.payload_left, there: input.len() }),
            Phase::BetweenMessages | Phase::Header => {
                let (joined, len) = self.join_header(input);
                let (header, end) = FrameHeader::parse(&joined[..len]).ok().flatten()?;
                let there = input.len() - (end - usize::from(self.held));
                let data = DataAhead { fin: header.is_fin(), left: header.payload_len(), there };
                let compressed = match self.incoming {
                    Some(incoming) => incoming.compressed,
                    None => header.reserved() == RSV1 && self.negotiated.compression().is_some(),
                };
                (!header.opcode().is_control() && !compressed).then_some(data)
            }
        }
    }

    /// As [`receive`](Self::receive), if next comes a message in one frame of less than 64 KiB that lies in `input` as a whole: then it gives the
    /// message's only piece, or finds the message to be bad. `None`, and nothing taken: next comes something else, or nothing.
    ///
    /// [`receive`](Self::receive) tries this first. A loop that has short work for whole messages can do so itself, and keep its long work for everything
    /// else out of the way. `out` should have room for [`MAX_REPLY`](crate::MAX_REPLY) bytes; with less, a bad message's Close is left out.
    #[inline(always)]
    pub fn receive_whole<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        out: &mut (impl Output + ?Sized),
    ) -> Option<Event<'b>> {
        if self.phase != Phase::BetweenMessages {
            return None;
        }
        // FIN, no reserved bit, text or binary.
        let kind = match input.first()? {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return None,
        };
        let masked = self.role.is_server();
        let (key, payload) = self.take_whole_frame(input, self.limits.message)?;
        Some(match kind {
            Kind::Binary => {
                if masked {
                    apply_mask(payload, key);
                }
                Event::Binary(Binary::new(payload, Position::Whole))
            }
            Kind::Text => {
                if if masked { apply_mask_to_ascii(payload, key) } else { is_short_ascii(payload) } {
                    Event::Text(Text::ascii(payload, Position::Whole))
                } else {
                    match simdutf8::basic::from_utf8(payload) {
                        Ok(text) => Event::Text(Text::decoded(text, Position::Whole)),
                        Err(_) => self.violation(ProtocolError::InvalidUtf8, &mut &mut *out),
                    }
                }
            }
        })
    }

    /// The short way for fragments of binary messages: 28 ns instead of 46 for one of 4 bytes.
    #[inline(always)]
    fn receive_fragment<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        let first = *input.first()?;
        // No reserved bit. Where nothing of a header is held, and nothing is to be inflated.
        let incoming = match (first & 0x7F, self.phase, self.incoming) {
            (0x02, Phase::BetweenMessages, _) => Incoming::begin(Kind::Binary, false),
            (0x00, Phase::Header, Some(it)) if self.held == 0 && it.kind == Kind::Binary && !it.compressed => it,
            _ => return None,
        };
        // What is too much is for the long way.
        let fragments = incoming.fragments.checked_add(1).filter(|&count| count <= self.limits.fragments.max(1))?;
        let (key, payload) = self.take_whole_frame(input, self.limits.message.checked_sub(incoming.bytes)?)?;
        if self.role.is_server() {
            apply_mask(payload, key);
        }
        let bytes = incoming.bytes + payload.len() as u64;
        let frame = Frame { payload_left: 0, key, fin: first & 0x80 != 0 };
        let position = self.put_back(frame, Incoming { fragments, bytes, ..incoming });
        Some(Event::Binary(Binary::new(payload, position)))
    }

    /// Takes a frame of up to `most` and less than 64 KiB of payload that lies in `input` as a whole. Gives its key and its payload, still masked.
    /// Its first byte is the caller's business. `None`: it is something else, or bad.
    #[inline(always)]
    fn take_whole_frame<'b>(&self, input: &mut &'b mut [u8], most: u64) -> Option<([u8; 4], &'b mut [u8])> {
        let &[_, second, high, low, ..] = &**input else { return None };
        let masked = self.role.is_server();
        // Where a mask is missing, or there is one that should not be, this is 128 or more.
        let (payload_len, length_end) = match second ^ if masked { 0x80 } else { 0 } {
            len @ 0..=125 => (usize::from(len), 2),
            126 => match u16::from_be_bytes([high, low]) {
                // This is not the shortest form.
                ..=125 => return None,
                len => (usize::from(len), 4),
            },
            _ => return None,
        };
        if payload_len as u64 > most {
            return None;
        }
        let start = length_end + if masked { 4 } else { 0 };
        let (header, payload) = input.split_off_mut(..start + payload_len)?.split_at_mut(start);
        let key = if masked { *header.last_chunk()? } else { [0; 4] };
        Some((key, payload))
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
    fn violation<'b>(&mut self, error: ProtocolError, out: &mut dyn Output) -> Event<'b> {
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
        if !input.is_empty() {
            self.small[..len].copy_from_slice(&joined[..len]);
            self.held = small_len(len);
            self.control_len = 0;
            self.phase = Phase::Header;
            *input = &mut [];
        }
        Ok(None)
    }

    /// The bytes of a header that are held, and behind them as many of the input's as a header may need.
    fn join_header(&self, input: &[u8]) -> ([u8; MAX_HEADER], usize) {
        let held = usize::from(self.held);
        let len = MAX_HEADER.min(held + input.len());
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
    fn put_back(&mut self, frame: Frame, incoming: Incoming) -> Position {
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
struct Frame {
    /// How many bytes are still to come.
    payload_left: u64,
    /// Turned to the next byte.
    key: [u8; 4],
    /// Whether it is its message's last.
    fin: bool,
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
    const fn begin(kind: Kind, compressed: bool) -> Self {
        Self { kind, compressed, begun: false, fragments: 0, bytes: 0 }
    }
}

/// A data frame in the input: whether it is its message's last, its payload still to come, and how much of the input is behind
/// its header.
struct DataAhead {
    fin: bool,
    left: u64,
    there: usize,
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
fn is_short_ascii(text: &[u8]) -> bool {
    text.len() <= 125 && is_ascii(text)
}

/// The number of bytes held of a header or of a control frame.
fn small_len(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::negotiated::tests::COMPRESSED;
    use crate::{Client, Either, Limits, Negotiated};

    type Sides = Connection<Either<fn() -> [u8; 4]>>;

    const SERVER: bool = true;

    fn connection(is_server: bool, negotiated: Negotiated, limits: Limits) -> Sides {
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
    fn frame(is_server: bool, first: u8, payload: &[u8]) -> Vec<u8> {
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

    #[test]
    fn the_short_way_takes_every_whole_message_of_less_than_64_kib() {
        for is_server in [true, false] {
            for len in [0, 1, 2, 16, 124, 125, 126, 127, 1000, 65535] {
                for (first, filling) in [(0x81, "x"), (0x81, "\u{e4}"), (0x82, "\u{e4}")] {
                    let payload = [filling.repeat(len / filling.len()), "x".repeat(len % filling.len())].concat();
                    for behind in [2, 0] {
                        let mut bytes = frame(is_server, first, payload.as_bytes());
                        bytes.truncate(bytes.len() - 2 + behind);
                        if bytes.len() < 4 {
                            // So little is for the long way.
                            continue;
                        }
                        let mut input = &mut bytes[..];
                        // The limit itself is allowed.
                        let limits = Limits { message: len as u64, ..Limits::DEFAULT };
                        let mut connection = connection(is_server, Negotiated::default(), limits);
                        let event = connection.receive_whole(&mut input, &mut Vec::new());
                        let taken = match event {
                            Some(Event::Text(text)) => first == 0x81 && text.is_whole() && text.as_str() == payload,
                            Some(Event::Binary(binary)) => {
                                first == 0x82 && binary.is_whole() && binary.as_bytes() == payload.as_bytes()
                            }
                            _ => false,
                        };
                        assert!(taken, "{first:02x} {len} {behind}");
                        assert_eq!(input.len(), behind, "{first:02x} {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_missing_of_a_frame_is_told_at_its_beginning() {
        for payload_len in [0, 5, 125, 126, 1000] {
            let whole = frame(SERVER, 0x82, &vec![7; payload_len]);
            let whole = &whole[..whole.len() - 2];
            let header_len = whole.len() - payload_len;
            let new = || connection(SERVER, Negotiated::default(), Limits::DEFAULT);
            for there in 1..=whole.len() {
                let missing = if there < header_len { 1 } else { (whole.len() - there) as u64 };
                assert_eq!(new().missing(&whole[..there]), missing, "{there} of {payload_len}");
            }
            // Inside of a header or of a payload, nothing begins.
            for there in 1..whole.len() {
                let (mut connection, mut begun) = (new(), whole[..there].to_vec());
                let mut input = &mut begun[..];
                while connection.receive(&mut input, &mut Vec::new()).is_some() {}
                assert_eq!(connection.missing(&whole[there..]), 0);
            }
        }
        let mut server = connection(SERVER, Negotiated::default(), Limits::DEFAULT);
        assert_eq!(server.missing(&[]), 0);
        // A reserved opcode; behind it, nothing counts.
        assert_eq!(server.missing(&[0x83]), 0);
        assert!(server.receive(&mut &mut [0x83][..], &mut Vec::new()).is_some());
        assert_eq!(server.missing(&[0x82]), 0);
    }

    #[test]
    fn the_short_way_leaves_everything_else_as_it_is() {
        #[track_caller]
        fn is_left(connection: &mut Sides, bytes: &[u8]) {
            let mut copy = bytes.to_vec();
            let (mut input, mut out) = (&mut copy[..], Vec::new());
            assert!(connection.receive_whole(&mut input, &mut out).is_none(), "{bytes:02x?}");
            assert_eq!((&*input, &out[..]), (bytes, &b""[..]), "{bytes:02x?}");
        }
        for is_server in [true, false] {
            let new = |limits| connection(is_server, Negotiated::default(), limits);
            let good = frame(is_server, 0x82, b"good");
            for first in [0x00, 0x80, 0x01, 0x02, 0xC1, 0xA2, 0x83, 0x88, 0x89, 0x8A] {
                is_left(&mut new(Limits::DEFAULT), &frame(is_server, first, b"good"));
            }
            // A part of a frame, the other side's frame, a message above the limit.
            for end in 0..good.len() - 2 {
                is_left(&mut new(Limits::DEFAULT), &good[..end]);
            }
            is_left(&mut new(Limits::DEFAULT), &frame(!is_server, 0x82, b"good"));
            is_left(&mut new(Limits { message: 3, ..Limits::DEFAULT }), &good);
            // Lengths that are not in their shortest form, or in the longest.
            let mask = good[1] & 0x80;
            for length in [&[126, 0, 0][..], &[126, 0, 125], &[127, 0, 0, 0, 0, 0, 0, 0, 4]] {
                let bytes = [&[0x82, mask | length[0]], &length[1..], &[0; 200]].concat();
                is_left(&mut new(Limits::DEFAULT), &bytes);
            }
            // Inside a message, inside a header, behind a Close.
            for before in [&frame(is_server, 0x02, b"a")[..], &[0x82], &frame(is_server, 0x88, b"")[..]] {
                let mut connection = new(Limits::DEFAULT);
                let mut before = before[..before.len() - if before.len() > 1 { 2 } else { 0 }].to_vec();
                let mut input = &mut before[..];
                while connection.receive(&mut input, &mut Vec::new()).is_some() {}
                is_left(&mut connection, &good);
            }
        }
    }
}
