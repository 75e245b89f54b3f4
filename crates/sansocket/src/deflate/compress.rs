//! From messages to compressed frames (RFC 7692, section 7.2.1).

use zlib_rs::{DeflateError, DeflateFlush};

use super::pool::{Deflater, DeflaterSettings, Held, Pool, SCRATCH};
use super::{Compress, Parameters, Policy, Window, WindowBits};
use crate::connection::check_text;
use crate::event::Kind;
use crate::frame::MAX_HEADER;
use crate::message::Message;
use crate::utf8::CutChar;
use crate::{Connection, Output, Role, SendError, steps};

/// What a flush ends with, and what is not sent at a message's end.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// How a connection compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is offered and accepted.
    pub policy: Policy,
    /// How hard the compressor tries, from 0 (not at all) to 9; more counts as 9. Default 3.
    pub level: u8,
    /// How much memory a compressor takes besides its window, from 1 to 9; default 7. What lies outside counts as the nearest. At 15 bits that
    /// is from 277 to 500 KiB in all; docs/compression.md has a table.
    pub memory_level: u8,
    /// Shorter messages are not compressed, in bytes; default 512. Where messages refer to earlier ones, an eighth of that counts, since what has
    /// been there before gets short by itself. Counts for [`Compress::Auto`] alone.
    pub threshold: usize,
}

impl Config {
    /// The defaults, which suit a server that everybody can reach.
    pub const DEFAULT: Self = Self { policy: Policy::DEFAULT, level: 3, memory_level: 7, threshold: 512 };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Compresses what is sent, where the opening handshake has agreed on it.
///
/// ```
/// # use sansocket::deflate::{Compress, Compressor, Config, Parameters, Pool, Window, WindowBits};
/// # use sansocket::{Connection, Limits, Negotiated, Server};
/// # let window = Window { bits: WindowBits::MAX, takeover: false };
/// # let parameters = Parameters { server: window, client: window };
/// # let mut connection = Connection::new(Server, Negotiated::new(Some(parameters)), Limits::default());
/// # let mut out = Vec::new();
/// let pool = Pool::default(); // one for all connections
/// let mut compressor = Compressor::new(parameters, connection.is_server(), &Config::DEFAULT, &pool);
///
/// let text = "It goes without saying. ".repeat(100);
/// compressor.send(&text, Compress::Auto, &mut connection, &mut out)?;
/// assert!(out.len() < text.len() / 10);
/// # Ok::<(), sansocket::SendError>(())
/// ```
#[derive(Debug)]
pub struct Compressor {
    /// `None`: the peer demands what the codec cannot do, and nothing is compressed.
    settings: Option<DeflaterSettings>,
    takeover: bool,
    threshold: usize,
    pool: Pool,
    /// Between messages: only if messages refer to earlier ones.
    codec: Option<Held<Deflater>>,
    message: Option<UnderWay>,
}

/// A message that was begun, and has not ended.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    choice: Compress,
    /// Whether something of it was given out.
    begun: bool,
    /// Whether the codec holds more than it has had room for.
    pending: bool,
    /// The character that the last part has cut.
    cut: CutChar,
}

/// A frame's payload.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'f> {
    bytes: &'f [u8],
    compressed: bool,
    last: bool,
}

impl<'f> Fragment<'f> {
    /// The payload.
    pub const fn as_bytes(&self) -> &'f [u8] {
        self.bytes
    }

    /// Whether it is compressed: all of a message's are, or none.
    pub const fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Whether the message ends with it.
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// Puts it into a frame.
    ///
    /// # Errors
    ///
    /// As [`Connection::send_compressed`].
    pub fn send<R: Role>(
        self,
        kind: Kind,
        connection: &mut Connection<R>,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        if self.compressed {
            connection.send_compressed(kind, self.bytes, self.last, out)
        } else {
            connection.send_part(kind, self.bytes, self.last, out)
        }
    }
}

impl Compressor {
    /// For what a server or a client sends. It takes a codec when the first message is to be compressed; with `takeover` agreed on for
    /// this side, it keeps it from then on, else it is borrowed from `pool` for the length of a message.
    pub fn new(parameters: Parameters, is_server: bool, config: &Config, pool: &Pool) -> Self {
        let Window { bits, takeover } = parameters.of(is_server);
        let settings = DeflaterSettings {
            window_bits: bits,
            level: config.level.min(9),
            memory_level: config.memory_level.clamp(1, 9),
        };
        Self {
            settings: (bits > WindowBits::MIN).then_some(settings),
            takeover,
            threshold: if takeover { config.threshold / 8 } else { config.threshold },
            pool: pool.clone(),
            codec: None,
            message: None,
        }
    }

