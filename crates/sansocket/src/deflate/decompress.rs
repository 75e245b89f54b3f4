//! From compressed pieces of messages to the pieces of messages (RFC 7692, section 7.2.2).

use zlib_rs::{Inflate, InflateFlush, Status};

use super::Parameters;
use super::pool::{Codec, Held, Pool};
use crate::event::{Binary, Compressed, Event, Kind, Position, Text};
use crate::message::Piece;
use crate::utf8::{CutChar, InvalidUtf8};
use crate::{Connection, Output, ProtocolError, Role, steps};

/// What a compressor leaves out at a message's end (RFC 7692, 7.2.1), and one byte more, which must not be needed.
///
/// What is fed is not written behind the peer's bytes: there the next frame may lie.
const TAIL: [u8; 5] = [0, 0, 0xFF, 0xFF, 0];

/// Inflates what [`Connection::receive`] gives as [`Event::Compressed`].
///
/// ```
/// # use sansocket::deflate::{Decompressor, Parameters, Pool, Window, WindowBits};
/// # use sansocket::{Client, Connection, Event, Limits, Negotiated};
/// # let window = Window { bits: WindowBits::MAX, takeover: false };
/// # let parameters = Parameters { server: window, client: window };
/// # let mut connection = Connection::new(Client::new(|| [1; 4]), Negotiated::new(Some(parameters)), Limits::default());
/// # let mut received = *b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
/// # let (mut out, mut seen) = (Vec::new(), String::new());
/// let pool = Pool::default(); // one for all connections
/// let mut scratch = [0; 4096]; // too
/// let mut decompressor = Decompressor::new(parameters, connection.is_server(), &pool);
///
/// let mut input = &mut received[..];
/// while let Some(event) = connection.receive(&mut input, &mut out) {
///     match event {
///         Event::Compressed(mut piece) => {
///             while let Some(event) = decompressor.inflate(&mut piece, &mut scratch, &mut connection, &mut out) {
///                 // `Event::Text` and `Event::Binary`, as if they had come uncompressed.
/// #               let Event::Text(text) = event else { panic!() };
/// #               seen += text.as_str();
///             }
///         }
///         _ => {}
///     }
/// }
/// # assert_eq!(seen, "Hello");
/// ```
#[derive(Debug)]
pub struct Decompressor {
    /// Whether messages may refer to earlier ones.
    takeover: bool,
    pool: Pool,
    /// Between messages: only if it has to remember the last ones.
    codec: Option<Held<Inflate>>,
    /// Whether the codec is between two blocks: nothing was fed to it, or nothing behind a final block or a message's end.
    at_border: bool,
    message: Option<Message>,
    /// What was given last.
    given: Option<(Given, Position)>,
}

/// What a piece consists of.
#[derive(Clone, Copy, Debug)]
enum Given {
    /// So many bytes of the scratch.
    Binary(usize),
    Text(usize),
    /// A character that was cut.
    Char(char),
}

/// The message under way.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    /// Bytes so far.
    inflated: u64,
    /// Whether a piece of it was handed out.
    begun: bool,
    /// Whether the codec may hold more than it has had room for.
    pending: bool,
    /// The character that the last piece has cut.
    cut: CutChar,
}

impl Decompressor {
    /// For what the peer of a server or of a client sends. It takes a codec when the first compressed message comes; with `takeover`
    /// agreed on for the peer, it keeps it from then on, else it is borrowed from `pool` for the length of a message.
    pub fn new(parameters: Parameters, is_server: bool, pool: &Pool) -> Self {
        let takeover = parameters.of(!is_server).takeover;
        Self { takeover, pool: pool.clone(), codec: None, at_border: true, message: None, given: None }
    }

    /// Whether it holds nothing: another one in its place would do the same.
    pub const fn is_idle(&self) -> bool {
        self.codec.is_none()
    }

