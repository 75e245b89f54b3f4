//! What the constructor does: rows 1 to 4 and 8 to 19.

use std::time::Instant;

use sansocket_whatwg::{
    BinaryType, Builder, CloseEvent, DomException, DomExceptionKind, Event, EventType, Payload, ReadyState, WebSocket,
};

use crate::listeners::{Log, unanswered};
use crate::peer::{self, Listener, PATIENCE, open, rest};

/// A builder whose objects look no name up: all that they do is to be refused by a proxy that is not there.
fn offline(url: &str) -> Builder {
    WebSocket::builder(url).proxy("http://127.0.0.1:1")
}

/// The URL as the object shows it.
fn url_of(builder: Builder) -> Result<String, DomException> {
    builder.build().map(|socket| socket.url().to_owned())
}

#[track_caller]
fn assert_syntax_error<T>(result: Result<T, DomException>, what: &str) {
    let kind = result.err().unwrap_or_else(|| panic!("{what:?} passes")).kind();
    assert_eq!(kind, DomExceptionKind::Syntax, "{what:?}");
}

#[test]
fn row_01_the_object_is_of_use_on_every_thread() {
    fn is_for_threads<T: Send + Sync + Clone + 'static>() {}
    is_for_threads::<WebSocket>();
    is_for_threads::<sansocket_whatwg::EventLoop>();

    let listener = Listener::new();
    let url = listener.url();
    let made_there = std::thread::spawn(move || WebSocket::new(&url).unwrap());
    let mut peer = listener.accept();
    peer.answer(&[]);
    let socket = made_there.join().unwrap();
    let clone = socket.clone();
    assert_eq!(peer::next(&socket), Event::Open);
    assert_eq!((&clone, clone.ready_state()), (&socket, ReadyState::Open));
}

#[test]
fn row_02_what_can_be_read_and_what_can_be_changed() {
    let (socket, _listener) = unanswered();
    let _: &str = socket.url();
    let _: (ReadyState, u64, String, String) =
        (socket.ready_state(), socket.buffered_amount(), socket.extensions(), socket.protocol());
    assert_eq!(socket.binary_type(), BinaryType::Blob);
    for binary_type in [BinaryType::ArrayBuffer, BinaryType::Blob] {
        socket.set_binary_type(binary_type);
        assert_eq!(socket.clone().binary_type(), binary_type);
    }
    assert_eq!("arraybuffer".parse(), Ok(BinaryType::ArrayBuffer));
    for ignored in ["", "Blob", "ARRAYBUFFER", "arrayBuffer", " blob", "nodebuffer"] {
        assert!(ignored.parse::<BinaryType>().is_err(), "{ignored}");
    }
}

#[test]
fn row_03_the_states_have_their_numbers() {
    const STATES: [ReadyState; 4] = [WebSocket::CONNECTING, WebSocket::OPEN, WebSocket::CLOSING, WebSocket::CLOSED];
    assert_eq!(STATES, [ReadyState::Connecting, ReadyState::Open, ReadyState::Closing, ReadyState::Closed]);
    assert_eq!(STATES.map(|state| state as u16), [0, 1, 2, 3]);
    assert!(STATES.is_sorted());
}

#[test]
fn row_04_send_and_close_give_nothing_back() {
    let _: fn(&WebSocket) = WebSocket::close;
    let _: fn(&WebSocket, &str) -> Result<(), DomException> = |socket, text| socket.send(text);
    let (socket, mut peer) = open();
    let nothing: () = socket.send("text").unwrap();
    assert_eq!((socket.close(), socket.close_with(1000, "").unwrap()), (nothing, nothing));
    assert_eq!(peer.receive().payload(), b"text");
    assert_eq!(peer.receive_close(), b"", "the second one says nothing");
}

#[test]
fn row_08_exceptions_have_their_names_and_the_numbers_of_old() {
    let (socket, _listener) = unanswered();
    let secure = offline("ws://example.com").secure_context(true).build();
    for (error, kind, name, code) in [
        (WebSocket::new("nonsense").unwrap_err(), DomExceptionKind::Syntax, "SyntaxError", 12),
        (secure.unwrap_err(), DomExceptionKind::Security, "SecurityError", 18),
        (socket.close_with(1, "").unwrap_err(), DomExceptionKind::InvalidAccess, "InvalidAccessError", 15),
        (socket.send("").unwrap_err(), DomExceptionKind::InvalidState, "InvalidStateError", 11),
    ] {
        assert_eq!((error.kind(), error.name(), error.legacy_code()), (kind, name, code));
        assert!(!error.message().is_empty());
        assert_eq!(error.to_string(), format!("{name}: {}", error.message()));
    }
}

