//! Subprotocols that the constructor takes: rows 15 to 17.

use sansocket_whatwg::{DomExceptionKind, Protocols, WebSocket};

use crate::peer::Listener;

/// Whether the constructor takes them; if not, it has to be a `SyntaxError`.
fn is_taken(protocols: impl Into<Protocols>) -> bool {
    // No proxy is there, so nothing happens behind the constructor.
    let built = WebSocket::builder("ws://example.com").proxy("http://127.0.0.1:1").protocols(protocols).build();
    built.map_err(|error| assert_eq!(error.kind(), DomExceptionKind::Syntax)).is_ok()
}

/// The values of `Sec-WebSocket-Protocol` in a request.
fn offered(protocols: impl Into<Protocols>) -> Vec<String> {
    let listener = Listener::new();
    let _socket = WebSocket::with_protocols(listener.url(), protocols).unwrap();
    listener.accept().headers("Sec-WebSocket-Protocol").iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn row_15_a_single_protocol_is_a_list_of_one_and_none_is_an_empty_list() {
    assert_eq!(offered("chat"), ["chat"]);
    assert_eq!(offered(String::from("chat")), ["chat"]);
    assert_eq!(offered(["chat"]), ["chat"]);
    assert_eq!(offered(vec!["b", "a", "c"]), ["b, a, c"]);
    assert_eq!(offered(&["chat.v2", "chat"][..]), ["chat.v2, chat"]);
    assert_eq!(offered([""; 0]), [""; 0]);

    let listener = Listener::new();
    let _socket = WebSocket::new(listener.url()).unwrap();
    assert_eq!(listener.accept().headers("Sec-WebSocket-Protocol"), [""; 0]);
}

#[test]
fn row_16_a_protocol_is_a_token() {
    let separators = "()<>@,;:\\\"/[]?={} \t";
    let beyond = ['\u{80}', '\u{A0}', '\u{E9}', '\u{FF}', '\u{100}', '\u{131}', '\u{212A}', '\u{FFFD}', '\u{1F600}'];
    for character in ('\0'..='\u{7F}').chain(beyond) {
        let is_token = ('!'..='~').contains(&character) && !separators.contains(character);
        for protocol in
            [format!("{character}"), format!("a{character}"), format!("{character}b"), format!("a{character}b")]
        {
            assert_eq!(is_taken(&protocol[..]), is_token, "{protocol:?}");
            assert_eq!(is_taken(["first", &protocol]), is_token, "{protocol:?} behind another");
        }
    }
    for protocol in ["", "a, b", " chat", "chat ", "chat\r\nX: y"] {
        assert!(!is_taken(protocol) && !is_taken([protocol]), "{protocol:?}");
    }
    let every: String = ('!'..='~').filter(|character| !separators.contains(*character)).collect();
    assert_eq!(offered(&every[..]), [every]);
}

#[test]
fn row_17_no_protocol_may_be_there_twice_whatever_its_case() {
    for twice in [&["chat", "chat"][..], &["chat", "CHAT"], &["a", "b", "A"], &["Chat.V2", "b", "chat.v2"]] {
        assert!(!is_taken(twice), "{twice:?}");
    }
    for once in [&["chat", "chat2"][..], &["a", "b"], &["chat.v1", "chat.v2"], &["a-", "a_"], &["a^", "a~"]] {
        assert!(is_taken(once), "{once:?}");
    }
}
