//! Bytes over a stream of HTTP/2, without a WebSocket.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, client, server};
use http::{Request, Response};
use sansocket_h2::H2Stream;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};

/// The windows of streams and of connections, in bytes, until a peer says otherwise.
const WINDOW: usize = 65_535;

/// What a server has to end its direction behind the drop of a client's stream.
const END: Option<Duration> = Some(Duration::from_secs(5));

/// Two connected peers. Their connections are driven until they are dropped.
struct Peers {
    client: client::SendRequest<Bytes>,
    accepted: tokio::sync::mpsc::Receiver<H2Stream>,
}

impl Peers {
    async fn new() -> Self {
        let (near, far) = duplex(4096);
        let (accepting, accepted) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            let mut connection: server::Connection<DuplexStream, Bytes> = server::handshake(far).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let send = respond.send_response(Response::new(()), false).unwrap();
                accepting.send(H2Stream::accepted(send, request.into_body())).await.unwrap();
            }
        });
        let (client, connection) = client::handshake(near).await.unwrap();
        tokio::spawn(connection);
        Self { client, accepted }
    }

    /// A stream's two ends.
    async fn pair(&mut self) -> (H2Stream, H2Stream) {
        let request = Request::post("https://example.com/").body(()).unwrap();
        let (response, send) = self.client.send_request(request, false).unwrap();
        let near = H2Stream::opened(send, response.await.unwrap().into_body(), END);
        (near, self.accepted.recv().await.unwrap())
    }
}

fn bytes(count: usize) -> Vec<u8> {
    (0..=250).cycle().take(count).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_goes_both_ways_at_once_through_small_windows() {
    let (mut near, far) = Peers::new().await.pair().await;
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(far);
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let sent = bytes(1 << 20);
    let (mut read, mut write) = tokio::io::split(&mut near);
    let write = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let (count, ()) = tokio::join!(read.read_to_end(&mut received), write);
    assert_eq!(count.unwrap(), sent.len());
    assert!(received == sent, "the same bytes came back");
}

#[tokio::test]
async fn a_writer_waits_for_its_reader_and_is_woken() {
    let (mut near, mut far) = Peers::new().await.pair().await;
    near.write_all(&bytes(WINDOW)).await.unwrap();
    let nobody = &mut Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut near).poll_write(nobody, b"more").is_pending(), "the window is used up");
    let mut received = vec![0; WINDOW + 4];
    tokio::try_join!(far.read_exact(&mut received), near.write_all(b"more")).unwrap();
    assert_eq!(&received[WINDOW..], b"more");
}

#[tokio::test]
async fn one_stream_that_waits_for_its_reader_leaves_the_connection_to_others() {
    let mut peers = Peers::new().await;
    let ((mut full, _unread), (mut near, mut far)) = (peers.pair().await, peers.pair().await);
    // The connection's window is as large as the stream's: the half leaves some of it.
    full.write_all(&bytes(WINDOW / 2)).await.unwrap();
    let mut received = vec![0; 1 << 20];
    let sent = bytes(received.len());
    tokio::try_join!(far.read_exact(&mut received), near.write_all(&sent)).unwrap();
    assert!(received == sent);
}

