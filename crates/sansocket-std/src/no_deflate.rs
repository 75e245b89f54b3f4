//! In the place of `deflate.rs` without feature `deflate`: compression is neither offered nor accepted, so nothing comes compressed.

use sansocket::deflate::{Compress, Policy};
use sansocket::handshake::Accept;
use sansocket::{Compressed, Kind, Messages, Negotiated, Output, Piece, ProtocolError, SendError};

use crate::inbox::Engine;

/// How messages are compressed: not at all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compression;

impl Compression {
    pub(crate) const fn policy(&self) -> Policy {
        Policy::DEFAULT
    }
}

/// What can be used of what was agreed on.
pub(crate) fn supported(_: Negotiated) -> Negotiated {
    Negotiated::default()
}

/// As [`supported`].
pub(crate) const fn supported_answer(accept: Accept<'_>) -> Accept<'_> {
    accept.uncompressed()
}

#[derive(Debug)]
pub(crate) struct Sender;

/// There is none.
pub(crate) enum Fragment {}

impl Fragment {
    pub(crate) const fn send(self, _: Kind, _: &mut Engine, _: &mut impl Output) -> Result<(), SendError> {
        match self {}
    }
}

impl Sender {
    pub(crate) const fn new(_: Negotiated, _: bool, _: &Compression) -> Self {
        Self
    }

    pub(crate) const fn begin(&mut self, _: usize, _: Compress, _: &Engine) -> Result<bool, SendError> {
        Ok(false)
    }

    pub(crate) const fn begin_part(
        &mut self,
        _: Kind,
        _: &[u8],
        _: bool,
        _: Compress,
        _: &Engine,
    ) -> Result<bool, SendError> {
        Ok(false)
    }

    pub(crate) const fn compress(&mut self, _: &mut &[u8], _: bool) -> Option<Fragment> {
        None
    }
}

#[derive(Debug)]
pub(crate) struct Receiver;

impl Receiver {
    pub(crate) const fn new(_: Negotiated, _: bool, _: &Compression) -> Self {
        Self
    }

    pub(crate) const fn set_aside(&mut self, _: Compressed<'_>, _: usize) {}

    pub(crate) const fn has_left(&self) -> bool {
        false
    }

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
