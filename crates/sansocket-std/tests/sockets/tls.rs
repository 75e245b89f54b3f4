//! TLS: who is trusted, who is not and why, and the same messages as without.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use crate::common::{LIMIT, echo, open_to_all};
use sansocket_std::{
    AcceptOptions, CloseCode, ConnectError, ConnectOptions, Error, Message, Socket, TlsAcceptor, TlsConnector,
    TlsError, TlsStream, WebSocket,
};

/// An authority of our own, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn connector(&self) -> TlsConnector {
        TlsConnector::with_ca(self.0.pem().as_bytes()).unwrap()
    }

    fn sign(&self, params: CertificateParams) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        TlsAcceptor::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    /// A server's good certificate.
    fn server(&self) -> TlsAcceptor {
        self.sign(CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap())
    }
}

/// A server of one connection and its port. What it does with a client that goes away in the handshake is nobody's concern.
fn serve<T: Send + 'static>(
    acceptor: TlsAcceptor,
    serve: impl FnOnce(WebSocket<TlsStream<TcpStream>>) -> T + Send + 'static,
) -> (u16, JoinHandle<Option<T>>) {
    serve_with(open_to_all(), acceptor, serve)
}

fn serve_with<T: Send + 'static>(
    options: AcceptOptions<'static>,
    acceptor: TlsAcceptor,
    serve: impl FnOnce(WebSocket<TlsStream<TcpStream>>) -> T + Send + 'static,
) -> (u16, JoinHandle<Option<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let ws = options.accept(TlsStream::accept(&acceptor, stream).unwrap()).ok()?;
        Some(serve(ws))
    });
    (port, server)
}

fn connect(port: u16, host: &str, tls: &TlsConnector) -> Result<WebSocket<Socket>, ConnectError> {
    ConnectOptions::new().tls(tls).connect(&format!("wss://{host}:{port}/"))
}

#[test]
fn messages_of_every_size_go_through_tls_and_the_end_is_clean() {
    let authority = Authority::new("us");
    let (port, server) = serve(authority.server(), |ws| echo(ws).join().unwrap().0);
    let mut client = connect(port, "127.0.0.1", &authority.connector()).unwrap();
    for size in [0, 1, 125, 126, 16_384, 65_536, 1 << 20, 16 << 20] {
        let bytes = vec![0xA5; size];
        client.send(&bytes).unwrap();
        assert!(client.read().unwrap() == Some(Message::Binary(&bytes)), "{size}");
    }
    client.close(CloseCode::NORMAL, "").unwrap();
    assert!(client.ending().unwrap().is_clean());
    server.join().unwrap().unwrap().unwrap();
}

#[test]
fn both_halves_of_a_split_connection_go_through_tls() {
    /// Bytes each way: far more than sockets hold.
    const TOTAL: usize = 32 << 20;
    const MESSAGE: usize = 1 << 20;

    let authority = Authority::new("us");
    let (sender, receiver) = std::sync::mpsc::channel();
    let (port, server) = serve(authority.server(), move |ws| sender.send(ws).unwrap());
    let client = connect(port, "localhost", &authority.connector()).unwrap();
    server.join().unwrap().unwrap();
    let halves = [client.split().unwrap(), receiver.recv().unwrap().split().unwrap()];
    let sides = halves.map(|(mut reader, writer)| {
        let sending = writer.clone();
        let writing = thread::spawn(move || {
            for _ in 0..TOTAL / MESSAGE {
                sending.send(&vec![7; MESSAGE]).unwrap();
                sending.ping(b"in between").unwrap();
            }
        });
        let reading = thread::spawn(move || {
            for _ in 0..TOTAL / MESSAGE {
                assert!(reader.read().unwrap() == Some(Message::Binary(&[7; MESSAGE])));
            }
            reader
        });
        (writing, reading, writer)
    });
    let [mut client, mut server] = sides.map(|(writing, reading, writer)| {
        writing.join().unwrap();
        (reading.join().unwrap(), writer)
    });
    client.1.start_close(CloseCode::NORMAL, "done").unwrap();
    assert!(server.0.read().unwrap().is_none());
    drop(server);
    assert!(client.0.read().unwrap().is_none());
    assert!(client.0.ending().unwrap().is_clean());
}

#[cfg(feature = "deflate")]
#[test]
fn both_halves_of_a_split_connection_compress_and_go_through_tls() {
    use sansocket_std::deflate::{Compress, Config, Policy};

    const MESSAGES: usize = 40;

    fn message(at: usize) -> Vec<u8> {
        let mut state = at as u64;
        let noise = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_le_bytes()[7]
        };
        [(0..at * 1000).map(noise).collect(), vec![7; at * 10_000]].concat()
    }

    for policy in [Policy::DEFAULT, Policy::TAKEOVER] {
        let config = Config { policy, ..Config::DEFAULT };
        let authority = Authority::new("us");
        let (sender, receiver) = std::sync::mpsc::channel();
        let options = open_to_all().compression(config);
        let (port, server) = serve_with(options, authority.server(), move |ws| sender.send(ws).unwrap());
        let connector = authority.connector();
        let connect = ConnectOptions::new().compression(config).tls(&connector);
        let mut client = connect.connect(&format!("wss://localhost:{port}/")).unwrap();
        server.join().unwrap().unwrap();
        let mut server = receiver.recv().unwrap();
        assert!(client.negotiated().compression().is_some());
        // What was queued before the split goes first.
        client.queue(&message(1)).unwrap();
        server.queue(&message(1)).unwrap();
        let halves = [client.split().unwrap(), server.split().unwrap()];
        let sides = halves.map(|(mut reader, writer)| {
            let sending = writer.clone();
            let writing = thread::spawn(move || {
                for at in 2..MESSAGES {
                    sending.send_with(&message(at), Compress::Always).unwrap();
                    sending.ping(b"in between").unwrap();
                }
            });
            let reading = thread::spawn(move || {
                for at in 1..MESSAGES {
                    assert!(reader.read().unwrap() == Some(Message::Binary(&message(at))), "{at}");
                }
                reader
            });
            (writing, reading, writer)
        });
        let [mut client, mut server] = sides.map(|(writing, reading, writer)| {
            writing.join().unwrap();
            (reading.join().unwrap(), writer)
        });
        client.1.start_close(CloseCode::NORMAL, "done").unwrap();
        assert!(server.0.read().unwrap().is_none());
        drop(server);
        assert!(client.0.read().unwrap().is_none());
        assert!(client.0.ending().unwrap().is_clean());
    }
}

