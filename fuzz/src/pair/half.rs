//! A model of one side: what it may send, what it has sent, and what it must have received.

use std::collections::VecDeque;

use sansocket::{Kind, Limits, MaskKeys, ProtocolError, SendError};
use sansocket_testkit::{
    BINARY, CLOSE, CONTINUATION, End, Frame, Keys, Message, PING, PONG, Received, Side, TEXT, Transcript, Utf8,
    close_body, naive, split_frames, utf8,
};

use super::program::Send;

/// A frame as the model knows it: opcode, FIN and payload.
type Plain = (u8, bool, Vec<u8>);

/// One side.
pub(super) struct Half {
    /// Which one.
    side: Side,
    /// Its limits now.
    pub(super) limits: Limits,
    /// Every byte that it has written.
    pub(super) log: Vec<u8>,
    /// The frames that it was told to send.
    frames: Vec<Plain>,
    /// The messages that it was told to send, whole.
    pub(super) messages: Vec<Message>,
    /// The message that it sends in parts.
    outgoing: Option<Message>,
    /// Whether its Close was sent on its own account.
    pub(super) closed: bool,
    /// Bytes of the other side's that have reached it.
    pub(super) delivered: usize,
    /// What it must have received by now.
    pub(super) expected: Transcript,
    /// It has failed for a layer above, and by itself.
    failed_above: bool,
    /// Its transport is gone.
    pub(super) cut: bool,
}

impl Half {
    /// A side that has done nothing.
    pub(super) fn new(side: Side, limits: Limits) -> Self {
        Self {
            side,
            limits,
            log: Vec::new(),
            frames: Vec::new(),
            messages: Vec::new(),
            outgoing: None,
            closed: false,
            delivered: 0,
            expected: naive::decode(side, &[], &limits),
            failed_above: false,
            cut: false,
        }
    }

    /// Whether it has received no Close and no violation.
    pub(super) fn is_reading(&self) -> bool {
        matches!(self.expected.end, End::Open(_)) && !self.cut
    }

    /// Whether it may send.
    pub(super) fn may_send(&self) -> bool {
        self.is_reading() && !self.closed
    }

    /// What `send` has to give with so much room. If it succeeds, that is noted.
    pub(super) fn send(&mut self, send: &Send, room: Option<usize>) -> Result<(), SendError> {
        let frame = self.frame(send)?;
        // Only the header is put by the engine there.
        let seen = if let Send::Header(..) = send { self.len(&frame) - frame.2.len() } else { self.len(&frame) };
        if room.is_some_and(|room| seen > room) {
            return Err(SendError::NoRoom);
        }
        let (opcode, fin, payload) = &frame;
        if let TEXT | BINARY | CONTINUATION = *opcode {
            let kind = if *opcode == TEXT { Kind::Text } else { Kind::Binary };
            let mut message = self.outgoing.take().unwrap_or(Message { kind, bytes: Vec::new() });
            message.bytes.extend(payload);
            match fin {
                true => self.messages.push(message),
                false => self.outgoing = Some(message),
            }
        }
        self.closed |= *opcode == CLOSE;
        self.frames.push(frame);
        Ok(())
    }

    /// The frame that `send` has to write, or why it must not.
    fn frame(&self, send: &Send) -> Result<Plain, SendError> {
        if !self.may_send() {
            return Err(SendError::Closing);
        }
        match send {
            Send::Text(text) => self.whole(TEXT, text.as_bytes()),
            Send::Binary(bytes) => self.whole(BINARY, bytes),
            Send::Prepared(text) => {
                let frame = self.whole(TEXT, text.as_bytes())?;
                if self.side == Side::Client { Err(SendError::MustMask) } else { Ok(frame) }
            }
            Send::Part(kind, part, last) => self.part(*kind, part, *last),
            Send::Header(kind, payload, last) => {
                let opcode = self.part_opcode(*kind)?;
                if self.side == Side::Client {
                    return Err(SendError::MustMask);
                }
                let before = self.outgoing.as_ref().map_or(&[][..], |message| &message.bytes);
                if *kind == Kind::Text && utf8(before) != Utf8::Valid {
                    return Err(SendError::InvalidUtf8);
                }
                Ok((opcode, *last, payload.clone().into()))
            }
            Send::Ping(payload) => control(PING, payload),
            Send::Pong(payload) => control(PONG, payload),
            Send::Close(_, reason) if reason.len() > 123 => Err(SendError::ReasonTooLong),
            Send::Close(None, reason) if !reason.is_empty() => Err(SendError::ReasonWithoutCode),
            Send::Close(code, reason) => Ok((CLOSE, true, code.map_or(Vec::new(), |code| close_body(code, reason)))),
        }
    }

