//! Frames as bytes (RFC 6455, section 5.2). Nothing is checked: a test has to be able to send what must not be sent.

use crate::Side;

/// Opcode of a further fragment.
pub const CONTINUATION: u8 = 0;
/// Opcode of a text message.
pub const TEXT: u8 = 1;
/// Opcode of a binary message.
pub const BINARY: u8 = 2;
/// Opcode of a Close.
pub const CLOSE: u8 = 8;
/// Opcode of a ping.
pub const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

/// A frame to be encoded, or one that was found in a side's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    fin: bool,
    reserved: u8,
    opcode: u8,
    key: Option<[u8; 4]>,
    payload: Vec<u8>,
    form: Option<LengthForm>,
    declared: Option<u64>,
}

/// How a length is written, whether or not that is its shortest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthForm {
    /// In the 7 bits of the second byte. Lengths above 125 do not fit.
    Bits7,
    /// In two further bytes.
    Bits16,
    /// In eight further bytes.
    Bits64,
}

impl Frame {
    /// A final, unmasked frame without reserved bits.
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            fin: true,
            reserved: 0,
            opcode,
            key: None,
            payload: payload.as_ref().to_vec(),
            form: None,
            declared: None,
        }
    }

    /// A Close with a code and a reason.
    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(CLOSE, close_body(code, reason))
    }

    /// Sets or clears FIN.
    pub fn fin(mut self, fin: bool) -> Self {
        self.fin = fin;
        self
    }

    /// Sets the reserved bits: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub fn reserved(mut self, reserved: u8) -> Self {
        self.reserved = reserved;
        self
    }

    /// Masks the frame.
    pub fn masked(mut self, key: [u8; 4]) -> Self {
        self.key = Some(key);
        self
    }

    /// Masks the frame as `reader` demands it: with `key` for a server, not at all for a client.
    pub fn for_reader(mut self, reader: Side, key: [u8; 4]) -> Self {
        self.key = (reader == Side::Server).then_some(key);
        self
    }

    /// Writes the length in this form.
    pub fn length_form(mut self, form: LengthForm) -> Self {
        self.form = Some(form);
        self
    }

    /// Declares this length, whatever the payload has.
    pub fn declared(mut self, length: u64) -> Self {
        self.declared = Some(length);
        self
    }

    /// Whether FIN is set.
    pub fn is_fin(&self) -> bool {
        self.fin
    }

    /// The reserved bits.
    pub fn reserved_bits(&self) -> u8 {
        self.reserved
    }

    /// The opcode.
    pub fn opcode(&self) -> u8 {
        self.opcode
    }

    /// The masking key.
    pub fn key(&self) -> Option<[u8; 4]> {
        self.key
    }

    /// The payload, unmasked.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The frame as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.declared.unwrap_or(self.payload.len() as u64);
        let shortest = match length {
            0..=125 => LengthForm::Bits7,
            126..=65535 => LengthForm::Bits16,
            _ => LengthForm::Bits64,
        };
        let mask_bit = if self.key.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![if self.fin { 0x80 } else { 0 } | self.reserved << 4 | self.opcode];
        match self.form.unwrap_or(shortest) {
            LengthForm::Bits7 => bytes.push(mask_bit | u8::try_from(length).unwrap()),
            LengthForm::Bits16 => {
                bytes.push(mask_bit | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            LengthForm::Bits64 => {
                bytes.push(mask_bit | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend(self.key.into_iter().flatten());
        bytes.extend(masked(&self.payload, self.key));
        bytes
    }
}

/// The body of a Close: a code and a reason.
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// The frames that a side has written, as `writer` must write them.
///
/// # Panics
///
/// If a frame is cut, masked by a server, not masked by a client, or has a length that is not in its shortest form.
#[track_caller]
pub fn split_frames(writer: Side, mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [first, second, tail @ ..] = bytes {
        let (length, tail) = match second & 0x7F {
            126 => (u64::from(u16::from_be_bytes(tail[..2].try_into().unwrap())), &tail[2..]),
            127 => (u64::from_be_bytes(tail[..8].try_into().unwrap()), &tail[8..]),
            short => (u64::from(short), tail),
        };
        let is_masked = second & 0x80 != 0;
        assert_eq!(is_masked, writer == Side::Client, "{writer:?} wrote mask bit {is_masked}");
        let (key, tail) = match is_masked {
            true => (Some(tail[..4].try_into().unwrap()), &tail[4..]),
            false => (None, tail),
        };
        let (payload, tail) = tail.split_at(usize::try_from(length).unwrap());
        let frame = Frame {
            fin: first & 0x80 != 0,
            reserved: first >> 4 & 7,
            opcode: first & 0xF,
            key,
            payload: masked(payload, key),
            form: None,
            declared: None,
        };
        assert!(bytes.starts_with(&frame.bytes()), "a length in its shortest form: {bytes:02x?}");
        frames.push(frame);
        bytes = tail;
    }
    assert!(bytes.is_empty(), "half a frame: {bytes:02x?}");
    frames
}

/// 5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)".
pub(crate) fn masked(payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let key = key.unwrap_or([0; 4]);
    payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_5_7_the_masked_hello() {
        let hello = Frame::new(TEXT, "Hello").masked([0x37, 0xFA, 0x21, 0x3D]);
        let bytes = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58];
        assert_eq!(hello.bytes(), bytes);
        assert_eq!(split_frames(Side::Client, &bytes), [hello]);
    }

    #[test]
    fn rfc6455_5_2_forced_length_forms() {
        let frame = Frame::new(BINARY, [7]);
        assert_eq!(frame.clone().length_form(LengthForm::Bits16).bytes(), [0x82, 126, 0, 1, 7]);
        let long = frame.length_form(LengthForm::Bits64).bytes();
        assert_eq!(long, [0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
    }
}