#[test]
fn row_09_what_was_an_exception_once_is_none_today() {
    // A port of another protocol: the connection fails, later.
    let socket = WebSocket::new("ws://127.0.0.1:25/").unwrap();
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    assert_eq!(rest(&socket), [Event::Error, Event::Close(CloseEvent::new(false, 1006, ""))]);
    // Sending to what is closed.
    socket.send("text").unwrap();
    // HTTP's schemes.
    assert_eq!(url_of(offline("http://example.com")).unwrap(), "ws://example.com/");
    // Surrogates without their partners.
    assert_eq!(Payload::from_utf16(&[0xD800, 0x61, 0xDC00]), Payload::Text("\u{FFFD}a\u{FFFD}".into()));
    assert_eq!(Payload::from_utf16(&[0xD83D, 0xDE00]), Payload::Text("\u{1F600}".into()));
}

#[test]
fn row_10_a_relative_url_is_read_against_the_base() {
    for (base, url, expected) in [
        ("https://example.com/a/b?q#f", "c", "wss://example.com/a/c"),
        ("https://example.com/a/b?q#f", "/c", "wss://example.com/c"),
        ("https://example.com/a/b?q#f", "//other.example/c", "wss://other.example/c"),
        ("https://example.com/a/b?q#f", "?z", "wss://example.com/a/b?z"),
        ("https://example.com/a/b?q#f", "", "wss://example.com/a/b?q"),
        ("https://example.com/a/b?q#f", "../../c", "wss://example.com/c"),
        ("https://example.com/", "ws://other.example", "ws://other.example/"),
        ("http://example.com:8080/", "c", "ws://example.com:8080/c"),
        ("http://example.com:80/", "c", "ws://example.com/c"),
        ("ws://example.com/a/b", "ws:c", "ws://example.com/a/c"),
        ("ws://example.com/a/b", "wss:c", "wss://c/"),
    ] {
        assert_eq!(url_of(offline(url).base_url(base)).unwrap(), expected, "{url} on {base}");
    }
    for url in ["", "c", "/c", "//example.com/c", "?q", "example.com", "127.0.0.1:80"] {
        assert_syntax_error(WebSocket::new(url), url);
    }
    for (base, url) in [
        ("nonsense", "ws://example.com"),
        ("data:text/plain,a", "c"),
        ("ftp://example.com", "c"),
        ("https://example.com", "#f"),
        ("https://example.com", "//"),
    ] {
        assert_syntax_error(offline(url).base_url(base).build(), url);
    }
}

#[test]
fn row_11_a_url_is_read_as_browsers_do() {
    for (url, expected) in [
        ("  ws://example.com/ ", "ws://example.com/"),
        ("\u{0}\u{1F} \n\r\tws://example.com/\u{1}\u{20}\u{1F}", "ws://example.com/"),
        ("w\ns://exa\tmple.c\nom/a\rb?c\td", "ws://example.com/ab?cd"),
        ("WS://EXAMPLE.com/PaTh?QuErY", "ws://example.com/PaTh?QuErY"),
        ("wSS://example.com", "wss://example.com/"),
        ("wss://b\u{FC}cher.example/\u{FC}", "wss://xn--bcher-kva.example/%C3%BC"),
        ("ws://\u{FF45}xample.com", "ws://example.com/"),
        ("ws:example.com", "ws://example.com/"),
        ("ws:/example.com/a", "ws://example.com/a"),
        ("ws:////example.com/a", "ws://example.com/a"),
        ("ws:\\\\example.com\\a\\b", "ws://example.com/a/b"),
        ("ws://example.com/a/./b/../c", "ws://example.com/a/c"),
        ("ws://example.com/a/%2e%2E/../b/.", "ws://example.com/b/"),
        ("ws://example.com/?\u{FC} \u{1F600}", "ws://example.com/?%C3%BC%20%F0%9F%98%80"),
        ("ws://example.com/?a\u{0}b", "ws://example.com/?a%00b"),
        ("ws://example.com/?a'b\"c<d>e", "ws://example.com/?a%27b%22c%3Cd%3Ee"),
        ("ws://example.com/a|b[c]%zz?{d}|`[e]\\%", "ws://example.com/a|b[c]%zz?{d}|`[e]\\%"),
        ("ws://example.com?a/b?c", "ws://example.com/?a/b?c"),
        ("ws://example.com:80", "ws://example.com/"),
        ("wss://example.com:443", "wss://example.com/"),
        ("ws://example.com:443", "ws://example.com:443/"),
        ("wss://example.com:80", "wss://example.com:80/"),
        ("ws://example.com:", "ws://example.com/"),
        ("ws://example.com:08080", "ws://example.com:8080/"),
        ("ws://example.com:65535", "ws://example.com:65535/"),
        ("ws://0x7f.1", "ws://127.0.0.1/"),
        ("ws://2130706433", "ws://127.0.0.1/"),
        ("ws://[0:0:0:0:0:0:0:1]", "ws://[::1]/"),
        ("ws://a_b.example./", "ws://a_b.example./"),
        ("ws://us er:p:w@example.com/", "ws://us%20er:p%3Aw@example.com/"),
    ] {
        assert_eq!(url_of(offline(url)).unwrap(), expected, "{url:?}");
    }
}

