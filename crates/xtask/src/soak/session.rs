//! An open WebSocket: what is sent on it, and whether all of it comes back.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use sansocket::deflate::{Compress, Compressor, Config, Decompressor, Pool};
use sansocket::{Client, CloseCode, Connection, Event, Limits, MaskKeys, Negotiated};

use super::expected::Expected;
use super::payload::{Content, Message, Noise};
use super::tally::Tally;

/// The code that stands for a Close without one (RFC 6455, 7.1.5).
const NO_CODE: u16 = 1005;

/// Masking keys that follow from the seed, as all else does.
struct Keys(Xoshiro256PlusPlus);

impl MaskKeys for Keys {
    fn next_key(&mut self) -> [u8; 4] {
        self.0.random()
    }
}

/// What all sessions share.
pub(super) struct Shared {
    pub(super) noise: Noise,
    pub(super) pool: Pool,
    pub(super) tally: Tally,
    /// What was inflated.
    scratch: Vec<u8>,
    /// The message that is sent.
    message: Vec<u8>,
}

impl Shared {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            noise: Noise::new(seed),
            pool: Pool::default(),
            tally: Tally::default(),
            scratch: vec![0; 64 << 10],
            message: Vec::new(),
        }
    }
}

pub(super) struct Session {
    engine: Connection<Client<Keys>>,
    codecs: Option<(Compressor, Decompressor)>,
    connection: u32,
    sequence: u32,
    expected: Expected,
    pongs: Expected,
    /// The code of the Close that has to come.
    close: Option<u16>,
    is_closed: bool,
}

impl Session {
    pub(super) fn new(negotiated: Negotiated, connection: u32, random: &mut Xoshiro256PlusPlus, pool: &Pool) -> Self {
        let codecs = negotiated.compression().map(|parameters| {
            let compressor = Compressor::new(parameters, false, &Config::DEFAULT, pool);
            (compressor, Decompressor::new(parameters, false, pool))
        });
        let keys = Keys(Xoshiro256PlusPlus::seed_from_u64(random.random()));
        Self {
            engine: Connection::new(Client::new(keys), negotiated, Limits::DEFAULT),
            codecs,
            connection,
            sequence: 0,
            expected: Expected::default(),
            pongs: Expected::default(),
            close: None,
            is_closed: false,
        }
    }

    /// Whether something has to come.
    pub(super) fn awaits(&self) -> bool {
        !self.expected.is_empty() || !self.pongs.is_empty() || self.close.is_some()
    }

    /// What has to come, in words.
    pub(super) fn awaited(&self) -> String {
        match self.close {
            Some(code) if self.is_closed => format!("the end of the stream behind Close {code}"),
            code => format!("{}, {} pongs, Close {code:?}", self.expected.in_words(), self.pongs.len()),
        }
    }

    /// Whether the stream may end.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Sends a message: whole, or as fragments of sizes that `part` tells, with pings between some of them.
    pub(super) fn send(
        &mut self,
        content: Content,
        size: usize,
        mut part: Option<&mut dyn FnMut() -> (usize, bool)>,
        shared: &mut Shared,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let message = self.next(content, size);
        let mut bytes = std::mem::take(&mut shared.message);
        shared.noise.write(&message, &mut bytes);
        let mut rest = &bytes[..];
        loop {
            let (size, ping) = part.as_mut().map_or((usize::MAX, false), |part| part());
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            let kind = content.kind();
            let last = behind.is_empty();
            match &mut self.codecs {
                Some((compressor, _)) => {
                    compressor.send_part(kind, piece, last, Compress::Always, &mut self.engine, out)
                }
                None => self.engine.send_part(kind, piece, last, out),
            }
            .map_err(|error| format!("a message cannot be sent: {error}"))?;
            shared.tally.frames += 1;
            if last {
                break;
            }
            if ping {
                self.ping(size, shared, out)?;
            }
            rest = behind;
        }
        shared.message = bytes;
        self.expected.push(message);
        Ok(())
    }

