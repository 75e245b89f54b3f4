//! Heads of the opening handshake.

use sansocket::handshake::{
    Accept, ClientRequest, HeadLimits, MAX_REFUSAL, OriginPolicy, RequestError, RequestProgress, ResponseError,
    ResponseProgress, ServerHandshake, Uri,
};
use tungstenite::error::{ProtocolError, SubProtocolError};
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::{ClientHandshake, Request};
use tungstenite::{Error, accept};

use super::Difference;
use super::wire::Wire;
use crate::invariants::{HEAD, Work, borrows_at_most, head_memory, is_linear};

/// The RFC's example: these are the bytes of `dGhlIHNhbXBsZSBub25jZQ==`.
const NONCE: [u8; 16] = *b"the sample nonce";

/// The subprotocols that a client offers.
const PROTOCOLS: [&str; 2] = ["chat", "superchat"];

/// As many headers as tungstenite takes.
const LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024, headers: 124 };

/// What one of the two has made of a head.
#[derive(Debug)]
enum Verdict<E> {
    /// It is a good one; of a request, this is the `Sec-WebSocket-Accept` that answers it.
    Taken(String),
    /// It is not whole.
    Incomplete,
    /// It is none.
    Refused(E),
}

/// Gives both a request.
pub(super) fn compare_requests(bytes: &[u8]) -> Option<Difference> {
    let (ours, theirs) = (our_request(bytes), their_request(bytes));
    let known = match (&ours, &theirs) {
        (Verdict::Taken(ours), Verdict::Taken(theirs)) => {
            assert_eq!(ours, theirs, "other keys in {}", bytes.escape_ascii());
            return None;
        }
        (Verdict::Incomplete, Verdict::Incomplete) | (Verdict::Refused(_), Verdict::Refused(_)) => return None,
        (Verdict::Taken(_), Verdict::Refused(error)) => why_theirs_refuse(bytes, error),
        (Verdict::Refused(error), Verdict::Taken(_)) => why_we_refuse(bytes, *error),
        (Verdict::Incomplete, Verdict::Refused(_)) => {
            // Once it is whole, we refuse it too, or take it where it is known that they do not.
            compare_requests(&ended(bytes))
                .or_else(|| is_refused(&our_request(&ended(bytes))))
                .map(|_| Difference::WholeHeads)
        }
        (Verdict::Refused(error), Verdict::Incomplete) => match their_request(&ended(bytes)) {
            Verdict::Refused(_) => Some(Difference::WholeHeads),
            Verdict::Taken(_) => why_we_refuse(&ended(bytes), *error),
            Verdict::Incomplete => lines(bytes),
        },
        (Verdict::Taken(_), Verdict::Incomplete) | (Verdict::Incomplete, Verdict::Taken(_)) => None,
    };
    assert!(known.is_some(), "ours: {ours:?}, theirs: {theirs:?}, of {}", bytes.escape_ascii());
    known
}

/// Gives both a response.
pub(super) fn compare_responses(protocols: bool, bytes: &[u8]) -> Option<Difference> {
    let (ours, theirs) = (our_response(protocols, bytes), their_response(protocols, bytes));
    let known = match (&ours, &theirs) {
        (Verdict::Taken(_), Verdict::Taken(_))
        | (Verdict::Incomplete, Verdict::Incomplete)
        | (Verdict::Refused(_), Verdict::Refused(_)) => return None,
        (_, Verdict::Refused(Error::Http(response))) if matches!(response.status().as_u16(), 100 | 102..200) => {
            // Behind the interim response both see the same, or differ as is known.
            compare_responses(protocols, behind_head(bytes)?);
            Some(Difference::Interim)
        }
        (Verdict::Taken(_), Verdict::Refused(error)) => why_theirs_fail(bytes, error),
        (Verdict::Refused(Some(error)), Verdict::Taken(_)) => why_we_fail(bytes, *error),
        (Verdict::Incomplete, Verdict::Refused(_)) => {
            let ended = ended(bytes);
            compare_responses(protocols, &ended)
                .or_else(|| is_refused(&our_response(protocols, &ended)))
                .map(|_| Difference::WholeHeads)
        }
        (Verdict::Refused(Some(error)), Verdict::Incomplete) => match their_response(protocols, &ended(bytes)) {
            Verdict::Refused(_) => Some(Difference::WholeHeads),
            Verdict::Taken(_) => why_we_fail(&ended(bytes), *error),
            Verdict::Incomplete => lines(bytes),
        },
        _ => None,
    };
    assert!(known.is_some(), "ours: {ours:?}, theirs: {theirs:?}, of {}", bytes.escape_ascii());
    known
}