#[tokio::test]
async fn a_stream_that_is_dropped_unread_gives_its_window_back() {
    let mut peers = Peers::new().await;
    for _ in 0..4 {
        let (mut near, far) = peers.pair().await;
        near.write_all(&bytes(WINDOW)).await.unwrap();
        drop(far);
        let mut rest = Vec::new();
        assert_eq!(near.read_to_end(&mut rest).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn writes_that_are_given_up_lose_no_byte() {
    let (mut near, mut far) = Peers::new().await.pair().await;
    let sent = bytes(300_000);
    let reading = tokio::spawn(async move {
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.map(|_| received)
    });
    let mut left = &sent[..];
    while !left.is_empty() {
        let given_up = {
            let mut write = pin!(near.write(left));
            poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await
        };
        let count = match given_up {
            Poll::Ready(count) => count.unwrap(),
            Poll::Pending => near.write(left).await.unwrap(),
        };
        left = &left[count..];
    }
    near.shutdown().await.unwrap();
    assert!(reading.await.unwrap().unwrap() == sent);
}

#[tokio::test]
async fn rfc8441_5_an_orderly_end_is_end_stream_and_leaves_the_other_direction_open() {
    let (mut near, mut far) = Peers::new().await.pair().await;
    near.write_all(b"last words").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(near.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut received = Vec::new();
    far.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"last words");
    far.write_all(b"an answer").await.unwrap();
    drop(far);
    received.clear();
    near.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"an answer", "what was written before the drop, and an orderly end");
}

#[tokio::test]
async fn what_a_client_has_written_arrives_though_it_is_dropped_at_once_with_unread_bytes() {
    let mut peers = Peers::new().await;
    for end in [END, None] {
        let request = Request::post("https://example.com/").body(()).unwrap();
        let (response, send) = peers.client.send_request(request, false).unwrap();
        let mut near = H2Stream::opened(send, response.await.unwrap().into_body(), end);
        let mut far = peers.accepted.recv().await.unwrap();
        far.write_all(&bytes(WINDOW)).await.unwrap();
        near.read_exact(&mut [0]).await.unwrap();
        let sent = bytes(WINDOW);
        near.write_all(&sent).await.unwrap();
        drop(near);
        // The window is open again, whoever had not read what was in it.
        far.write_all(&bytes(2 * WINDOW)).await.unwrap();
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert!(received == sent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_end_the_stream_of_a_dropped_client_is_cancelled_in_time() {
    let (near, far) = duplex(4096);
    let reset = tokio::spawn(async move {
        let mut connection: server::Connection<DuplexStream, Bytes> = server::handshake(far).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        tokio::spawn(async move { connection.accept().await.map(drop) });
        poll_fn(|cx| send.poll_reset(cx)).await.unwrap()
    });
    let (mut client, connection) = client::handshake(near).await.unwrap();
    tokio::spawn(connection);
    let (response, send) = client.send_request(Request::new(()), false).unwrap();
    let stream = H2Stream::opened(send, response.await.unwrap().into_body(), END);
    let dropped = tokio::time::Instant::now();
    drop(stream);
    assert_eq!(reset.await.unwrap(), Reason::CANCEL);
    assert!(dropped.elapsed() >= END.unwrap());
}

#[tokio::test]
async fn rfc8441_5_a_reset_is_rst_stream_with_cancel_and_wakes_reader_and_writer() {
    let mut peers = Peers::new().await;
    for by_server in [false, true] {
        let (near, far) = peers.pair().await;
        let (mut resetting, mut other) = if by_server { (far, near) } else { (near, far) };
        other.write_all(&bytes(WINDOW)).await.unwrap();
        let (mut read, mut write) = tokio::io::split(other);
        let (reading, writing) = (
            tokio::spawn(async move { read.read(&mut [0]).await.unwrap_err() }),
            tokio::spawn(async move { write.write_all(b"more").await.unwrap_err() }),
        );
        tokio::task::yield_now().await;
        resetting.reset();
        for error in [reading.await.unwrap(), writing.await.unwrap()] {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            let reason = error.get_ref().and_then(|error| error.downcast_ref::<h2::Error>()?.reason());
            assert_eq!(reason, Some(Reason::CANCEL));
        }
        let nobody = &mut Context::from_waker(Waker::noop());
        assert!(matches!(Pin::new(&mut resetting).poll_write(nobody, b"more"), Poll::Ready(Err(_))));
    }
}

#[tokio::test]
async fn the_end_of_the_connection_ends_its_streams() {
    let (near, far) = duplex(4096);
    let serving = tokio::spawn(async move {
        let mut connection: server::Connection<DuplexStream, Bytes> = server::handshake(far).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let _send = respond.send_response(Response::new(()), false).unwrap();
        // The head is to leave before the connection breaks off.
        poll_fn(|cx| connection.poll_closed(cx).map(drop)).await;
    });
    let (mut client, connection) = client::handshake(near).await.unwrap();
    let driving = tokio::spawn(connection);
    let (response, send) = client.send_request(Request::new(()), false).unwrap();
    let mut stream = H2Stream::opened(send, response.await.unwrap().into_body(), END);
    serving.abort();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error:?}");
    assert!(stream.write(b"more").await.is_err());
    drop((stream, client));
    let _ = driving.await.unwrap();
}
