//! In the place of `deflate.rs` without feature `deflate`: compression is neither offered nor accepted, so nothing comes compressed.

use sansocket::deflate::{Compress, Parameters};
use sansocket::{Compressed, Kind, Message, SendError};

use super::Driver;
use crate::event::Event;
use crate::settings::Common;
use crate::stream::Stream;

#[derive(Debug, Default)]
pub(super) struct Codecs;

impl Codecs {
    pub(super) const fn is_idle(&self) -> bool {
        true
    }

    pub(super) const fn has_left(&self) -> bool {
        false
    }

    pub(super) const fn clear(&mut self) {}
}

pub(super) const fn end_turn(_: &mut Common) {}

impl<S: Stream> Driver<S> {
    pub(super) const fn holds_back(&mut self, _: &mut &mut [u8], _: &Common) -> bool {
        false
    }

    pub(super) const fn has_left(&self) -> bool {
        false
    }

    pub(super) const fn inflate<'b>(&mut self, _: Compressed<'_>, _: &mut Common) -> Option<Event<'b>> {
        None
    }

    pub(super) const fn inflate_left<'b>(&mut self, _: &mut Common) -> Option<Event<'b>> {
        None
    }

    pub(super) const fn send_compressed(
        &mut self,
        _: Message<'_>,
        _: Compress,
        _: Parameters,
        _: &mut Common,
    ) -> Result<bool, SendError> {
        Ok(false)
    }

    pub(super) const fn send_part_compressed(
        &mut self,
        _: Kind,
        _: &[u8],
        _: bool,
        _: Compress,
        _: Parameters,
        _: &mut Common,
    ) -> Result<bool, SendError> {
        Ok(false)
    }
}
