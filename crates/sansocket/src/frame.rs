//! The header of a frame (RFC 6455, section 5.2): read and written here, and nothing else.

use crate::{ProtocolError, steps};

/// Longest header in bytes: two, eight of extended length, four of masking key.
pub const MAX_HEADER: usize = 14;

/// Longest payload of a control frame in bytes (RFC 6455, section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// RSV1, as [`FrameHeader::reserved`] has it.
pub(crate) const RSV1: u8 = 4;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASK: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a frame is (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A further fragment of a message.
    Continuation,
    /// The first or only fragment of a text message.
    Text,
    /// The first or only fragment of a binary message.
    Binary,
    /// The closing handshake.
    Close,
    /// Asks for a pong with the same payload.
    Ping,
    /// Answers a ping, or tells that one is alive.
    Pong,
}

impl Opcode {
    /// Whether this is a Close, Ping or Pong.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    #[inline]
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    #[inline]
    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }
}

/// A frame's header: everything in front of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameHeader {
    fin: bool,
    reserved: u8,
    opcode: Opcode,
    key: Option<[u8; 4]>,
    payload_len: u64,
}

impl FrameHeader {
    /// A header for a payload of `payload_len` bytes, without reserved bits. `key` is the masking key, which clients must use.
    ///
    /// # Panics
    ///
    /// If `payload_len` is 2⁶³ or more, or a control frame's is more than 125 or lacks `fin`: no such frame exists.
    #[inline]
    pub const fn new(opcode: Opcode, fin: bool, payload_len: u64, key: Option<[u8; 4]>) -> Self {
        // 5.2: "the most significant bit MUST be 0".
        assert!(payload_len >> 63 == 0, "a payload has less than 2^63 bytes");
        // 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented."
        assert!(
            !opcode.is_control() || (fin && payload_len <= MAX_CONTROL_PAYLOAD as u64),
            "a control frame is whole and has at most 125 bytes"
        );
        Self { fin, reserved: 0, opcode, key, payload_len }
    }

    /// The same header with RSV1, the bit of a compressed message's first frame (RFC 7692, section 6).
    pub(crate) const fn with_rsv1(self) -> Self {
        Self { reserved: RSV1, ..self }
    }

    /// Whether this is the last frame of its message.
    pub const fn is_fin(&self) -> bool {
        self.fin
    }

