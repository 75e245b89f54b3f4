//! What a server demands of a request (RFC 6455, section 4.2.1).

use sansocket::Negotiated;
use sansocket::handshake::{Accept, OriginPolicy, RequestError, RequestProgress, ServerHandshake};

use super::{ACCEPT, KEY, Lines, is_good, is_refusal, is_refused, parse_answer, serve, values};

#[test]
fn rfc6455_4_2_1_a_good_request_is_told_and_waits_for_its_answer() {
    let text = Lines::request().with("X-Other", "  spaces around \t").text();
    let received = format!("{text}behind");
    let mut out = Vec::new();
    let mut handshake = ServerHandshake::new();
    let RequestProgress::Request(request) = handshake.receive(received.as_bytes(), &mut out) else { panic!() };
    assert_eq!((request.target(), request.head_len(), request.origin()), ("/chat", text.len(), None));
    assert_eq!(request.header("x-OTHER"), Some(&b"spaces around"[..]));
    assert_eq!(request.headers().count(), 6);
    assert_eq!(request.headers().next(), Some(("Host", &b"example.com"[..])));
    assert_eq!((request.protocols().count(), request.extensions().count()), (0, 0));
    assert_eq!(out, b"");
    assert_eq!(request.accept(&Accept::new(), &mut out), Ok(Negotiated::default()));
    assert_eq!(
        out,
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n").as_bytes()
    );
}

#[test]
fn rfc6455_4_2_1_a_request_is_the_same_split_at_every_byte() {
    let text = Lines::request().with("Sec-WebSocket-Protocol", "a, b").text();
    for cut in 0..text.len() {
        let mut out = Vec::new();
        let mut handshake = ServerHandshake::new();
        assert!(matches!(handshake.receive(&text.as_bytes()[..cut], &mut out), RequestProgress::Incomplete), "{cut}");
        let RequestProgress::Request(request) = handshake.receive(text.as_bytes(), &mut out) else { panic!("{cut}") };
        assert_eq!(request.head_len(), text.len());
        assert_eq!(out, b"");
    }
    let mut handshake = ServerHandshake::new();
    for end in 0..text.len() {
        let progress = handshake.receive(&text.as_bytes()[..end], &mut Vec::new());
        assert!(matches!(progress, RequestProgress::Incomplete), "{end}");
    }
    for _ in 0..2 {
        assert!(matches!(handshake.receive(text.as_bytes(), &mut Vec::new()), RequestProgress::Request(_)));
    }
}

#[test]
fn rfc6455_4_2_1_names_and_tokens_know_no_case() {
    is_good(
        Lines::request()
            .text()
            .replace("Host", "hOST")
            .replace("Upgrade:", "UPGRADE:")
            .replace("Sec-WebSocket-", "sec-websocket-"),
    );
    is_good(Lines::request().set("Upgrade", "WebSocket").text());
    is_good(Lines::request().set("Connection", "UPGRADE").text());
}

#[test]
fn rfc6455_4_2_1_connection_and_upgrade_are_lists() {
    is_good(Lines::request().set("Connection", "keep-alive, Upgrade").text());
    is_good(Lines::request().set("Connection", "Upgrade,keep-alive").text());
    is_good(Lines::request().set("Connection", " ,, upgrade ,").text());
    is_good(Lines::request().set("Connection", "keep-alive").with("Connection", "Upgrade").text());
    is_good(Lines::request().set("Upgrade", "h2c, websocket").text());
    is_good(Lines::request().set("Upgrade", "h2c").with("Upgrade", "websocket").text());
}

#[test]
fn rfc6455_4_2_1_white_space_around_values_does_not_count() {
    is_good(Lines::request().text().replace(": ", ":"));
    is_good(Lines::request().text().replace(": ", ": \t "));
    is_good(Lines::request().text().replace("13\r\n", "13 \t\r\n").replace("==\r\n", "== \r\n"));
}

#[test]
fn rfc9112_2_2_empty_lines_before_the_request_are_ignored() {
    is_good(format!("\r\n\r\n{}", Lines::request().text()));
}

#[test]
fn rfc6455_4_2_1_a_target_is_a_path_or_an_absolute_http_uri() {
    for target in [
        "/",
        "/chat?x=1&y=%20",
        "/a//b",
        "http://example.com/chat",
        "https://example.com/",
        "ws://example.com/x?y",
        "/?",
        "/\u{7e}",
    ] {
        let text = Lines::request().start(&format!("GET {target} HTTP/1.1")).text();
        let mut handshake = ServerHandshake::new();
        match handshake.receive(text.as_bytes(), &mut Vec::new()) {
            RequestProgress::Request(request) => assert_eq!(request.target(), target),
            other => panic!("{target}: {other:?}"),
        }
    }
    for target in ["*", "chat", "example.com:443", "ftp://example.com/", "http:///x", "/a#b", "/\u{e4}", "://x/"] {
        is_refused(Lines::request().start(&format!("GET {target} HTTP/1.1")).text(), RequestError::InvalidTarget);
    }
}

