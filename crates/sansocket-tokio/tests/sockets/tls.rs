//! TLS: who is trusted, who is not and why, and the same messages as without.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use sansocket_tokio::{
    CloseCode, ConnectError, ConnectOptions, Error, Message, Socket, TlsAcceptor, TlsConnector, TlsError, WebSocket,
    accept_tls,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::common::{echo, masked, open_to_all, read_head, request};

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

    fn server(&self, names: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        TlsAcceptor::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }
}

type Served = WebSocket<tokio_rustls::server::TlsStream<TcpStream>>;

/// A server of one connection, and its port. `None`: no handshake came to its end.
async fn serve(acceptor: TlsAcceptor) -> (u16, JoinHandle<Option<Served>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        open_to_all().accept_over(accept_tls(&acceptor, stream).await.ok()?).await.ok()
    });
    (port, serving)
}

async fn connect(port: u16, host: &str, tls: &TlsConnector) -> Result<WebSocket<Socket>, ConnectError> {
    ConnectOptions::new().tls(tls).connect(&format!("wss://{host}:{port}/")).await
}

async fn pair() -> (WebSocket<Socket>, Served) {
    let authority = Authority::new("us");
    let (port, serving) = serve(authority.server(&["127.0.0.1"])).await;
    let client = connect(port, "127.0.0.1", &authority.connector()).await.unwrap();
    (client, serving.await.unwrap().unwrap())
}

#[tokio::test]
async fn messages_of_every_size_go_through_tls_and_the_end_is_clean() {
    let (mut client, server) = pair().await;
    let server = echo(server);
    for size in [0, 1, 125, 126, 16_384, 65_536, 1 << 20, 4 << 20] {
        let bytes = vec![0xA5; size];
        client.send(&bytes).await.unwrap();
        assert!(client.read().await.unwrap() == Some(Message::Binary(&bytes)), "{size}");
    }
    client.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(client.ending().unwrap().is_clean());
    let (result, server) = server.await.unwrap();
    result.unwrap();
    assert!(server.ending().unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_halves_of_a_split_connection_go_through_tls() {
    /// Bytes each way: far more than sockets hold.
    const TOTAL: usize = 16 << 20;
    const MESSAGE: usize = 1 << 20;

    async fn both<S>(ws: WebSocket<S>) -> (sansocket_tokio::Reader<S>, sansocket_tokio::Writer<S>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (mut reader, mut writer) = ws.split();
        let writing = tokio::spawn(async move {
            for _ in 0..TOTAL / MESSAGE {
                writer.send(&vec![7; MESSAGE]).await.unwrap();
                writer.ping(b"in between").await.unwrap();
            }
            writer
        });
        for _ in 0..TOTAL / MESSAGE {
            assert!(reader.read().await.unwrap() == Some(Message::Binary(&[7; MESSAGE])));
        }
        (reader, writing.await.unwrap())
    }

    let (client, server) = pair().await;
    let server = tokio::spawn(both(server));
    let (mut reader, mut writer) = both(client).await;
    let (mut server, _to_client) = server.await.unwrap();
    let server = tokio::spawn(async move { server.read().await.unwrap().is_none() });
    writer.start_close(CloseCode::NORMAL, "done").await.unwrap();
    assert!(reader.read().await.unwrap().is_none());
    assert!(server.await.unwrap() && reader.ending().unwrap().is_clean());
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_refused_and_the_error_says_why() {
    let (authority, stranger) = (Authority::new("us"), Authority::new("somebody else"));
    type Expected = fn(&TlsError) -> bool;
    let cases: [(TlsAcceptor, Expected); 2] = [
        (authority.server(&["example.com"]), |error| matches!(error, TlsError::WrongHost(_))),
        (stranger.server(&["127.0.0.1"]), |error| matches!(error, TlsError::UnknownIssuer(_))),
    ];
    for (acceptor, expected) in cases {
        let (port, serving) = serve(acceptor.clone()).await;
        let error = connect(port, "127.0.0.1", &authority.connector()).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Tls(error) if expected(error)), "{error:?}");
        assert!(serving.await.unwrap().is_none(), "no handshake of ours was begun");

        // Who wants it can have it all the same.
        let (port, serving) = serve(acceptor).await;
        let mut client = connect(port, "127.0.0.1", &TlsConnector::insecure()).await.unwrap();
        let server = echo(serving.await.unwrap().unwrap());
        client.close(None, "").await.unwrap();
        server.await.unwrap().0.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_a_word_of_tls_is_lost() {
    let (mut client, server) = pair().await;
    drop(server);
    let error = client.read().await.unwrap_err();
    assert!(matches!(error, Error::Lost { source: Some(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move { open_to_all().accept(listener.accept().await.unwrap().0).await.map(drop) });
    let error = connect(port, "127.0.0.1", &TlsConnector::bundled_roots()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    assert!(serving.await.unwrap().unwrap_err().to_string().contains("not well-formed HTTP"));
}

#[tokio::test]
async fn rfc6455_7_1_1_a_tls_session_is_closed_in_order() {
    let authority = Authority::new("us");
    let (port, serving) = serve(authority.server(&["localhost"])).await;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut client = sansocket_tokio::connect_tls(&authority.connector(), stream, "localhost").await.unwrap();
    client.write_all(&request(&[])).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "));
    client.write_all(&masked(0x88, b"")).await.unwrap();
    let mut server = serving.await.unwrap().unwrap();
    assert!(server.read().await.unwrap().is_none());
    // Without a `close_notify` the end is an error (`UnexpectedEof`).
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"\x88\x00");
}
