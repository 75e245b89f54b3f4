//! Seeds of the targets `request`, `response`, `heads` and `lists`.

use super::{Seed, counted};
use crate::head::{NAMES, REQUESTS, RESPONSES, VALUES, op};
use crate::lists::FRAGMENTS;
use crate::{heads, request, response};

/// Where something stands in a table.
fn index(table: &[&str], wanted: &str) -> u8 {
    let at = table.iter().position(|other| *other == wanted).unwrap_or_else(|| panic!("no {wanted:?} in the table"));
    u8::try_from(at).expect("tables are short")
}

/// An operation on a header and a value.
fn change(op: u8, name: &str, value: &str) -> Vec<u8> {
    vec![op, index(&NAMES, name), index(&VALUES, value)]
}

/// Programs that both sides' heads can have.
fn programs(is_request: bool) -> Vec<(&'static str, Vec<u8>)> {
    let (of, start) = if is_request {
        ("Origin", index(&REQUESTS, "POST / HTTP/1.1"))
    } else {
        ("Sec-WebSocket-Accept", index(&RESPONSES, "HTTP/1.1 401 Unauthorized"))
    };
    let mut long = vec![op::ADD_BYTES, index(&NAMES, "Cookie"), 239];
    long.extend([b'c'; 239]);
    vec![
        ("good", vec![0]),
        ("before-the-head", vec![2]),
        ("start-line", vec![0, op::START, start]),
        ("no-upgrade", vec![0, op::REMOVE, index(&NAMES, "Upgrade")]),
        (
            "lists",
            [vec![0], change(op::SET, "Upgrade", "h2c, WEBSOCKET"), change(op::ADD, "Connection", "keep-alive")]
                .concat(),
        ),
        ("another-value", [vec![0], change(op::SET, of, "null")].concat()),
        (
            "twice",
            [vec![0], change(op::ADD, of, "http://example.com"), change(op::ADD, of, "http://example.com")].concat(),
        ),
        ("subprotocols", [vec![0], change(op::ADD, "Sec-WebSocket-Protocol", "chat")].concat()),
        ("subprotocols-twice", [vec![0], change(op::ADD, "Sec-WebSocket-Protocol", "chat, chat")].concat()),
        (
            "compression",
            [
                vec![0],
                change(
                    op::ADD,
                    "Sec-WebSocket-Extensions",
                    "permessage-deflate; client_max_window_bits=9; server_no_context_takeover",
                ),
            ]
            .concat(),
        ),
        ("quotes", [vec![0], change(op::ADD, "Sec-WebSocket-Extensions", "a; b=\"c\\d\"")].concat()),
        ("body", [vec![0], change(op::ADD, "Content-Length", "5")].concat()),
        ("many-headers", [vec![0], change(op::REPEAT, "X", "8"), vec![120]].concat()),
        ("space-around", vec![0, op::STYLE, index(&NAMES, "Upgrade"), 2, op::STYLE, index(&NAMES, "Connection"), 0]),
        ("folded", vec![0, op::STYLE, index(&NAMES, "Connection"), 4]),
        ("long", [vec![0], long].concat()),
        ("spoilt", vec![0, op::SPOIL, 0, 30, 0, 0]),
    ]
}

