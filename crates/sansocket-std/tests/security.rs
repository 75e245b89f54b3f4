//! Flaws that other implementations of WebSocket have had, where a transport is what they need: over a stream that does what a test says.
//! `docs/security.md` tells of them; those that need no transport are in the engine's tests.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use allocation_counter::measure;
use sansocket_std::{
    AcceptError, AcceptOptions, ConnectError, ConnectOptions, Error, Limits, Negotiated, OriginPolicy, ProtocolError,
    Reject, Stream, Timeouts, WebSocket,
};

/// A stream that gives what is on it, and notes what is written to it.
#[derive(Debug, Default)]
struct Tape {
    wire: Vec<u8>,
    at: usize,
    /// What comes behind it without end. Empty: the end.
    endless: Vec<u8>,
    /// How many bytes more it claims to have given than it has.
    lie: usize,
    reads: usize,
    read: usize,
    written: Vec<u8>,
    is_shut: bool,
}

impl Tape {
    fn new(wire: impl Into<Vec<u8>>) -> Self {
        Self { wire: wire.into(), ..Self::default() }
    }
}

impl Read for Tape {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        assert!(self.reads < 100_000, "it is read and read");
        let mut left = &self.wire[self.at..];
        if left.is_empty() && !self.endless.is_empty() {
            left = &self.endless;
        } else {
            self.at += left.len().min(buffer.len());
        }
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.read += count;
        Ok(if count == 0 { 0 } else { count + self.lie })
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.is_shut, "written behind the end");
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Tape {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.is_shut = true;
        Ok(())
    }
}

/// Lent to a call that does not give it back.
impl Stream for &mut Tape {
    fn shutdown_write(&mut self) -> io::Result<()> {
        (**self).shutdown_write()
    }
}

