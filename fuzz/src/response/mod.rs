//! A client's handshake over any bytes in any chunks.
//!
//! Whatever the bytes are:
//!
//! 1. what comes of them is the same for all of them at once, for one by one and for any cuts, and for a handshake that owns what it offers;
//! 2. it comes at the head's last byte and does not depend on anything behind it;
//! 3. a failure is the end: whatever comes behind it, it is told again;
//! 4. each call gives its memory back, and passes over each byte a few times;
//! 5. a response accepts, or refuses, if and only if a naive reader says so.
//!
//! The input's layout:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags, see [`flags`] |
//! | 1 + 1 | limits of the head: a quarter of its bytes, its headers; 0 is the default |
//! | 1 + 2n | n cuts, n modulo 8 |
//! | rest | the bytes, or a program that makes a head, as the module `head` has it |

use arbitrary::{Arbitrary, Unstructured};
use sansocket::deflate::Policy;
use sansocket::handshake::{ClientHandshake, ClientRequest, HeadLimits, ResponseError, ResponseProgress, Uri};

use crate::bytes::{byte, word};
use crate::head::{ACCEPT, Head, Kind, Naive};
use crate::invariants::{HEAD, Work, borrows_at_most, ends, head_memory, is_linear};
use crate::lists::naive::chosen;
use crate::request::limits;

/// Bits of an input's first byte.
pub mod flags {
    /// The bytes are there as they are; otherwise a program makes them.
    pub const RAW: u8 = 1;
    /// Subprotocols are offered.
    pub const PROTOCOLS: u8 = 2;
    /// Compression is offered.
    pub const COMPRESSION: u8 = 4;
}

/// Inputs above this are not fed byte for byte all the way.
const BYTE_FOR_BYTE: usize = 512;

/// A client's handshake and what its peer sends.
#[derive(Debug)]
pub struct Case {
    /// The head's limits.
    limits: HeadLimits,
    /// The subprotocols that were offered.
    protocols: &'static [&'static str],
    /// The compression that was offered.
    policies: &'static [Policy],
    /// Where the bytes are cut.
    cuts: Vec<usize>,
    /// The bytes.
    bytes: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let flag = byte(u);
        let limits = limits(u);
        let cuts: Vec<_> = (0..byte(u) % 8).map(|_| usize::from(word(u))).collect();
        let bytes =
            if flag & flags::RAW != 0 { u.bytes(u.len())?.to_vec() } else { Head::read(Kind::Response, u).bytes() };
        let cuts = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        let protocols: &[_] = if flag & flags::PROTOCOLS != 0 { &["chat", "superchat"] } else { &[] };
        let policies: &[_] = if flag & flags::COMPRESSION != 0 { &[Policy::TAKEOVER, Policy::DEFAULT] } else { &[] };
        Ok(Self { limits, protocols, policies, cuts, bytes })
    }
}

/// What came of a response.
#[derive(Clone, Debug, PartialEq)]
enum Progress {
    /// Nothing.
    Incomplete,
    /// The connection is open: the heads' length, and what they said.
    Accepted(usize, String),
    /// The server wants something else, likewise.
    Refused(usize, String),
    /// It is bad.
    Failed(ResponseError),
}

impl From<ResponseProgress<'_>> for Progress {
    fn from(progress: ResponseProgress<'_>) -> Self {
        let (is_accepted, response) = match progress {
            ResponseProgress::Incomplete => return Self::Incomplete,
            ResponseProgress::Failed(error) => return Self::Failed(error),
            ResponseProgress::Accepted(response) => (true, response),
            ResponseProgress::Refused(response) => (false, response),
        };
        let headers: Vec<_> = response.headers().collect();
        let said = format!(
            "{} {:?} {:?} {:?} {headers:?}",
            response.status(),
            response.reason(),
            response.protocol(),
            response.negotiated()
        );
        if is_accepted { Self::Accepted(response.head_len(), said) } else { Self::Refused(response.head_len(), said) }
    }
}

/// Holds a client's handshake against everything that is promised of it.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(case: &Case) {
    let bytes = &case.bytes[..];
    let (whole, _) = drive(case, handshake(case), bytes, &[]);
    check_progress(case, &whole);
    let singles: Vec<_> = (1..bytes.len().min(BYTE_FOR_BYTE)).collect();
    let (one_by_one, at) = drive(case, handshake(case), bytes, &singles);
    assert_eq!(one_by_one, whole, "byte for byte");
    let (cut, _) = drive(case, handshake(case).into_owned(), bytes, &case.cuts);
    assert_eq!(cut, whole, "cut at {:?}", case.cuts);
    if let Progress::Accepted(len, _) | Progress::Refused(len, _) = whole {
        let (cut_off, _) = drive(case, handshake(case), &bytes[..len - 1], &[]);
        assert_eq!(cut_off, Progress::Incomplete, "without the head's last byte");
    }
    if bytes.len() <= BYTE_FOR_BYTE && whole != Progress::Incomplete {
        let (there, _) = drive(case, handshake(case), &bytes[..at], &[]);
        assert_eq!(there, whole, "without what is behind it");
    }
}

