//! Client and server on one thread and one ring, over loopback. Where the kernel refuses a ring, they are skipped, and say so.

use std::io::{self, Write as _};
use std::time::Duration;

use compio::io::{AsyncReadExt, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use futures_util::future::{join, join_all};
use sansocket::handshake::{ClientRequest, Uri};
use sansocket::{CloseCode, Connection, EndedBy, Ending, Event, Messages, OwnedMessage, ProtocolError, Role, Timeouts};
use sansocket_example_io_uring::{Application, Echo, accept, connect, runtime};

/// The most that the client says at once.
const PART: usize = 4096;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Says all messages in parts, and closes when all have come back.
#[derive(Default)]
struct Talker {
    to_say: Vec<OwnedMessage>,
    said: usize,
    /// Bytes of the message that is being said.
    written: usize,
    joined: Messages,
    came: Vec<OwnedMessage>,
    pongs: usize,
}

impl<R: Role> Application<R> for Talker {
    fn received(&mut self, event: Event<'_>, _connection: &mut Connection<R>, _out: &mut Vec<u8>) {
        match event.piece() {
            Some(piece) if piece.is_last() => self.came.push(self.joined.finish_owned(piece).unwrap()),
            Some(piece) => self.joined.append(piece).unwrap(),
            None => self.pongs += usize::from(matches!(event, Event::Pong)),
        }
    }

    fn send(&mut self, connection: &mut Connection<R>, out: &mut Vec<u8>) {
        let Some(message) = self.to_say.get(self.said) else {
            if self.came.len() == self.said {
                connection.close(Some(CloseCode::NORMAL), "bye", out).unwrap();
            }
            return;
        };
        let message = message.as_message();
        let left = &message.as_bytes()[self.written..];
        let part = &left[..left.len().min(PART)];
        let last = part.len() == left.len();
        connection.send_part(message.kind(), part, last, out).unwrap();
        self.written += part.len();
        if last {
            connection.ping(b"behind it", out).unwrap();
            (self.said, self.written) = (self.said + 1, 0);
        }
    }
}

/// Runs it on a ring, if the kernel allows one.
#[expect(clippy::explicit_write, reason = "what `eprintln` says, the harness keeps to itself if the test passes")]
fn on_a_ring(test: impl Future<Output = ()>) {
    match runtime().expect("a runtime, or a refusal") {
        Ok(runtime) => runtime.block_on(test),
        Err(refused) => writeln!(io::stderr(), "test skipped: {refused}").unwrap(),
    }
}

/// A connection: the server's side and the client's.
async fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let (accepted, connected) = join(listener.accept(), TcpStream::connect(listener.local_addr().unwrap())).await;
    (accepted.unwrap().0, connected.unwrap())
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn serve(stream: TcpStream, timeouts: &Timeouts) -> Ending {
    accept(stream, timeouts).await.unwrap().run(&mut Echo, timeouts).await.unwrap()
}

/// A peer that is no WebSocket of ours: says this, and reads to the end.
async fn say(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes.to_vec()).await.0.unwrap();
    let (_, answer) = stream.read_to_end(Vec::new()).await.unwrap();
    answer
}

fn request() -> ClientRequest<'static> {
    ClientRequest::new(&Uri::parse("ws://127.0.0.1/").unwrap())
}

#[test]
fn messages_of_all_lengths_come_back_to_many_clients_at_once() {
    let mut messages = Vec::new();
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        messages.push(OwnedMessage::Binary((0..len).map(|at| (at % 251) as u8).collect()));
        messages.push(OwnedMessage::Text("grüße ".repeat(len / 8)));
    }
    on_a_ring(async {
        let listener = listen().await;
        let clients = (0..4).map(async |_| {
            let (accepted, connected) = pair(&listener).await;
            let mut talker = Talker { to_say: messages.clone(), ..Talker::default() };
            let client = async {
                let session = connect(connected, request(), &Timeouts::DEFAULT).await.unwrap();
                session.run(&mut talker, &Timeouts::DEFAULT).await.unwrap()
            };
            let (server, client) = join(serve(accepted, &Timeouts::DEFAULT), client).await;
            assert!(talker.came == messages, "what has come back is not what was said");
            assert_eq!(talker.pongs, messages.len());
            assert!(server.is_clean() && client.is_clean());
            assert_eq!((server.by(), server.code()), (EndedBy::Peer, 1000));
            assert_eq!((client.by(), client.code()), (EndedBy::Local, 1000));
        });
        join_all(clients).await;
    });
}

