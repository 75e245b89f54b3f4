//! Bytes that are no head, heads that are too large, heads that end too early.

use sansocket::SliceOutput;
use sansocket::handshake::{HeadLimits, RequestError, RequestProgress, ServerHandshake};

use super::{Lines, is_good, is_refusal, is_refused, serve};

#[test]
fn other_protocols_are_refused_with_their_first_bytes() {
    for garbage in
        [&b"\x16"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", b"\0", b"\x05\x01\x00", b"\x7F", b"\x1B[A"]
    {
        is_refused(garbage, RequestError::Malformed);
    }
    let mut handshake = ServerHandshake::new();
    assert!(matches!(handshake.receive(b"\x16", &mut Vec::new()), RequestProgress::Refused(_)));
    // With the first line, not with the blank one that may never come.
    for line in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "EHLO mail.example\r\n",
        "GET\r\n",
        "GET /\r\n",
        "GET / HTTP/1.1 x\r\n",
        " GET / HTTP/1.1\r\n",
        "/ GET HTTP/1.1\r\n",
    ] {
        is_refused(line, RequestError::Malformed);
    }
}

#[test]
fn rfc9112_3_a_request_line_without_a_version_of_http_is_a_bad_request() {
    for line in
        ["GET / \r\n", "GET / HTTX/1.1\r\n", "GET / HTTP\r\n", "GET /a b HTTP/1.1\r\n", "\r\nGET /a b HTTP/1.1\r\n"]
    {
        is_refused(line, RequestError::Malformed);
    }
    for line in ["GET / HTTP/1.2\r\n", "GET / HTTP/3\r\n", "\r\nGET / HTTP/1.0\r\n"] {
        is_refused(line, RequestError::HttpVersion);
    }
}

#[test]
fn rfc9112_2_2_bare_lf_and_bare_cr_are_refused() {
    let good = Lines::request().text();
    is_refused(good.replace("\r\n", "\n"), RequestError::Malformed);
    is_refused("GET / HTTP/1.1\n", RequestError::Malformed);
    is_refused("\n", RequestError::Malformed);
    for line_end in ["\n", "\r", "\r\r\n", "\r \n"] {
        is_refused(good.replacen("websocket\r\n", &format!("websocket{line_end}"), 1), RequestError::Malformed);
    }
    is_refused(Lines::request().with("X", "a\rb").text(), RequestError::Malformed);
    is_refused(Lines::request().with("X", "a\nb").text(), RequestError::Malformed);
}

#[test]
fn rfc9112_2_2_a_bare_cr_is_refused_with_the_byte_behind_it() {
    for text in ["\rG", "GET\r ", "GET / HTTP/1.1\r\r", "GET / HTTP/1.1\r\nX: a\rb", "GET / HTTP/1.1\r\nX: a\r\n\rY"] {
        let mut handshake = ServerHandshake::new();
        let before = handshake.receive(&text.as_bytes()[..text.len() - 1], &mut Vec::new()).clone();
        assert!(matches!(before, RequestProgress::Incomplete), "{text:?}: {before:?}");
        is_refused(text, RequestError::Malformed);
    }
}

#[test]
fn rfc9112_5_malformed_header_lines_are_refused() {
    let good = Lines::request().text();
    for line in [
        "X : a",
        "X\t: a",
        " X: a",
        "\tfolded",
        "no colon",
        ": no name",
        "X Y: a",
        "X(: a",
        "\u{e4}: a",
        "X: a\u{0}b",
        "X: \u{7f}",
        "X: \u{1}",
    ] {
        is_refused(good.replacen("Upgrade:", &format!("{line}\r\nUpgrade:"), 1), RequestError::Malformed);
    }
    // RFC 9112, 5.2: a folded line.
    is_refused(good.replacen("websocket\r\n", "websocket\r\n , h2c\r\n", 1), RequestError::Malformed);
}

#[test]
fn rfc9110_5_5_values_may_hold_bytes_beyond_ascii() {
    let mut bytes = Lines::request().with("X", "@").text().into_bytes();
    *bytes.iter_mut().find(|byte| **byte == b'@').unwrap() = 0xE4;
    let mut handshake = ServerHandshake::new();
    let RequestProgress::Request(request) = handshake.receive(&bytes, &mut Vec::new()) else { panic!() };
    assert_eq!(request.header("X"), Some(&b"\xE4"[..]));
}

#[test]
fn a_bad_request_is_refused_alike_however_it_is_split() {
    // Each has a fault in its first line and another behind it.
    for text in [
        "GET / HTTP/1.0\r\nA: b\nC: d\r\n\r\n".to_owned(),
        "GET * HTTP/1.1\r\nA\0: b\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(101)),
        format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "b".repeat(20_000)),
    ] {
        let (whole, answer) = serve(text.as_bytes());
        let mut out = Vec::new();
        let mut handshake = ServerHandshake::new();
        let refused = (1..=text.len()).find_map(|end| match handshake.receive(&text.as_bytes()[..end], &mut out) {
            RequestProgress::Refused(error) => Some(error),
            _ => None,
        });
        assert_eq!(whole, Err(refused), "{text:.40?}");
        assert_eq!(out, answer);
    }
}

