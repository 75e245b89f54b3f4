//! `Sec-WebSocket-Extensions`: lists, quoted strings, parameters.

use sansocket::deflate::Policy;
use sansocket::handshake::{
    Accept, ClientRequest, HeadLimits, RequestError, RequestProgress, ResponseError, ResponseProgress, ServerHandshake,
    Uri,
};

use super::{NO_LIMITS, SWITCH, is_refused, request};

/// The answer of a server that compresses to these extensions: what it agrees to, and the header that says so.
fn answer(extensions: &str) -> (bool, Option<String>) {
    let text = request(&format!("Sec-WebSocket-Extensions: {extensions}\r\n"));
    let mut out = Vec::new();
    let RequestProgress::Request(request) = ServerHandshake::new().receive(text.as_bytes(), &mut out) else {
        panic!("{extensions} is refused")
    };
    let negotiated = request.accept(&Accept::new().compression(Policy::DEFAULT), &mut out).unwrap();
    let head = String::from_utf8(out).unwrap();
    let header = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    (negotiated.compression().is_some(), header.map(str::to_owned))
}

/// What a client that offers compression makes of this answer.
fn check(extensions: &str) -> Result<bool, ResponseError> {
    let uri = Uri::parse("ws://example.com/").unwrap();
    let request = ClientRequest::new(&uri).compression(&[Policy::TAKEOVER]);
    let mut handshake = request.start(*b"the sample nonce", &mut Vec::new()).unwrap();
    let response = format!("HTTP/1.1 101 X\r\n{SWITCH}Sec-WebSocket-Extensions: {extensions}\r\n\r\n");
    match handshake.receive(response.as_bytes()) {
        ResponseProgress::Accepted(response) => Ok(response.negotiated().compression().is_some()),
        ResponseProgress::Failed(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

/// GHSA-5v72-xg48-5rpm (ws): names that every JavaScript object has.
#[test]
fn ghsa_5v72_xg48_5rpm_extensions_named_like_an_objects_own_are_ignored() {
    for name in ["constructor", "__proto__; a", "toString", "hasOwnProperty; b=1", "__proto__, constructor; __proto__"]
    {
        assert_eq!(answer(name), (false, None), "{name}");
        let (agreed, header) = answer(&format!("{name}, permessage-deflate"));
        assert!(agreed && header.unwrap().starts_with("permessage-deflate"), "{name}");
        assert_eq!(check(name), Err(ResponseError::Extension), "{name}");
    }
    let params = "permessage-deflate; constructor; __proto__";
    assert_eq!((answer(params), check(params)), ((false, None), Err(ResponseError::Compression)));
}

/// CVE-2026-2229 (undici): window sizes that there are none of were passed to the codec.
#[test]
fn cve_2026_2229_window_bits_but_8_to_15_fail_the_connection() {
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        let bad =
            ["0", "7", "16", "08", "015", "+9", "99999999999999999999", "9.0", "1e1", "-9", "x", "\"16\"", "\"\\7\""];
        for value in bad {
            let element = format!("permessage-deflate; {name}={value}");
            assert_eq!(check(&element), Err(ResponseError::Compression), "{element}");
            assert_eq!(answer(&element), (false, None), "a server declines {element}");
        }
        // What does not follow the grammar fails before anybody asks what it means.
        for value in ["", "\"\"", "\"9 \"", "9 9", "\"9"] {
            let element = format!("permessage-deflate; {name}={value}");
            assert_eq!(check(&element), Err(ResponseError::MalformedExtensions), "{element}");
            let text = request(&format!("Sec-WebSocket-Extensions: {element}\r\n"));
            is_refused(text, NO_LIMITS, RequestError::InvalidExtensions);
        }
        for again in ["9", "10"] {
            let element = format!("permessage-deflate; {name}=9; {name}={again}");
            assert_eq!((answer(&element), check(&element)), ((false, None), Err(ResponseError::Compression)));
        }
        for good in ["8", "9 ", "15", "\"12\"", "\"1\\2\""] {
            let element = format!("permessage-deflate; {name}={good}");
            assert_eq!((answer(&element).0, check(&element)), (true, Ok(true)), "{element}");
        }
    }
    for bare in ["server_max_window_bits", "client_max_window_bits", "server_no_context_takeover=1"] {
        assert_eq!(check(&format!("permessage-deflate; {bare}")), Err(ResponseError::Compression), "{bare}");
    }
}

/// CVE-2020-7662 and CVE-2020-7663 (websocket-extensions): each escaped byte doubled the work. `work.rs` counts what it takes.
#[test]
fn cve_2020_7662_a_quoted_string_without_end_is_refused() {
    for escape in ["\\c", "\\\\", "c", "\\\""] {
        let unterminated = format!("a; b=\"{}", escape.repeat(64 << 10));
        let text = request(&format!("Sec-WebSocket-Extensions: {unterminated}\r\n"));
        is_refused(&text, NO_LIMITS, RequestError::InvalidExtensions);
        is_refused(&text, HeadLimits::DEFAULT, RequestError::HeadTooLarge);
    }
    assert_eq!(RequestError::InvalidExtensions.status(), 400);
    assert_eq!(check("a; b=\"\\c\\c\\c"), Err(ResponseError::MalformedExtensions));
}

/// http-kit #617: a comma in quotes parted one element into two, the second of which was accepted.
#[test]
fn http_kit_617_a_comma_in_quotes_does_not_part_an_element() {
    let element = "permessage-deflate; client_max_window_bits=\"10, permessage-deflate,11\"";
    let text = request(&format!("Sec-WebSocket-Extensions: {element}\r\n"));
    is_refused(text, NO_LIMITS, RequestError::InvalidExtensions);
    assert_eq!(check(element), Err(ResponseError::MalformedExtensions));
}