    /// Sends a ping, with up to 125 bytes.
    pub(super) fn ping(&mut self, size: usize, shared: &mut Shared, out: &mut Vec<u8>) -> Result<(), String> {
        let message = self.next(Content::Binary, size % 126);
        let mut bytes = Vec::new();
        shared.noise.write(&message, &mut bytes);
        self.engine.ping(&bytes, out).map_err(|error| format!("a ping cannot be sent: {error}"))?;
        self.pongs.push(message);
        Ok(())
    }

    /// Sends a pong that nobody has asked for, and that is not answered.
    pub(super) fn pong(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.engine.pong(b"unasked", out).map_err(|error| format!("a pong cannot be sent: {error}"))
    }

    /// Sends a Close, which has to be echoed.
    pub(super) fn close(&mut self, code: Option<u16>, out: &mut Vec<u8>) -> Result<(), String> {
        let sent = self.engine.close(code.and_then(CloseCode::new), "", out);
        self.close = Some(code.unwrap_or(NO_CODE));
        sent.map_err(|error| format!("a Close cannot be sent: {error}"))
    }

    /// What was or was not sent otherwise is to be answered with this code.
    pub(super) const fn provoke(&mut self, code: u16) {
        self.close = Some(code);
    }

    /// A part of a message whose rest never comes: compressed, if that was agreed on.
    pub(super) fn send_torso(&mut self, shared: &mut Shared, out: &mut Vec<u8>) -> Result<(), String> {
        let message = self.next(Content::Words, 3000);
        let mut bytes = Vec::new();
        shared.noise.write(&message, &mut bytes);
        let kind = Content::Words.kind();
        match &mut self.codecs {
            Some((compressor, _)) => compressor.send_part(kind, &bytes, false, Compress::Always, &mut self.engine, out),
            None => self.engine.send_part(kind, &bytes, false, out),
        }
        .map_err(|error| format!("a part cannot be sent: {error}"))
    }

    /// Takes what was read, and appends what the protocol answers; what is wrong with it.
    pub(super) fn receive(
        &mut self,
        mut input: &mut [u8],
        shared: &mut Shared,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        while let Some(event) = self.engine.receive(&mut input, out) {
            let Event::Compressed(mut piece) = event else {
                self.take(event, &shared.noise, &mut shared.tally)?;
                continue;
            };
            let mut scratch = std::mem::take(&mut shared.scratch);
            let mut taken = Ok(());
            while taken.is_ok() {
                let Some((_, decompressor)) = &mut self.codecs else { break };
                let Some(event) = decompressor.inflate(&mut piece, &mut scratch, &mut self.engine, out) else { break };
                taken = self.take(event, &shared.noise, &mut shared.tally);
            }
            shared.scratch = scratch;
            taken?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, noise: &Noise, tally: &mut Tally) -> Result<(), String> {
        let (kind, last) = match &event {
            Event::Text(text) => (sansocket::Kind::Text, text.is_last()),
            Event::Binary(binary) => (sansocket::Kind::Binary, binary.is_last()),
            Event::Ping => {
                tally.pings_received += 1;
                return Ok(());
            }
            Event::Pong => {
                tally.pongs += 1;
                let taken = self.pongs.take(noise, sansocket::Kind::Binary, self.engine.control(), true);
                return taken.map_err(|error| format!("pong: {error}"));
            }
            Event::Close => return self.take_close(),
            _ => return Err(format!("the server has violated the protocol: {event:?}")),
        };
        let bytes = match &event {
            Event::Text(text) => text.as_bytes(),
            Event::Binary(binary) => binary.as_bytes(),
            _ => &[],
        };
        tally.bytes += bytes.len() as u64;
        tally.messages += u64::from(last);
        self.expected.take(noise, kind, bytes, last)
    }

    fn take_close(&mut self) -> Result<(), String> {
        let code = self.engine.peer_close().and_then(|close| close.code()).map_or(NO_CODE, CloseCode::get);
        if self.close != Some(code) {
            return Err(format!("Close {code} came, and {} were awaited", self.awaited()));
        }
        if !self.expected.is_empty() || !self.pongs.is_empty() {
            return Err(format!("Close {code} came before what was due: {}", self.awaited()));
        }
        self.is_closed = true;
        Ok(())
    }

    fn next(&mut self, content: Content, size: usize) -> Message {
        let message = Message { content, connection: self.connection, sequence: self.sequence, size };
        self.sequence += 1;
        message
    }
}