    /// Takes from the front of `piece` and gives the next piece of the message, in `scratch`, which is not written behind its end.
    ///
    /// `None`: nothing more comes of `piece`, unless `scratch` is empty. To be called until then: every byte that the peer has sent may
    /// become a thousand. A piece of text has whole characters only; one that the end of `scratch` has cut comes as a piece of its own.
    ///
    /// Fails the connection, with [`Event::Failed`] and a Close in `out`, for what cannot be inflated, for text that is not UTF-8, as soon as
    /// the message has more bytes than [`Limits::message`](crate::Limits::message), and where the pool has no decompressor for a message that
    /// begins. Behind a failure nothing is inflated.
    pub fn inflate<'s, R: Role>(
        &mut self,
        piece: &mut Compressed<'_>,
        scratch: &'s mut [u8],
        connection: &mut Connection<R>,
        out: &mut (impl Output + ?Sized),
    ) -> Option<Event<'s>> {
        if !connection.may_receive() {
            piece.done = true;
            (self.codec, self.message, self.given) = (None, None, None);
            return None;
        }
        match self.inflate_within(connection.limits().message, piece, scratch) {
            Ok(Some(Piece::Text(text))) => Some(Event::Text(text)),
            Ok(Some(Piece::Binary(binary))) => Some(Event::Binary(binary)),
            Ok(None) => None,
            Err(error) => {
                connection.fail(error, out);
                Some(Event::Failed(error))
            }
        }
    }

    /// As [`inflate`](Self::inflate), for who holds the connection under a lock and wants to inflate outside of it, for a message of up to
    /// `limit` bytes.
    ///
    /// # Errors
    ///
    /// What the connection is to [fail](Connection::fail) with: [`InvalidCompression`](ProtocolError::InvalidCompression),
    /// [`InvalidUtf8`](ProtocolError::InvalidUtf8), [`MessageTooBig`](ProtocolError::MessageTooBig),
    /// [`TooManyCompressed`](ProtocolError::TooManyCompressed).
    pub fn inflate_within<'s>(
        &mut self,
        limit: u64,
        piece: &mut Compressed<'_>,
        scratch: &'s mut [u8],
    ) -> Result<Option<Piece<'s>>, ProtocolError> {
        self.given = None;
        if piece.done || scratch.is_empty() {
            return Ok(None);
        }
        let inflated = self.next(limit, piece, scratch);
        if inflated.is_err() {
            piece.done = true;
            (self.codec, self.message) = (None, None);
        }
        inflated
    }

    /// The piece that the last call has given, once more, out of the same `scratch`: for who could not keep the borrow. A text is validated
    /// once more. `None`: the last call gave none, or failed.
    pub fn piece<'s>(&self, scratch: &'s [u8]) -> Option<Piece<'s>> {
        let (given, position) = self.given?;
        Some(match given {
            Given::Binary(len) => Piece::Binary(Binary::new(scratch.get(..len)?, position)),
            Given::Text(len) => {
                Piece::Text(Text::decoded(simdutf8::basic::from_utf8(scratch.get(..len)?).ok()?, position))
            }
            Given::Char(char) => Piece::Text(Text::char(char, position)),
        })
    }

    fn next<'s>(
        &mut self,
        limit: u64,
        piece: &mut Compressed<'_>,
        scratch: &'s mut [u8],
    ) -> Result<Option<Piece<'s>>, ProtocolError> {
        if self.codec.is_none() {
            let lent = if self.takeover { Some(Held::own(&())) } else { self.pool.lend(&()) };
            self.codec = Some(lent.ok_or(ProtocolError::TooManyCompressed)?);
            self.at_border = true;
        }
        let codec = self.codec.as_mut().expect("it was just taken");
        let message = self.message.get_or_insert_default();
        let text = piece.kind() == Kind::Text;
        // A character that the last piece has cut goes first, and alone: its bytes do not lie in one place.
        let finishes_char = text && !message.cut.is_empty();
        let most = if finishes_char { message.cut.missing() } else { usize::MAX };
        // One byte above the limit tells as much as all of them.
        let left = usize::try_from(limit.saturating_sub(message.inflated).saturating_add(1)).unwrap_or(usize::MAX);
        let most = most.min(left).min(scratch.len());
        let room = &mut scratch[..most];

        let mut filled = 0;
        // Told only if the text in front of it has no fault: what a peer is told must not depend on how the bytes are cut.
        let mut fault = None;
        while fault.is_none() && filled < room.len() && (!piece.as_bytes().is_empty() || message.pending) {
            let (taken, made, status) = step(codec, piece.as_bytes(), &mut room[filled..], InflateFlush::NoFlush);
            piece.advance(taken);
            filled += made;
            self.at_border &= taken == 0;
            message.pending = filled == room.len();
            match status {
                // RFC 7692, 7.2.3.4: a peer may end its data with a final block at any time. What follows is new data.
                Ok(Status::StreamEnd) => {
                    Codec::reset(&mut **codec);
                    self.at_border = true;
                }
                // Nothing keeps it from going on, but it does not.
                Ok(_) if taken == 0 && made == 0 && !piece.as_bytes().is_empty() => {
                    fault = Some(ProtocolError::InvalidCompression);
                }
                Ok(_) => {}
                Err(error) => fault = Some(error),
            }
        }
        message.inflated += filled as u64;
        if message.inflated > limit {
            // The byte that is too much is not looked at.
            filled = filled.saturating_sub(1);
            fault = Some(ProtocolError::MessageTooBig);
        }
        let used_up = fault.is_none() && filled < room.len();
        let last = used_up && piece.is_last();
        if last && !self.at_border {
            fault = end(codec, &mut room[filled..]).err();
            self.at_border = true;
        }
        piece.done = used_up;
        if filled == 0 && !last && fault.is_none() {
            return Ok(None);
        }
        let position = Position::new(!message.begun, last);
        message.begun = true;
        let bytes = &room[..filled];
        let (inflated, given) = match piece.kind() {
            Kind::Binary => (Piece::Binary(Binary::new(bytes, position)), Given::Binary(filled)),
            Kind::Text if finishes_char => match message.cut.extend(bytes)? {
                Some(char) => (Piece::Text(Text::char(char, position)), Given::Char(char)),
                None => (Piece::Text(Text::decoded("", position)), Given::Text(0)),
            },
            Kind::Text => {
                let text = message.cut.split(bytes)?;
                (Piece::Text(Text::decoded(text, position)), Given::Text(text.len()))
            }
        };
        if let Some(fault) = fault {
            return Err(fault);
        }
        // RFC 6455, 5.6: the message as a whole is UTF-8.
        if last && !message.cut.is_empty() {
            return Err(InvalidUtf8.into());
        }
        self.given = Some((given, position));
        if last {
            self.message = None;
            if !self.takeover {
                self.codec = None;
            }
        }
        Ok(Some(inflated))
    }
}

