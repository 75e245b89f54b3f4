//! What this side sends: everything ends up in [`Connection::put_frame`].

use super::closing::{Happening, Reply};
use super::{Connection, Outgoing};
use crate::close::MAX_REASON;
use crate::copy;
use crate::event::Kind;
use crate::frame::{FrameHeader, MAX_CONTROL_PAYLOAD, MAX_HEADER, Opcode};
use crate::mask::apply_mask;
use crate::message::Message;
use crate::output::Output;
use crate::role::Role;
use crate::utf8::CutChar;
use crate::{CloseCode, CloseFrame, ProtocolError, SendError};

impl<R: Role> Connection<R> {
    /// Sends a text message in one frame.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`MessageUnderWay`](SendError::MessageUnderWay), [`NoRoom`](SendError::NoRoom).
    #[inline]
    pub fn send_text(&mut self, text: &str, out: &mut (impl Output + ?Sized)) -> Result<(), SendError> {
        self.send_whole(Opcode::Text, text.as_bytes(), out)
    }

    /// Sends a binary message in one frame.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`MessageUnderWay`](SendError::MessageUnderWay), [`NoRoom`](SendError::NoRoom).
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8], out: &mut (impl Output + ?Sized)) -> Result<(), SendError> {
        self.send_whole(Opcode::Binary, bytes, out)
    }

    /// Sends a message of either kind in one frame: [`send_text`](Self::send_text) or [`send_binary`](Self::send_binary).
    ///
    /// # Errors
    ///
    /// As theirs.
    #[inline]
    pub fn send<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        match message.into() {
            Message::Text(text) => self.send_text(text, out),
            Message::Binary(bytes) => self.send_binary(bytes, out),
        }
    }

    /// Sends a part of a message as a frame; `last` ends the message. Parts have any size, and nobody needs to know how many follow.
    ///
    /// Parts of a text message may cut characters; together they must be UTF-8. Control frames may be sent in between.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`NoRoom`](SendError::NoRoom); [`MessageUnderWay`](SendError::MessageUnderWay) if the message
    /// under way is of another kind; [`InvalidUtf8`](SendError::InvalidUtf8), behind which the right part may be sent.
    pub fn send_part(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        let outgoing = Outgoing { kind, compressed: false };
        let opcode = self.part_opcode(outgoing)?;
        let cut = match kind {
            Kind::Text => check_text(self.outgoing_cut, part, last)?,
            Kind::Binary => CutChar::EMPTY,
        };
        self.put_frame(opcode, last, part, out)?;
        self.outgoing_cut = cut;
        self.outgoing = (!last).then_some(outgoing);
        Ok(())
    }

    /// Sends a part of a message that was compressed as RFC 7692 (section 7.2.1) says, as a frame; `last` ends the message. With feature
    /// `deflate`, `Compressor` calls this.
    ///
    /// The engine does not look into it: that a text message is UTF-8 once it is inflated is the caller's promise here.
    ///
    /// # Errors
    ///
    /// [`NotNegotiated`](SendError::NotNegotiated); [`Closing`](SendError::Closing), [`NoRoom`](SendError::NoRoom);
    /// [`MessageUnderWay`](SendError::MessageUnderWay) if the message under way is of another kind or is not compressed.
    pub fn send_compressed(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        let outgoing = Outgoing { kind, compressed: true };
        let opcode = self.part_opcode(outgoing)?;
        if self.negotiated.compression().is_none() {
            return Err(SendError::NotNegotiated);
        }
        // RFC 7692, 6.1: RSV1 on the first frame of a compressed message, and on no other.
        let rsv1 = opcode != Opcode::Continuation;
        self.put_frame_with(opcode, last, rsv1, part, out)?;
        self.outgoing = (!last).then_some(outgoing);
        Ok(())
    }

    /// Whether [`send_compressed`](Self::send_compressed) has anything against the next part.
    #[cfg(feature = "deflate")]
    pub(crate) fn check_compressed(&self, kind: Kind) -> Result<(), SendError> {
        self.part_opcode(Outgoing { kind, compressed: true })?;
        if self.negotiated.compression().is_none() { Err(SendError::NotNegotiated) } else { Ok(()) }
    }

    /// Sends the header of a part alone, for writes that gather: the caller sends `out`, and behind it the `len` bytes of payload
    /// before anything else. What such a write leaves of the payload is to be put into `out` at once. Only a server can: a
    /// client's payload has to be masked.
    ///
    /// The engine does not see the payload: that a text message is UTF-8 is the caller's promise here.
    ///
    /// # Errors
    ///
    /// [`MustMask`](SendError::MustMask) on a client; as [`send_part`](Self::send_part) otherwise, and
    /// [`InvalidUtf8`](SendError::InvalidUtf8) if the last part sent ends inside a character.
    ///
    /// # Panics
    ///
    /// If `len` is 2⁶³ or more: no such frame exists (RFC 6455, section 5.2).
    pub fn send_header(
        &mut self,
        kind: Kind,
        len: u64,
        last: bool,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        let outgoing = Outgoing { kind, compressed: false };
        let header = FrameHeader::new(self.part_opcode(outgoing)?, last, len, None);
        // 5.1: "a client MUST mask all frames that it sends to the server".
        if !self.role.is_server() {
            return Err(SendError::MustMask);
        }
        if !self.outgoing_cut.is_empty() {
            return Err(SendError::InvalidUtf8);
        }
        if out.room() < header.encoded_len() {
            return Err(SendError::NoRoom);
        }
        put_header(header, out);
        self.outgoing = (!last).then_some(outgoing);
        Ok(())
    }

    /// Sends a message that was encoded before. Only a server can: a client masks each frame with a key of its own.
    ///
    /// # Errors
    ///
    /// [`MustMask`](SendError::MustMask) on a client; [`Closing`](SendError::Closing),
    /// [`MessageUnderWay`](SendError::MessageUnderWay), [`NoRoom`](SendError::NoRoom).
    #[cfg(feature = "alloc")]
    pub fn send_prepared(
        &mut self,
        prepared: &crate::Prepared,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        let frame = self.prepared_frame(prepared)?;
        if out.room() < frame.len() {
            return Err(SendError::NoRoom);
        }
        out.put(frame);
        Ok(())
    }

    /// What [`send_prepared`](Self::send_prepared) would put: the frame for this client, compressed or not. For those who queue what they
    /// send by themselves, and queue this next.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "alloc")]
    pub fn prepared_frame<'p>(&self, prepared: &'p crate::Prepared) -> Result<&'p alloc::sync::Arc<[u8]>, SendError> {
        self.check_whole()?;
        if !self.role.is_server() {
            return Err(SendError::MustMask);
        }
        Ok(prepared.frame_for(self.negotiated.compression()))
    }

    /// Sends a ping of at most 125 bytes. The peer's answer comes as [`Event::Pong`](crate::Event::Pong).
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`ControlTooLong`](SendError::ControlTooLong), [`NoRoom`](SendError::NoRoom).
    pub fn ping(&mut self, payload: &[u8], out: &mut (impl Output + ?Sized)) -> Result<(), SendError> {
        self.send_control(Opcode::Ping, payload, out)
    }

    /// Sends a pong of at most 125 bytes that nobody asked for. Pings are answered by `receive`.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`ControlTooLong`](SendError::ControlTooLong), [`NoRoom`](SendError::NoRoom).
    pub fn pong(&mut self, payload: &[u8], out: &mut (impl Output + ?Sized)) -> Result<(), SendError> {
        self.send_control(Opcode::Pong, payload, out)
    }

    /// Begins the closing handshake. The peer may still send messages before it answers: go on calling `receive`.
    ///
    /// `reason` has at most 123 bytes and needs a code. A message sent in parts may stay unfinished.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`ReasonWithoutCode`](SendError::ReasonWithoutCode),
    /// [`ReasonTooLong`](SendError::ReasonTooLong), [`NoRoom`](SendError::NoRoom).
    pub fn close(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        if !self.closing.may_send() {
            return Err(SendError::Closing);
        }
        if reason.len() > MAX_REASON {
            return Err(SendError::ReasonTooLong);
        }
        // 5.5.1: a body, if there is one, begins with the code.
        if code.is_none() && !reason.is_empty() {
            return Err(SendError::ReasonWithoutCode);
        }
        self.put_close(code, reason, out)?;
        let reply = self.on(Happening::LocalClose);
        debug_assert_eq!(reply, Reply::Close);
        Ok(())
    }

    /// Fails the connection for a layer above (RFC 6455, section 7.1.7): writes the Close with the error's code, unless one was
    /// sent, and discards what is still received. A connection that has ended is left as it is.
    ///
    /// `out` should have room for [`MAX_REPLY`](crate::MAX_REPLY) bytes; with less, the Close is left out.
    pub fn fail(&mut self, error: ProtocolError, out: &mut (impl Output + ?Sized)) {
        self.fail_to(error, &mut &mut *out);
    }

    pub(super) fn fail_to(&mut self, error: ProtocolError, out: &mut dyn Output) {
        if let Reply::Fail(error) = self.on(Happening::Violation(error)) {
            // Without room the peer is not told the reason, as the docs say; the connection has failed all the same.
            let _ = self.put_close(Some(error.close_code()), error.text(), out);
        }
    }

    /// Takes note of the peer's Close and answers it where it must be answered. `out` has room for a reply.
    pub(super) fn answer_close(&mut self, close: Option<CloseCode>, out: &mut dyn Output) {
        if self.on(Happening::PeerClose) == Reply::Echo {
            // 5.5.1: "the endpoint typically echos the status code it received".
            let echoed = self.put_close(close, "", out);
            debug_assert_eq!(echoed, Ok(()));
        }
    }

    #[inline]
    fn send_whole(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        self.check_whole()?;
        let first = 0x80 | opcode.bits();
        match payload.len() {
            // The short ways, for most of what is sent: the compiler knows how long the header is, and so makes a move or two of it.
            // 178 instructions instead of 257 for one of 1 KiB.
            #[expect(clippy::cast_possible_truncation, reason = "it fits")]
            len @ 0..=125 => self.put_whole([first, len as u8], payload, out),
            len @ 126..=copy::STEP => {
                let [.., high, low] = len.to_be_bytes();
                self.put_whole([first, 126, high, low], payload, out)
            }
            _ => self.put_frame(opcode, true, payload, out),
        }
    }

    /// Appends a message of at most [`copy::STEP`] bytes behind this header, to which the mask is to be added.
    #[inline(always)]
    fn put_whole<const N: usize>(
        &mut self,
        mut header: [u8; N],
        payload: &[u8],
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        let needed = N + if self.role.is_server() { 0 } else { 4 } + payload.len();
        if out.room() < needed {
            return Err(SendError::NoRoom);
        }
        out.reserve(needed);
        match self.role.next_key() {
            None => {
                out.put(&header);
                out.put(payload);
            }
            Some(key) => {
                header[1] |= 0x80;
                out.put(&header);
                out.put(&key);
                apply_mask(out.put(payload), key);
            }
        }
        Ok(())
    }

    /// Whether a whole message may be sent now.
    #[inline]
    pub(crate) const fn check_whole(&self) -> Result<(), SendError> {
        match self.outgoing {
            _ if !self.closing.may_send() => Err(SendError::Closing),
            Some(_) => Err(SendError::MessageUnderWay),
            None => Ok(()),
        }
    }

    /// The opcode of the next part of such a message.
    fn part_opcode(&self, outgoing: Outgoing) -> Result<Opcode, SendError> {
        match (self.outgoing, outgoing.kind) {
            // 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
            _ if !self.closing.may_send() => Err(SendError::Closing),
            (None, Kind::Text) => Ok(Opcode::Text),
            (None, Kind::Binary) => Ok(Opcode::Binary),
            (Some(under_way), _) if under_way == outgoing => Ok(Opcode::Continuation),
            // 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another message".
            (Some(_), _) => Err(SendError::MessageUnderWay),
        }
    }

    fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        if !self.closing.may_send() {
            return Err(SendError::Closing);
        }
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(SendError::ControlTooLong);
        }
        self.put_frame(opcode, true, payload, out)
    }

    fn put_close(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        let mut body = [0; MAX_CONTROL_PAYLOAD];
        let len = match code {
            Some(code) => {
                body[..2].copy_from_slice(&code.get().to_be_bytes());
                body[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
                2 + reason.len()
            }
            None => 0,
        };
        debug_assert!(CloseFrame::parse(&body[..len], true).is_ok());
        self.put_frame(Opcode::Close, true, &body[..len], out)
    }

    /// Appends one frame, masked if this side masks, or nothing at all.
    #[inline]
    pub(super) fn put_frame(
        &mut self,
        opcode: Opcode,
        fin: bool,
        payload: &[u8],
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        self.put_frame_with(opcode, fin, false, payload, out)
    }

    #[inline]
    fn put_frame_with(
        &mut self,
        opcode: Opcode,
        fin: bool,
        rsv1: bool,
        payload: &[u8],
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        // A slice is shorter than 2^63 bytes, so neither the header nor the sum can overflow.
        let unmasked = FrameHeader::new(opcode, fin, payload.len() as u64, None);
        let needed = unmasked.encoded_len() + if self.role.is_server() { 0 } else { 4 } + payload.len();
        if out.room() < needed {
            return Err(SendError::NoRoom);
        }
        // 10.3: the payload is fixed; only now is the key drawn. 5.3: each frame has a new one.
        let key = self.role.next_key();
        let header = FrameHeader::new(opcode, fin, payload.len() as u64, key);
        let header = if rsv1 { header.with_rsv1() } else { header };
        out.reserve(needed);
        put_header(header, out);
        // What was just copied is still in the first-level cache when it is masked.
        for step in payload.chunks(copy::STEP) {
            let copied = out.put(step);
            // 5.1: "a client MUST mask all frames that it sends to the server"; "A server MUST NOT mask any frames that it sends to the
            // client."
            if let Some(key) = key {
                apply_mask(copied, key);
            }
        }
        Ok(())
    }
}

/// Puts a header. Where the compiler knows how much is put, it makes a move or two of it instead of a call: 6 ns instead of 11 for a
/// message of 16 bytes.
#[inline]
fn put_header(header: FrameHeader, out: &mut (impl Output + ?Sized)) {
    match header.encode(&mut [0; MAX_HEADER]) {
        &[a, b] => out.put(&[a, b]),
        &[a, b, c, d] => out.put(&[a, b, c, d]),
        &[a, b, c, d, e, f] => out.put(&[a, b, c, d, e, f]),
        &[a, b, c, d, e, f, g, h] => out.put(&[a, b, c, d, e, f, g, h]),
        long => out.put(long),
    };
}

/// 5.6: a text message is UTF-8 as a whole; "a particular text frame might include a partial UTF-8 sequence".
pub(crate) fn check_text(mut cut: CutChar, part: &[u8], last: bool) -> Result<CutChar, SendError> {
    let (head, rest) = part.split_at(cut.missing().min(part.len()));
    let valid = cut.extend(head).and_then(|_| if cut.is_empty() { cut.split(rest).map(drop) } else { Ok(()) });
    match valid {
        Ok(()) if cut.is_empty() || !last => Ok(cut),
        _ => Err(SendError::InvalidUtf8),
    }
}
