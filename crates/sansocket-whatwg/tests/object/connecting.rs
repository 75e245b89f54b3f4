//! How a connection is made, and how it cannot be: rows 20 to 23.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use sansocket_mio::OpenError;
use sansocket_whatwg::{Builder, Event, Failure, ReadyState, TimeLimits, WebSocket};

use crate::listeners::Log;
use crate::peer::{Listener, Peer, failed, next, rest};

const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// An object for a port of this machine, where perhaps somebody listens who has nothing to do with it.
fn at_port(scheme: &str, port: u16, options: impl FnOnce(Builder) -> Builder) -> WebSocket {
    let limits = TimeLimits { open: Some(Duration::from_secs(5)), ..TimeLimits::DEFAULT };
    let builder = WebSocket::builder(format!("{scheme}://127.0.0.1:{port}/")).time_limits(limits);
    options(builder).build().unwrap()
}

fn is_blocked(socket: &WebSocket) -> bool {
    assert_eq!(rest(socket), failed());
    matches!(socket.failure(), Some(Failure::BlockedPort(_)))
}

#[test]
fn row_20_a_bad_port_fails_as_any_connection_does() {
    for port in BAD_PORTS {
        for scheme in ["ws", "wss", "http"] {
            let socket = at_port(scheme, port, |builder| builder);
            assert_eq!(socket.ready_state(), ReadyState::Connecting);
            assert_eq!(rest(&socket), failed());
            assert!(matches!(socket.failure(), Some(Failure::BlockedPort(blocked)) if blocked == port), "{port}");
        }
    }
}

#[test]
fn row_20_the_neighbours_of_bad_ports_and_those_of_the_schemes_are_fine() {
    let bad = BTreeSet::from(BAD_PORTS);
    let neighbours = bad.iter().flat_map(|&port| [port.saturating_sub(1), port + 1]);
    let good: BTreeSet<u16> = neighbours.filter(|port| !bad.contains(port)).collect();
    let sockets: Vec<_> = good.iter().map(|&port| at_port("ws", port, |builder| builder)).collect();
    for socket in sockets {
        assert!(!is_blocked(&socket), "{}", socket.url());
    }
    for scheme in ["ws", "wss"] {
        for port in [80, 443] {
            assert!(!is_blocked(&at_port(scheme, port, |builder| builder)), "{scheme} {port}");
        }
    }
}

#[test]
fn row_20_nobody_connects_to_a_bad_port_unless_told_so() {
    let listening = [10080, 6697, 6566, 5061, 4190].map(|port| TcpListener::bind(("127.0.0.1", port)));
    let Some(listener) = listening.into_iter().find_map(Result::ok) else { panic!("all of these are taken") };
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    assert!(is_blocked(&at_port("ws", port, |builder| builder)));
    assert!(listener.accept().is_err(), "nobody has come");

    listener.set_nonblocking(false).unwrap();
    let _socket = at_port("ws", port, |builder| builder.block_bad_ports(false));
    assert!(listener.accept().is_ok());
    // Where nobody listens, it is refused as any other.
    assert!(!is_blocked(&at_port("ws", 1, |builder| builder.block_bad_ports(false))));
    assert!(is_blocked(&at_port("ws", 1, |builder| builder.block_bad_ports(true))));
}

/// Waits until the network has done all that it has to do for the objects made before: this one is behind them.
fn wait_for_network(host: &str) {
    let listener = Listener::new();
    let socket = WebSocket::new(format!("ws://{host}:{}/", listener.port())).unwrap();
    listener.accept().answer(&[]);
    assert_eq!(next(&socket), Event::Open);
}

/// Two objects that connect to the same address, of which the first has come. The second must not have.
fn two_at_once() -> (Listener, WebSocket, Peer, WebSocket) {
    let listener = Listener::new();
    let first = WebSocket::new(listener.url()).unwrap();
    let second = WebSocket::new(listener.url()).unwrap();
    let peer = listener.accept();
    wait_for_network("127.0.0.1");
    assert!(listener.is_idle(), "the second has to wait");
    (listener, first, peer, second)
}