#[test]
fn the_first_frames_may_come_with_the_head_and_a_violation_is_told() {
    on_a_ring(async {
        let (accepted, connected) = pair(&listen().await).await;
        // A message, a frame that is not masked, and more behind it, that nobody will look at.
        let bytes = [REQUEST, b"\x81\x82\0\0\0\0hi", b"\x81\x02no", &[b'?'; 100_000]].concat();
        let (ending, answer) = join(serve(accepted, &Timeouts::DEFAULT), say(connected, &bytes)).await;
        assert_eq!(ending.by(), EndedBy::Failure(ProtocolError::UnmaskedFrame));
        let frames = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer[frames..].starts_with(b"\x81\x02hi\x88"));
        assert_eq!(answer[frames + 6..][..2], 1002_u16.to_be_bytes());
    });
}

#[test]
fn a_peer_that_falls_silent_is_given_up_when_it_owes_a_pong() {
    let soon = Some(Duration::from_millis(10));
    let timeouts = Timeouts { ping: soon, pong: soon, end: soon, ..Timeouts::DEFAULT };
    on_a_ring(async {
        let (accepted, mut silent) = pair(&listen().await).await;
        silent.write_all(REQUEST).await.0.unwrap();
        let ending = serve(accepted, &timeouts).await;
        assert_eq!(ending.by(), EndedBy::Failure(ProtocolError::PongTimeout));
        // A ping and a Close were sent to it, behind the response.
        let (_, answer) = silent.read_to_end(Vec::new()).await.unwrap();
        assert!(answer.windows(3).any(|bytes| bytes == b"\x89\0\x88"));
    });
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_and_then_given_up() {
    let soon = Some(Duration::from_millis(10));
    let timeouts = Timeouts { ping: soon, pong: soon, end: soon, ..Timeouts::DEFAULT };
    // More than the server, and the kernel for both, would ever hold.
    let frame = [&b"\x82\xfe\xff\xff\0\0\0\0"[..], &[b'?'; 65_535]].concat();
    let bytes = [REQUEST, &frame.repeat(1000)].concat();
    on_a_ring(async {
        let (accepted, mut deaf) = pair(&listen().await).await;
        let (ending, sent) = join(serve(accepted, &timeouts), deaf.write_all(bytes)).await;
        assert_eq!(ending.by(), EndedBy::Failure(ProtocolError::PongTimeout));
        assert!(sent.is_err(), "it has to notice");
    });
}

#[test]
fn a_refused_handshake_is_told_to_the_client() {
    on_a_ring(async {
        let (accepted, connected) = pair(&listen().await).await;
        let foreign = request().origin("https://elsewhere.example");
        let (server, client) =
            join(accept(accepted, &Timeouts::DEFAULT), connect(connected, foreign, &Timeouts::DEFAULT)).await;
        assert!(server.is_err());
        assert_eq!(client.err().unwrap().to_string(), "refused with status 403");
    });
}

#[test]
fn a_client_that_sends_no_request_is_told_that_it_took_too_long() {
    let timeouts = Timeouts { open: Some(Duration::from_millis(10)), ..Timeouts::DEFAULT };
    on_a_ring(async {
        let (accepted, connected) = pair(&listen().await).await;
        let (server, answer) = join(accept(accepted, &timeouts), say(connected, b"GET / HTTP/1.1\r\n")).await;
        assert!(server.is_err());
        assert!(answer.starts_with(b"HTTP/1.1 408 "));
    });
}
