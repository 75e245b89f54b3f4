//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455, sections 4.1 and 4.2.2).

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use sha1_smol::Sha1;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 that forgives bits set behind the last byte: the RFC's own example key had them until erratum 3150.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The key as a client sends it.
pub(super) fn encode_key(nonce: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    let encoded = BASE64.encode_slice(nonce, &mut key);
    debug_assert_eq!(encoded, Ok(key.len()));
    key
}

/// 4.2.1, item 5: a base64-encoded value "that, when decoded, is 16 bytes in length".
pub(super) fn is_key(key: &[u8]) -> bool {
    let mut decoded = [0; 18];
    key.len() == 24 && BASE64.decode_slice(key, &mut decoded) == Ok(16)
}

/// 4.2.2, item 5.4: the base64 of the SHA-1 of the key as it was received and the GUID.
pub(super) fn accept(key: &[u8]) -> [u8; 28] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let mut accept = [0; 28];
    let encoded = BASE64.encode_slice(hash.digest().bytes(), &mut accept);
    debug_assert_eq!(encoded, Ok(accept.len()));
    accept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_4_2_2_the_example_key_gives_the_example_accept() {
        assert_eq!(&accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn rfc6455_4_1_a_key_is_16_bytes_in_base64() {
        let nonce = core::array::from_fn(|i| u8::try_from(i + 1).unwrap());
        assert_eq!(&encode_key(nonce), b"AQIDBAUGBwgJCgsMDQ4PEA==");
        assert!(is_key(&encode_key(nonce)));
        assert!(is_key(b"AQIDBAUGBwgJCgsMDQ4PEC=="), "erratum 3150: bits behind the last byte");
        for bad in [
            &b""[..],
            b"AQIDBAUGBwgJCgsMDQ4P",
            b"AQIDBAUGBwgJCgsMDQ4PEBE=",
            b"AQIDBAUGBwgJCgsMDQ4PEA",
            b"AQIDBAUGBwgJCgsM!Q4PEA==",
        ] {
            assert!(!is_key(bad), "{bad:?}");
        }
    }
}
