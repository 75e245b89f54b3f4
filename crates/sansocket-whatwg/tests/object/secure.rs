//! Over TLS: whom the object trusts, what it does then, and a proxy in between.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use sansocket_testkit::{Frame, TEXT};
use sansocket_tls::TlsAcceptor;
use sansocket_tls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use sansocket_tls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sansocket_tls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};
use sansocket_whatwg::{Data, Event, Failure, TlsConnector, TlsError, WebSocket};

use crate::peer::{Listener, accept_value, clean, failed, message, next, open, rest};

/// Somebody who may be trusted.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Trusts it and nobody else.
    fn connector(&self) -> TlsConnector {
        TlsConnector::with_ca(self.issuer.pem().as_bytes()).unwrap()
    }

    /// A server whose certificate holds from 2020 to the end of `year`.
    fn server_until(&self, year: i32, names: &[&str]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let (mut params, key) = (CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap());
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 12, 31));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        TlsAcceptor::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    fn server(&self, names: &[&str]) -> TlsAcceptor {
        self.server_until(2100, names)
    }
}

/// Accepts, sends a text, answers the Close, and gives the request's head. A client that does not trust it leaves it with nothing.
fn serve(acceptor: &TlsAcceptor, stream: TcpStream, text: String) -> JoinHandle<String> {
    let mut stream = StreamOwned::new(acceptor.session().unwrap(), stream);
    thread::spawn(move || {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return String::new(),
            }
        }
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = accept_value(key);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).unwrap();
        stream.write_all(&Frame::new(TEXT, text).bytes()).unwrap();
        let mut close = [0; 6];
        stream.read_exact(&mut close).unwrap();
        assert_eq!(close[..2], [0x88, 0x80]);
        stream.write_all(&[0x88, 0]).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        head
    })
}

/// Opens, receives the text and closes.
#[track_caller]
fn assert_works(socket: &WebSocket, text: String) {
    assert_eq!(next(socket), Event::Open, "{:?}", socket.failure());
    assert_eq!(message(socket), Data::Text(text));
    socket.close();
    assert_eq!(rest(socket), [clean(1005, "")]);
}

/// More than one record of TLS, and more than is read at once.
fn long() -> String {
    "x".repeat(1_000_000)
}

#[test]
fn a_server_that_is_trusted_is_spoken_to() {
    let authority = Authority::new("one");
    let acceptor = authority.server(&["localhost", "127.0.0.1"]);
    for host in ["localhost", "127.0.0.1"] {
        for text in [String::from("hello"), long()] {
            let listener = Listener::new();
            let url = format!("wss://{host}:{}/path", listener.port());
            let socket = WebSocket::builder(&url).tls(authority.connector()).build().unwrap();
            let server = serve(&acceptor, listener.accept_silently().stream, text.clone());
            assert_works(&socket, text);
            assert!(server.join().unwrap().contains(&format!("Host: {host}:{}\r\n", listener.port())));
        }
    }
}

#[test]
fn row_22_a_server_that_is_not_trusted_fails() {
    let (authority, other) = (Authority::new("one"), Authority::new("another"));
    let fine = authority.server(&["127.0.0.1"]);
    type IsRight = fn(&TlsError) -> bool;
    let cases: [(&TlsAcceptor, Option<TlsConnector>, IsRight); 4] = [
        // Without an option, those are trusted whom Mozilla trusts.
        (&fine, None, |error| matches!(error, TlsError::UnknownIssuer(_))),
        (&fine, Some(other.connector()), |error| matches!(error, TlsError::UnknownIssuer(_))),
        (&authority.server(&["example.com"]), Some(authority.connector()), |error| {
            matches!(error, TlsError::WrongHost(_))
        }),
        (&authority.server_until(2021, &["127.0.0.1"]), Some(authority.connector()), |error| {
            matches!(error, TlsError::Expired(_))
        }),
    ];
    for (acceptor, tls, is_right) in cases {
        let listener = Listener::new();
        let builder = WebSocket::builder(listener.url().replace("ws:", "wss:"));
        let socket = match tls {
            Some(tls) => builder.tls(tls),
            None => builder,
        };
        let socket = socket.build().unwrap();
        let server = serve(acceptor, listener.accept_silently().stream, String::new());
        assert_eq!(rest(&socket), failed());
        let Some(Failure::Tls(error)) = socket.failure() else { panic!("{:?}", socket.failure()) };
        assert!(is_right(&error), "{error:?}");
        assert_eq!(server.join().unwrap(), "", "the server has heard nothing");
    }
}

#[derive(Debug)]
struct Panics;

impl ServerCertVerifier for Panics {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        panic!("a verifier's own affair")
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("the certificate was not verified")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[test]
fn row_22_a_verifier_that_panics_takes_nobody_along() {
    let (good, mut good_peer) = open();
    let verifier = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(Panics));
    let listener = Listener::new();
    let builder = WebSocket::builder(listener.url().replace("ws:", "wss:"));
    let socket = builder.tls(verifier.with_no_client_auth().into()).build().unwrap();
    let acceptor = Authority::new("one").server(&["127.0.0.1"]);
    let server = serve(&acceptor, listener.accept_silently().stream, String::new());
    assert_eq!(rest(&socket), failed());
    let Some(Failure::Tls(error)) = socket.failure() else { panic!("{:?}", socket.failure()) };
    assert!(error.to_string().contains("panicked"), "{error}");
    assert_eq!(server.join().unwrap(), "", "the server has heard nothing");
    good.send("still here").unwrap();
    assert_eq!(good_peer.receive_message().1, b"still here");
}

#[test]
fn tls_goes_through_a_proxy_and_is_between_object_and_server() {
    let authority = Authority::new("one");
    let acceptor = authority.server(&["secure.invalid"]);
    let proxy = Listener::new();
    let builder = WebSocket::builder("wss://secure.invalid").proxy(&format!("http://127.0.0.1:{}", proxy.port()));
    let socket = builder.tls(authority.connector()).build().unwrap();
    let mut peer = proxy.accept();
    assert!(peer.head().starts_with("CONNECT secure.invalid:443 "));
    peer.send("HTTP/1.1 200 OK\r\n\r\n");
    let server = serve(&acceptor, peer.stream, long());
    assert_works(&socket, long());
    assert!(server.join().unwrap().contains("\r\nHost: secure.invalid\r\n"));
}

#[test]
fn a_server_that_ends_tcp_behind_its_certificate_fails() {
    let authority = Authority::new("one");
    let listener = Listener::new();
    let builder = WebSocket::builder(listener.url().replace("ws:", "wss:")).tls(authority.connector());
    let socket = builder.build().unwrap();
    let mut peer = listener.accept_silently();
    let mut session = authority.server(&["127.0.0.1"]).session().unwrap();
    session.read_tls(&mut peer.stream).unwrap();
    session.process_new_packets().unwrap();
    session.write_tls(&mut peer.stream).unwrap();
    drop(peer);
    assert_eq!(rest(&socket), failed());
}