    /// Whether it holds nothing: another one in its place would do the same.
    pub const fn is_idle(&self) -> bool {
        self.codec.is_none() && self.message.is_none()
    }

    /// Sends a message: compressed, in frames of up to 16 KiB, or in one frame as it is.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]. [`NoRoom`](SendError::NoRoom): the output has less room than the message might need in the worst case, an
    /// eighth and 64 bytes more than it has, and 14 for each 16 KiB of that; under [`Compress::Auto`], less than the message needs as it is.
    pub fn send<'m, R: Role>(
        &mut self,
        message: impl Into<Message<'m>>,
        choice: Compress,
        connection: &mut Connection<R>,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        let message = message.into();
        if self.begin(message.as_bytes().len(), choice, connection)? {
            match self.send_begun(message.kind(), message.as_bytes(), true, connection, out) {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.go_back(None);
                    // As it is, it may fit.
                    if choice == Compress::Auto { connection.send(message, out) } else { Err(error) }
                }
            }
        } else {
            connection.send(message, out)
        }
    }

    /// Sends a part of a message, at once; `last` ends it. The choice for a message's first part holds for all of it, and
    /// [`Compress::Auto`] compresses a message unless its first part is its last and short.
    ///
    /// # Errors
    ///
    /// As [`Connection::send_part`], and [`NoRoom`](SendError::NoRoom) as [`send`](Self::send).
    pub fn send_part<R: Role>(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        choice: Compress,
        connection: &mut Connection<R>,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        let before = self.message;
        if self.begin_part(kind, part, last, choice, connection)? {
            let sent = self.send_begun(kind, part, last, connection, out);
            if sent.is_err() {
                self.go_back(before);
            }
            sent
        } else {
            connection.send_part(kind, part, last, out)
        }
    }

    /// Sends what was begun, or nothing.
    fn send_begun<R: Role>(
        &mut self,
        kind: Kind,
        mut part: &[u8],
        last: bool,
        connection: &mut Connection<R>,
        out: &mut (impl Output + ?Sized),
    ) -> Result<(), SendError> {
        // Once the codec has seen the part, there is no way back.
        if out.room() < most_bytes(part.len()) {
            return Err(SendError::NoRoom);
        }
        while let Some(fragment) = self.compress(&mut part, last) {
            fragment.send(kind, connection, out)?;
        }
        Ok(())
    }

    /// Begins a message of `len` bytes, if it is to be compressed: then all of it goes through [`compress`](Self::compress). False: it is
    /// to be sent as it is.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`], but for the output.
    pub fn begin<R: Role>(
        &mut self,
        len: usize,
        choice: Compress,
        connection: &Connection<R>,
    ) -> Result<bool, SendError> {
        connection.check_whole()?;
        let taken = self.takes(choice, len >= self.threshold);
        if taken && connection.negotiated().compression().is_none() {
            self.go_back(None);
            return Err(SendError::NotNegotiated);
        }
        Ok(taken)
    }

    /// Begins a part of a message, or goes on with the next one, if the message is compressed: then all of the part goes through
    /// [`compress`](Self::compress). False: it is to be sent as it is.
    ///
    /// # Errors
    ///
    /// As [`Connection::send_part`], but for the output, if the part is to be compressed.
    pub fn begin_part<R: Role>(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        choice: Compress,
        connection: &Connection<R>,
    ) -> Result<bool, SendError> {
        let before = self.message;
        if before.is_none() && (connection.is_sending() || !self.takes(choice, !last || part.len() >= self.threshold)) {
            return Ok(false);
        }
        let checked = connection.check_compressed(kind).and_then(|()| match (kind, &self.message) {
            (Kind::Text, Some(message)) => check_text(message.cut, part, last),
            _ => Ok(CutChar::EMPTY),
        });
        match checked {
            Ok(cut) => {
                self.message = self.message.map(|message| UnderWay { cut, ..message });
                Ok(true)
            }
            Err(error) => {
                self.go_back(before);
                Err(error)
            }
        }
    }

    /// Nothing was done since the message was like this.
    fn go_back(&mut self, message: Option<UnderWay>) {
        self.message = message;
        self.release();
    }

    /// Gives the codec back between messages, unless it has to remember them.
    fn release(&mut self) {
        if self.message.is_none() && !self.takeover {
            self.codec = None;
        }
    }

    /// Takes on a message that begins, if it is to be compressed.
    pub(crate) fn takes(&mut self, choice: Compress, is_worth_it: bool) -> bool {
        let Some(settings) = &self.settings else { return false };
        if choice == Compress::Never || (choice == Compress::Auto && !is_worth_it) {
            return false;
        }
        if !self.takeover {
            // Whoever did not ask for more behind a message's end has left it here, and it still remembers that message.
            self.codec = None;
        }
        if self.codec.is_none() {
            self.codec = if self.takeover { Some(Held::own(settings)) } else { self.pool.lend(settings) };
        }
        if self.codec.is_some() {
            self.message = Some(UnderWay { choice, begun: false, pending: false, cut: CutChar::EMPTY });
        }
        self.codec.is_some()
    }

    /// Takes from the front of a part of a message that was [begun](Self::begin), and gives the next frame's payload. `None`: nothing more
    /// comes of it. To be called until then, and everything it gives is to be sent, or the connection to be given up.
    ///
    /// [`send`](Self::send) is built of this. It is for those who hold the connection under a lock and want to compress outside of it.
    pub fn compress<'f, 'p: 'f>(&'f mut self, part: &mut &'p [u8], last: bool) -> Option<Fragment<'f>> {
        // Only now: what was given last lay in the codec's memory.
        self.release();
        let message = self.message.as_mut()?;
        let deflater = self.codec.as_mut()?;
        let is_first = !message.begun;
        message.begun = true;
        if part.is_empty() && !last && !message.pending {
            // A message that begins with nothing begins all the same: no other may come in between.
            return is_first.then_some(Fragment { bytes: &[], compressed: true, last });
        }
        let whole = *part;
        let Deflater { codec, scratch, carried, .. } = &mut **deflater;
        let mut filled = 0;
        if let Some(carried) = carried.take() {
            scratch[..TAIL.len()].copy_from_slice(&carried);
            filled = TAIL.len();
        }
        // Each part is flushed: whoever sends it wants it to arrive. RFC 7692, 7.2.1, allows to, wherever one likes.
        loop {
            let before = (codec.total_in(), codec.total_out());
            let flushed = codec.compress(part, &mut scratch[filled..], DeflateFlush::SyncFlush);
            assert!(flushed != Err(DeflateError::StreamError), "a compressor takes whatever it is given");
            let taken = usize::try_from(codec.total_in() - before.0).unwrap_or(usize::MAX);
            let made = usize::try_from(codec.total_out() - before.1).unwrap_or(usize::MAX);
            steps::count(taken.saturating_add(made));
            filled += made;
            *part = &part[taken..];
            message.pending = filled == scratch.len();
            if message.pending || part.is_empty() {
                break;
            }
        }
        let choice = message.choice;
        let bytes: &[u8] = if message.pending {
            let end = if last { scratch.len() - TAIL.len() } else { scratch.len() };
            *carried = scratch[end..].first_chunk().copied();
            &scratch[..end]
        } else if !last {
            &scratch[..filled]
        } else {
            // RFC 7692, 7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end."
            self.message = None;
            match scratch[..filled].strip_suffix(&TAIL) {
                Some(bytes) => bytes,
                // RFC 7692, 7.2.3.6: the codec has nothing to flush, and an empty block has to be built.
                None => &[0],
            }
        };
        let is_whole = is_first && self.message.is_none();
        if is_whole && choice == Compress::Auto && bytes.len() >= whole.len() {
            // What the peer will not see, no later message may refer to.
            codec.reset();
            return Some(Fragment { bytes: whole, compressed: false, last: true });
        }
        Some(Fragment { bytes, compressed: true, last: self.message.is_none() })
    }
}

/// The most bytes that a message or part of `len` bytes takes in the output, headers included.
const fn most_bytes(len: usize) -> usize {
    // What cannot be compressed gets longer by 9 bits for 8, or by 5 bytes for each block, and a flush takes 6 bytes.
    let compressed = len.saturating_add(len / 8).saturating_add(64);
    compressed.saturating_add((compressed / (SCRATCH - TAIL.len()) + 1) * MAX_HEADER)
}
