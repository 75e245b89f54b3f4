//! In the place of `deflate.rs` without feature `deflate`: compression is neither offered nor accepted, so nothing comes compressed.

use sansocket::deflate::{Compress, Policy};
use sansocket::handshake::Accept;
use sansocket::{Compressed, Kind, Messages, Negotiated, Output, Piece, ProtocolError, SendError};

use crate::inbox::Engine;

/// How messages are compressed: not at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compression;

impl Compression {
    /// What is offered and accepted.
    pub const fn policy(&self) -> Policy {
        Policy::DEFAULT
    }
}

/// What can be used of what was agreed on.
pub fn supported(_: Negotiated) -> Negotiated {
    Negotiated::default()
}

/// As [`supported`].
pub const fn supported_answer(accept: Accept<'_>) -> Accept<'_> {
    accept.uncompressed()
}

/// Compresses what a connection sends: nothing.
#[derive(Debug)]
pub struct Sender;

/// There is none.
#[derive(Debug)]
pub enum Fragment {}

impl Fragment {
    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        match *self {}
    }

    /// Sends it.
    ///
    /// # Errors
    ///
    /// None.
    pub const fn send(self, _: Kind, _: &mut Engine, _: &mut impl Output) -> Result<(), SendError> {
        match self {}
    }
}

impl Sender {
    /// For what a handshake has agreed on.
    pub const fn new(_: Negotiated, _: bool, _: &Compression) -> Self {
        Self
    }

    /// Whether a message of this length is to be compressed: no.
    ///
    /// # Errors
    ///
    /// None.
    pub const fn begin(&mut self, _: usize, _: Compress, _: &Engine) -> Result<bool, SendError> {
        Ok(false)
    }

    /// As [`begin`](Self::begin), for a part of a message.
    ///
    /// # Errors
    ///
    /// None.
    pub const fn begin_part(&mut self, _: Kind, _: &[u8], _: bool, _: Compress, _: &Engine) -> Result<bool, SendError> {
        Ok(false)
    }

    /// Compresses: nothing was begun.
    pub const fn compress(&mut self, _: &mut &[u8], _: bool) -> Option<Fragment> {
        None
    }
}

/// Inflates what a connection receives: nothing.
#[derive(Debug)]
pub struct Receiver;

impl Receiver {
    /// For what a handshake has agreed on.
    pub const fn new(_: Negotiated, _: bool, _: &Compression) -> Self {
        Self
    }

    pub(crate) const fn set_aside(&mut self, _: Compressed<'_>, _: usize) {}

    pub(crate) const fn has_left(&self) -> bool {
        false
    }

    pub(crate) const fn end_message(&mut self) {}

    pub(crate) const fn rest(&mut self) {}

    pub(crate) const fn discard(&mut self) {}

    pub(crate) const fn inflate(&mut self, _: u64, _: &[u8], _: &mut Messages) -> Result<bool, ProtocolError> {
        Ok(false)
    }

    pub(crate) const fn inflate_piece(&mut self, _: u64, _: &[u8]) -> Result<bool, ProtocolError> {
        Ok(false)
    }

    pub(crate) const fn piece(&self) -> Option<Piece<'_>> {
        None
    }
}
