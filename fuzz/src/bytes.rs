//! An input's bytes as numbers, texts and payloads, taken from the front and zero behind the end.
//!
//! Taken by hand and not derived: the seeds are written in this form, and it has to stay as it is.

use arbitrary::Unstructured;

/// Lengths of long payloads: around the borders of the length's forms and of the limits.
const LONG: [usize; 16] = [124, 125, 126, 127, 128, 131, 255, 256, 300, 500, 999, 1000, 1001, 2000, 65535, 65536];

/// A payload whose length byte is at least this is long, and one byte repeated.
pub(crate) const FIRST_LONG: u8 = 240;

/// What bytes above ASCII stand for in a text: the borders of UTF-8's forms.
const CHARS: [char; 10] =
    ['\u{80}', 'ß', '\u{7FF}', '\u{800}', '€', '\u{D7FF}', '\u{E000}', '\u{FFFF}', '\u{10000}', '\u{10FFFF}'];

/// One byte.
pub(crate) fn byte(u: &mut Unstructured<'_>) -> u8 {
    u.arbitrary().unwrap_or_default()
}

/// Two bytes, the higher first.
pub(crate) fn word(u: &mut Unstructured<'_>) -> u16 {
    u16::from_be_bytes([byte(u), byte(u)])
}

/// Four bytes.
pub(crate) fn key(u: &mut Unstructured<'_>) -> [u8; 4] {
    [byte(u), byte(u), byte(u), byte(u)]
}

/// A length byte and so many bytes; of a long one, the length's index and the byte to repeat.
pub(crate) fn payload(u: &mut Unstructured<'_>) -> Vec<u8> {
    match byte(u) {
        len @ 0..FIRST_LONG => short(u, len).to_vec(),
        long => vec![byte(u); LONG[usize::from(long - FIRST_LONG)]],
    }
}

/// A length byte and so many characters: an ASCII byte is itself, any other one picks from a table.
pub(crate) fn text(u: &mut Unstructured<'_>) -> String {
    let char =
        |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { CHARS[usize::from(byte & 0x7F) % CHARS.len()] };
    match byte(u) {
        len @ 0..FIRST_LONG => short(u, len).iter().map(char).collect(),
        long => {
            let char = char(&byte(u));
            // In bytes the text has about the length that the index says.
            String::from(char).repeat(LONG[usize::from(long - FIRST_LONG)] / char.len_utf8())
        }
    }
}

/// Up to `len` bytes.
fn short<'a>(u: &mut Unstructured<'a>, len: u8) -> &'a [u8] {
    let len = usize::from(len).min(u.len());
    u.bytes(len).unwrap_or_default()
}