/// Feeds what the peer's compressor has left out. `room` is not empty, and what was fed before has come out as a whole.
///
/// Where it does not complete an empty block, the message has ended inside of one: its last bytes would be an invention of ours, and a
/// message that refers to it would be nonsense. The codec stops at the end of a block, so an empty one has taken four bytes and made
/// none. Where the message has ended between two blocks, it takes the fifth, for the length of a block that never comes.
fn end(codec: &mut Inflate, room: &mut [u8]) -> Result<(), ProtocolError> {
    match step(codec, &TAIL, room, InflateFlush::Block) {
        (4, 0, Ok(Status::Ok)) => Ok(()),
        _ => Err(ProtocolError::InvalidCompression),
    }
}

/// Calls the codec once: how much it has taken and made, also in front of a fault.
fn step(
    codec: &mut Inflate,
    input: &[u8],
    room: &mut [u8],
    flush: InflateFlush,
) -> (usize, usize, Result<Status, ProtocolError>) {
    let before = (codec.total_in(), codec.total_out());
    let status = codec.decompress(input, room, flush).map_err(|_| ProtocolError::InvalidCompression);
    let taken = usize::try_from(codec.total_in() - before.0).unwrap_or(usize::MAX);
    let made = usize::try_from(codec.total_out() - before.1).unwrap_or(usize::MAX);
    steps::count(taken.saturating_add(made));
    (taken, made, status)
}