/// A server behind its handshake.
fn server(tape: Tape, limits: Limits) -> WebSocket<Tape> {
    AcceptOptions::new().limits(limits).upgraded(tape, Negotiated::default(), &[]).unwrap()
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What one server takes of the heap besides messages: a buffer to read into.
const BUFFER: u64 = 20 << 10;

/// tungstenite 0.26.0: a reader that said it had read more than it had, and whose memory was read all the same.
#[test]
fn tungstenite_0_26_0_a_stream_that_lies_about_its_reads_does_no_harm() {
    let long = [&[0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[7; 40_000]].concat();
    for wire in [b"\x81\x85\0\0\0\0hello".to_vec(), long] {
        for lie in [1, 100, 20_000, 1 << 40, usize::MAX >> 1] {
            let mut server = server(Tape { lie, ..Tape::new(&*wire) }, Limits::DEFAULT);
            let mut messages = 0;
            // Whatever it takes for bytes, there is an end to it.
            while let Ok(Some(message)) = server.read() {
                assert!(message.as_bytes().iter().all(|byte| b"hello\x07\0".contains(byte)), "bytes of nobody");
                messages += 1;
            }
            assert!(messages <= 1);
        }
    }
    for lie in [1, 3000, usize::MAX >> 1] {
        let mut tape = Tape { lie, ..Tape::new(REQUEST) };
        let _ = AcceptOptions::new().accept(&mut tape).map(drop);
    }
}

/// CVE-2022-35922 (rust-websocket), gobwas/ws #223: memory for what a header announces.
#[test]
fn cve_2022_35922_an_announced_length_takes_no_memory() {
    let header = [0x82, 0xFF, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
    for there in [0, 10, 100_000] {
        let wire = [&header[..], &vec![1; there]].concat();
        let taken = measure(|| {
            let error = server(Tape::new(wire), Limits::UNLIMITED).read().map(drop).unwrap_err();
            assert!(matches!(error, Error::Lost { .. }), "{error:?}");
        });
        // What has come may have doubled and doubled again, and while memory grows, the old is there beside the new.
        assert!(taken.bytes_max < BUFFER + 5 * there.max(64 << 10) as u64, "{there}: {taken:?}");
    }
}

/// CVE-2026-48779 (ws), CVE-2014-0193 (Netty): fragments without end, empty ones too.
#[test]
fn cve_2026_48779_fragments_without_end_are_counted_and_take_no_memory() {
    for (next, held) in [(&b"\x00\x80\0\0\0\0"[..], 0), (b"\x00\x81\0\0\0\0x", 1 << 17)] {
        let tape = Tape { endless: next.repeat(2000), ..Tape::new(&b"\x01\x80\0\0\0\0"[..]) };
        let mut read = 0;
        let taken = measure(|| {
            let mut server = server(tape, Limits::DEFAULT);
            let error = server.read().map(drop).unwrap_err();
            assert!(matches!(error, Error::Violation(ProtocolError::TooManyFragments)), "{error:?}");
            read = server.stream().read;
        });
        assert!(taken.bytes_max < BUFFER + 3 * held + 1000, "{taken:?}");
        assert!(read < 18 << 20, "what comes behind a violation is drained up to 16 MiB: {read}");
    }
}

/// aiohttp #13743 and #13749: what came behind a violation was kept.
#[test]
fn aiohttp_13743_nothing_is_kept_of_what_comes_behind_a_violation() {
    let tape = Tape { endless: vec![0x89; 64 << 10], ..Tape::new(&b"\x83"[..]) };
    let taken = measure(|| {
        let mut server = server(tape, Limits::DEFAULT);
        for _ in 0..3 {
            let error = server.read().map(drop).unwrap_err();
            assert!(matches!(error, Error::Violation(ProtocolError::ReservedOpcode)), "{error:?}");
        }
        let tape = server.stream();
        assert!(tape.is_shut && tape.written.starts_with(b"\x88"), "{:?}", tape.written);
        assert!((16 << 20..17 << 20).contains(&tape.read), "once, and not without end: {}", tape.read);
    });
    assert!(taken.bytes_max < BUFFER, "{taken:?}");
}

const SECRET: &[u8] = b"GET /secret HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What comes of a request with this behind it, more than one read brings, and all that was answered.
fn answer<T>(first: &str, behind: &[u8], serve: impl FnOnce(&mut Tape) -> T) -> (T, String) {
    let mut tape = Tape::new([first.as_bytes(), &behind.repeat(1000)].concat());
    let outcome = serve(&mut tape);
    assert!(tape.is_shut && tape.at == tape.wire.len(), "nothing is left for anybody else to read");
    (outcome, String::from_utf8(tape.written).unwrap())
}

/// What a request is refused for, and all that was answered.
fn refuse(first: &str) -> (AcceptError, String) {
    let (outcome, answer) = answer(first, SECRET, |tape| AcceptOptions::new().accept(tape).map(drop));
    (outcome.unwrap_err(), answer)
}

/// Nothing was answered but this, behind which the connection ends.
fn assert_is_all(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

/// kemal #767 and 0ang3el's websocket-smuggle: a refused request, behind which the next one was read.
#[test]
fn kemal_767_websocket_smuggle_behind_a_refused_request_the_connection_ends() {
    let evil = REQUEST.replace("\r\n\r\n", "\r\nOrigin: http://evil.net\r\n\r\n");
    for (first, status) in [(REQUEST.replace(": 13", ": 777"), 426), (evil, 403), (REQUEST.replace("GET", "PUT"), 405)]
    {
        let (error, answer) = refuse(&first);
        assert!(matches!(error, AcceptError::Refused(error) if error.status() == status), "{error:?}");
        assert_is_all(&answer, status);
    }
}

/// The same where it is the application that refuses; and frames are read as little as requests.
#[test]
fn kemal_767_behind_a_request_that_the_application_rejects_the_connection_ends() {
    for behind in [SECRET, b"\x81\x85\0\0\0\0hello"] {
        let (outcome, answer) = answer(REQUEST, behind, |tape| {
            let pending = AcceptOptions::new().receive(tape)?;
            pending.reject(&Reject::new(403))
        });
        outcome.unwrap();
        assert_is_all(&answer, 403);
    }
}

/// CVE-2019-13611 (python-engineio) and its like: who does not ask for something else lets in no page of another origin.
#[test]
fn cve_2019_13611_pages_of_other_origins_are_not_let_in_by_default() {
    let with = |origin: &str| REQUEST.replace("\r\n\r\n", &format!("\r\nOrigin: {origin}\r\n\r\n"));
    for foreign in
        ["null", "http://evil.net", "http://localhost:81", "http://localhost.evil.net", "http://localhost@evil.net"]
    {
        let (error, _) = refuse(&with(foreign));
        assert!(matches!(error, AcceptError::Refused(error) if error.status() == 403), "{foreign}: {error:?}");
        let mut tape = Tape::new(with(foreign));
        assert!(AcceptOptions::new().origins(OriginPolicy::Any).accept(&mut tape).is_ok());
    }
    assert!(AcceptOptions::new().accept(&mut Tape::new(with("http://localhost"))).is_ok());
}

/// CVE-2026-1527 (undici): what a program gets from elsewhere became headers of a request.
#[test]
fn cve_2026_1527_a_request_that_would_carry_more_headers_is_not_sent() {
    let mut tape = Tape::default();
    for byte in ["\r", "\n", "\0", "\r\nX: y"] {
        let evil = format!("a{byte}b");
        let header = [("X", &*evil)];
        let protocol = [&*evil];
        for (options, url) in [
            (ConnectOptions::new().headers(&header), "ws://localhost/".to_owned()),
            (ConnectOptions::new().protocols(&protocol), "ws://localhost/".to_owned()),
            (ConnectOptions::new().origin(&evil), "ws://localhost/".to_owned()),
            (ConnectOptions::new(), format!("ws://localhost/{evil}")),
            (ConnectOptions::new(), format!("ws://{evil}/")),
        ] {
            let error = options.open(&mut tape, &url).map(drop).unwrap_err();
            assert!(matches!(error, ConnectError::Request(_) | ConnectError::Uri(_)), "{error:?}");
        }
    }
    assert_eq!((tape.written, tape.reads), (Vec::new(), 0), "nothing was sent");
}

/// CVE-2017-2670 (Undertow): an end without a Close was read again and again.
#[test]
fn cve_2017_2670_the_end_of_the_stream_is_read_once() {
    for wire in [&b""[..], b"\x81", b"\x81\x85\0\0\0\0he", b"\x01\x81\0\0\0\0h", b"\x89\x82\0\0\0\0p"] {
        let mut server = server(Tape::new(wire), Limits::DEFAULT);
        assert!(matches!(server.read(), Err(Error::Lost { .. })));
        let reads = server.stream().reads;
        for _ in 0..100 {
            assert!(matches!(server.read(), Err(Error::Lost { .. })));
        }
        assert_eq!(server.stream().reads, reads, "behind the end nobody reads: {wire:?}");
        assert!(reads <= wire.len() + 2, "{reads}");
    }
}

/// CVE-2024-23672 (Tomcat): a peer that has sent its Close, and goes on living.
#[test]
fn cve_2024_23672_a_peer_that_does_not_end_behind_its_close_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut server = AcceptOptions::new().accept(listener.accept().unwrap().0).unwrap();
        server.start_close(None, "").unwrap();
        // It does not read the answer, ends nothing, and sends what nobody waits for, until nobody is there.
        let mut stream = server.stream().try_clone().unwrap();
        while stream.write_all(b"\x89\x00").is_ok() {}
    });
    let timeouts = Timeouts { end: Some(Duration::from_millis(50)), ..Timeouts::NONE };
    let mut client = ConnectOptions::new().timeouts(timeouts).connect(&format!("ws://{address}/")).unwrap();
    assert!(client.read().unwrap().is_none(), "the closing handshake was clean");
    drop(client);
    server.join().unwrap();
}

/// CVE-2021-42340 (Tomcat): each connection left something behind.
#[test]
fn cve_2021_42340_connections_leave_nothing_behind() {
    let frames = b"\x81\x85\0\0\0\0hello\x02\x81\0\0\0\0a\x80\x81\0\0\0\0b\x88\x80\0\0\0\0";
    let cycle = |at: usize| {
        let wire = [REQUEST.as_bytes(), &frames[..frames.len() - at % frames.len()]].concat();
        let mut server = AcceptOptions::new().accept(Tape::new(wire)).unwrap();
        while let Ok(Some(message)) = server.read_owned() {
            server.send(&message).unwrap();
        }
    };
    // A thread keeps some memory for its next connections, and no more the longer it goes on.
    (0..100).for_each(cycle);
    let taken = measure(|| (0..10_000).for_each(cycle));
    assert_eq!((taken.count_current, taken.bytes_current), (0, 0));
}

/// CVE-2020-35896 (ws-rs): what is queued for a peer that does not read. A thread that sends to one waits, and holds what it was queuing.
#[test]
fn cve_2020_35896_what_is_queued_for_a_peer_that_does_not_read_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = AcceptOptions::new().upgraded(listener.accept().unwrap().0, Negotiated::default(), &[]).unwrap();
    server.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    let message = vec![7; 64 << 10];
    let taken = measure(|| {
        let mut refused = 0;
        for _ in 0..10_000 {
            match server.queue(&message) {
                Ok(()) => {}
                Err(Error::Io(_)) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
            if refused == 3 {
                break;
            }
        }
        assert_eq!(refused, 3, "it takes no end of messages");
    });
    assert!(taken.bytes_max < 1 << 20, "{taken:?}");
    drop(client);
}

/// CVE-2020-11050 (Java-WebSocket), CVE-2020-15133 and CVE-2020-15134 (faye): the name in a certificate was not looked at.
#[cfg(feature = "tls")]
#[test]
fn cve_2020_11050_cve_2020_15133_cve_2020_15134_a_certificate_that_is_not_the_hosts_is_refused() {
    use std::sync::mpsc::channel;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
    use sansocket_std::{TlsAcceptor, TlsConnector, TlsError, TlsStream};

    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let connector = TlsConnector::with_ca(authority.pem().as_bytes()).unwrap();
    let named = |name: &str| CertificateParams::new([name.to_owned()]).unwrap();
    let mut expired = named("localhost");
    (expired.not_before, expired.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    for (what, params, is_signed) in [
        ("good", named("localhost"), true),
        ("another host", named("example.com"), true),
        ("a host that begins so", named("localhost.example.com"), true),
        ("expired", expired, true),
        ("self-signed", named("localhost"), false),
    ] {
        let key = KeyPair::generate().unwrap();
        let certificate =
            if is_signed { params.signed_by(&key, &authority) } else { params.self_signed(&key) }.unwrap();
        let acceptor = TlsAcceptor::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let (sender, receiver) = channel();
        let server = thread::spawn(move || {
            let mut stream = TlsStream::accept(&acceptor, listener.accept().unwrap().0).unwrap();
            let mut first = [0];
            // Whether a byte of the request, with its cookies, has come.
            sender.send(stream.read_exact(&mut first).is_ok()).unwrap();
        });
        let error = ConnectOptions::new().tls(&connector).connect(&url).map(drop).unwrap_err();
        let is_expected = match what {
            "good" => matches!(error, ConnectError::Io(_)),
            "expired" => matches!(error, ConnectError::Tls(TlsError::Expired(_))),
            "self-signed" => matches!(error, ConnectError::Tls(TlsError::UnknownIssuer(_))),
            _ => matches!(error, ConnectError::Tls(TlsError::WrongHost(_))),
        };
        assert!(is_expected, "{what}: {error:?}");
        assert_eq!(receiver.recv().unwrap(), what == "good", "{what}");
        server.join().unwrap();
    }
}