    /// The reserved bits: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub const fn reserved(&self) -> u8 {
        self.reserved
    }

    /// What the frame is.
    pub const fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The masking key, if the payload is masked.
    pub const fn key(&self) -> Option<[u8; 4]> {
        self.key
    }

    /// The payload's length in bytes.
    pub const fn payload_len(&self) -> u64 {
        self.payload_len
    }

    /// Reads a header from the front of `bytes` and says how many bytes it took. `None`: more bytes are needed.
    ///
    /// Fails as soon as a field that is there is wrong. What depends on the role, on negotiation or on earlier
    /// frames is not looked at.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        // 5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_."
        let opcode = Opcode::from_bits(first & 0x0F).ok_or(ProtocolError::ReservedOpcode)?;
        let fin = first & FIN != 0;
        // 5.5: control frames "MUST NOT be fragmented".
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let length = second & !MASK;
        // 5.5: "All control frames MUST have a payload length of 125 bytes or less".
        if opcode.is_control() && length >= LENGTH_16 {
            return Err(ProtocolError::ControlTooLong);
        }
        // 5.2: "the minimal number of bytes MUST be used to encode the length".
        let (payload_len, length_end) = match length {
            LENGTH_16 => {
                let Some(extended) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                    return Ok(None);
                };
                let length = u16::from_be_bytes(*extended);
                if length < u16::from(LENGTH_16) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (u64::from(length), 4)
            }
            LENGTH_64 => {
                // 5.2: "the most significant bit MUST be 0".
                if bytes.get(2).is_some_and(|top| top & 0x80 != 0) {
                    return Err(ProtocolError::LengthTopBit);
                }
                let Some(extended) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                    return Ok(None);
                };
                let length = u64::from_be_bytes(*extended);
                if length <= u64::from(u16::MAX) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (length, 10)
            }
            short => (u64::from(short), 2),
        };
        let (key, end) = if second & MASK == 0 {
            (None, length_end)
        } else {
            let Some(key) = bytes.get(length_end..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            (Some(*key), length_end + 4)
        };
        steps::count(end);
        Ok(Some((Self { fin, reserved: (first & RESERVED) >> 4, opcode, key, payload_len }, end)))
    }

    /// Writes the header to the front of `buffer`, in the shortest form, and gives what was written.
    #[inline]
    pub fn encode<'a>(&self, buffer: &'a mut [u8; MAX_HEADER]) -> &'a [u8] {
        buffer[0] = if self.fin { FIN } else { 0 } | self.reserved << 4 | self.opcode.bits();
        let mask = if self.key.is_some() { MASK } else { 0 };
        // 5.2: "the minimal number of bytes MUST be used to encode the length".
        let mut end = if let Ok(short @ 0..LENGTH_16) = u8::try_from(self.payload_len) {
            buffer[1] = mask | short;
            2
        } else if let Ok(medium) = u16::try_from(self.payload_len) {
            buffer[1] = mask | LENGTH_16;
            buffer[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        } else {
            buffer[1] = mask | LENGTH_64;
            buffer[2..10].copy_from_slice(&self.payload_len.to_be_bytes());
            10
        };
        if let Some(key) = self.key {
            buffer[end..end + 4].copy_from_slice(&key);
            end += 4;
        }
        steps::count(end);
        &buffer[..end]
    }

    /// The length of the encoded header in bytes.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        let length = match self.payload_len {
            0..=125 => 0,
            126..=0xFFFF => 2,
            _ => 8,
        };
        2 + length + if self.key.is_some() { 4 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_5_2_every_length_form_at_its_borders() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1]
        {
            for key in [None, Some([1, 2, 3, 4])] {
                let header = FrameHeader::new(Opcode::Binary, true, length, key);
                let mut buffer = [0; MAX_HEADER];
                let bytes = header.encode(&mut buffer);
                assert_eq!(bytes.len(), header.encoded_len());
                assert_eq!(FrameHeader::parse(bytes), Ok(Some((header, bytes.len()))));
                for cut in 0..bytes.len() {
                    assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None), "{length} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn rfc6455_5_2_the_minimal_number_of_bytes_must_be_used() {
        assert_eq!(FrameHeader::parse(&[0x82, 126, 0, 125]), Err(ProtocolError::NonMinimalLength));
        assert!(FrameHeader::parse(&[0x82, 126, 0, 126]).is_ok());
        assert_eq!(FrameHeader::parse(&[0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255]), Err(ProtocolError::NonMinimalLength));
        assert!(FrameHeader::parse(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).is_ok());
    }

    #[test]
    fn rfc6455_5_2_a_length_has_no_top_bit() {
        let all = [0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
        for end in 3..all.len() {
            assert_eq!(FrameHeader::parse(&all[..end]), Err(ProtocolError::LengthTopBit));
        }
    }

    #[test]
    fn rfc6455_5_2_reserved_opcodes_fail_at_their_first_byte() {
        for opcode in 0..16 {
            let known = matches!(opcode, 0..=2 | 8..=10);
            let expected = if known { Ok(None) } else { Err(ProtocolError::ReservedOpcode) };
            assert_eq!(FrameHeader::parse(&[0x80 | opcode]), expected);
        }
    }

    #[test]
    fn rfc6455_5_5_control_frames_are_whole_and_short() {
        for opcode in 8..=10 {
            assert_eq!(FrameHeader::parse(&[opcode]), Err(ProtocolError::FragmentedControl));
            assert_eq!(FrameHeader::parse(&[0x80 | opcode, 126]), Err(ProtocolError::ControlTooLong));
            assert_eq!(FrameHeader::parse(&[0x80 | opcode, 127]), Err(ProtocolError::ControlTooLong));
            assert!(FrameHeader::parse(&[0x80 | opcode, 125]).is_ok_and(|header| header.is_some()));
        }
    }

    #[test]
    fn rfc6455_5_2_a_header_is_written_as_it_was_read() {
        for first in 0..=u8::MAX {
            for rest in [&[0][..], &[125], &[126, 0, 126], &[127, 0, 0, 0, 1, 0, 0, 0, 0], &[0xFD, 1, 2, 3, 4]] {
                let mut bytes = [first; MAX_HEADER];
                let bytes = &mut bytes[..=rest.len()];
                bytes[1..].copy_from_slice(rest);
                // What is no header has nothing to be written.
                let Ok(header) = FrameHeader::parse(bytes) else { continue };
                let (header, end) = header.expect("a whole header");
                assert_eq!((header.encode(&mut [0; MAX_HEADER]), end), (&*bytes, bytes.len()));
            }
        }
    }

    #[test]
    fn rfc6455_5_2_reserved_bits_are_told() {
        for reserved in 0..8 {
            let (header, _) = FrameHeader::parse(&[0x80 | reserved << 4 | 1, 0]).unwrap().unwrap();
            assert_eq!(header.reserved(), reserved);
        }
    }
}