#[test]
fn a_certificate_that_is_not_good_is_refused_and_the_error_says_why() {
    let authority = Authority::new("us");
    let names = || ["localhost".to_owned()];
    let mut expired = CertificateParams::new(names()).unwrap();
    (expired.not_before, expired.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    let key = KeyPair::generate().unwrap();
    let alone = CertificateParams::new(names()).unwrap().self_signed(&key).unwrap();
    let self_signed = TlsAcceptor::from_pem(alone.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let elsewhere = CertificateParams::new(["example.com".to_owned()]).unwrap();

    type Expected = fn(&TlsError) -> bool;
    let cases: [(TlsAcceptor, Expected, &str); 4] = [
        (authority.sign(elsewhere), |error| matches!(error, TlsError::WrongHost(_)), "another host"),
        (authority.sign(expired), |error| matches!(error, TlsError::Expired(_)), "not valid now"),
        (self_signed, |error| matches!(error, TlsError::UnknownIssuer(_)), "self-signed"),
        (
            Authority::new("somebody else").server(),
            |error| matches!(error, TlsError::UnknownIssuer(_)),
            "unknown issuer",
        ),
    ];
    for (acceptor, expected, word) in cases {
        let (port, server) = serve(acceptor.clone(), |_| ());
        let error = connect(port, "localhost", &authority.connector()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(matches!(&error, ConnectError::Tls(error) if expected(error)), "{error:?}");
        assert!(server.join().unwrap().is_none(), "no handshake of ours was begun");

        // Who wants it can have it all the same.
        let (port, server) = serve(acceptor, |ws| echo(ws).join().unwrap().0);
        connect(port, "localhost", &TlsConnector::insecure()).unwrap().close(None, "").unwrap();
        server.join().unwrap().unwrap().unwrap();
    }
}

#[test]
fn a_stream_that_ends_without_a_word_of_tls_is_lost() {
    let authority = Authority::new("us");
    let (port, server) = serve(authority.server(), drop);
    let mut client = connect(port, "127.0.0.1", &authority.connector()).unwrap();
    server.join().unwrap().unwrap();
    let error = client.read().unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

#[test]
fn a_server_without_tls_and_wrong_names_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || open_to_all().accept(listener.accept().unwrap().0).unwrap_err());
    let error = connect(port, "127.0.0.1", &TlsConnector::bundled_roots()).unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    assert!(server.join().unwrap().to_string().contains("not well-formed HTTP"));

    assert!(matches!(TlsConnector::with_ca(b"rubbish"), Err(TlsError::Pem(_))));
    assert!(matches!(TlsAcceptor::from_pem(b"", b""), Err(TlsError::Pem(_))));
}

#[test]
fn rfc6455_4_1_tls_names_the_host_that_is_wanted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // A record's header, then the record: the ClientHello.
        let mut header = [0; 5];
        stream.read_exact(&mut header).unwrap();
        let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        stream.read_exact(&mut hello).unwrap();
        hello
    });
    let error = connect(port, "localhost", &TlsConnector::bundled_roots()).unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    // RFC 6066, 3: extension 0 of 14 bytes, a list of 12: a host name of 9.
    let sni = [&[0, 0, 0, 14, 0, 12, 0, 0, 9][..], b"localhost"].concat();
    let hello = server.join().unwrap();
    assert!(hello.windows(sni.len()).any(|window| window == sni), "{}", String::from_utf8_lossy(&hello));
}

#[test]
fn rfc6455_7_1_1_a_tls_session_is_closed_in_order() {
    let authority = Authority::new("us");
    let (port, server) = serve(authority.server(), |mut ws| {
        assert!(ws.read().unwrap().is_none());
        ws
    });
    // rustls alone, for what the adapter does not tell: whether the session or only the stream was ended.
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut client = TlsStream::connect(&authority.connector(), stream, "localhost").unwrap();
    client.write_all(&crate::common::request(&[])).unwrap();
    assert!(crate::common::read_head(&mut client).starts_with("HTTP/1.1 101 "));
    client.write_all(&crate::common::masked(0x88, b"")).unwrap();
    // Without a `close_notify` the end is an error (`UnexpectedEof`).
    assert_eq!(crate::common::read_to_end(&mut client), b"\x88\x00");
    drop(server.join().unwrap());
}