#[track_caller]
fn assert_comes(listener: &Listener, socket: &WebSocket) {
    listener.accept().answer(&[]);
    assert_eq!(next(socket), Event::Open);
}

#[test]
fn row_21_a_second_connection_waits_until_the_first_is_open() {
    let (listener, first, mut peer, second) = two_at_once();
    peer.answer(&[]);
    assert_comes(&listener, &second);
    assert_eq!(next(&first), Event::Open);
}

#[test]
fn row_21_a_second_connection_waits_until_the_first_has_failed() {
    let (listener, first, mut peer, second) = two_at_once();
    peer.send("HTTP/1.1 503 Service Unavailable\r\n\r\n");
    assert_comes(&listener, &second);
    assert_eq!(rest(&first), failed());

    let (listener, first, peer, second) = two_at_once();
    drop(peer);
    assert_comes(&listener, &second);
    assert_eq!(rest(&first), failed());
}

#[test]
fn row_21_a_second_connection_waits_until_the_first_is_given_up() {
    let (listener, first, _peer, second) = two_at_once();
    first.close();
    assert_comes(&listener, &second);

    let (listener, first, _peer, second) = two_at_once();
    drop(first);
    assert_comes(&listener, &second);
}

#[test]
fn row_21_those_that_wait_take_turns_and_who_gives_up_is_passed_over() {
    let listener = Listener::new();
    let url = |name: &str| format!("{}{name}", listener.url());
    let sockets = ["a", "b", "c", "d"].map(|name| WebSocket::new(url(name)).unwrap());
    sockets[1].close();
    for (at, name) in [(0, "a"), (2, "c"), (3, "d")] {
        let mut peer = listener.accept();
        assert!(peer.head().starts_with(&format!("GET /{name} ")), "{}", peer.head());
        wait_for_network("127.0.0.1");
        assert!(listener.is_idle());
        peer.answer(&[]);
        assert_eq!(next(&sockets[at]), Event::Open);
    }
    assert_eq!(rest(&sockets[1]), failed());
}

#[test]
fn row_21_another_name_of_the_same_address_waits_and_another_port_does_not() {
    let listener = Listener::new();
    let first = WebSocket::new(listener.url()).unwrap();
    let second = WebSocket::new(format!("ws://localhost:{}/", listener.port())).unwrap();
    let mut peer = listener.accept();
    // Lookups of one name are over in their order, so the second was looked at before this one, which does not wait.
    wait_for_network("localhost");
    assert!(listener.is_idle());
    peer.answer(&[]);
    assert_comes(&listener, &second);
    assert_eq!(next(&first), Event::Open);
}

#[test]
fn row_21_who_does_not_wait_connects_at_once() {
    let listener = Listener::new();
    let builder = || WebSocket::builder(listener.url()).one_at_a_time(false);
    let _impatient = [builder().build().unwrap(), builder().build().unwrap()];
    let _patient = WebSocket::new(listener.url()).unwrap();
    let mut peers = [listener.accept(), listener.accept(), listener.accept()];
    peers[0].answer(&[]);

    let _waits = builder().one_at_a_time(true).build().unwrap();
    wait_for_network("127.0.0.1");
    assert!(listener.is_idle(), "the patient one is still connecting");
}

/// Lets everything happen that comes of a connection which cannot be made, and checks what can be seen of it.
#[track_caller]
fn assert_fails(socket: &WebSocket, what: &str) -> Failure {
    let log = Log::default();
    let (of_error, of_close) = (log.clone(), log.clone());
    socket.set_onopen(log.noting("open"));
    socket.set_onerror(move |socket, _| of_error.note(format!("error, {:?}", socket.ready_state())));
    socket.set_onclose(move |socket, event| of_close.note(format!("close, {:?}, {event:?}", socket.ready_state())));
    assert_eq!(rest(socket), failed(), "{what}");
    let close = "close, Closed, CloseEvent { was_clean: false, code: 1006, reason: \"\" }";
    assert_eq!(log.take(), ["error, Closed", close], "{what}");
    assert_eq!((socket.protocol(), socket.extensions()), (String::new(), String::new()));
    let failure = socket.failure().unwrap_or_else(|| panic!("{what}: nobody knows why"));
    assert!(!failure.to_string().is_empty());
    failure
}