#[test]
fn rfc6455_4_2_1_a_key_is_used_as_it_was_sent() {
    // The bits behind the last byte are set: 16 bytes all the same, and the accept is made of these characters.
    let text = Lines::request().set("Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEC==").text();
    let mut out = Vec::new();
    let mut handshake = ServerHandshake::new();
    let RequestProgress::Request(request) = handshake.receive(text.as_bytes(), &mut out) else { panic!() };
    request.accept(&Accept::new(), &mut out).unwrap();
    assert_eq!(values(&parse_answer(&out).1, "Sec-WebSocket-Accept"), ["OfS0wDaT5NoxF2gqm7Zj2YtetzM="]);
}

#[test]
fn rfc6455_4_2_1_the_method_is_get() {
    for method in ["POST", "HEAD", "PUT", "OPTIONS", "get", "CONNECT", "GETS"] {
        is_refused(Lines::request().start(&format!("{method} /chat HTTP/1.1")).text(), RequestError::MethodNotAllowed);
    }
    assert_eq!(RequestError::MethodNotAllowed.status(), 405);
}

#[test]
fn rfc6455_4_2_1_the_version_is_http_1_1() {
    is_refused(Lines::request().start("GET /chat HTTP/1.0").text(), RequestError::HttpVersion);
    is_refused(Lines::request().start("GET /chat HTTP/2.0").text(), RequestError::HttpVersion);
    assert_eq!(RequestError::HttpVersion.status(), 505);
}

#[test]
fn rfc9113_3_4_the_preface_of_http_2_is_refused() {
    let mut out = Vec::new();
    let progress = ServerHandshake::new().receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &mut out);
    assert!(matches!(progress, RequestProgress::Refused(RequestError::HttpVersion)), "{progress:?}");
}

#[test]
fn rfc6455_4_2_1_there_is_one_valid_host() {
    let bad = RequestError::InvalidHost;
    is_refused(Lines::request().without("Host").text(), bad);
    is_refused(Lines::request().with("Host", "example.com").text(), bad);
    for host in ["", "a b", "a/b", "a@b", "a:x", "a:65536", "[::1", "[::1]x", "a, b", "\u{e4}", ":80"] {
        is_refused(Lines::request().set("Host", host).text(), bad);
    }
    for host in ["a", "a:1", "[::1]:9001", "127.0.0.1:", "xn--a.example"] {
        is_good(Lines::request().set("Host", host).text());
    }
}

#[test]
fn rfc9112_6_a_request_that_announces_a_body_is_refused() {
    let body = RequestError::BodyNotAllowed;
    is_refused(Lines::request().with("Content-Length", "1").text(), body);
    is_refused(Lines::request().with("Content-Length", "x").text(), body);
    is_refused(Lines::request().with("Transfer-Encoding", "chunked").text(), body);
    is_refused(Lines::request().with("Content-Length", "0").with("Transfer-Encoding", "identity").text(), body);
    is_good(Lines::request().with("Content-Length", "0").text());
}

#[test]
fn rfc6455_4_2_1_headers_that_may_occur_once_are_not_repeated() {
    let repeated = RequestError::RepeatedHeader;
    is_refused(Lines::request().with("Sec-WebSocket-Version", "13").text(), repeated);
    is_refused(Lines::request().with("Content-Length", "0").with("Content-Length", "0").text(), repeated);
    is_refused(
        Lines::request().with("Origin", "http://example.com").with("Origin", "http://example.com").text(),
        repeated,
    );
}

#[test]
fn rfc6455_4_2_1_upgrade_names_websocket() {
    is_refused(Lines::request().without("Upgrade").text(), RequestError::NotAnUpgrade);
    for value in ["", "h2c", "websockets", "web socket", "xwebsocket"] {
        is_refused(Lines::request().set("Upgrade", value).text(), RequestError::NotAnUpgrade);
    }
    assert_eq!(RequestError::NotAnUpgrade.status(), 426);
}

#[test]
fn rfc6455_4_2_1_connection_includes_upgrade() {
    is_refused(Lines::request().without("Connection").text(), RequestError::ConnectionNotUpgrade);
    for value in ["", "keep-alive", "Upgrades", "close; Upgrade"] {
        is_refused(Lines::request().set("Connection", value).text(), RequestError::ConnectionNotUpgrade);
    }
}

