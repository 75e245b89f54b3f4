//! Seeds of the target `differential`: for each known difference one, and some without.

use super::{Seed, counted};
use crate::connection::op as frame;
use crate::differential::flags::{ANY_LENGTH, PROTOCOLS, RAW};
use crate::differential::{Difference, op};

/// A server reads frames.
const SERVER: u8 = 0;
/// A client reads frames.
const CLIENT: u8 = 1;
/// A server reads a request.
const REQUEST: u8 = 2;
/// A client reads a response.
const RESPONSE: u8 = 3;

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    same().into_iter().chain(differences().into_iter().map(|(name, bytes, _)| (name, bytes))).collect()
}

/// What both take, and what neither takes.
fn same() -> Vec<Seed> {
    let hello = [&[frame::TEXT], &counted(b"hello")[..]].concat();
    let close = [&[frame::CLOSE, 0x03, 0xE8], &counted(b"bye")[..]].concat();
    vec![
        ("hello-to-server", frames(SERVER, 0, &[&hello, &[frame::PING, 1, b'p'], &close])),
        (
            "hello-to-client",
            frames(CLIENT, 0, &[&hello, &[frame::BINARY_PART, 1, 0, frame::PING, 0, frame::BINARY, 1, 1], &close]),
        ),
        ("limit-of-bytes", [&[SERVER, 0, 0, 6, frame::TEXT_PART, 3, b'a', b'b', b'c'], &hello[..]].concat()),
        ("reserved-bit", frames(CLIENT, 0, &[&hello, &[frame::ANY, 0xC1, 1, b'r']])),
        ("request", head(REQUEST, 0, &[])),
        ("request-without-key", head(REQUEST, 0, &[op::REMOVE, 4])),
        ("request-cut", head(REQUEST, 0, &[op::SPOIL, 0, 60, 4, 0])),
        ("response", head(RESPONSE, 0, &[])),
        ("response-with-protocol", head(RESPONSE, PROTOCOLS, &[op::ADD, 6, 20])),
        ("response-with-another-key", head(RESPONSE, 0, &[op::VALUE, 3, 15])),
        ("response-says-no", head(RESPONSE, 0, &[op::START, 18])),
        ("not-http", head(RESPONSE, 0, &[op::START, 19])),
    ]
}

/// For each difference a name, an input and what it shows.
pub fn differences() -> Vec<(&'static str, Vec<u8>, Difference)> {
    use Difference as D;
    let close = |code: u16| [&[frame::CLOSE], &code.to_be_bytes()[..], &[0]].concat();
    vec![
        ("long-length", frames(CLIENT, 0, &[&[frame::FORM, 0x82, 1, 2, 0, 0]]), D::LongLength),
        ("long-length-of-a-ping", frames(SERVER, 0, &[&[frame::FORM, 0x89, 0, 2, 0, 0]]), D::LongLength),
        ("close-code", frames(SERVER, 0, &[&close(5000)]), D::CloseCode),
        ("bad-gateway", frames(CLIENT, 0, &[&close(1014)]), D::BadGateway),
        ("whole-frames", frames(CLIENT, RAW, &[b"\x81\x03a\xFF"]), D::WholeFrames),
        ("whole-frames-first-byte", frames(SERVER, RAW, &[b"\x83"]), D::WholeFrames),
        ("whole-heads", head(REQUEST, 0, &[op::START, 1, op::SPOIL, 0, 40, 4, 0]), D::WholeHeads),
        ("lines", head(REQUEST, RAW, &request_with_bare_lines()), D::Lines),
        ("host", head(REQUEST, 0, &[op::REMOVE, 1]), D::Host),
        ("target", head(REQUEST, 0, &[op::START, 4]), D::Target),
        ("target-characters", head(REQUEST, 0, &[op::START, 9]), D::TargetCharacters),
        ("body", head(REQUEST, 0, &[op::ADD, 9, 30]), D::Body),
        ("repeated", head(REQUEST, 0, &[op::ADD, 4, 12]), D::Repeated),
        ("repeated-in-response", head(RESPONSE, 0, &[op::ADD, 5, 19]), D::Repeated),
        ("offers", head(REQUEST, 0, &[op::ADD, 6, 22]), D::Offers),
        ("list-headers", head(REQUEST, 0, &[op::VALUE, 2, 3]), D::ListHeaders),
        ("list-headers-in-response", head(RESPONSE, 0, &[op::VALUE, 2, 8]), D::ListHeaders),
        ("connection-by-spaces", head(REQUEST, 0, &[op::VALUE, 3, 9]), D::ConnectionBySpaces),
        ("key-bits", head(REQUEST, 0, &[op::VALUE, 4, 16]), D::KeyBits),
        ("frames-behind-request", head(REQUEST, 0, &[op::BEHIND, 2, 0x89, 0x80]), D::FramesBehindRequest),
        ("interim", head(RESPONSE, 0, &[op::IN_FRONT, 5]), D::Interim),
        ("empty-lines", head(RESPONSE, 0, &[op::IN_FRONT, 0]), D::EmptyLines),
        ("no-protocol", head(RESPONSE, PROTOCOLS, &[]), D::NoProtocol),
        ("extensions", head(RESPONSE, 0, &[op::ADD, 7, 24]), D::Extensions),
    ]
}

/// A request whose lines end in LF alone.
fn request_with_bare_lines() -> Vec<u8> {
    b"GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
        Sec-WebSocket-Version: 13\n\n"
        .to_vec()
}

/// An input of frames.
fn frames(reader: u8, flags: u8, program: &[&[u8]]) -> Vec<u8> {
    [&[reader, flags | ANY_LENGTH, 0, 0], &program.concat()[..]].concat()
}

/// An input of a head.
fn head(what: u8, flags: u8, program: &[u8]) -> Vec<u8> {
    [&[what, flags], program].concat()
}
