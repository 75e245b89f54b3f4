//! The short ways of what the peer sends: frames that lie in the input as a whole.
//!
//! What is anything else, or bad, is left as it is for the long way, in `receive.rs`.

use super::receive::{Frame, is_short_ascii};
use super::{Connection, Incoming, Phase};
use crate::ProtocolError;
use crate::event::{Binary, Event, Kind, Position, Text};
use crate::mask::{apply_mask, apply_mask_to_ascii};
use crate::output::Output;
use crate::role::Role;
use crate::steps;

impl<R: Role> Connection<R> {
    /// As [`receive`](Self::receive), if next comes a message in one frame of less than 64 KiB that lies in `input` as a whole: then it gives the
    /// message's only piece, or finds the message to be bad. `None`, and nothing taken: next comes something else, fewer than four bytes, or nothing.
    ///
    /// [`receive`](Self::receive) tries this first. A loop that has short work for whole messages can do so itself, and keep its long work for everything
    /// else out of the way. `out` should have room for [`MAX_REPLY`](crate::MAX_REPLY) bytes; with less, a bad message's Close is left out.
    #[inline(always)]
    pub fn receive_whole<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        out: &mut (impl Output + ?Sized),
    ) -> Option<Event<'b>> {
        if self.phase != Phase::BetweenMessages {
            return None;
        }
        // FIN, no reserved bit, text or binary.
        let kind = match input.first()? {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return None,
        };
        let masked = self.role.is_server();
        let (key, payload) = self.take_whole_frame(input, self.limits.message)?;
        Some(match kind {
            Kind::Binary => {
                if masked {
                    apply_mask(payload, key);
                }
                Event::Binary(Binary::new(payload, Position::Whole))
            }
            Kind::Text => {
                if if masked { apply_mask_to_ascii(payload, key) } else { is_short_ascii(payload) } {
                    Event::Text(Text::ascii(payload, Position::Whole))
                } else {
                    steps::count(payload.len());
                    match simdutf8::basic::from_utf8(payload) {
                        Ok(text) => Event::Text(Text::decoded(text, Position::Whole)),
                        Err(_) => self.violation(ProtocolError::InvalidUtf8, &mut &mut *out),
                    }
                }
            }
        })
    }

    /// The short way for fragments of binary messages: with the joining, 258 instructions instead of 389 for one of 4 bytes.
    #[inline(always)]
    pub(super) fn receive_fragment<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        let first = *input.first()?;
        // No reserved bit. Where nothing of a header is held, and nothing is to be inflated.
        let incoming = match (first & 0x7F, self.phase, self.incoming) {
            (0x02, Phase::BetweenMessages, _) => Incoming::begin(Kind::Binary, false),
            (0x00, Phase::Header, Some(it)) if self.held == 0 && it.kind == Kind::Binary && !it.compressed => it,
            _ => return None,
        };
        // What is too much is for the long way.
        let fragments = incoming.fragments.checked_add(1).filter(|&count| count <= self.limits.fragments.max(1))?;
        let (key, payload) = self.take_whole_frame(input, self.limits.message.checked_sub(incoming.bytes)?)?;
        if self.role.is_server() {
            apply_mask(payload, key);
        }
        let bytes = incoming.bytes + payload.len() as u64;
        let frame = Frame { payload_left: 0, key, fin: first & 0x80 != 0 };
        let position = self.put_back(frame, Incoming { fragments, bytes, ..incoming });
        Some(Event::Binary(Binary::new(payload, position)))
    }

    /// Takes a frame of up to `most` and less than 64 KiB of payload that lies in `input` as a whole. Gives its key and its payload, still masked.
    /// Its first byte is the caller's business. `None`: it is something else, or bad.
    #[inline(always)]
    fn take_whole_frame<'b>(&self, input: &mut &'b mut [u8], most: u64) -> Option<([u8; 4], &'b mut [u8])> {
        let &[_, second, high, low, ..] = &**input else { return None };
        let masked = self.role.is_server();
        // Where a mask is missing, or there is one that should not be, this is 128 or more.
        let (payload_len, length_end) = match second ^ if masked { 0x80 } else { 0 } {
            len @ 0..=125 => (usize::from(len), 2_usize),
            126 => match u16::from_be_bytes([high, low]) {
                // This is not the shortest form.
                ..=125 => return None,
                len => (usize::from(len), 4),
            },
            _ => return None,
        };
        if payload_len as u64 > most {
            return None;
        }
        let start = length_end + if masked { 4 } else { 0 };
        let (header, payload) = input.split_off_mut(..start.checked_add(payload_len)?)?.split_at_mut(start);
        let key = if masked { *header.last_chunk()? } else { [0; 4] };
        Some((key, payload))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::super::receive::tests::{Sides, connection, frame};
    use super::*;
    use crate::{Limits, Negotiated};

    #[test]
    fn the_short_way_takes_every_whole_message_of_less_than_64_kib() {
        for is_server in [true, false] {
            for len in [0, 1, 2, 16, 124, 125, 126, 127, 1000, 65535] {
                for (first, filling) in [(0x81, "x"), (0x81, "\u{e4}"), (0x82, "\u{e4}")] {
                    let payload = [filling.repeat(len / filling.len()), "x".repeat(len % filling.len())].concat();
                    for behind in [2, 0] {
                        let mut bytes = frame(is_server, first, payload.as_bytes());
                        bytes.truncate(bytes.len() - 2 + behind);
                        if bytes.len() < 4 {
                            // So little is for the long way.
                            continue;
                        }
                        let mut input = &mut bytes[..];
                        // The limit itself is allowed.
                        let limits = Limits { message: len as u64, ..Limits::DEFAULT };
                        let mut connection = connection(is_server, Negotiated::default(), limits);
                        let event = connection.receive_whole(&mut input, &mut Vec::new());
                        let taken = match event {
                            Some(Event::Text(text)) => first == 0x81 && text.is_whole() && text.as_str() == payload,
                            Some(Event::Binary(binary)) => {
                                first == 0x82 && binary.is_whole() && binary.as_bytes() == payload.as_bytes()
                            }
                            _ => false,
                        };
                        assert!(taken, "{first:02x} {len} {behind}");
                        assert_eq!(input.len(), behind, "{first:02x} {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_short_way_leaves_everything_else_as_it_is() {
        #[track_caller]
        fn is_left(connection: &mut Sides, bytes: &[u8]) {
            let mut copy = bytes.to_vec();
            let (mut input, mut out) = (&mut copy[..], Vec::new());
            assert!(connection.receive_whole(&mut input, &mut out).is_none(), "{bytes:02x?}");
            assert_eq!((&*input, &out[..]), (bytes, &b""[..]), "{bytes:02x?}");
        }
        for is_server in [true, false] {
            let new = |limits| connection(is_server, Negotiated::default(), limits);
            let good = frame(is_server, 0x82, b"good");
            for first in [0x00, 0x80, 0x01, 0x02, 0xC1, 0xA2, 0x83, 0x88, 0x89, 0x8A] {
                is_left(&mut new(Limits::DEFAULT), &frame(is_server, first, b"good"));
            }
            // A part of a frame, the other side's frame, a message above the limit.
            for end in 0..good.len() - 2 {
                is_left(&mut new(Limits::DEFAULT), &good[..end]);
            }
            is_left(&mut new(Limits::DEFAULT), &frame(!is_server, 0x82, b"good"));
            is_left(&mut new(Limits { message: 3, ..Limits::DEFAULT }), &good);
            // Lengths that are not in their shortest form, or in the longest.
            let mask = good[1] & 0x80;
            for length in [&[126, 0, 0][..], &[126, 0, 125], &[127, 0, 0, 0, 0, 0, 0, 0, 4]] {
                let bytes = [&[0x82, mask | length[0]], &length[1..], &[0; 200]].concat();
                is_left(&mut new(Limits::DEFAULT), &bytes);
            }
            // Inside a message, inside a header, behind a Close.
            for before in [&frame(is_server, 0x02, b"a")[..], &[0x82], &frame(is_server, 0x88, b"")[..]] {
                let mut connection = new(Limits::DEFAULT);
                let mut before = before[..before.len() - if before.len() > 1 { 2 } else { 0 }].to_vec();
                let mut input = &mut before[..];
                while connection.receive(&mut input, &mut Vec::new()).is_some() {}
                is_left(&mut connection, &good);
            }
        }
    }
}