#[test]
fn rfc6455_4_4_a_version_other_than_13_is_answered_with_426_and_13() {
    for version in ["8", "7", "14", "013", "13, 8", "", "x", "1 3"] {
        is_refused(Lines::request().set("Sec-WebSocket-Version", version).text(), RequestError::UnsupportedVersion);
    }
    assert_eq!(RequestError::UnsupportedVersion.status(), 426);
    is_refused(Lines::request().without("Sec-WebSocket-Version").text(), RequestError::MissingVersion);
}

#[test]
fn rfc9110_7_8_a_426_that_sends_upgrade_says_so_in_connection() {
    let (_, out) = serve(Lines::request().set("Sec-WebSocket-Version", "8").text().as_bytes());
    let (_, headers, _) = parse_answer(&out);
    let connection = values(&headers, "Connection").join(",").to_ascii_lowercase();
    // "A sender of Upgrade MUST also send an 'Upgrade' connection option in the Connection header field".
    assert!(connection.split(',').any(|token| token.trim() == "upgrade"), "Connection: {connection}");
}

#[test]
fn rfc6455_4_2_1_the_key_is_16_bytes_in_base64_once() {
    let invalid = RequestError::InvalidKey;
    is_refused(Lines::request().without("Sec-WebSocket-Key").text(), invalid);
    is_refused(Lines::request().with("Sec-WebSocket-Key", KEY).text(), invalid);
    for key in [
        "",
        "AQIDBAUGBwgJCgsMDQ4P",
        "AQIDBAUGBwgJCgsMDQ4PEBE=",
        "AQIDBAUGBwgJCgsMDQ4PEA",
        "dGhlIHNhbXBsZSBub25j!Q==",
        "dGhlIHNhbXBsZSBub25jZQ=="[1..].into(),
    ] {
        is_refused(Lines::request().set("Sec-WebSocket-Key", key).text(), invalid);
    }
}

#[test]
fn rfc6455_4_1_protocols_are_unique_tokens() {
    for value in ["a b", "a, a", "a;b", "\"a\"", "a, b, a", "\u{e4}", "a/b"] {
        is_refused(Lines::request().with("Sec-WebSocket-Protocol", value).text(), RequestError::InvalidProtocols);
    }
    is_refused(
        Lines::request().with("Sec-WebSocket-Protocol", "a").with("Sec-WebSocket-Protocol", "b, a").text(),
        RequestError::InvalidProtocols,
    );
    let many = |count: usize| (0..count).map(|i| format!("p{i}")).collect::<Vec<_>>().join(", ");
    is_good(Lines::request().with("Sec-WebSocket-Protocol", &many(100)).text());
    is_refused(Lines::request().with("Sec-WebSocket-Protocol", &many(101)).text(), RequestError::InvalidProtocols);
}

