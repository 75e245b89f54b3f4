//! RFC 6455, section 4: the opening handshake.
//!
//! | file | what for |
//! |---|---|
//! | `requests.rs` | what a server demands of a request |
//! | `heads.rs` | bytes that are no head, heads that are too large, heads that end too early |
//! | `answers.rs` | accepting and rejecting |
//! | `client.rs` | the request sent, the response checked |
//! | `both.rs` | our client against our server |

mod answers;
mod both;
mod client;
mod heads;
mod requests;

use sansocket::handshake::{MAX_REFUSAL, RequestError, RequestProgress, ServerHandshake};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const NONCE: [u8; 16] = *b"the sample nonce";

/// A good request, its headers as lines that a test may change.
#[derive(Clone)]
struct Lines {
    start: String,
    headers: Vec<(String, String)>,
}

impl Lines {
    fn request() -> Self {
        Self::of(
            "GET /chat HTTP/1.1",
            &[
                ("Host", "example.com"),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Key", KEY),
                ("Sec-WebSocket-Version", "13"),
            ],
        )
    }

    fn response() -> Self {
        Self::of(
            "HTTP/1.1 101 Switching Protocols",
            &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)],
        )
    }

    fn of(start: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Self { start: start.into(), headers }
    }

    fn start(mut self, start: &str) -> Self {
        self.start = start.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces a header where it stands.
    fn set(mut self, name: &str, value: &str) -> Self {
        let header = self.headers.iter_mut().find(|(other, _)| other == name).expect("a header that is there");
        header.1 = value.into();
        self
    }

    fn text(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{}\r\n{headers}\r\n", self.start)
    }
}

/// What came of the request's bytes, given at once.
fn serve(bytes: &[u8]) -> (Result<(), Option<RequestError>>, Vec<u8>) {
    let mut out = Vec::new();
    let result = match ServerHandshake::new().receive(bytes, &mut out) {
        RequestProgress::Request(_) => Ok(()),
        RequestProgress::Incomplete => Err(None),
        RequestProgress::Refused(error) => Err(Some(error)),
    };
    (result, out)
}

#[track_caller]
fn is_good(text: impl AsRef<[u8]>) {
    let (result, out) = serve(text.as_ref());
    assert_eq!(result, Ok(()), "{:?}", String::from_utf8_lossy(text.as_ref()));
    assert_eq!(out, b"", "an answer before anybody has decided");
}

#[track_caller]
fn is_refused(text: impl AsRef<[u8]>, error: RequestError) {
    let text = text.as_ref();
    let (result, out) = serve(text);
    assert_eq!(result, Err(Some(error)), "{:?}", String::from_utf8_lossy(text));
    is_refusal(&out, error);
    // The same however the bytes come, and nothing is parsed or written behind it.
    let mut handshake = ServerHandshake::new();
    let mut each = Vec::new();
    let mut refused = None;
    for end in 1..=text.len() {
        match handshake.receive(&text[..end], &mut each) {
            RequestProgress::Incomplete => assert_eq!(refused, None),
            RequestProgress::Request(_) => panic!("accepted byte for byte"),
            RequestProgress::Refused(error) => refused = Some(error),
        }
    }
    assert_eq!(refused, Some(error), "byte for byte: {:?}", String::from_utf8_lossy(text));
    assert_eq!(each, out, "byte for byte");
    let good = Lines::request().text();
    assert!(matches!(handshake.receive(good.as_bytes(), &mut each), RequestProgress::Refused(again) if again == error));
    assert_eq!(each, out, "a refusal is final");
}

/// An answer's status, headers and body.
fn parse_answer(out: &[u8]) -> (u16, Vec<(String, String)>, String) {
    let text = std::str::from_utf8(out).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap();
    let status = start.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect(start).parse().unwrap();
    assert_eq!(start.as_bytes()[12], b' ', "RFC 9112, 4: a space behind the status, even without a phrase");
    let header =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).expect("a header");
    (status, lines.map(header).collect(), body.to_owned())
}

fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}

#[track_caller]
fn is_refusal(out: &[u8], error: RequestError) {
    let (status, headers, body) = parse_answer(out);
    assert_eq!(status, error.status());
    assert!(out.len() <= MAX_REFUSAL);
    let connection = values(&headers, "Connection").join(",");
    assert!(connection.split(',').any(|token| token.trim() == "close"), "{connection}");
    assert_eq!(values(&headers, "Content-Length"), [body.len().to_string()]);
    assert_eq!(body, error.text());
    let allow: &[&str] = if status == 405 { &["GET"] } else { &[] };
    assert_eq!(values(&headers, "Allow"), allow);
    let (upgrade, version): (&[&str], &[&str]) = if status == 426 { (&["websocket"], &["13"]) } else { (&[], &[]) };
    assert_eq!(values(&headers, "Upgrade"), upgrade);
    assert_eq!(values(&headers, "Sec-WebSocket-Version"), version);
}

/// Headers that would break the head, and those that the handshake writes by itself.
const BAD_HEADERS: &[(&str, &str, bool)] = &[
    ("X", "a\r\nY: b", false),
    ("X", "a\rb", false),
    ("X", "a\nb", false),
    ("X", "a\0b", false),
    ("X", "a\u{7f}", false),
    ("X", " a", false),
    ("X", "a ", false),
    ("X\r\nY", "a", false),
    ("X\nY", "a", false),
    ("X\0", "a", false),
    ("", "a", false),
    ("X Y", "a", false),
    ("X:", "a", false),
    ("\u{e4}", "a", false),
    ("Connection", "close", true),
    ("connection", "close", true),
    ("Upgrade", "h2c", true),
    ("Content-Length", "1", true),
    ("Transfer-Encoding", "chunked", true),
    ("Sec-WebSocket-Accept", "x", true),
    ("sec-websocket-protocol", "x", true),
    ("Sec-WebSocket-Extensions", "x", true),
    ("SEC-WEBSOCKET-ANYTHING", "x", true),
];
