//! What is sent: from a message to the output, or past it.

use std::io::IoSlice;

use sansocket::deflate::Compress;
use sansocket::{CloseCode, Kind, Message, Prepared, ProtocolError, SendError};

use super::{Driver, Engine, Load, Sent, State, Writing};
use crate::settings::Common;
use crate::stream::Stream;

/// Payloads of up to so many bytes are copied into the output, and so are longer ones while there is more to be answered in the same
/// write. What is longer goes to the socket out of the caller's memory, in frames of [`FRAME`].
const COPIED: usize = 4 * 1024;
const COPIED_OF_MANY: usize = 16 * 1024;
const FRAME: usize = 64 * 1024;

/// How many frames a write gathers.
const FRAMES: usize = 8;

/// How much is put before it is written though the turn goes on.
pub(super) const OUT_FULL: usize = 64 * 1024;

impl Common {
    /// How long a payload may be to be copied into the output.
    const fn copied(&self) -> usize {
        if self.has_more { COPIED_OF_MANY } else { COPIED }
    }
}

impl<S: Stream> Driver<S> {
    /// The engine, to send something.
    fn engine(&mut self, common: &mut Common) -> Result<&mut Engine, SendError> {
        // Nobody is told off for what the socket was not asked to take.
        if self.queued() > common.settings.queue {
            self.write_queue();
        }
        let queued = self.queued();
        let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
        if queued > common.settings.queue && engine.may_send() {
            engine.fail(ProtocolError::QueueOverrun, &mut common.out);
            return Err(SendError::NoRoom);
        }
        Ok(engine)
    }

    /// A message, or a part of one, was sent.
    fn sent(&mut self, common: &mut Common) -> Sent {
        self.deadlines.active(common.now);
        if common.out.len() >= OUT_FULL {
            self.write_out(common);
        }
        self.pressure(common)
    }

    #[inline]
    fn pressure(&mut self, common: &Common) -> Sent {
        if self.queued() + common.out.len() <= common.settings.high_mark {
            return Sent::Accepted;
        }
        // Whoever hears of it will hear when it is over, even if the socket takes all of it at the turn's end.
        self.load = Load::Above;
        Sent::AboveMark
    }

    #[inline]
    pub(crate) fn send(
        &mut self,
        message: Message<'_>,
        choice: Compress,
        common: &mut Common,
    ) -> Result<Sent, SendError> {
        // The short way: nothing is queued, and there is room.
        if self.rare.is_none()
            && let State::Open(engine) = &mut self.state
            && message.as_bytes().len() <= COPIED
            && common.out.len() < OUT_FULL
            && engine.negotiated().compression().is_none()
        {
            engine.send(message, &mut common.out)?;
            self.deadlines.active(common.now);
            return Ok(self.pressure(common));
        }
        self.send_any(message, choice, common)
    }

    #[inline(never)]
    fn send_any(&mut self, message: Message<'_>, choice: Compress, common: &mut Common) -> Result<Sent, SendError> {
        let payload = message.as_bytes();
        let copied = common.copied();
        if let Some(parameters) = self.engine(common)?.negotiated().compression()
            && self.send_compressed(message, choice, parameters, common)?
        {
            return Ok(self.sent(common));
        }
        let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
        if payload.len() <= copied {
            engine.send(message, &mut common.out)?;
        } else {
            if engine.is_sending() {
                // Its first frame would otherwise go on with the message that is being sent in parts.
                return Err(SendError::MessageUnderWay);
            }
            self.send_frames(message.kind(), payload, true, common)?;
        }
        Ok(self.sent(common))
    }

    pub(crate) fn send_part(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        choice: Compress,
        common: &mut Common,
    ) -> Result<Sent, SendError> {
        let copied = common.copied();
        if let Some(parameters) = self.engine(common)?.negotiated().compression()
            && self.send_part_compressed(kind, part, last, choice, parameters, common)?
        {
            return Ok(self.sent(common));
        }
        let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
        // A text goes out in one frame: it is validated as a whole before anything of it is sent.
        if part.len() <= copied || kind == Kind::Text {
            engine.send_part(kind, part, last, &mut common.out)?;
        } else {
            self.send_frames(kind, part, last, common)?;
        }
        Ok(self.sent(common))
    }