#[test]
fn row_11_a_url_that_browsers_cannot_read_is_a_syntax_error() {
    for url in [
        "ws://",
        "ws:///",
        "ws:",
        "ws://?q",
        "ws://@/",
        "ws://:80/",
        "ws://exa mple.com/",
        "ws://exa%20mple.com/",
        "ws://a%00b/",
        "ws://a<b/",
        "ws://a^b/",
        "ws://a|b/",
        "ws://example.com:65536/",
        "ws://example.com:-1/",
        "ws://example.com:8o/",
        "ws://[::1",
        "ws://[::1::]/",
        "ws://256.256.256.256/",
        "ws://1.2.3.4.5/",
    ] {
        assert_syntax_error(offline(url).build(), url);
    }
}

/// RFC 3986 has no such hosts, the URL standard does.
#[test]
fn row_11_a_host_may_hold_whatever_the_url_standard_lets_it() {
    for host in ["a!b$c&d'e(f)g*h+i,j;k=l~m", "a\"b", "a`b", "a{b}"] {
        assert_eq!(url_of(offline(&format!("ws://{host}/"))).unwrap(), format!("ws://{host}/"));
    }
}

#[test]
fn row_12_the_schemes_of_http_mean_those_of_websocket() {
    for (url, expected) in [
        ("http://example.com", "ws://example.com/"),
        ("https://example.com", "wss://example.com/"),
        ("HTTP://example.com:80/a?b", "ws://example.com/a?b"),
        ("https://example.com:443", "wss://example.com/"),
        ("http://example.com:443", "ws://example.com:443/"),
        ("https://example.com:80", "wss://example.com:80/"),
        ("https://user:pass@example.com", "wss://user:pass@example.com/"),
    ] {
        assert_eq!(url_of(offline(url)).unwrap(), expected);
    }
    assert!(offline("https://example.com").secure_context(true).build().is_ok(), "it is read before that is asked");
}

#[test]
fn row_13_every_other_scheme_is_a_syntax_error() {
    for url in [
        "ftp://example.com/",
        "mailto:user@example.com",
        "about:blank",
        "file:///etc/hosts",
        "data:text/plain,ws",
        "blob:ws://example.com/",
        "javascript:1",
        "wsx://example.com/",
        "ws+unix://example.com/",
        "httpss://example.com/",
    ] {
        assert_syntax_error(offline(url).build(), url);
    }
}

#[test]
fn row_14_every_fragment_is_a_syntax_error() {
    for url in ["ws://example.com/#", "ws://example.com#a", "wss://example.com/?q#", "http://example.com/#a"] {
        assert_syntax_error(offline(url).build(), url);
    }
    assert!(offline("ws://example.com/%23").build().is_ok());
}

#[test]
fn row_18_in_a_secure_context_only_a_secure_url_will_do() {
    for url in ["ws://example.com", "http://example.com"] {
        let error = offline(url).secure_context(true).build().unwrap_err();
        assert_eq!(error.kind(), DomExceptionKind::Security);
        assert!(offline(url).build().is_ok() && offline(url).secure_context(false).build().is_ok(), "an option");
    }
    for url in ["wss://example.com", "https://example.com"] {
        assert!(offline(url).secure_context(true).build().is_ok());
    }
    // What is no good in any context is found first.
    assert_syntax_error(offline("ftp://example.com").secure_context(true).build(), "ftp");
    assert_syntax_error(offline("ws://example.com/#").secure_context(true).build(), "#");
}

#[test]
fn row_19_the_constructor_returns_at_once_and_nothing_happens_before_the_owner_lets_it() {
    let listener = Listener::new();
    let url = listener.url().replace("//", "//user:pass@");
    let socket = WebSocket::new(&url).unwrap();
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert!(socket.wait_timeout(PATIENCE));
    assert_eq!((socket.ready_state(), socket.url()), (ReadyState::Connecting, &url[..]));
    assert_eq!((socket.protocol(), socket.extensions(), socket.buffered_amount()), (String::new(), String::new(), 0));
    assert_eq!(socket.binary_type().as_str(), "blob");
}

#[test]
fn row_19_the_constructor_does_not_wait_for_the_network() {
    let listener = Listener::new();
    let started = Instant::now();
    // None of these is answered, and the names cannot be known so soon.
    let _sockets = [listener.url(), String::from("ws://something.invalid"), String::from("wss://localhost:1")]
        .map(|url| WebSocket::new(&url).unwrap());
    assert!(started.elapsed() < PATIENCE / 4);
}

#[test]
fn row_19_listeners_that_are_added_behind_everything_miss_nothing() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let mut peer = listener.accept();
    peer.answer(&[]);
    peer.send([0x81, 2, b'h', b'i', 0x88, 0]);
    assert_eq!(peer.receive_close(), b"", "the network has all of it");
    peer.shut_down();
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    let log = Log::default();
    for event_type in [EventType::Close, EventType::Error, EventType::Message, EventType::Open] {
        socket.add_event_listener(event_type, log.noting(event_type.as_str()));
    }
    socket.run();
    assert_eq!(log.take(), ["open", "message", "close"]);
}