/// What we make of a request.
fn our_request(bytes: &[u8]) -> Verdict<RequestError> {
    let (mut out, work) = (Vec::with_capacity(MAX_REFUSAL), Work::begin());
    let mut handshake = ServerHandshake::new().limits(LIMITS).origins(OriginPolicy::Any);
    let progress = borrows_at_most(head_memory(bytes, LIMITS), || handshake.receive(bytes, &mut out));
    work.check(HEAD, bytes.len() + out.len(), 0);
    match progress {
        RequestProgress::Incomplete => Verdict::Incomplete,
        RequestProgress::Refused(error) => Verdict::Refused(error),
        RequestProgress::Request(request) => {
            request.accept(&Accept::new(), &mut out).expect("there is nothing to be said against it");
            Verdict::Taken(accept_key(&out))
        }
    }
}

/// What tungstenite makes of a request.
fn their_request(bytes: &[u8]) -> Verdict<Error> {
    verdict(accept(Wire::new(bytes)).map(|socket| accept_key(&socket.get_ref().output)))
}

/// What we make of a response. `None`: it is a good one that says no.
fn our_response(protocols: bool, bytes: &[u8]) -> Verdict<Option<ResponseError>> {
    let uri = Uri::parse("ws://example.com/").expect("it is one");
    let offered = if protocols { &PROTOCOLS[..] } else { &[] };
    let request = ClientRequest::new(&uri).protocols(offered).limits(LIMITS);
    let mut handshake = request.start(NONCE, &mut Vec::new()).expect("it is a good one");
    let receive = || borrows_at_most(head_memory(bytes, LIMITS), || handshake.receive(bytes));
    match is_linear(HEAD, bytes.len(), receive) {
        ResponseProgress::Incomplete => Verdict::Incomplete,
        ResponseProgress::Accepted(_) => Verdict::Taken(String::new()),
        ResponseProgress::Refused(_) => Verdict::Refused(None),
        ResponseProgress::Failed(error) => Verdict::Refused(Some(error)),
    }
}

/// What tungstenite makes of a response.
fn their_response(protocols: bool, bytes: &[u8]) -> Verdict<Error> {
    let request = Request::builder()
        .uri("ws://example.com/")
        .header("Host", "example.com")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let request = if protocols { request.header("Sec-WebSocket-Protocol", PROTOCOLS.join(", ")) } else { request };
    let request = request.body(()).expect("it is a good one");
    let handshake = ClientHandshake::start(Wire::new(bytes), request, None).expect("it is a good one");
    verdict(handshake.handshake().map(|_| String::new()))
}

/// What a handshake of tungstenite's has come to.
fn verdict<R: tungstenite::handshake::HandshakeRole>(result: Result<String, HandshakeError<R>>) -> Verdict<Error> {
    match result {
        Ok(key) => Verdict::Taken(key),
        Err(HandshakeError::Failure(Error::Protocol(ProtocolError::HandshakeIncomplete))) => Verdict::Incomplete,
        Err(HandshakeError::Failure(error)) => Verdict::Refused(error),
        Err(HandshakeError::Interrupted(_)) => unreachable!("the transport never blocks"),
    }
}

