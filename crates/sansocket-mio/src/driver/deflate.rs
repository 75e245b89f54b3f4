//! Compression: between the engine's frames and the messages.

use sansocket::deflate::{Compress, Compressor, Decompressor, Parameters};
use sansocket::{Compressed, Kind, Message, NextStep, SendError};

use super::receive::join;
use super::send::OUT_FULL;
use super::{Driver, Engine, Load, Rare, State};
use crate::event::Event;
use crate::settings::Common;
use crate::stream::Stream;

/// What a connection holds of compression: nothing between messages, if they do not refer to each other.
#[derive(Debug, Default)]
pub(super) struct Codecs {
    compressor: Option<Compressor>,
    decompressor: Option<Decompressor>,
    /// What could not be inflated yet, because what was inflated before it had to be given first.
    left: Option<Left>,
}

/// The rest of a piece of a compressed message.
#[derive(Debug)]
struct Left {
    piece: Compressed<'static>,
    bytes: Vec<u8>,
    start: usize,
}

/// What has come of a piece.
enum Inflated<'b> {
    /// This, and there may be more.
    Event(Event<'b>),
    /// Nothing that could be given yet, and there may be more.
    Enough,
    /// Nothing more.
    All,
}

impl<'b> Inflated<'b> {
    fn event(self) -> Option<Event<'b>> {
        match self {
            Self::Event(event) => Some(event),
            Self::Enough | Self::All => None,
        }
    }
}

impl Codecs {
    pub(super) fn is_idle(&self) -> bool {
        self.compressor.is_none() && self.decompressor.is_none() && self.left.is_none()
    }

    /// Whether something is to be inflated before anything else is received.
    pub(super) const fn has_left(&self) -> bool {
        self.left.is_some()
    }

    /// Gives everything back: nothing more comes, and nothing more may be sent.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// How much is inflated in a turn, in bytes, and one piece more: then others have theirs.
const TURN: usize = 1024 * 1024;

/// A connection's turn has ended.
pub(super) const fn end_turn(common: &mut Common) {
    common.codecs.inflated = 0;
}

impl<S: Stream> Driver<S> {
    /// Keeps what was read, if nothing more may be given in this turn: one read may become a thousand times as much. A peer that takes its time
    /// for answers is not to be told off for that, and others are not to wait for it. False: it may be given.
    pub(super) fn holds_back(&mut self, input: &mut &mut [u8], common: &Common) -> bool {
        let State::Open(engine) = &self.state else { return false };
        if engine.negotiated().compression().is_none() || engine.next_step() != NextStep::Open {
            return false;
        }
        let is_spent = common.codecs.inflated >= TURN;
        let is_above = self.load == Load::Above && engine.is_server();
        if !is_spent && !is_above {
            return false;
        }
        if !input.is_empty() {
            self.rare().unread.splice(..0, input.iter().copied());
            *input = &mut [];
        }
        if self.rare.as_ref().is_some_and(|rare| rare.codecs.has_left() || !rare.unread.is_empty()) {
            // There is more to be given, though the socket may say nothing any more.
            self.on_readable(false);
        }
        true
    }

    /// Whether something was set aside.
    pub(super) fn has_left(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.codecs.has_left())
    }

