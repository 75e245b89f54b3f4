//! Heads of HTTP/1.1 that are mostly valid: a good one, and a program of changes to it.
//!
//! Each change is an operation and what it needs; names and values come from tables, so that what is found is an order of headers and not
//! their spelling.

mod naive;

pub(crate) use naive::{Naive, is_token};

use arbitrary::Unstructured;

use crate::bytes::{byte, payload, word};

/// Changes: an operation byte modulo 8.
pub(crate) mod op {
    /// Replaces the value of a header, or adds it: name, value.
    pub(crate) const SET: u8 = 0;
    /// Adds a header: name, value.
    pub(crate) const ADD: u8 = 1;
    /// Removes a header: name.
    pub(crate) const REMOVE: u8 = 2;
    /// Adds a header with any value: name, payload.
    pub(crate) const ADD_BYTES: u8 = 3;
    /// Replaces the start line by one out of a table: index.
    pub(crate) const START: u8 = 4;
    /// Writes a header's name otherwise, or white space around its value: name, kind.
    pub(crate) const STYLE: u8 = 5;
    /// Adds a header many times: name, value, count.
    pub(crate) const REPEAT: u8 = 6;
    /// Does a fault to the bytes: place, kind, byte.
    pub(crate) const SPOIL: u8 = 7;
}

/// Names of headers.
pub(crate) const NAMES: [&str; 16] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Origin",
    "Sec-WebSocket-Accept",
    "Content-Length",
    "Transfer-Encoding",
    "Cookie",
    "Keep-Alive",
    "Proxy-Connection",
    "X",
    "Sec-WebSocket-Protocol1",
];

/// Values of headers, good and bad ones of each.
pub(crate) const VALUES: [&str; 48] = [
    "",
    "example.com",
    "example.com:80",
    "EXAMPLE.com:8080",
    "[::1]:9001",
    "a b",
    "user@example.com",
    "websocket",
    "WebSocket, h2c",
    "h2c, WEBSOCKET",
    "Upgrade",
    "keep-alive, upgrade",
    "keep-alive",
    "upgrade,",
    ",",
    KEY,
    "AAAAAAAAAAAAAAAAAAAAAA==",
    "AAAAAAAAAAAAAAAAAAAAAB==",
    "AAAAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAA",
    ACCEPT,
    "13",
    "8",
    "13, 8",
    " 13",
    "chat",
    "chat, superchat",
    "superchat,chat,,",
    "chat, chat",
    "ch at",
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=9; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=\"10\", permessage-deflate",
    "permessage-deflate; server_max_window_bits=7",
    "x-webkit-deflate-frame",
    "a; b=\"c\\d\"",
    "a; b=\"c",
    "a;",
    "http://example.com",
    "https://example.com",
    "https://example.com:443",
    "http://evil.example",
    "null",
    "0",
    "5",
    "chunked",
    "timeout=5",
];

/// A client's key, and the value that answers it (RFC 6455, section 1.3).
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// See [`KEY`].
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Start lines of requests.
pub(crate) const REQUESTS: [&str; 12] = [
    "GET / HTTP/1.1",
    "GET /chat?room=1 HTTP/1.1",
    "GET http://example.com/chat HTTP/1.1",
    "GET ws://other.example HTTP/1.1",
    "GET * HTTP/1.1",
    "GET example.com:80 HTTP/1.1",
    "GET /a#b HTTP/1.1",
    "POST / HTTP/1.1",
    "CONNECT example.com:443 HTTP/1.1",
    "GET / HTTP/1.0",
    "GET / HTTP/2.0",
    "GET /",
];

/// Start lines of responses.
pub(crate) const RESPONSES: [&str; 12] = [
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 101 ",
    "HTTP/1.1 101",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 401 Unauthorized",
    "HTTP/1.1 302 Found",
    "HTTP/1.1 099 ",
    "HTTP/1.1 1010 ",
    "HTTP/1.0 101 Switching Protocols",
    "HTTP/2 101",
    "ICY 200 OK",
    "SSH-2.0-OpenSSH",
];