/// Why we refuse a request that tungstenite takes.
fn why_we_refuse(bytes: &[u8], error: RequestError) -> Option<Difference> {
    let head = Head(bytes);
    let twice = |name: &&str| head.values(name).count() > 1;
    match error {
        RequestError::Malformed => lines(bytes),
        RequestError::InvalidHost => {
            let hosts: Vec<_> = head.values("Host").collect();
            (!matches!(&hosts[..], [host] if is_plain_name(host))).then_some(Difference::Host)
        }
        RequestError::InvalidTarget => {
            let target = head.target()?;
            let is_path =
                target.starts_with(b"/") && target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
            (!is_path).then_some(Difference::Target)
        }
        RequestError::BodyNotAllowed => {
            let has_length = head.values("Content-Length").any(|length| length != b"0");
            (has_length || head.values("Transfer-Encoding").next().is_some()).then_some(Difference::Body)
        }
        RequestError::RepeatedHeader => ["Content-Length", "Transfer-Encoding", "Sec-WebSocket-Version", "Origin"]
            .iter()
            .any(twice)
            .then_some(Difference::Repeated),
        RequestError::InvalidKey => twice(&"Sec-WebSocket-Key").then_some(Difference::Repeated),
        RequestError::InvalidProtocols => head.is_odd_list("Sec-WebSocket-Protocol").then_some(Difference::Offers),
        RequestError::InvalidExtensions => head.is_odd_list("Sec-WebSocket-Extensions").then_some(Difference::Offers),
        RequestError::ConnectionNotUpgrade => {
            let value = head.values("Connection").next()?;
            value.contains(&b' ').then_some(Difference::ConnectionBySpaces)
        }
        _ => None,
    }
}

/// Why tungstenite refuses a request that we take.
fn why_theirs_refuse(bytes: &[u8], error: &Error) -> Option<Difference> {
    let head = Head(bytes);
    match error {
        Error::Protocol(ProtocolError::JunkAfterRequest) => {
            let len = bytes.len() - behind_head(bytes)?.len();
            compare_requests(&bytes[..len]);
            Some(Difference::FramesBehindRequest)
        }
        Error::Protocol(ProtocolError::MissingConnectionUpgradeHeader) => head.is_list("Connection", b"upgrade"),
        Error::Protocol(ProtocolError::MissingUpgradeWebSocketHeader) => head.is_list("Upgrade", b"websocket"),
        Error::Protocol(ProtocolError::InvalidSecWebSocketKey) => {
            let key = head.values("Sec-WebSocket-Key").next()?;
            let has_bits = key.len() == 24 && !matches!(key[21], b'A' | b'Q' | b'g' | b'w');
            has_bits.then_some(Difference::KeyBits)
        }
        Error::HttpFormat(_) => {
            let is_known = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(byte);
            (!head.target()?.iter().all(is_known)).then_some(Difference::TargetCharacters)
        }
        _ => None,
    }
}

/// Why we refuse a response that tungstenite takes.
fn why_we_fail(bytes: &[u8], error: ResponseError) -> Option<Difference> {
    let head = Head(bytes);
    let twice = |name| (head.values(name).count() > 1).then_some(Difference::Repeated);
    match error {
        ResponseError::Malformed if bytes.starts_with(b"\r\n") => Some(Difference::EmptyLines),
        ResponseError::Malformed => lines(bytes),
        ResponseError::Upgrade => twice("Upgrade"),
        ResponseError::Accept => twice("Sec-WebSocket-Accept"),
        ResponseError::Protocol => twice("Sec-WebSocket-Protocol"),
        ResponseError::Extension | ResponseError::MalformedExtensions => {
            head.values("Sec-WebSocket-Extensions").next().map(|_| Difference::Extensions)
        }
        _ => None,
    }
}