    /// Sends long payloads in frames of bounded size, so that replies need not wait for their end. A server's go to the socket out of the
    /// caller's memory. A text is known to be UTF-8.
    fn send_frames(&mut self, kind: Kind, payload: &[u8], last: bool, common: &mut Common) -> Result<(), SendError> {
        let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
        let gathers = engine.is_server();
        let mut batches = payload.chunks(FRAME * FRAMES).peekable();
        while let Some(batch) = batches.next() {
            let last = last && batches.peek().is_none();
            if gathers {
                self.send_gathered(kind, batch, last, common)?;
                continue;
            }
            let mut frames = batch.chunks(FRAME).peekable();
            while let Some(frame) = frames.next() {
                let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
                engine.send_part(kind, frame, last && frames.peek().is_none(), &mut common.out)?;
                if common.out.len() >= OUT_FULL {
                    self.write_out(common);
                }
            }
        }
        Ok(())
    }

    /// Writes what was put and, behind it, some frames whose payload lies with the caller.
    fn send_gathered(&mut self, kind: Kind, payload: &[u8], last: bool, common: &mut Common) -> Result<(), SendError> {
        let State::Open(engine) = &mut self.state else { return Err(SendError::Closing) };
        let out = &mut common.out;
        // Where the headers end in `out`.
        let mut ends = [0; FRAMES];
        let mut frames = payload.chunks(FRAME).peekable();
        for end in &mut ends {
            let Some(frame) = frames.next() else { break };
            engine.send_header(kind, frame.len() as u64, last && frames.peek().is_none(), out)?;
            *end = out.len();
        }
        let mut slices = [IoSlice::new(&[]); 2 * FRAMES];
        let mut count = 0;
        let mut start = 0;
        for (frame, end) in payload.chunks(FRAME).zip(ends) {
            slices[count] = IoSlice::new(&out[start..end]);
            slices[count + 1] = IoSlice::new(frame);
            (start, count) = (end, count + 2);
        }
        let mut left = &mut slices[..count];
        while !left.is_empty()
            && self.writing == Writing::Free
            && self.rare.as_ref().is_none_or(|rare| rare.queue.is_empty())
        {
            let asked: usize = left.iter().map(|slice| slice.len()).sum();
            match self.stream.write_vectored(left) {
                Ok(written) => {
                    if written < asked && (written == 0 || self.stream.short_write_is_last()) {
                        self.writing = Writing::Blocked;
                    }
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(error) => self.cannot_write(error),
            }
        }
        self.queue_up(left.iter().map(|slice| &**slice));
        common.clear();
        Ok(())
    }

    pub(crate) fn send_prepared(&mut self, prepared: &Prepared, common: &mut Common) -> Result<Sent, SendError> {
        let frame = self.engine(common)?.prepared_frame(prepared)?;
        if frame.len() <= COPIED {
            common.out.extend_from_slice(frame);
        } else {
            self.put_aside(common);
            if self.writing != Writing::Shut {
                self.rare().queue.push_shared(frame.clone());
            }
        }
        Ok(self.sent(common))
    }

    pub(crate) fn ping(&mut self, payload: &[u8], common: &mut Common) -> Result<(), SendError> {
        self.engine(common)?.ping(payload, &mut common.out)
    }

    pub(crate) fn close(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
        common: &mut Common,
    ) -> Result<(), SendError> {
        match &mut self.state {
            State::Open(engine) => engine.close(code, reason, &mut common.out),
            _ => Err(SendError::Closing),
        }
    }

    /// Queues what was put, to be written in a turn of this connection's own.
    pub(crate) fn put_aside(&mut self, common: &mut Common) {
        self.queue_up([&common.out[..]]);
        common.clear();
    }
}
