//! What is asked of the server: rows 24 to 26.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sansocket_whatwg::{Builder, CookieJar, DomExceptionKind, Event, Location, Url, WebSocket};

use crate::listeners::Log;
use crate::peer::{Listener, PATIENCE, Peer, next};

/// The request to a server of this machine.
fn request(path: &str, options: impl FnOnce(Builder) -> Builder) -> (Listener, WebSocket, Peer) {
    let listener = Listener::new();
    let socket = options(WebSocket::builder(format!("{}{path}", listener.url()))).build().unwrap();
    let peer = listener.accept();
    (listener, socket, peer)
}

/// The request to any server: a proxy of this machine plays it.
fn request_to(url: &str) -> Peer {
    let proxy = Listener::new();
    let _socket = WebSocket::builder(url).proxy(&format!("http://127.0.0.1:{}", proxy.port())).build().unwrap();
    let mut peer = proxy.accept();
    peer.send("HTTP/1.1 200 OK\r\n\r\n");
    peer.read_head();
    peer
}

/// A head without the key, which is another one each time.
fn without_key(peer: &Peer) -> String {
    peer.head().replace(peer.headers("Sec-WebSocket-Key")[0], "KEY")
}

#[track_caller]
fn assert_syntax_error(builder: Builder, what: &str) {
    let error = builder.build().err().unwrap_or_else(|| panic!("{what:?} passes"));
    assert_eq!(error.kind(), DomExceptionKind::Syntax, "{what:?}");
}

#[test]
fn row_24_user_name_and_password_of_the_url_go_out_decoded() {
    for (user, pair) in [
        ("user:pass", &b"user:pass"[..]),
        ("user", b"user:"),
        (":pass", b":pass"),
        ("us%65r:p%3Ass", b"user:p:ss"),
        ("a b:p@ss:word", b"a b:p@ss:word"),
        ("\u{FC}:%C3%BC", "\u{FC}:\u{FC}".as_bytes()),
        ("%FF:%0D%0A", b"\xFF:\r\n"),
        ("%zz:%", b"%zz:%"),
    ] {
        let listener = Listener::new();
        let socket = WebSocket::new(listener.url().replace("//", &format!("//{user}@"))).unwrap();
        let peer = listener.accept();
        let expected = format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(peer.headers("Authorization"), [expected], "{user}");
        assert_eq!(peer.headers("Host"), [format!("127.0.0.1:{}", listener.port())]);
        assert!(socket.url().contains('@'), "the URL shows them");
    }
    for nobody in ["", "@", ":@"] {
        let listener = Listener::new();
        let _socket = WebSocket::new(listener.url().replace("//", &format!("//{nobody}"))).unwrap();
        assert_eq!(listener.accept().headers("Authorization"), [""; 0], "{nobody}");
    }
}

#[test]
fn row_24_an_authorization_of_ones_own_stands_instead_of_the_urls() {
    let listener = Listener::new();
    let url = listener.url().replace("//", "//user:pass@");
    let _socket = WebSocket::builder(&url).header("authorization", "Bearer 4711").build().unwrap();
    assert_eq!(listener.accept().headers("Authorization"), ["Bearer 4711"]);
}

#[test]
fn row_25_an_origin_is_sent_only_if_there_is_one() {
    let (_listener, _socket, peer) = request("", |builder| builder);
    for absent in ["Origin", "Referer", "Cookie", "User-Agent"] {
        assert_eq!(peer.headers(absent), [""; 0]);
    }
    for origin in ["https://example.com", "http://localhost:8080", "https://[::1]", "app://id", "null"] {
        let (_listener, _socket, peer) = request("", |builder| builder.origin(origin));
        assert_eq!(peer.headers("Origin"), [origin]);
    }
    for origin in [
        "",
        "example.com",
        "https://example.com/",
        "https://example.com?q",
        "https://user@example.com",
        "https://a b",
        "https://a, https://b",
        "https://a\r\nX: y",
        " https://a",
        "https://",
        "://a",
        "NULL",
    ] {
        assert_syntax_error(WebSocket::builder("ws://127.0.0.1:1").origin(origin), origin);
    }
}

/// A jar that writes down what it is asked.
struct Jar {
    log: Log,
    cookies: Option<&'static str>,
}

impl CookieJar for Jar {
    fn cookies(&self, url: &Url) -> Option<String> {
        self.log.note(format!("cookies for {}", url.scheme()));
        self.cookies.map(String::from)
    }

    fn store(&self, url: &Url, set_cookie: &[u8]) {
        self.log.note(format!("store of {}: {}", url.path(), String::from_utf8_lossy(set_cookie)));
    }
}