#[test]
fn rfc6455_4_2_1_protocols_and_extensions_over_several_headers_are_one_list_in_order() {
    let text = Lines::request()
        .with("Sec-WebSocket-Protocol", "chat, , superchat")
        .with("Sec-WebSocket-Extensions", "foo; a; b=\"1\", bar")
        .with("sec-websocket-protocol", ",A,")
        .with("Sec-WebSocket-Extensions", "foo; c=d")
        .text();
    let mut handshake = ServerHandshake::new();
    let RequestProgress::Request(request) = handshake.receive(text.as_bytes(), &mut Vec::new()) else { panic!() };
    assert_eq!(request.protocols().collect::<Vec<_>>(), ["chat", "superchat", "A"]);
    let extensions: Vec<_> = request
        .extensions()
        .map(|extension| {
            let params: Vec<_> = extension
                .params()
                .map(|(name, value)| (name, value.map(|value| value.bytes().map(char::from).collect::<String>())))
                .collect();
            format!("{} {params:?}", extension.name())
        })
        .collect();
    assert_eq!(extensions, [r#"foo [("a", None), ("b", Some("1"))]"#, "bar []", r#"foo [("c", Some("d"))]"#]);
}

#[test]
fn rfc6455_9_1_malformed_extensions_are_refused() {
    for value in ["foo bar", "foo;", "foo; a=", "foo; a=\"", "foo; a=\"\"", "foo; a=\"b c\"", "=", "foo, ;"] {
        is_refused(Lines::request().with("Sec-WebSocket-Extensions", value).text(), RequestError::InvalidExtensions);
    }
}

#[test]
fn rfc6455_9_1_a_quoted_value_is_the_token_without_quotes_and_escapes() {
    let text = Lines::request().with("Sec-WebSocket-Extensions", r#"foo; a=12; a="12"; a="\1\2"; a="\12""#).text();
    let mut handshake = ServerHandshake::new();
    let RequestProgress::Request(request) = handshake.receive(text.as_bytes(), &mut Vec::new()) else { panic!() };
    let values: Vec<_> =
        request.extensions().flat_map(|extension| extension.params()).map(|(_, value)| value).collect();
    assert_eq!(values.len(), 4);
    for value in values {
        let value = value.expect("a value");
        assert!(value == *"12", "{value:?}");
        for other in ["", "1", "2", "21", "123", "\\12", "\"12\""] {
            assert!(value != *other, "{value:?} is not {other:?}");
        }
    }
}

#[test]
fn rfc6455_9_1_a_quoted_value_is_no_token_with_an_escaped_quote_or_backslash() {
    for value in [r#"foo; a="b\"c""#, r#"foo; a="b\"""#, r#"foo; a="b\\c""#, r#"foo; a="\\""#, r#"foo; a="b\ c""#] {
        is_refused(Lines::request().with("Sec-WebSocket-Extensions", value).text(), RequestError::InvalidExtensions);
    }
}

#[test]
fn rfc6455_10_2_the_origin_policy() {
    let serve = |policy, origin: Option<&str>| {
        let mut lines = Lines::request();
        if let Some(origin) = origin {
            lines = lines.with("Origin", origin);
        }
        let mut out = Vec::new();
        match ServerHandshake::new().origins(policy).receive(lines.text().as_bytes(), &mut out) {
            RequestProgress::Request(_) => true,
            RequestProgress::Refused(RequestError::OriginNotAllowed) => {
                is_refusal(&out, RequestError::OriginNotAllowed);
                assert!(out.starts_with(b"HTTP/1.1 403 "));
                false
            }
            other => panic!("{other:?}"),
        }
    };
    let same = OriginPolicy::SameOrigin { scheme: None };
    let secure = OriginPolicy::SameOrigin { scheme: Some("https") };
    let only = OriginPolicy::Only(&["https://app.example"]);
    for policy in [same, secure, only, OriginPolicy::Any] {
        assert!(serve(policy, None), "only browsers send an origin");
    }
    for (policy, origin, allowed) in [
        (same, "http://example.com", true),
        (same, "https://example.com", true),
        (same, "https://evil.example", false),
        (same, "null", false),
        (secure, "https://example.com", true),
        (secure, "http://example.com", false),
        (only, "https://app.example", true),
        (only, "https://example.com", false),
        (only, "null", false),
        (OriginPolicy::Any, "null", true),
        (OriginPolicy::Any, "https://evil.example", true),
    ] {
        assert_eq!(serve(policy, Some(origin)), allowed, "{policy:?} {origin}");
    }
    // The default is the same origin.
    is_refused(Lines::request().with("Origin", "http://evil.example").text(), RequestError::OriginNotAllowed);
}

#[test]
fn rfc6455_10_2_a_request_let_in_at_first_may_be_held_against_a_policy_later() {
    let policies = [
        OriginPolicy::Any,
        OriginPolicy::SameOrigin { scheme: None },
        OriginPolicy::SameOrigin { scheme: Some("https") },
        OriginPolicy::Only(&["https://app.example"]),
        OriginPolicy::Only(&[]),
    ];
    let origins =
        [None, Some("https://example.com"), Some("http://example.com"), Some("https://app.example"), Some("null")];
    // RFC 9112, 3.2.2: the authority of an absolute target goes before Host.
    for target in ["/chat", "https://app.example/chat", "http://example.com:81/"] {
        for origin in origins {
            let lines = Lines::request().start(&format!("GET {target} HTTP/1.1"));
            let text = origin.map_or(lines.clone(), |origin| lines.with("Origin", origin)).text();
            let mut handshake = ServerHandshake::new().origins(OriginPolicy::Any);
            let RequestProgress::Request(request) = handshake.receive(text.as_bytes(), &mut Vec::new()) else {
                panic!("{text}");
            };
            for policy in policies {
                let mut at_once = ServerHandshake::new().origins(policy);
                let expected = match at_once.receive(text.as_bytes(), &mut Vec::new()) {
                    RequestProgress::Request(_) => true,
                    RequestProgress::Refused(RequestError::OriginNotAllowed) => false,
                    other => panic!("{other:?}"),
                };
                assert_eq!(request.is_from(policy), expected, "{policy:?} {origin:?} {target}");
            }
        }
    }
}