    /// A message in one frame.
    fn whole(&self, opcode: u8, payload: &[u8]) -> Result<Plain, SendError> {
        match self.outgoing {
            None => Ok((opcode, true, payload.to_vec())),
            Some(_) => Err(SendError::MessageUnderWay),
        }
    }

    /// A part of a message.
    fn part(&self, kind: Kind, part: &[u8], last: bool) -> Result<Plain, SendError> {
        let opcode = self.part_opcode(kind)?;
        let before = self.outgoing.as_ref().map_or(&[][..], |message| &message.bytes);
        match utf8(&[before, part].concat()) {
            Utf8::Invalid(_) if kind == Kind::Text => Err(SendError::InvalidUtf8),
            Utf8::Cut(_) if kind == Kind::Text && last => Err(SendError::InvalidUtf8),
            _ => Ok((opcode, last, part.to_vec())),
        }
    }

    /// 5.4: a message goes on with continuations, and nothing else comes in between.
    fn part_opcode(&self, kind: Kind) -> Result<u8, SendError> {
        match (&self.outgoing, kind) {
            (None, Kind::Text) => Ok(TEXT),
            (None, Kind::Binary) => Ok(BINARY),
            (Some(message), _) if message.kind == kind => Ok(CONTINUATION),
            (Some(_), _) => Err(SendError::MessageUnderWay),
        }
    }

    /// The length of a frame as this side writes it.
    fn len(&self, (opcode, fin, payload): &Plain) -> usize {
        Frame::new(*opcode, payload).fin(*fin).for_reader(self.side.other(), [0; 4]).bytes().len()
    }

    /// A layer above has failed it.
    pub(super) fn fail(&mut self, error: ProtocolError, room: Option<usize>) {
        if !self.is_reading() {
            return;
        }
        let close = (CLOSE, true, close_body(error.close_code().get(), error.text()));
        // Without room the peer is not told.
        if !self.closed && room.is_none_or(|room| self.len(&close) <= room) {
            self.frames.push(close);
        }
        self.failed_above = true;
        self.expected.end = End::Failed(error);
        self.expected.unfinished = None;
    }

    /// So many bytes of the other side's log have reached it in all.
    pub(super) fn read(&mut self, log: &[u8], delivered: usize) {
        self.delivered = delivered;
        // Limits are only ever raised: what has passed under the old ones passes under the new ones, and an end is an end.
        if self.is_reading() {
            self.expected = naive::decode(self.side, &log[..delivered], &self.limits);
        }
    }

    /// Its log is what it was told to send, with a pong for each ping and at most one more Close. Gives the body of its first Close.
    pub(super) fn check_log(&self) -> Option<Vec<u8>> {
        let mut told: VecDeque<_> = self.frames.iter().cloned().collect();
        let mut replies = self.replies();
        let mut keys = Keys::default();
        let mut first_close = None;
        for frame in split_frames(self.side, &self.log) {
            assert_eq!(frame.reserved_bits(), 0);
            // Each frame has the next key: none was used twice, and none was drawn in vain.
            assert_eq!(frame.key(), (self.side == Side::Client).then(|| keys.next_key()));
            let plain = (frame.opcode(), frame.is_fin(), frame.payload().to_vec());
            if plain.0 == CLOSE {
                first_close.get_or_insert(plain.2.clone());
            }
            // Which of the two it is can be told: no ping begins as an unasked pong does, and there is one Close.
            let of = if told.front() == Some(&plain) { &mut told } else { &mut replies };
            assert_eq!(of.pop_front(), Some(plain), "{:?} has written what nobody asked for", self.side);
        }
        assert_eq!((told, replies), (VecDeque::new(), VecDeque::new()), "{:?} has not written", self.side);
        first_close
    }

    /// 5.5.2: a pong to each ping; 5.5.1: a Close to a Close; 7.1.7: a Close to a violation.
    fn replies(&self) -> VecDeque<Plain> {
        let pongs = self.expected.received.iter().filter_map(|received| match received {
            Received::Ping(payload) => Some((PONG, true, payload.clone())),
            _ => None,
        });
        let close = match &self.expected.end {
            _ if self.closed || self.failed_above => None,
            End::Open(_) => None,
            End::Closed { code, .. } => Some(code.map_or(Vec::new(), |code| close_body(code, ""))),
            End::Failed(error) => Some(close_body(error.close_code().get(), error.text())),
        };
        pongs.chain(close.map(|body| (CLOSE, true, body))).collect()
    }
}

/// A ping or a pong.
fn control(opcode: u8, payload: &[u8]) -> Result<Plain, SendError> {
    if payload.len() > 125 { Err(SendError::ControlTooLong) } else { Ok((opcode, true, payload.to_vec())) }
}
