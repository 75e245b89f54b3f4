//! Streaming UTF-8 validation (RFC 6455, sections 5.6 and 8.1) that fails at the first byte that cannot be right.
//!
//! A chunk may end inside a character. The cut character's first bytes, at most three, are kept and finished by the next
//! chunk; everything else is validated once, where it lies, by one call over as much as there is.

use core::str;

use crate::steps;

/// The text is not UTF-8, whatever may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

/// The first bytes of a character that a chunk's end has cut. Never an impossible beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CutChar {
    bytes: [u8; 3],
    len: u8,
}

impl CutChar {
    /// No character is cut.
    pub(crate) const EMPTY: Self = Self { bytes: [0; 3], len: 0 };

    /// Whether no character is cut: a text may end here.
    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// How many bytes the character still needs. Zero, if none is cut.
    pub(crate) fn missing(self) -> usize {
        if self.is_empty() { 0 } else { char_len(self.bytes[0]) - usize::from(self.len) }
    }

    /// Adds up to [`missing`](Self::missing) bytes. Gives the character once it is whole, and is then empty.
    pub(crate) fn extend(&mut self, bytes: &[u8]) -> Result<Option<char>, InvalidUtf8> {
        debug_assert!(bytes.len() <= self.missing());
        steps::count(bytes.len());
        let mut joined = [0; 4];
        let len = usize::from(self.len);
        let end = len + bytes.len();
        joined[..len].copy_from_slice(&self.bytes[..len]);
        joined[len..end].copy_from_slice(bytes);
        match str::from_utf8(&joined[..end]) {
            Ok(text) => {
                *self = Self::EMPTY;
                Ok(text.chars().next())
            }
            Err(error) => {
                *self = Self::hold(&joined[..end], error)?;
                Ok(None)
            }
        }
    }

    /// Validates `bytes`, which begin at a character's border. Gives the whole characters and keeps a cut one.
    #[inline]
    pub(crate) fn split<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b str, InvalidUtf8> {
        debug_assert!(self.is_empty());
        steps::count(bytes.len());
        let (whole, cut) = bytes.split_at(bytes.len() - tail_len(bytes));
        if let Err(error) = str::from_utf8(cut) {
            *self = Self::hold(cut, error)?;
        }
        simdutf8::basic::from_utf8(whole).map_err(|_| InvalidUtf8)
    }

    /// Keeps `bytes` that std could not decode, if only their end is missing.
    fn hold(bytes: &[u8], error: str::Utf8Error) -> Result<Self, InvalidUtf8> {
        match (error.valid_up_to(), error.error_len(), bytes) {
            (0, None, &[a]) => Ok(Self { bytes: [a, 0, 0], len: 1 }),
            (0, None, &[a, b]) => Ok(Self { bytes: [a, b, 0], len: 2 }),
            (0, None, &[a, b, c]) => Ok(Self { bytes: [a, b, c], len: 3 }),
            _ => Err(InvalidUtf8),
        }
    }
}

/// How many of the last bytes begin a character that does not end here: 0 to 3. They may still be an impossible beginning.
#[inline]
fn tail_len(bytes: &[u8]) -> usize {
    if bytes.last().is_none_or(u8::is_ascii) {
        return 0;
    }
    for (back, &byte) in (1..=3).zip(bytes.iter().rev()) {
        let is_continuation = byte & 0xC0 == 0x80;
        if !is_continuation {
            return if char_len(byte) > back { back } else { 0 };
        }
    }
    0
}

/// The length of the character that `first` begins, if it begins one.
const fn char_len(first: u8) -> usize {
    match first {
        0x00..=0xBF => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xFF => 4,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Feeds `chunks` and gives the text, or the number of chunks after which the text was known to be wrong.
    fn stream<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<String, usize> {
        let mut cut = CutChar::EMPTY;
        let mut text = String::new();
        let mut count = 0;
        for mut chunk in chunks {
            count += 1;
            let (head, rest) = chunk.split_at(cut.missing().min(chunk.len()));
            text.extend(cut.extend(head).map_err(|_| count)?);
            chunk = rest;
            if cut.is_empty() {
                text.push_str(cut.split(chunk).map_err(|_| count)?);
            }
        }
        if cut.is_empty() { Ok(text) } else { Err(count + 1) }
    }

    /// Bytes that are nearly UTF-8: fragments of it that meet at borders where they should not.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<char>().prop_map(|c| String::from(c).into_bytes()),
            any::<u8>().prop_map(|b| std::vec![b]),
            prop::sample::select(std::vec![
                &b"\xC0\x80"[..],
                b"\xC1",
                b"\xE0\x80",
                b"\xE0\x9F\xBF",
                b"\xED\xA0\x80",
                b"\xED\x9F",
                b"\xF0\x8F",
                b"\xF0\x90",
                b"\xF4\x8F\xBF",
                b"\xF4\x90",
                b"\xF5",
                b"\xFF",
                b"\x80",
                b"\xEF\xBF\xBF",
                b"plain",
            ])
            .prop_map(Vec::from),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn rfc6455_8_1_agrees_with_std_however_the_bytes_are_cut(bytes in hostile(), a: prop::sample::Index, b: prop::sample::Index) {
            let (a, b) = (a.index(bytes.len() + 1), b.index(bytes.len() + 1));
            let (a, b) = (a.min(b), a.max(b));
            let expected = str::from_utf8(&bytes).ok();
            let in_three = stream([&bytes[..a], &bytes[a..b], &bytes[b..]]);
            prop_assert_eq!(in_three.as_deref().ok(), expected);
            let in_single_bytes = stream(bytes.chunks(1));
            prop_assert_eq!(in_single_bytes.as_deref().ok(), expected);
        }

        #[test]
        fn rfc6455_8_1_fails_at_the_first_byte_that_cannot_be_right(bytes in hostile()) {
            if let Err(error) = str::from_utf8(&bytes) {
                // The shortest beginning that nothing can complete. std tells how far it is from where it stopped.
                let end = (error.valid_up_to()..bytes.len()).map(|end| end + 1).find(|&end| {
                    str::from_utf8(&bytes[..end]).is_err_and(|error| error.error_len().is_some())
                });
                prop_assert_eq!(stream(bytes.chunks(1)), Err(end.unwrap_or(bytes.len() + 1)));
            }
        }
    }
}
