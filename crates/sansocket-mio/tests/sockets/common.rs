//! Raw peers: requests, frames, and reading what a server says.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use sansocket_mio::{Settings, Timeouts};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, TEXT};

/// No test waits longer than this for a peer that it controls.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Short enough to be waited for, long enough for a busy machine's other end.
pub(crate) const SHORT: Option<Duration> = Some(Duration::from_millis(250));

/// A masking key of raw peers.
pub(crate) const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

const KEYS: u64 = u64::from_le_bytes([KEY[0], KEY[1], KEY[2], KEY[3], KEY[0], KEY[1], KEY[2], KEY[3]]);

/// Settings under which nothing happens because time has passed.
pub(crate) const TIMELESS: Settings = with_timeouts(Timeouts::NONE);

/// The defaults but for the time limits.
pub(crate) const fn with_timeouts(timeouts: Timeouts) -> Settings {
    Settings { timeouts, ..Settings::DEFAULT }
}

/// A good request, with further header lines.
pub(crate) fn request(more: &[&str]) -> Vec<u8> {
    let mut request = String::from(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    );
    for line in more {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// A client's frame.
pub(crate) fn masked(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = Frame::new(opcode, []).declared(payload.len() as u64).masked(KEY).bytes();
    bytes.extend_from_slice(payload);
    let start = bytes.len() - payload.len();
    // Long ones are many: word by word.
    let (words, rest) = bytes[start..].as_chunks_mut();
    words.iter_mut().for_each(|word| *word = (u64::from_le_bytes(*word) ^ KEYS).to_le_bytes());
    rest.iter_mut().zip(KEY.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    bytes
}

/// A client's frame that is not its message's last.
pub(crate) fn fragment(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = masked(opcode, payload);
    bytes[0] &= 0x7F;
    bytes
}

/// A server's Close.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    Frame::close(code, reason).bytes()
}

/// A client's Close.
pub(crate) fn masked_close(code: u16, reason: &str) -> Vec<u8> {
    Frame::close(code, reason).masked(KEY).bytes()
}

/// Reads up to the blank line, and not a byte more.
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Reads until the peer has closed in order. A reset fails the test.
pub(crate) fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Reads one frame of a server's.
pub(crate) fn read_frame(stream: &mut impl Read) -> Frame {
    let (first, payload) = read_bare_frame(stream);
    assert_eq!(first >> 4 & 7, 0, "a server sets no reserved bit");
    Frame::new(first & 0xF, payload).fin(first & 0x80 != 0)
}

/// Reads one message of a server's, however it is fragmented; no control frame may come.
pub(crate) fn read_message(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let (first, mut message) = read_bare_frame(stream);
    let mut last = first;
    assert!(matches!(first & 0x7F, TEXT | BINARY), "a frame that begins with {first:#x}: {message:x?}");
    while last & 0x80 == 0 {
        let (next, mut payload) = read_bare_frame(stream);
        assert_eq!(next & 0x7F, CONTINUATION, "{payload:x?}");
        message.append(&mut payload);
        last = next;
    }
    (first & 0xF, message)
}

/// A frame's first byte and its payload. Messages are long and tests are not optimized: nothing is done here byte by byte.
fn read_bare_frame(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut start = [0; 2];
    stream.read_exact(&mut start).unwrap();
    let mut long = [0; 8];
    let extended = match start[1] {
        short @ 0..=125 => {
            long[7] = short;
            8
        }
        126 => 6,
        127 => 0,
        _ => panic!("a server does not mask: {start:x?}"),
    };
    stream.read_exact(&mut long[extended..]).unwrap();
    let len = u64::from_be_bytes(long);
    let shortest = [(0, 8), (126, 6), (65_536, 0)].into_iter().rfind(|(least, _)| *least <= len).unwrap();
    assert_eq!(extended, shortest.1, "the length {len} in its shortest form");
    let mut payload = vec![0; usize::try_from(len).unwrap()];
    stream.read_exact(&mut payload).unwrap();
    (start[0], payload)
}

/// Makes a socket's end a reset, when it is dropped.
pub(crate) fn reset(peer: TcpStream) {
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// Bytes that do not repeat soon.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ len as u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 24).to_le_bytes()[..5]);
    }
    bytes.truncate(len);
    bytes
}