/// Why tungstenite refuses a response that we take.
fn why_theirs_fail(bytes: &[u8], error: &Error) -> Option<Difference> {
    let head = Head(bytes);
    match error {
        Error::Protocol(ProtocolError::MissingConnectionUpgradeHeader) => head.is_list("Connection", b"upgrade"),
        Error::Protocol(ProtocolError::MissingUpgradeWebSocketHeader) => head.is_list("Upgrade", b"websocket"),
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol)) => {
            head.values("Sec-WebSocket-Protocol").next().is_none().then_some(Difference::NoProtocol)
        }
        _ => None,
    }
}

/// Whether a head has a line that does not end in CR LF, or a control character.
fn lines(bytes: &[u8]) -> Option<Difference> {
    let bytes = &bytes[..bytes.len() - behind_head(bytes).unwrap_or_default().len()];
    let is_odd = |(at, byte): (usize, &u8)| match byte {
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        b'\r' => bytes.get(at + 1).is_some_and(|next| *next != b'\n'),
        _ => byte.is_ascii_control() && *byte != b'\t',
    };
    bytes.iter().enumerate().any(is_odd).then_some(Difference::Lines)
}

/// Something if it is refused.
fn is_refused<E>(verdict: &Verdict<E>) -> Option<Difference> {
    matches!(verdict, Verdict::Refused(_)).then_some(Difference::WholeHeads)
}

/// The bytes, and behind them the end of a line and of a head.
fn ended(bytes: &[u8]) -> Vec<u8> {
    [bytes, b"\r\n\r\n"].concat()
}

/// What is behind a head's empty line.
fn behind_head(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let (mut at, mut line) = (start, 0);
    loop {
        let end = at + bytes[at..].iter().position(|byte| *byte == b'\n')?;
        line += 1;
        let is_empty = bytes[at..end].trim_ascii().is_empty();
        at = end + 1;
        if line > 1 && is_empty {
            return Some(&bytes[at..]);
        }
    }
}

/// The `Sec-WebSocket-Accept` of a response.
fn accept_key(response: &[u8]) -> String {
    let key = Head(response).values("Sec-WebSocket-Accept").next().expect("each answer has one");
    String::from_utf8_lossy(key).into_owned()
}

/// A head, taken apart line by line.
struct Head<'b>(&'b [u8]);

impl<'b> Head<'b> {
    /// The target of a request.
    fn target(&self) -> Option<&'b [u8]> {
        self.0.trim_ascii_start().split(|byte| *byte == b' ').filter(|word| !word.is_empty()).nth(1)
    }

    /// The values of each header of that name.
    fn values(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        let head = &self.0[..self.0.len() - behind_head(self.0).unwrap_or_default().len()];
        head.split(|byte| *byte == b'\n').filter_map(move |line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
        })
    }

    /// Whether the header of that name has that word, and more than that one word: several values, or a list.
    fn is_list(&self, name: &str, word: &[u8]) -> Option<Difference> {
        let is_word = |value: &[u8]| value.eq_ignore_ascii_case(word);
        let is_alone = matches!(&self.values(name).collect::<Vec<_>>()[..], [value] if is_word(value));
        let has_word = self.elements(name).any(is_word);
        (has_word && !is_alone).then_some(Difference::ListHeaders)
    }

    /// Whether the headers of that name list something else than plain names, each once.
    fn is_odd_list(&self, name: &str) -> bool {
        let names: Vec<_> = self.elements(name).collect();
        names.iter().enumerate().any(|(at, name)| !is_plain_name(name) || names[..at].contains(name))
    }

    /// What all headers of that name list.
    fn elements(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.values(name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    }
}

/// Whether nobody could have anything against that name: letters, then letters and digits, in parts joined by dots or hyphens.
fn is_plain_name(name: &[u8]) -> bool {
    let is_plain =
        |part: &[u8]| part.first().is_some_and(u8::is_ascii_alphabetic) && part.iter().all(u8::is_ascii_alphanumeric);
    name.split(|byte| matches!(byte, b'.' | b'-')).all(is_plain)
}