/// Of `request`.
pub(super) fn requests() -> Vec<Seed> {
    let head = |flags: u8, answer: u8, rest: &[u8]| [&[flags, 0, 0, answer, 2, 0, 7, 0, 99], rest].concat();
    let mut seeds: Vec<_> =
        programs(true).into_iter().map(|(name, program)| (name, head(0, 0b11001, &program))).collect();
    seeds.extend([
        ("frames-behind", head(request::flags::FRAMES, 1, &[0])),
        ("rejected", head(0, 0b0110_0100, &[0])),
        ("no-room", head(request::flags::NO_ROOM, 0, &[0, op::REMOVE, 0])),
        ("too-large", [&[0, 20, 0, 0, 0][..], &[0]].concat()),
        ("too-many-headers", [&[0, 0, 4, 0, 0][..], &[0]].concat()),
        ("raw-tls", head(request::flags::RAW, 0, b"\x16\x03\x01\x02\x00\x01\x00")),
        ("raw-http-2", head(request::flags::RAW, 0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        ("raw-bare-lf", head(request::flags::RAW, 0, b"GET / HTTP/1.1\nHost: a\n\n")),
    ]);
    seeds
}

/// Of `response`.
pub(super) fn responses() -> Vec<Seed> {
    let all = response::flags::PROTOCOLS | response::flags::COMPRESSION;
    let head = |flags: u8, rest: &[u8]| [&[flags, 0, 0, 2, 0, 7, 0, 99], rest].concat();
    let mut seeds: Vec<_> = programs(false).into_iter().map(|(name, program)| (name, head(all, &program))).collect();
    seeds.extend([
        ("not-offered", head(0, &[&[0][..], &change(op::ADD, "Sec-WebSocket-Protocol", "chat")].concat())),
        ("too-large", vec![0, 10, 0, 0, 0]),
        ("raw-ssh", head(response::flags::RAW, b"SSH-2.0-OpenSSH_9.6\r\n")),
        ("raw-bare-lf", head(response::flags::RAW, b"HTTP/1.1 200 OK\n\n")),
    ]);
    seeds
}

/// Of `heads`.
pub(super) fn heads() -> Vec<Seed> {
    let of = |is_request: bool, flags: u8| {
        programs(is_request).into_iter().map(move |(name, program)| (name, [&[flags, 20][..], &program].concat()))
    };
    let all = heads::flags::PROTOCOL | heads::flags::COMPRESSION;
    let mut seeds: Vec<_> = of(true, all).collect();
    let responses = of(false, all | heads::flags::RESPONSE);
    seeds.extend(responses.filter_map(|(name, input)| match name {
        "good" => Some(("response-good", input)),
        "start-line" => Some(("response-start-line", input)),
        "twice" => Some(("response-twice", input)),
        "subprotocols" => Some(("response-subprotocols", input)),
        "compression" => Some(("response-compression", input)),
        _ => None,
    }));
    for (name, fault) in [
        ("connect-method", 0),
        ("connect-protocol", 1),
        ("connect-scheme", 2),
        ("connect-path", 3),
        ("connect-host", 4),
    ] {
        seeds.push((name, vec![all, fault << 2, 0]));
    }
    // 5: nothing else of the CONNECT is wrong.
    let mut program = vec![all, 5 << 2, 0];
    for name in ["Keep-Alive", "Proxy-Connection", "Transfer-Encoding"] {
        program.extend(change(op::ADD, name, "keep-alive"));
    }
    seeds.push(("connect-of-http-1", program));
    seeds
}

/// Of `lists`.
pub(super) fn lists() -> Vec<Seed> {
    let value = |fragments: &[&str]| counted(&fragments.iter().map(|it| index(&FRAGMENTS, it)).collect::<Vec<_>>());
    let deflate = "permessage-deflate";
    let (client, server) = ("; client_max_window_bits", "; server_max_window_bits");
    let extensions = |fragments: &[&str]| [&[7, 0, 1][..], &value(fragments)].concat();
    vec![
        ("nothing", vec![7, 0, 0]),
        ("subprotocols", [&[7, 2, 0][..], &value(&["chat", ",", "a"]), &value(&["b", " ", ","])].concat()),
        ("subprotocol-chosen", [&[0, 1, 0][..], &value(&["chat"])].concat()),
        ("subprotocols-equal", [&[0, 1, 0][..], &value(&["chat", ",", "chat"])].concat()),
        ("subprotocols-void", [&[0, 1, 0][..], &value(&[",", " "])].concat()),
        // A hundred of them, and one more.
        ("subprotocols-a-hundred", vec![0, 1, 0, 227, index(&FRAGMENTS, "a")]),
        ("subprotocols-too-many", vec![0, 1, 0, 228, index(&FRAGMENTS, "a")]),
        // A long header in front of a hundred of them.
        ("subprotocols-behind-much", vec![0, 253, 0, 227, index(&FRAGMENTS, "a")]),
        ("deflate", extensions(&[deflate, client])),
        ("deflate-bits", extensions(&[deflate, client, "=9", server, "=15"])),
        ("deflate-fresh", extensions(&[deflate, "; server_no_context_takeover", "; client_no_context_takeover"])),
        ("deflate-quoted", extensions(&[deflate, client, "=\"12\"", ", ", "a", ";", "b", "=\"1\\0\""])),
        ("deflate-invalid-first", extensions(&[deflate, client, "=16", ",", deflate])),
        ("deflate-twice", extensions(&[deflate, client, client])),
        ("quote-open", extensions(&["a", ";", "b", "=", "\"", ",", "b"])),
        ("comma-in-quotes", extensions(&["a", ";", "b", "=", "\"", ",", "\"", ",", "b"])),
        ("two-headers", [&[7, 0, 2][..], &value(&["a"]), &value(&[",", deflate])].concat()),
    ]
}
