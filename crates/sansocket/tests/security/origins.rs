//! Pages of other sites, and requests that a proxy reads in another way.

use sansocket::handshake::{Accept, AnswerError, OriginPolicy, Reject, RequestError, RequestProgress, ServerHandshake};

use super::{UPGRADE, request};

/// Whether the policy lets in a page of this origin, at `example.com:8080`.
fn lets_in(policy: OriginPolicy<'_>, origin: &str) -> bool {
    let head = format!("GET / HTTP/1.1\r\nHost: example.com:8080\r\nOrigin: {origin}\r\n{UPGRADE}\r\n");
    let mut out = Vec::new();
    match ServerHandshake::new().origins(policy).receive(head.as_bytes(), &mut out) {
        RequestProgress::Request(_) => true,
        RequestProgress::Refused(RequestError::OriginNotAllowed) => {
            assert!(out.starts_with(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n"), "{}", out.escape_ascii());
            false
        }
        other => panic!("{origin}: {other:?}"),
    }
}

/// Origins that look like `http://example.com:8080`.
const FOREIGN: &[&str] = &[
    "null",
    "http://example.com",
    "http://example.com:80",
    "http://example.com:8081",
    "http://evil-example.com:8080",
    "http://example.com.evil.net:8080",
    "http://sub.example.com:8080",
    "http://example.com:8080.evil.net",
    "http://example.com:8080@evil.net",
    "http://user@example.com:8080",
    "http://evil.net#example.com:8080",
    "http://evil.net?example.com:8080",
    "http://example.com:8080/path",
    "http://ex\u{e4}mple.com:8080",
    "http://xn--exmple-cua.com:8080",
    "http://example.com:8080 http://evil.net",
    "ftp://example.com:8080",
    "file://",
    "example.com:8080",
    "//example.com:8080",
    "",
];

/// CVE-2019-13611 (python-engineio), CVE-2019-13209 (Rancher), CVE-2026-22689 (Mailpit), CVE-2026-34403 (nginx-ui): nobody asked whose page
/// it was that came with a user's cookies.
#[test]
fn cve_2019_13611_pages_of_other_origins_are_not_let_in_by_default() {
    assert_eq!(OriginPolicy::default(), OriginPolicy::SameOrigin { scheme: None });
    let https = OriginPolicy::SameOrigin { scheme: Some("https") };
    let only = OriginPolicy::Only(&["http://example.com:8080"]);
    for foreign in FOREIGN {
        for policy in [OriginPolicy::default(), https, only, OriginPolicy::Only(&[])] {
            assert!(!lets_in(policy, foreign), "{policy:?}: {foreign}");
        }
    }
    for own in ["http://example.com:8080", "https://example.com:8080", "HTTP://EXAMPLE.COM:8080"] {
        assert!(lets_in(OriginPolicy::default(), own), "{own}");
    }
    assert!(!lets_in(https, "http://example.com:8080") && lets_in(https, "https://example.com:8080"));
    assert!(!lets_in(only, "https://example.com:8080") && lets_in(only, "http://Example.com:8080"));
    assert!(lets_in(OriginPolicy::Only(&["null"]), "null") && !lets_in(OriginPolicy::Only(&["*"]), "http://a.b"));
    // Two of them say nothing, and none is no page's.
    let two = request("Origin: http://example.com\r\nOrigin: http://evil.net\r\n");
    super::is_refused(two, super::NO_LIMITS, RequestError::RepeatedHeader);
    assert_eq!(super::serve(request(""), super::NO_LIMITS).0, Ok(()));
}

/// A request and another one behind it, in one write: the first is refused, and of the second nothing is ever said.
#[track_caller]
fn smuggles_nothing(first: &str, error: RequestError) {
    let both = format!("{first}GET /secret HTTP/1.1\r\nHost: example.com\r\n{UPGRADE}\r\n");
    let (mut handshake, mut out) = (ServerHandshake::new(), Vec::new());
    for end in [first.len(), both.len(), both.len()] {
        let progress = handshake.receive(&both.as_bytes()[..end], &mut out);
        assert!(matches!(progress, RequestProgress::Refused(found) if found == error), "{progress:?}");
    }
    let good = request("");
    let another = handshake.receive(good.as_bytes(), &mut out);
    assert!(matches!(another, RequestProgress::Refused(found) if found == error), "{another:?}");
    assert_eq!(handshake.refuse(RequestError::TimedOut, &mut out), error);
    assert_eq!(handshake.receive_eof(&mut out), error);
    let answer = String::from_utf8(out).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer: {answer}");
    let lines: Vec<_> = answer.split("\r\n").collect();
    assert!(lines.contains(&"Connection: close"), "{answer}");
    assert!(answer.ends_with(&format!("Content-Length: {}\r\n\r\n{}", error.text().len(), error.text())), "{answer}");
}

/// kemal #767: the answer was 403, and what lay behind the request was read as the next one.
#[test]
fn kemal_767_behind_a_refused_request_nothing_is_read() {
    smuggles_nothing(&request("Origin: http://evil.net\r\n"), RequestError::OriginNotAllowed);
    smuggles_nothing(&request("Content-Length: 5\r\n"), RequestError::BodyNotAllowed);
    smuggles_nothing(&request("").replace("GET", "POST"), RequestError::MethodNotAllowed);
    smuggles_nothing(&request("").replace("Upgrade: websocket\r\n", ""), RequestError::NotAnUpgrade);
    // An application's own refusal says the same.
    let text = request("");
    let mut out = Vec::new();
    let RequestProgress::Request(request) = ServerHandshake::new().receive(text.as_bytes(), &mut out) else {
        panic!("a good request")
    };
    for status in [302, 401, 404, 503, 599] {
        out.clear();
        request.reject(&Reject::new(status).headers(&[("Location", "/login")]), &mut out).unwrap();
        request.defer().reject(&Reject::new(status), &mut out).unwrap();
        let answers = String::from_utf8(std::mem::take(&mut out)).unwrap();
        assert_eq!(answers.matches("\r\nConnection: close\r\n").count(), 2, "{answers}");
    }
}

/// 0ang3el's websocket-smuggle: a proxy believes that any version is an upgrade, and forwards what follows.
#[test]
fn websocket_smuggle_behind_a_version_of_777_nothing_is_read() {
    let head = request("").replace("Version: 13", "Version: 777");
    smuggles_nothing(&head, RequestError::UnsupportedVersion);
}

/// CVE-2020-35678 (autobahn-python): headers made of a redirect's target.
#[test]
fn cve_2020_35678_an_answer_carries_no_header_that_was_smuggled_into_another() {
    let text = request("Sec-WebSocket-Protocol: chat\r\n");
    let RequestProgress::Request(request) = ServerHandshake::new().receive(text.as_bytes(), &mut Vec::new()) else {
        panic!("a good request")
    };
    for byte in ["\r", "\n", "\0", "\r\n", "\u{7f}", "\u{1}"] {
        for value in
            [format!("/login?next={byte}Set-Cookie: a=b"), byte.to_owned(), format!("{byte}a"), format!("a{byte}")]
        {
            for name in ["Location", "X"] {
                let mut out = Vec::new();
                let headers = [("A", "b"), (name, &*value)];
                let refused = Err(AnswerError::InvalidHeader);
                assert_eq!(request.reject(&Reject::new(302).headers(&headers), &mut out), refused, "{value:?}");
                assert_eq!(request.defer().reject(&Reject::new(302).headers(&headers), &mut out), refused);
                assert_eq!(request.accept(&Accept::new().headers(&headers), &mut out).map(drop), refused);
                assert_eq!(out, b"", "nothing was written");
            }
        }
        for name in [format!("X{byte}Y"), byte.to_owned(), format!("X:{byte}Y"), "X Y".into(), String::new()] {
            let headers = [(&*name, "value")];
            let refused = request.reject(&Reject::new(302).headers(&headers), &mut Vec::new());
            assert_eq!(refused, Err(AnswerError::InvalidHeader), "{name:?}");
        }
        let protocol = format!("chat{byte}");
        let refused = request.accept(&Accept::new().protocol(&protocol), &mut Vec::new()).map(drop);
        assert_eq!(refused, Err(AnswerError::ProtocolNotOffered));
    }
}

/// GHSA-c4j6-fc7j-m34r (Next.js): the server connected to where the request's target said.
#[test]
fn ghsa_c4j6_fc7j_m34r_a_target_is_told_as_it_was_sent_and_followed_by_nobody() {
    for target in
        ["//internal:80/admin", "http://169.254.169.254/latest", "wss://other.example/x?y", "/../../etc", "/%2e%2e/"]
    {
        let text = request("").replace("GET /chat", &format!("GET {target}"));
        let mut out = Vec::new();
        match ServerHandshake::new().receive(text.as_bytes(), &mut out) {
            RequestProgress::Request(request) => assert_eq!(request.target(), target),
            other => panic!("{target}: {other:?}"),
        }
    }
    for target in ["internal:80", "file:///etc/passwd", "gopher://a/", "*", "http:///", "http://a@b/", "\\\\a\\b"] {
        let text = request("").replace("GET /chat", &format!("GET {target}"));
        super::is_refused(text, super::NO_LIMITS, RequestError::InvalidTarget);
    }
}