#[test]
fn row_22_an_unknown_name_fails() {
    for scheme in ["ws", "wss"] {
        let socket = WebSocket::new(format!("{scheme}://something.invalid/")).unwrap();
        let failure = assert_fails(&socket, "something.invalid");
        assert!(matches!(failure, Failure::Resolve { host, .. } if host == "something.invalid"));
    }
}

#[test]
fn row_22_a_refused_port_fails() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["ws", "wss"] {
        let socket = WebSocket::new(format!("{scheme}://{address}/")).unwrap();
        assert!(matches!(assert_fails(&socket, "refused"), Failure::Connect { to, .. } if to == address));
    }
}

#[test]
fn row_22_a_server_that_does_not_speak_tls_fails() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "garbage", ""] {
        let listener = Listener::new();
        let socket = WebSocket::new(listener.url().replace("ws:", "wss:")).unwrap();
        let mut peer = listener.accept_silently();
        let mut record = [0; 5];
        std::io::Read::read_exact(&mut peer.stream, &mut record).unwrap();
        assert_eq!(record[0], 22, "a handshake record");
        peer.send(answer);
        drop(peer);
        let failure = assert_fails(&socket, answer);
        if answer.starts_with("HTTP") {
            assert!(matches!(failure, Failure::Tls(_)), "{failure:?}");
        }
    }
}

#[test]
fn row_22_every_answer_but_the_right_one_fails() {
    let statuses = [
        "200 OK",
        "204 No Content",
        "302 Found",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "407 Proxy Authentication Required",
        "426 Upgrade Required",
        "500 Internal Server Error",
        "503 Service Unavailable",
        "999 Whatever",
    ];
    for status in statuses {
        let listener = Listener::new();
        let socket = WebSocket::new(listener.url()).unwrap();
        let mut peer = listener.accept();
        peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbody"));
        let Failure::Open(error) = assert_fails(&socket, status) else { panic!("{status}: {:?}", socket.failure()) };
        assert!(matches!(&*error, OpenError::Refused(code) if status.starts_with(&code.to_string())), "{error:?}");
        peer.receive_end();
    }
    let answers: [&[u8]; 8] = [
        b"",
        b"HTTP/1.1 101 Switching",
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x81\x05Hello",
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    ];
    for answer in answers {
        let listener = Listener::new();
        let socket = WebSocket::new(listener.url()).unwrap();
        let mut peer = listener.accept();
        peer.send(answer);
        peer.shut_down();
        let what = String::from_utf8_lossy(answer);
        assert!(matches!(assert_fails(&socket, &what), Failure::Open(_)), "{what}: {:?}", socket.failure());
    }
}

#[test]
fn row_23_redirects_are_not_followed() {
    let elsewhere = Listener::new();
    for status in [300, 301, 302, 303, 307, 308] {
        for scheme in ["http", "ws"] {
            let listener = Listener::new();
            let socket = WebSocket::new(listener.url()).unwrap();
            let location = elsewhere.url().replace("ws", scheme);
            listener.accept().send(format!("HTTP/1.1 {status} Found\r\nLocation: {location}\r\n\r\n"));
            let failure = assert_fails(&socket, "a redirect");
            assert!(
                matches!(failure, Failure::Open(error) if matches!(&*error, OpenError::Refused(code) if *code == status))
            );
            assert!(listener.is_idle());
        }
    }
    wait_for_network("127.0.0.1");
    assert!(elsewhere.is_idle());
}

#[test]
fn row_23_nobody_is_asked_for_a_password() {
    for (status, header) in [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")] {
        for user in ["", "user:pass@"] {
            let listener = Listener::new();
            let socket = WebSocket::new(listener.url().replace("//", &format!("//{user}"))).unwrap();
            listener.accept().send(format!("HTTP/1.1 {status} No\r\n{header}: Basic realm=\"x\"\r\n\r\n"));
            assert_fails(&socket, header);
            wait_for_network("127.0.0.1");
            assert!(listener.is_idle(), "it does not come again");
        }
    }
}