#[test]
fn row_25_cookies_come_from_the_jar_and_go_there_before_the_open_event() {
    let log = Log::default();
    let jar = Jar { log: log.clone(), cookies: Some("a=b; c=d") };
    let (_listener, socket, mut peer) = request("path", |builder| builder.cookie_jar(jar));
    assert_eq!(log.take(), ["cookies for http"], "the constructor asks");
    assert_eq!(peer.headers("Cookie"), ["a=b; c=d"]);
    socket.set_onopen(log.noting("open"));
    // Cookies of interim answers are none.
    peer.send("HTTP/1.1 103 Early Hints\r\nSet-Cookie: early=1\r\n\r\n");
    peer.answer(&["Set-Cookie: e=f; Path=/", "set-cookie: g=\u{FC}, h"]);
    assert!(socket.wait_timeout(PATIENCE));
    assert_eq!(log.take(), [""; 0], "nothing happens behind the owner's back");
    assert_eq!(next(&socket), Event::Open);
    assert_eq!(log.take(), ["store of /path: e=f; Path=/", "store of /path: g=\u{FC}, h", "open"]);
}

#[test]
fn row_25_a_jar_without_cookies_adds_no_header() {
    for cookies in [None, Some("")] {
        let log = Log::default();
        let jar = Jar { log: log.clone(), cookies };
        let (_listener, socket, mut peer) = request("", |builder| builder.cookie_jar(jar));
        assert_eq!(peer.headers("Cookie"), [""; 0]);
        peer.answer(&[]);
        assert_eq!(next(&socket), Event::Open);
        assert_eq!(log.take(), ["cookies for http"]);
    }
}

#[test]
fn row_25_cookies_that_would_break_the_request_are_a_syntax_error() {
    for cookies in ["a=b\r\nX: y", "a=b\n", "a\0b", " a=b"] {
        let jar = Jar { log: Log::default(), cookies: Some(cookies) };
        assert_syntax_error(WebSocket::builder("ws://127.0.0.1:1").cookie_jar(jar), cookies);
    }
}

#[test]
fn row_25_a_secure_url_has_the_cookies_of_https() {
    let log = Log::default();
    let jar = Jar { log: log.clone(), cookies: None };
    let _socket = WebSocket::builder("wss://127.0.0.1:1/").cookie_jar(jar).build().unwrap();
    assert_eq!(log.take(), ["cookies for https"]);
}

/// RFC 6265, 5.4: no more than one `Cookie`.
#[test]
fn row_25_cookies_of_ones_own_and_of_the_jar_make_one_header() {
    let jar = Jar { log: Log::default(), cookies: Some("jar=1") };
    let (_listener, _socket, peer) = request("", |builder| builder.cookie_jar(jar).header("cookie", "own=1"));
    assert_eq!(peer.headers("Cookie").len(), 1, "{}", peer.head());
}

#[test]
fn row_26_the_request_of_an_object_without_options() {
    let (listener, _socket, peer) = request("", |builder| builder);
    let expected = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         Sec-WebSocket-Key: KEY\r\n\r\n",
        listener.port()
    );
    assert_eq!(without_key(&peer), expected);
}

#[test]
fn row_26_the_request_of_an_object_with_every_option() {
    let jar = Jar { log: Log::default(), cookies: Some("a=b") };
    let (listener, _socket, peer) = request("chat?q=%20", |builder| {
        let builder = builder.protocols(["chat.v2", "chat"]).origin("https://example.com").compression(false);
        builder.header("X-One", "1").header("x-two", "two, \u{FC}").header("X-One", "").cookie_jar(jar)
    });
    let expected = format!(
        "GET /chat?q=%20 HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nOrigin: https://example.com\r\nSec-WebSocket-Protocol: chat.v2, chat\r\n\
         X-One: 1\r\nx-two: two, \u{FC}\r\nX-One: \r\nCookie: a=b\r\nSec-WebSocket-Key: KEY\r\n\r\n",
        listener.port()
    );
    assert_eq!(without_key(&peer), expected);
}

