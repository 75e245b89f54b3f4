//! UTF-8 by the table of RFC 3629, section 4, byte for byte.

/// What a sequence of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Utf8 {
    /// Whole characters.
    Valid,
    /// Whole characters up to this offset, and behind them the beginning of one.
    Cut(usize),
    /// The byte at this offset cannot be right, whatever follows.
    Invalid(usize),
}

/// Says what `bytes` are.
pub fn utf8(bytes: &[u8]) -> Utf8 {
    let mut at = 0;
    while at < bytes.len() {
        let Some(tail) = tail_ranges(bytes[at]) else { return Utf8::Invalid(at) };
        for (i, (low, high)) in tail.iter().enumerate() {
            match bytes.get(at + 1 + i) {
                None => return Utf8::Cut(at),
                Some(byte) if (low..=high).contains(&byte) => {}
                Some(_) => return Utf8::Invalid(at + 1 + i),
            }
        }
        at += 1 + tail.len();
    }
    Utf8::Valid
}

/// The bytes that may follow `first`, as ranges; `None` if nothing begins with it.
fn tail_ranges(first: u8) -> Option<&'static [(u8, u8)]> {
    const TAIL: (u8, u8) = (0x80, 0xBF);
    Some(match first {
        0x00..=0x7F => &[],
        0xC2..=0xDF => &[TAIL],
        0xE0 => &[(0xA0, 0xBF), TAIL],
        0xE1..=0xEC | 0xEE..=0xEF => &[TAIL, TAIL],
        0xED => &[(0x80, 0x9F), TAIL],
        0xF0 => &[(0x90, 0xBF), TAIL, TAIL],
        0xF1..=0xF3 => &[TAIL, TAIL, TAIL],
        0xF4 => &[(0x80, 0x8F), TAIL, TAIL],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3629_4_agrees_with_std_on_every_three_bytes() {
        for a in 0..=255 {
            for b in 0..=255 {
                for c in [0, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0xBF, 0xC0, 0xC2, 0xE2, 0xF0, 0xFF] {
                    let bytes = [a, b, c];
                    let expected = match std::str::from_utf8(&bytes) {
                        Ok(_) => Utf8::Valid,
                        Err(error) if error.error_len().is_none() => Utf8::Cut(error.valid_up_to()),
                        Err(error) => {
                            // std tells how many bytes were possible, and at least one.
                            let possible = error.valid_up_to() + error.error_len().unwrap();
                            let first = bytes[error.valid_up_to()];
                            let alone = matches!(first, 0x80..=0xC1 | 0xF5..=0xFF);
                            Utf8::Invalid(possible - usize::from(alone))
                        }
                    };
                    assert_eq!(utf8(&bytes), expected, "{bytes:02x?}");
                }
            }
        }
    }
}
