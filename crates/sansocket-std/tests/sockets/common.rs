//! Two ends of a real connection on the loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sansocket_std::{AcceptOptions, ConnectOptions, OriginPolicy, Stream, WebSocket};

/// No test waits longer than this for a peer that it controls.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A connected pair of sockets.
pub(crate) fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.set_write_timeout(Some(LIMIT)).unwrap();
    }
    (client, server)
}

/// An open connection: the client's end and the server's.
pub(crate) fn pair() -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let (client, server) = sockets();
    let server = thread::spawn(move || AcceptOptions::new().accept(server).unwrap());
    let client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    (client, server.join().unwrap())
}

/// Echoes until the end, on a thread of its own, and gives the result and the socket.
pub(crate) fn echo<S: Stream + Send + 'static>(
    mut ws: WebSocket<S>,
) -> JoinHandle<(Result<(), sansocket_std::Error>, WebSocket<S>)> {
    thread::spawn(move || {
        let result = loop {
            match ws.read_owned() {
                Ok(Some(message)) => match ws.queue(&message) {
                    Ok(()) | Err(sansocket_std::Error::Send(_)) => {}
                    Err(error) => break Err(error),
                },
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (result, ws)
    })
}

/// A raw client behind a good handshake: what it sends next are frames.
pub(crate) fn raw_client(mut stream: TcpStream) -> TcpStream {
    stream.write_all(&request(&[])).unwrap();
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
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
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Reads until the peer has closed in order. A reset fails the test.
pub(crate) fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
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