/// An interim response.
const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";

/// Which side reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A server.
    Request,
    /// A client.
    Response,
}

/// A head in the making.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// What stands in front of it: empty lines, or interim responses.
    pub(crate) before: String,
    /// The start line.
    pub(crate) start: &'static str,
    /// The headers' names and values, with the white space that is around these.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Faults to be done to the bytes: place, kind, byte.
    pub(crate) faults: Vec<(u16, u8, u8)>,
}

impl Head {
    /// One in which there is nothing wrong.
    fn good(kind: Kind) -> Self {
        let (start, headers): (_, &[_]) = match kind {
            Kind::Request => (
                REQUESTS[0],
                &[
                    ("Host", "example.com"),
                    ("Upgrade", "websocket"),
                    ("Connection", "Upgrade"),
                    ("Sec-WebSocket-Key", KEY),
                    ("Sec-WebSocket-Version", "13"),
                ],
            ),
            Kind::Response => {
                (RESPONSES[0], &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)])
            }
        };
        let headers = headers.iter().map(|&(name, value): &(&str, &str)| (name.to_owned(), value.into())).collect();
        Self { before: String::new(), start, headers, faults: Vec::new() }
    }

    /// Reads a program and carries it out. A byte in front of it says what stands before the head.
    pub(crate) fn read(kind: Kind, u: &mut Unstructured<'_>) -> Self {
        let mut head = Self::good(kind);
        let before = match kind {
            Kind::Request => "\r\n",
            Kind::Response => INTERIM,
        };
        head.before = before.repeat(usize::from(byte(u) % 4));
        while !u.is_empty() && head.headers.len() < 300 {
            head.step(kind, u);
        }
        head
    }

    /// Carries out one operation.
    fn step(&mut self, kind: Kind, u: &mut Unstructured<'_>) {
        match byte(u) % 8 {
            op::SET => {
                let (name, value) = (name(u), value(u));
                match self.header(name) {
                    Some(header) => header.1 = value.into(),
                    None => self.headers.push((name.to_owned(), value.into())),
                }
            }
            op::ADD => self.headers.push((name(u).to_owned(), value(u).into())),
            op::REMOVE => {
                let name = name(u);
                self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            }
            op::ADD_BYTES => self.headers.push((name(u).to_owned(), payload(u))),
            op::START => {
                let index = usize::from(byte(u));
                self.start = match kind {
                    Kind::Request => REQUESTS[index % REQUESTS.len()],
                    Kind::Response => RESPONSES[index % RESPONSES.len()],
                };
            }
            op::STYLE => {
                let (name, style) = (name(u), byte(u));
                let Some((name, value)) = self.header(name) else { return };
                match style % 5 {
                    0 => name.make_ascii_lowercase(),
                    1 => name.make_ascii_uppercase(),
                    2 => *value = [b" \t ", &value[..], b"\t"].concat(),
                    3 => name.push(' '),
                    _ => value.extend(b"\r\n "),
                }
            }
            op::REPEAT => {
                let (name, value, count) = (name(u), value(u), byte(u));
                self.headers.extend((0..count).map(|_| (name.to_owned(), value.into())));
            }
            _ => self.faults.push((word(u), byte(u), byte(u))),
        }
    }

    /// The first header of that name.
    fn header(&mut self, name: &str) -> Option<&mut (String, Vec<u8>)> {
        self.headers.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// The head as bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}{}\r\n", self.before, self.start).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        for &(place, kind, byte) in &self.faults {
            let at = usize::from(place) % bytes.len();
            match kind % 5 {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                3 if bytes.len() > 1 => _ = bytes.remove(at),
                _ => bytes.truncate(at + 1),
            }
        }
        bytes
    }
}

/// A name out of the table.
pub(crate) fn name(u: &mut Unstructured<'_>) -> &'static str {
    NAMES[usize::from(byte(u)) % NAMES.len()]
}

/// A value out of the table.
pub(crate) fn value(u: &mut Unstructured<'_>) -> &'static str {
    VALUES[usize::from(byte(u)) % VALUES.len()]
}
