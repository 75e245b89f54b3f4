//! Compression: between the engine's frames and the messages.

use std::ops::Range;
use std::sync::LazyLock;

pub use sansocket::deflate::Fragment;
use sansocket::deflate::{Compress, Compressor, Config, Decompressor, Policy, Pool};
use sansocket::handshake::Accept;
use sansocket::{Compressed, Kind, Messages, Negotiated, Piece, ProtocolError, SendError};

use crate::inbox::Engine;

/// How much is inflated at once, in bytes.
const SCRATCH: usize = 16 * 1024;

/// All connections of the process borrow from it unless they are told of another one, so that a thread that waits for its peer holds
/// nothing.
static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

/// What can be used of what was agreed on: all of it.
pub const fn supported(negotiated: Negotiated) -> Negotiated {
    negotiated
}

/// As [`supported`].
pub const fn supported_answer(accept: Accept<'_>) -> Accept<'_> {
    accept
}

/// How a connection compresses, and whose compressors and decompressors it borrows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compression {
    config: Config,
    /// `None`: the process's.
    pool: Option<&'static Pool>,
}

impl Compression {
    /// With these settings, and with compressors of this pool; `None`: of the process's.
    pub const fn new(config: Config, pool: Option<&'static Pool>) -> Self {
        Self { config, pool }
    }

    /// What is offered and accepted.
    pub const fn policy(&self) -> Policy {
        self.config.policy
    }

    fn pool(&self) -> &'static Pool {
        self.pool.unwrap_or(&POOL)
    }
}

/// Compresses what a connection sends, if that was agreed on.
#[derive(Debug)]
pub struct Sender(Option<Compressor>);

impl Sender {
    /// For what a handshake has agreed on.
    pub fn new(negotiated: Negotiated, is_server: bool, compression: &Compression) -> Self {
        let Compression { config, .. } = compression;
        let agreed = negotiated.compression();
        Self(agreed.map(|parameters| Compressor::new(parameters, is_server, config, compression.pool())))
    }

    /// As [`Compressor::begin`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn begin(&mut self, len: usize, choice: Compress, engine: &Engine) -> Result<bool, SendError> {
        self.0.as_mut().map_or(Ok(false), |compressor| compressor.begin(len, choice, engine))
    }

    /// As [`Compressor::begin_part`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn begin_part(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        choice: Compress,
        engine: &Engine,
    ) -> Result<bool, SendError> {
        let Some(compressor) = &mut self.0 else { return Ok(false) };
        compressor.begin_part(kind, part, last, choice, engine)
    }

    /// As [`Compressor::compress`].
    pub fn compress<'f, 'p: 'f>(&'f mut self, part: &mut &'p [u8], last: bool) -> Option<Fragment<'f>> {
        self.0.as_mut()?.compress(part, last)
    }
}

/// Inflates what a connection receives, if that was agreed on.
#[derive(Debug)]
pub struct Receiver {
    decompressor: Option<Decompressor>,
    /// Empty until the first compressed message comes.
    scratch: Box<[u8]>,
    /// What of a piece is still to be inflated, and where it lies in the inbox.
    left: Option<(Compressed<'static>, Range<usize>)>,
}

impl Receiver {
    /// For what a handshake has agreed on.
    pub fn new(negotiated: Negotiated, is_server: bool, compression: &Compression) -> Self {
        let agreed = negotiated.compression();
        let decompressor = agreed.map(|parameters| Decompressor::new(parameters, is_server, compression.pool()));
        Self { decompressor, scratch: Box::default(), left: None }
    }

    /// Remembers a piece that ends at `end` of the inbox.
    pub(crate) fn set_aside(&mut self, piece: Compressed<'_>, end: usize) {
        self.left = Some((piece.rest(&[]), end - piece.as_bytes().len()..end));
    }

    /// Whether something is to be inflated before anything else is received.
    pub(crate) const fn has_left(&self) -> bool {
        self.left.is_some()
    }

    /// The message whose last piece was found has been taken.
    pub(crate) fn end_message(&mut self) {
        self.left = None;
    }

    /// Gives back the memory that is inflated into, until something comes to be inflated. Nothing must be left.
    pub(crate) fn rest(&mut self) {
        debug_assert!(!self.has_left());
        self.scratch = Box::default();
    }

    /// Gives everything back: nothing more comes.
    pub(crate) fn discard(&mut self) {
        *self = Self { decompressor: None, scratch: Box::default(), left: None };
    }

    /// Inflates what lies in `buffer` into the message that is being joined, until that is whole. False: it is not, and more is to be
    /// received.
    pub(crate) fn inflate(
        &mut self,
        limit: u64,
        buffer: &[u8],
        messages: &mut Messages,
    ) -> Result<bool, ProtocolError> {
        while let Some(piece) = self.next(limit, buffer)? {
            let last = piece.is_last();
            messages.append(piece)?;
            if last {
                self.left = None;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Inflates one piece of a message. False: more is to be received.
    pub(crate) fn inflate_piece(&mut self, limit: u64, buffer: &[u8]) -> Result<bool, ProtocolError> {
        Ok(self.next(limit, buffer)?.is_some())
    }

    /// The piece that [`inflate_piece`](Self::inflate_piece) has found.
    pub(crate) fn piece(&self) -> Option<Piece<'_>> {
        self.decompressor.as_ref()?.piece(&self.scratch)
    }

    fn next(&mut self, limit: u64, buffer: &[u8]) -> Result<Option<Piece<'_>>, ProtocolError> {
        let (Some(decompressor), Some((left, range))) = (&mut self.decompressor, &mut self.left) else {
            return Ok(None);
        };
        if self.scratch.is_empty() {
            self.scratch = vec![0; SCRATCH].into();
        }
        let mut piece = left.rest(&buffer[range.clone()]);
        let inflated = decompressor.inflate_within(limit, &mut piece, &mut self.scratch);
        range.start = range.end - piece.as_bytes().len();
        *left = piece.rest(&[]);
        if !matches!(inflated, Ok(Some(_))) {
            self.left = None;
        }
        inflated
    }
}