    /// Inflates a piece of a message until that gives an event, or enough was inflated in this turn, and sets the rest aside.
    pub(super) fn inflate<'b>(&mut self, piece: Compressed<'_>, common: &mut Common) -> Option<Event<'b>> {
        let mut piece = piece;
        let inflated = self.inflate_piece(&mut piece, common);
        if !matches!(inflated, Inflated::All) {
            let left = Left { piece: piece.rest(&[]), bytes: piece.as_bytes().to_vec(), start: 0 };
            self.rare().codecs.left = Some(left);
        }
        inflated.event()
    }

    /// Goes on with what was set aside.
    pub(super) fn inflate_left<'b>(&mut self, common: &mut Common) -> Option<Event<'b>> {
        let mut left = self.rare.as_mut()?.codecs.left.take()?;
        let mut piece = left.piece.rest(&left.bytes[left.start..]);
        let inflated = self.inflate_piece(&mut piece, common);
        if !matches!(inflated, Inflated::All) {
            left.start = left.bytes.len() - piece.as_bytes().len();
            left.piece = piece.rest(&[]);
            self.rare().codecs.left = Some(left);
        }
        inflated.event()
    }

    fn inflate_piece<'b>(&mut self, piece: &mut Compressed<'_>, common: &mut Common) -> Inflated<'b> {
        let Self { state: State::Open(engine), rare, giving, .. } = self else { return Inflated::All };
        let Some(parameters) = engine.negotiated().compression() else { return Inflated::All };
        let Rare { codecs, messages, .. } = &mut **rare.get_or_insert_default();
        messages.set_limit(engine.limits().message);
        let mut decompressor = codecs
            .decompressor
            .take()
            .unwrap_or_else(|| Decompressor::new(parameters, engine.is_server(), &common.codecs.pool));
        let mut scratch = common.codecs.take_scratch();
        let inflated = loop {
            let inflated = decompressor.inflate(piece, &mut scratch, engine, &mut common.out);
            let Some(inflated) = inflated.and_then(sansocket::Event::piece) else { break Inflated::All };
            common.codecs.inflated += inflated.as_bytes().len();
            // How much is still to come, nobody knows.
            match join(inflated, 0, giving, messages, common) {
                Ok(None) if common.codecs.inflated >= TURN => break Inflated::Enough,
                Ok(None) => {}
                Ok(Some(event)) => break Inflated::Event(event),
                Err(error) => engine.fail(error, &mut common.out),
            }
        };
        common.codecs.scratch = scratch;
        codecs.decompressor = Some(decompressor).filter(|decompressor| !decompressor.is_idle());
        inflated
    }

    /// Sends a message compressed, if it is to be. False: it is to be sent as it is.
    pub(super) fn send_compressed(
        &mut self,
        message: Message<'_>,
        choice: Compress,
        parameters: Parameters,
        common: &mut Common,
    ) -> Result<bool, SendError> {
        let payload = message.as_bytes();
        let begin = |compressor: &mut Compressor, engine: &Engine| compressor.begin(payload.len(), choice, engine);
        self.send_begun(message.kind(), payload, true, begin, parameters, common)
    }

    /// As [`send_compressed`](Self::send_compressed), for a part of a message.
    pub(super) fn send_part_compressed(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        choice: Compress,
        parameters: Parameters,
        common: &mut Common,
    ) -> Result<bool, SendError> {
        let begin =
            |compressor: &mut Compressor, engine: &Engine| compressor.begin_part(kind, part, last, choice, engine);
        self.send_begun(kind, part, last, begin, parameters, common)
    }

    fn send_begun(
        &mut self,
        kind: Kind,
        mut part: &[u8],
        last: bool,
        begin: impl FnOnce(&mut Compressor, &Engine) -> Result<bool, SendError>,
        parameters: Parameters,
        common: &mut Common,
    ) -> Result<bool, SendError> {
        let State::Open(engine) = &self.state else { return Err(SendError::Closing) };
        let Some(config) = &common.settings.compression else { return Ok(false) };
        let kept = self.rare.as_mut().and_then(|rare| rare.codecs.compressor.take());
        let mut compressor =
            kept.unwrap_or_else(|| Compressor::new(parameters, engine.is_server(), config, &common.codecs.pool));
        let begun = begin(&mut compressor, engine);
        if begun == Ok(true) {
            while let Some(fragment) = compressor.compress(&mut part, last) {
                let State::Open(engine) = &mut self.state else { break };
                fragment.send(kind, engine, &mut common.out)?;
                if common.out.len() >= OUT_FULL {
                    self.write_out(common);
                }
            }
        }
        if !compressor.is_idle() {
            self.rare().codecs.compressor = Some(compressor);
        }
        begun
    }
}