#[test]
fn row_26_the_resource_is_path_and_query_and_the_host_has_a_port_that_is_not_the_schemes() {
    for (url, resource, host) in [
        ("ws://something.invalid", "/", "something.invalid"),
        ("ws://something.invalid:80/a", "/a", "something.invalid"),
        ("ws://something.invalid:443/", "/", "something.invalid:443"),
        ("ws://SOMETHING.invalid:8080?a/b?c", "/?a/b?c", "something.invalid:8080"),
        ("ws://something.invalid/a/../b/|[x]?{y}|`", "/b/|[x]?{y}|`", "something.invalid"),
        ("ws://b\u{FC}cher.invalid/\u{FC}?\u{FC}", "/%C3%BC?%C3%BC", "xn--bcher-kva.invalid"),
        ("ws://user:pass@[::1]:8080//a", "//a", "[::1]:8080"),
        ("ws://[::1]", "/", "[::1]"),
    ] {
        let peer = request_to(url);
        assert!(peer.head().starts_with(&format!("GET {resource} HTTP/1.1\r\n")), "{url}: {}", peer.head());
        assert_eq!(peer.headers("Host"), [host], "{url}");
    }
}

#[test]
fn row_26_each_key_is_16_bytes_that_nobody_has_seen_before() {
    let mut keys = BTreeSet::new();
    for _ in 0..20 {
        let (_listener, _socket, peer) = request("", |builder| builder);
        let key = peer.headers("Sec-WebSocket-Key")[0];
        assert_eq!((key.len(), STANDARD.decode(key).unwrap().len()), (24, 16));
        assert!(keys.insert(key.to_owned()));
    }
}

#[test]
fn row_26_headers_that_would_break_the_request_are_a_syntax_error() {
    for (name, value) in [
        ("", "a"),
        ("a b", "a"),
        ("a:", "a"),
        ("a\r\nb", "a"),
        ("a\0", "a"),
        ("\u{FC}", "a"),
        ("a", "b\r\nc: d"),
        ("a", "b\n"),
        ("a", "\r"),
        ("a", "b\0"),
        ("a", "\u{7F}"),
        ("a", "\u{1}"),
        ("a", " b"),
        ("a", "b\t"),
        // What the handshake says by itself.
        ("Host", "example.com"),
        ("host", "example.com"),
        ("Origin", "https://example.com"),
        ("Upgrade", "h2c"),
        ("Connection", "close"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Sec-WebSocket-Key", "a"),
        ("sec-websocket-protocol", "chat"),
        ("Sec-WebSocket-Extensions", "a"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Something", "a"),
    ] {
        assert_syntax_error(WebSocket::builder("ws://127.0.0.1:1").header(name, value), &format!("{name}: {value}"));
    }
}

#[test]
fn row_25_one_jar_serves_several_objects() {
    let log = Log::default();
    let jar = Arc::new(Jar { log: log.clone(), cookies: Some("a=b") });
    let shared: Arc<dyn CookieJar> = jar.clone();
    let (_listener, first, mut first_peer) = request("first", |builder| builder.cookie_jar(jar));
    let (_listener, second, mut second_peer) = request("second", |builder| builder.cookie_jar(shared));
    assert_eq!(log.take(), ["cookies for http", "cookies for http"]);
    for (socket, peer) in [(&first, &mut first_peer), (&second, &mut second_peer)] {
        assert_eq!(peer.headers("Cookie"), ["a=b"]);
        peer.answer(&["Set-Cookie: c=d"]);
        assert_eq!(next(socket), Event::Open);
    }
    assert_eq!(log.take(), ["store of /first: c=d", "store of /second: c=d"]);
}

#[test]
fn row_24_no_password_is_in_what_is_written_for_people() {
    let builder = WebSocket::builder("ws://user:secret@127.0.0.1:1/path")
        .base_url("https://user:secret@example.com/")
        .header("X-Token", "secret")
        .proxy("http://user:secret@127.0.0.1:1");
    let socket = builder.clone().build().unwrap();
    assert!(socket.url().contains("secret"), "the program itself has it");
    let location = Location::parse(socket.url(), None).unwrap();
    let mut texts = vec![format!("{builder:?}"), format!("{socket:?}"), format!("{location:?}")];
    assert!(texts[1].contains("ws://127.0.0.1:1/path"), "{texts:?}");
    for proxy in [
        "https://user:secret@127.0.0.1:1",
        "socks5://user:secret@127.0.0.1:1",
        "http://user:secret@127.0.0.1:65536",
        "http://user:secret@",
        "http://user:secret@[::1",
        "user:secret@127.0.0.1",
    ] {
        let error = WebSocket::builder("ws://127.0.0.1:1/").proxy(proxy).build().unwrap_err();
        assert_eq!(error.kind(), DomExceptionKind::Syntax, "{proxy}");
        texts.extend([error.message().to_owned(), error.to_string(), format!("{error:?}")]);
    }
    for text in texts {
        assert!(!text.contains("secret") && !text.contains("user"), "{text}");
    }
}
