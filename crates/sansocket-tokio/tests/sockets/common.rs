//! Two connected ends.

use sansocket_tokio::{AcceptOptions, ConnectOptions, Error, OriginPolicy, Socket, WebSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A client and a server with these options, connected.
pub(crate) async fn pair_with(
    connect: ConnectOptions<'_>,
    accept: AcceptOptions<'_>,
) -> (WebSocket<Socket>, WebSocket<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let accepted = async { accept.accept(listener.accept().await.unwrap().0).await };
    let (client, server) = tokio::join!(connect.connect(&url), accepted);
    (client.unwrap(), server.unwrap())
}

/// A client and a server, connected.
pub(crate) async fn pair() -> (WebSocket<Socket>, WebSocket<TcpStream>) {
    pair_with(ConnectOptions::new(), AcceptOptions::new()).await
}

/// A connected pair of sockets: the client's and the server's.
pub(crate) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (client, (server, _)) = (client.unwrap(), server.unwrap());
    client.set_nodelay(true).unwrap();
    (client, server)
}

/// A client that is no more than its socket, behind a good handshake, and a server.
pub(crate) async fn raw_pair(accept: AcceptOptions<'_>, more: &[&str]) -> (TcpStream, WebSocket<TcpStream>) {
    let (mut client, server) = sockets().await;
    client.write_all(&request(more)).await.unwrap();
    let server = accept.accept(server).await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (client, server)
}

/// Echoes until the end, in a task of its own, and gives the result and the connection.
pub(crate) fn echo<S>(mut ws: WebSocket<S>) -> JoinHandle<(Result<(), Error>, WebSocket<S>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let result = loop {
            match ws.read_to_reply().await {
                // An answer to a peer that is closing has nowhere to go.
                Ok(Some((message, mut replies))) => drop(replies.queue(message)),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (result, ws)
    })
}

/// A good request, with further header lines.
pub(crate) fn request(more: &[&str]) -> Vec<u8> {
    let mut request = String::from(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    );
    for line in more {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// Reads up to the blank line, and not a byte more.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Reads until the peer has closed in order. A reset fails the test.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// A frame as a client sends it, masked with zeros.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The options of a server that lets everybody in.
pub(crate) fn open_to_all() -> AcceptOptions<'static> {
    AcceptOptions::new().origins(OriginPolicy::Any)
}
