//! TLS on the loop: both ends of each connection run on one thread.
#![cfg(feature = "tls")]

use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use sansocket_mio::{
    ClientRequest, CloseCode, Closed, Context, Handler, Message, OpenError, OwnedMessage, Server, Settings,
    TlsAcceptor, TlsConnector, TlsError, TlsListener, TlsStream, Uri,
};

/// The longest that a test may take.
const LIMIT: Duration = Duration::from_secs(20);

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

    fn server(&self) -> TlsAcceptor {
        self.sign(CertificateParams::new(["localhost".to_owned()]).unwrap())
    }
}

/// Clients send a list of messages, each once the one before has come back; the server echoes.
#[derive(Default)]
struct Both {
    to_send: Vec<OwnedMessage>,
    echoed: usize,
    ended: Vec<(bool, u16)>,
    not_opened: Vec<OpenError>,
}

#[derive(Default)]
struct Data {
    is_client: bool,
}

impl Both {
    fn send_next(&self, cx: &mut Context<'_, Self>) {
        match self.to_send.get(self.echoed) {
            Some(message) => _ = cx.send(message).unwrap(),
            None => cx.close(CloseCode::NORMAL, "").unwrap(),
        }
    }
}

impl Handler for Both {
    type Stream = TlsStream<TcpStream>;
    type Data = Data;

    fn open(&mut self, cx: &mut Context<'_, Self>) {
        if cx.data().is_client {
            self.send_next(cx);
        }
    }

    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
        if cx.data().is_client {
            assert_eq!(message, self.to_send[self.echoed].as_message());
            self.echoed += 1;
            self.send_next(cx);
        } else {
            let _ = cx.send(message).unwrap();
        }
    }

    fn close(&mut self, _: &mut Context<'_, Self>, closed: &Closed<'_>) {
        self.ended.push((closed.ending.is_clean(), closed.ending.code()));
    }

    fn not_opened(&mut self, _: &mut Context<'_, Self>, error: OpenError) {
        self.not_opened.push(error);
    }
}

/// Runs one connection between a client that looks for `host` and a server, until nothing is left of it.
fn run(acceptor: TlsAcceptor, connector: &TlsConnector, host: &str, to_send: Vec<OwnedMessage>) -> Both {
    let mut server = Server::new(Both { to_send, ..Both::default() }, Settings::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    server.listen(TlsListener::new(listener, acceptor)).unwrap();

    let url = format!("wss://{host}:{}/", address.port());
    let stream = TlsStream::connect(connector, TcpStream::connect(address).unwrap(), host).unwrap();
    let id = server.connections().connect(stream, &ClientRequest::new(&Uri::parse(&url).unwrap())).unwrap();
    server.connections().data(id).unwrap().is_client = true;

    let start = Instant::now();
    // The client is there from the beginning; the server's end comes, and both go.
    let mut had_both = false;
    while !(had_both && server.connections().is_empty()) {
        server.run_once(Some(LIMIT)).unwrap();
        had_both |= server.connections().len() == 2 || !server.handler().not_opened.is_empty();
        assert!(start.elapsed() < LIMIT, "the connection does not end");
    }
    std::mem::take(server.handler())
}

#[test]
fn messages_of_every_size_go_through_tls_both_ways_and_the_end_is_clean() {
    let authority = Authority::new("trusted");
    let to_send: Vec<OwnedMessage> = [0, 1, 125, 126, 16_384, 65_535, 65_536, 1 << 20, 4 << 20]
        .into_iter()
        .flat_map(|size| {
            let text = "é".repeat(size / 2);
            let binary = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            [OwnedMessage::Text(text), OwnedMessage::Binary(binary)]
        })
        .collect();
    let count = to_send.len();
    let seen = run(authority.server(), &authority.connector(), "localhost", to_send);
    assert_eq!(seen.echoed, count);
    assert_eq!(seen.ended, [(true, 1000); 2]);
    assert!(seen.not_opened.is_empty());
}

/// What a client says of a server that it does not trust. The server hears of it, too.
fn refusal(acceptor: TlsAcceptor, connector: &TlsConnector, host: &str) -> TlsError {
    let seen = run(acceptor, connector, host, Vec::new());
    assert!(seen.ended.is_empty());
    assert_eq!(seen.not_opened.len(), 2, "{:?}", seen.not_opened);
    let errors = seen.not_opened.into_iter().map(|error| match error {
        OpenError::Io(error) => TlsError::from(error),
        other => panic!("{other}"),
    });
    errors.into_iter().find(|error| !matches!(error, TlsError::Io(_) | TlsError::Rustls(_))).expect("a reason")
}

#[test]
fn a_certificate_that_is_not_good_is_refused_and_the_error_says_why() {
    let authority = Authority::new("trusted");
    let trusts = authority.connector();
    assert!(matches!(refusal(authority.server(), &trusts, "example.com"), TlsError::WrongHost(_)));
    assert!(matches!(refusal(Authority::new("unknown").server(), &trusts, "localhost"), TlsError::UnknownIssuer(_)));
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 12, 31));
    assert!(matches!(refusal(authority.sign(params), &trusts, "localhost"), TlsError::Expired(_)));
}

#[test]
fn a_client_without_tls_is_not_let_in() {
    let authority = Authority::new("trusted");
    let mut server = Server::new(Both::default(), Settings::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    server.listen(TlsListener::new(listener, authority.server())).unwrap();
    let mut plain = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut plain, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    while server.handler().not_opened.is_empty() {
        server.run_once(Some(LIMIT)).unwrap();
    }
    assert!(
        matches!(&server.handler().not_opened[0], OpenError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData)
    );
}
