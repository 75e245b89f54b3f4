//! Requests that a server has to refuse, and by which status.

/// A good request, one change, and the status that answers it.
pub(super) struct BadRequest {
    pub(super) name: &'static str,
    pub(super) status: u16,
    line: &'static str,
    /// The header that is left out.
    without: &'static str,
    /// A header instead of it, or besides.
    with: &'static str,
    /// How many times that one is there.
    times: usize,
}

const GET: &str = "GET / HTTP/1.1";

const HEADERS: [(&str, &str); 5] = [
    ("Host", "127.0.0.1"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

const fn bad(name: &'static str, status: u16, without: &'static str, with: &'static str) -> BadRequest {
    BadRequest { name, status, line: GET, without, with, times: 1 }
}

const fn line(name: &'static str, status: u16, line: &'static str) -> BadRequest {
    BadRequest { name, status, line, without: "", with: "", times: 0 }
}

/// One of every kind.
pub(super) const ALL: &[BadRequest] = &[
    line("not HTTP", 400, "\x16\x03\x01\x02"),
    line("HTTP/1.0", 505, "GET / HTTP/1.0"),
    line("POST", 405, "POST / HTTP/1.1"),
    line("no target", 400, "GET * HTTP/1.1"),
    bad("no Host", 400, "Host", ""),
    bad("two Hosts", 400, "", "Host: 127.0.0.1"),
    bad("no Upgrade", 426, "Upgrade", ""),
    bad("no Connection: Upgrade", 400, "Connection", "Connection: keep-alive"),
    bad("no version", 400, "Sec-WebSocket-Version", ""),
    bad("version 8", 426, "Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
    bad("no key", 400, "Sec-WebSocket-Key", ""),
    bad("a short key", 400, "Sec-WebSocket-Key", "Sec-WebSocket-Key: c2hvcnQ="),
    bad("a repeated subprotocol", 400, "", "Sec-WebSocket-Protocol: chat, chat"),
    bad("malformed extensions", 400, "", "Sec-WebSocket-Extensions: ;"),
    bad("a body", 400, "", "Content-Length: 5"),
    BadRequest { times: 101, ..bad("too many headers", 431, "", "X: y") },
    BadRequest { times: 90, ..bad("a head too large", 431, "", LONG) },
];

/// 90 of it are more than 16 KiB.
const LONG: &str = "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";

impl BadRequest {
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.line);
        for (name, value) in HEADERS.iter().filter(|(name, _)| *name != self.without) {
            head += &format!("{name}: {value}\r\n");
        }
        let lines = if self.with.is_empty() { 0 } else { self.times };
        head += &format!("{}\r\n", self.with).repeat(lines);
        (head + "\r\n").into_bytes()
    }
}

/// A good one.
pub(super) fn good() -> Vec<u8> {
    line("", 101, GET).head()
}

#[cfg(test)]
mod tests {
    use sansocket::handshake::{OriginPolicy, RequestProgress, ServerHandshake};

    use super::*;

    fn status(head: &[u8]) -> u16 {
        match ServerHandshake::new().origins(OriginPolicy::Any).receive(head, &mut Vec::new()) {
            RequestProgress::Refused(error) => error.status(),
            RequestProgress::Request(_) => 101,
            RequestProgress::Incomplete => 0,
        }
    }

    #[test]
    fn each_has_the_status_that_the_engine_gives_it() {
        for request in ALL {
            assert_eq!(status(&request.head()), request.status, "{}", request.name);
        }
        assert_eq!(status(&good()), 101);
    }
}