#[test]
fn rfc6455_10_4_a_head_of_as_many_bytes_as_the_limit_and_one_more() {
    let text = Lines::request().with("X", "filling").text();
    let behind = format!("{text}first frames");
    for (limit, good) in [(text.len() + 1, true), (text.len(), true), (text.len() - 1, false), (10, false), (0, false)]
    {
        for bytes in [text.as_bytes(), behind.as_bytes()] {
            let mut out = Vec::new();
            let limits = HeadLimits { bytes: limit, ..HeadLimits::DEFAULT };
            match ServerHandshake::new().limits(limits).receive(bytes, &mut out) {
                RequestProgress::Request(request) if good => assert_eq!(request.head_len(), text.len()),
                RequestProgress::Refused(error) if !good => {
                    assert_eq!(error, RequestError::HeadTooLarge);
                    is_refusal(&out, error);
                }
                other => panic!("{limit}: {other:?}"),
            }
            // Byte for byte it is known as soon as the limit is reached.
            let mut handshake = ServerHandshake::new().limits(limits);
            let refused = (0..=bytes.len())
                .find(|&end| matches!(handshake.receive(&bytes[..end], &mut Vec::new()), RequestProgress::Refused(_)));
            if good {
                assert_eq!(refused, None);
            } else {
                assert!(refused.is_some_and(|end| end <= limit), "{refused:?} with a limit of {limit}");
            }
        }
    }
}

#[test]
fn rfc6455_10_4_a_head_has_at_most_16_kib_by_default() {
    let with = |len: usize| {
        let empty = Lines::request().with("X", "").text().len();
        Lines::request().with("X", &"y".repeat(len - empty)).text()
    };
    let text = with(16 * 1024);
    assert_eq!(text.len(), 16 * 1024);
    is_good(text);
    is_refused(with(16 * 1024 + 1), RequestError::HeadTooLarge);
    assert_eq!(HeadLimits::default(), HeadLimits { bytes: 16 * 1024, headers: 100 });
}