/// A handshake as the case has it, behind its request.
fn handshake(case: &Case) -> ClientHandshake<'static> {
    let uri = Uri::parse("ws://example.com/chat").expect("it is one");
    let request = ClientRequest::new(&uri).protocols(case.protocols).compression(case.policies).limits(case.limits);
    request.start(*b"the sample nonce", &mut Vec::new()).expect("it is good")
}

/// Feeds `bytes`, more of them each time, as the cuts say; what came, and after how many bytes.
fn drive(case: &Case, mut handshake: ClientHandshake<'_>, bytes: &[u8], cuts: &[usize]) -> (Progress, usize) {
    let (most, work) = (head_memory(bytes, case.limits), Work::begin());
    let (mut progress, mut at) = (Progress::Incomplete, bytes.len());
    for end in ends(cuts, bytes.len()) {
        // Exactly as long as what is there: a sanitizer sees a byte touched behind it.
        let memory: Box<[u8]> = bytes[..end].into();
        let came = borrows_at_most(most, || handshake.receive(&memory));
        work.check(HEAD, end, 0);
        if !matches!(came, ResponseProgress::Incomplete) {
            (progress, at) = (is_linear(HEAD, end, || Progress::from(came)), end);
            break;
        }
    }
    match progress {
        Progress::Incomplete => _ = handshake.receive_eof(),
        Progress::Failed(error) => {
            for bytes in [bytes, b"", b"HTTP/1.1 200 OK\r\n\r\n"] {
                assert_eq!(Progress::from(handshake.receive(bytes)), progress);
            }
            assert_eq!(handshake.receive_eof(), error);
        }
        _ => assert_eq!(Progress::from(handshake.receive(bytes)), progress, "asked again"),
    }
    (progress, at)
}

/// Holds what came against the naive reader.
fn check_progress(case: &Case, progress: &Progress) {
    let (mut len, mut rest) = (0, &case.bytes[..]);
    let last = loop {
        // RFC 9112, 2.2, lets a server ignore empty lines, and not a client.
        let Some(head) = Naive::read(rest)
            .filter(|_| rest.starts_with(b"HTTP/"))
            .filter(|head| head.headers.len() <= case.limits.headers)
        else {
            break None;
        };
        let Some(status) = status(&head) else { break None };
        len += head.len;
        if len > case.limits.bytes {
            break None;
        }
        if status == 101 || !(100..200).contains(&status) {
            break Some((status, head));
        }
        rest = &rest[head.len..];
    };
    match (progress, last) {
        (Progress::Accepted(at, _), Some((101, head))) => {
            assert_eq!(*at, len);
            assert!(is_good(case, &head), "a bad response has opened the connection: {head:?}");
        }
        (Progress::Failed(_), Some((101, head))) => {
            assert!(!is_good(case, &head), "a good response has failed: {head:?}");
        }
        (Progress::Refused(at, _), Some((_, _))) => assert_eq!(*at, len),
        (Progress::Failed(ResponseError::Incomplete | ResponseError::Status), _) => panic!("{progress:?} by itself"),
        (Progress::Failed(_) | Progress::Incomplete, None) => {}
        (progress, last) => panic!("{progress:?} of {last:?}"),
    }
}

/// The status, if it is a response of HTTP/1.1.
fn status(head: &Naive<'_>) -> Option<u16> {
    match head.start[..] {
        [b"HTTP/1.1", status, ..] if status.len() == 3 && status.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(status).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// Section 4.1, items 2 to 6.
fn is_good(case: &Case, head: &Naive<'_>) -> bool {
    let upgrade = head.elements("upgrade");
    let (protocols, extensions) = (head.values("sec-websocket-protocol"), head.values("sec-websocket-extensions"));
    upgrade.len() == 1
        && head.lists("upgrade", "websocket")
        && head.lists("connection", "upgrade")
        && head.values("sec-websocket-accept") == [ACCEPT.as_bytes()]
        && chosen(&protocols, &extensions, case.protocols, case.policies).is_ok()
}
