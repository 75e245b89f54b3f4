//! Heads that are mostly valid: a small program makes them out of a good one.

use arbitrary::Unstructured;

use crate::bytes::{byte, payload, word};

/// Operations: an operation byte modulo 9.
pub(crate) mod op {
    /// Another start line: its index.
    pub(crate) const START: u8 = 0;
    /// Another value for a header that is there: its place, index of the value.
    pub(crate) const VALUE: u8 = 1;
    /// A further header: index of the name, index of the value.
    pub(crate) const ADD: u8 = 2;
    /// A header is left out: its place.
    pub(crate) const REMOVE: u8 = 3;
    /// Any value for a header that is there: its place, payload.
    pub(crate) const BYTES: u8 = 4;
    /// A header's name in another case: its place.
    pub(crate) const CASE: u8 = 5;
    /// Bytes behind the head: payload.
    pub(crate) const BEHIND: u8 = 6;
    /// Bytes in front of the head: index of them.
    pub(crate) const IN_FRONT: u8 = 7;
    /// A fault somewhere, once all else is done: place, kind, byte.
    pub(crate) const SPOIL: u8 = 8;
}

/// A good request: its lines.
pub(super) const REQUEST: &[(&str, &str)] = &[
    ("", "GET /chat?a=b HTTP/1.1"),
    ("Host", "example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

/// A good response to a request with the RFC's example of a key.
pub(super) const RESPONSE: &[(&str, &str)] = &[
    ("", "HTTP/1.1 101 Switching Protocols"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
];

/// Start lines.
const START_LINES: [&str; 20] = [
    "GET / HTTP/1.1",
    "GET / HTTP/1.0",
    "GET / HTTP/2.0",
    "POST / HTTP/1.1",
    "GET * HTTP/1.1",
    "GET http://example.com/a HTTP/1.1",
    "GET ftp://example.com/ HTTP/1.1",
    "GET example.com:80 HTTP/1.1",
    "GET /a#b HTTP/1.1",
    "GET /{\"a\"}|^`<> HTTP/1.1",
    "GET /ä HTTP/1.1",
    "GET  / HTTP/1.1",
    "HTTP/1.1 101",
    "HTTP/1.1 101 ",
    "HTTP/1.0 101 Switching Protocols",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 1010 ?",
    "HTTP/1.1 401 ä",
    "RTSP/1.0 200 OK",
];

/// Names of headers.
const NAMES: [&str; 14] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Origin",
    "Content-Length",
    "Transfer-Encoding",
    "Cookie",
    "Bad Name",
    "",
];

/// Values of headers.
const VALUES: [&str; 34] = [
    "",
    "websocket",
    "WebSocket",
    "h2c, websocket",
    "websocket/13",
    "websocket,",
    "Upgrade",
    "upgrade, keep-alive",
    "keep-alive, Upgrade",
    "keep-alive Upgrade",
    "keep-alive,\tUpgrade",
    "close",
    "13",
    "8",
    "13, 8",
    "dGhlIHNhbXBsZSBub25jZQ==",
    "dGhlIHNhbXBsZSBub25jZR==",
    "dGhlIHNhbXBsZSBub25jZQ",
    "AAAAAAAAAAAAAAAAAAAAAAAA",
    "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "chat",
    "chat, superchat",
    "chat, chat",
    "chat;",
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "x-unknown; a=\"b c\"",
    "http://example.com",
    "null",
    "0",
    "5",
    "chunked",
    "example.com:80:80",
    "ä",
];

/// What may be in front of a head.
const FRONTS: [&str; 6] =
    ["\r\n", "\n", "\r\n\r\n", " ", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"];

/// The head that the program makes of `start`, and what is in front and behind.
pub(super) fn run(start: &[(&str, &str)], u: &mut Unstructured<'_>) -> Vec<u8> {
    let mut lines: Vec<_> =
        start.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    let (mut front, mut behind, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    while !u.is_empty() && lines.len() < 100 {
        let code = byte(u) % 9;
        let place = |u: &mut Unstructured<'_>| usize::from(byte(u)) % lines.len().max(1);
        let pick = |list: &[&'static str], u: &mut Unstructured<'_>| {
            list[usize::from(byte(u)) % list.len()].as_bytes().to_vec()
        };
        match code {
            op::START => {
                let line = pick(&START_LINES, u);
                lines.iter_mut().take(1).for_each(|first| first.1.clone_from(&line));
            }
            op::VALUE | op::BYTES => {
                let at = place(u);
                let value = if code == op::VALUE { pick(&VALUES, u) } else { payload(u) };
                lines.iter_mut().skip(at).take(1).for_each(|line| line.1.clone_from(&value));
            }
            op::ADD => lines.push((pick(&NAMES, u), pick(&VALUES, u))),
            op::REMOVE => {
                let at = place(u);
                lines.drain(at..lines.len().min(at + 1));
            }
            op::CASE => {
                let at = place(u);
                lines.iter_mut().skip(at).take(1).for_each(|line| line.0.make_ascii_uppercase());
            }
            op::BEHIND => behind = payload(u),
            op::IN_FRONT => front.extend(pick(&FRONTS, u)),
            _ => faults.push((word(u), byte(u), byte(u))),
        }
    }
    let mut bytes = front;
    for (at, (name, value)) in lines.iter().enumerate() {
        bytes.extend(name);
        bytes.extend(if at == 0 { &b""[..] } else { b": " });
        bytes.extend(value);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    bytes.extend(behind);
    faults.into_iter().for_each(|(place, kind, byte)| spoil(&mut bytes, place.into(), kind, byte));
    bytes
}

/// Does one fault to what is there.
fn spoil(bytes: &mut Vec<u8>, place: usize, kind: u8, byte: u8) {
    if bytes.is_empty() {
        return;
    }
    let at = place % bytes.len();
    match kind % 5 {
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes.insert(at, byte),
        3 => _ = bytes.remove(at),
        _ => bytes.truncate(at),
    }
}