#[test]
fn rfc6455_10_4_headers_at_the_default_limit_and_above() {
    let with = |count: usize| {
        let lines = Lines::request();
        let missing = count - lines.headers.len();
        (0..missing).fold(lines, |lines, i| lines.with(&format!("X-{i}"), "y")).text()
    };
    is_good(with(100));
    is_refused(with(101), RequestError::TooManyHeaders);
    is_refused(with(1000), RequestError::TooManyHeaders);
    let (result, out) = serve(with(2000).as_bytes());
    assert!(matches!(result, Err(Some(error)) if error.status() == 431), "{result:?}");
    assert!(out.starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn rfc6455_10_4_header_limits_can_be_set() {
    let headers = Lines::request().headers.len();
    for (limit, good) in [(headers + 1, true), (headers, true), (headers - 1, false), (0, false)] {
        let mut out = Vec::new();
        let limits = HeadLimits { headers: limit, ..HeadLimits::DEFAULT };
        let text = Lines::request().text();
        match ServerHandshake::new().limits(limits).receive(text.as_bytes(), &mut out) {
            RequestProgress::Request(_) => assert!(good),
            RequestProgress::Refused(RequestError::TooManyHeaders) => assert!(!good),
            other => panic!("{limit}: {other:?}"),
        }
    }
    // More than the default: nothing else stands in the way.
    let limits = HeadLimits { headers: 500, bytes: 1 << 20 };
    let text = (0..495).fold(Lines::request(), |lines, i| lines.with(&format!("X-{i}"), "y")).text();
    let progress = ServerHandshake::new().limits(limits).receive(text.as_bytes(), &mut Vec::new()).clone();
    assert!(matches!(progress, RequestProgress::Request(_)), "{progress:?}");
}

#[test]
fn rfc6455_10_4_a_mebibyte_of_head_is_431() {
    for text in [
        format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(1 << 20)),
        "G".repeat(1 << 20),
        "\r\n".repeat(1 << 19),
        format!("GET /{} HTTP/1.1\r\n", "a".repeat(1 << 20)),
    ] {
        let (result, out) = serve(text.as_bytes());
        assert_eq!(result, Err(Some(RequestError::HeadTooLarge)));
        is_refusal(&out, RequestError::HeadTooLarge);
        assert!(out.starts_with(b"HTTP/1.1 431 "));
    }
}

#[test]
fn rfc6455_4_2_1_an_end_inside_the_head_is_answered() {
    let text = Lines::request().text();
    for end in [0, 1, 20, text.len() - 1] {
        let mut out = Vec::new();
        let mut handshake = ServerHandshake::new();
        assert!(matches!(handshake.receive(&text.as_bytes()[..end], &mut out), RequestProgress::Incomplete));
        assert_eq!(handshake.receive_eof(&mut out), RequestError::Incomplete);
        is_refusal(&out, RequestError::Incomplete);
        let before = out.clone();
        assert_eq!(handshake.receive_eof(&mut out), RequestError::Incomplete);
        assert_eq!(out, before, "told once");
        assert!(matches!(
            handshake.receive(text.as_bytes(), &mut out),
            RequestProgress::Refused(RequestError::Incomplete)
        ));
        assert_eq!(out, before);
    }
}

#[test]
fn every_refusal_has_its_status_and_fits_its_room() {
    for &error in RequestError::ALL {
        let mut out = Vec::new();
        let mut handshake = ServerHandshake::new();
        assert_eq!(handshake.refuse(error, &mut out), error);
        is_refusal(&out, error);
        // The first refusal stays.
        let other = if error == RequestError::TimedOut { RequestError::Malformed } else { RequestError::TimedOut };
        let before = out.clone();
        assert_eq!(handshake.refuse(other, &mut out), error);
        assert_eq!(handshake.receive_eof(&mut out), error);
        assert_eq!(out, before);
        // With less room than it needs nothing is written, and it is refused all the same.
        for (room, written) in [(before.len() - 1, 0), (before.len(), before.len())] {
            let mut memory = vec![0; room];
            let mut out = SliceOutput::new(&mut memory);
            assert_eq!(ServerHandshake::new().refuse(error, &mut out), error);
            assert_eq!(out.bytes().len(), written);
        }
    }
}

#[test]
fn frames_instead_of_a_request_are_refused_at_their_first_byte() {
    let mut handshake = ServerHandshake::new();
    let refused = handshake.receive(&[0x81], &mut Vec::new());
    assert!(matches!(refused, RequestProgress::Refused(RequestError::Malformed)), "{refused:?}");
}

#[test]
fn giving_less_than_before_is_no_panic() {
    let text = Lines::request().text();
    let mut handshake = ServerHandshake::new();
    assert!(matches!(handshake.receive(text.as_bytes(), &mut Vec::new()), RequestProgress::Request(_)));
    assert!(matches!(handshake.receive(b"GET", &mut Vec::new()), RequestProgress::Incomplete));
}
