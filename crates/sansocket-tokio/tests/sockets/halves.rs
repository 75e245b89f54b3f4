//! A connection in two tasks, on two threads.

use sansocket_tokio::{CloseCode, Error, Message, SendError, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::{echo, masked, open_to_all, pair, raw_pair, sockets};

/// Bytes that each side sends, and how large its messages are: far more than sockets hold.
const TOTAL: usize = 32 << 20;
const MESSAGE: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_peers_send_a_lot_to_each_other_at_once_and_neither_reads_ahead() {
    let (client, server) = pair().await;
    let ((mut client, mut to_server), (mut server, mut to_client)) = (client.split(), server.split());
    let sending = async |writer: &mut sansocket_tokio::Writer<_>| {
        for _ in 0..TOTAL / MESSAGE {
            writer.send(&vec![7; MESSAGE]).await.unwrap();
            writer.ping(b"in between").await.unwrap();
        }
    };
    let to_server = tokio::spawn(async move {
        for _ in 0..TOTAL / MESSAGE {
            to_server.send(&vec![7; MESSAGE]).await.unwrap();
            to_server.ping(b"in between").await.unwrap();
        }
        to_server
    });
    let reading = tokio::spawn(async move {
        for _ in 0..TOTAL / MESSAGE {
            assert!(server.read().await.unwrap() == Some(Message::Binary(&[7; MESSAGE])));
        }
        server
    });
    let receiving = tokio::spawn(async move {
        for _ in 0..TOTAL / MESSAGE {
            assert!(client.read().await.unwrap() == Some(Message::Binary(&[7; MESSAGE])));
        }
        client
    });
    sending(&mut to_client).await;
    let (mut to_server, mut server, mut client) =
        (to_server.await.unwrap(), reading.await.unwrap(), receiving.await.unwrap());
    let (closed, read, ended) = tokio::join!(to_server.start_close(CloseCode::NORMAL, "done"), server.read(), async {
        client.read().await.map(|message| message.is_none())
    });
    closed.unwrap();
    assert!(read.unwrap().is_none() && ended.unwrap());
    assert!(client.ending().unwrap().is_clean());
    assert_eq!(server.peer_close(), Some((Some(CloseCode::NORMAL), "done".to_owned())));
    assert!(matches!(to_client.send("late").await, Err(Error::Send(SendError::Closing))));
}

#[tokio::test]
async fn pings_are_answered_by_a_reader_whose_writer_is_idle() {
    let (mut client, server) = raw_pair(open_to_all(), &[]).await;
    let (mut reader, _writer) = server.split();
    let reading = tokio::spawn(async move { reader.read().await.map(|message| message.is_none()) });
    client.write_all(&masked(0x89, b"hi")).await.unwrap();
    let mut pong = [0; 4];
    client.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x02hi");
    client.write_all(&masked(0x88, b"")).await.unwrap();
    assert!(reading.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_reader_may_close_and_the_writer_need_not_be_there() {
    let (client, server) = pair().await;
    let server = echo(server);
    let (mut reader, writer) = client.split();
    drop(writer);
    reader.start_close(CloseCode::GOING_AWAY, "bye").unwrap();
    assert!(reader.read().await.unwrap().is_none());
    let (result, server) = server.await.unwrap();
    result.unwrap();
    assert_eq!(server.peer_close().unwrap().reason(), "bye");
}

#[tokio::test]
async fn halves_come_together_again_with_all_that_was_queued_and_unread() {
    let (mut client, mut server) = pair().await;
    for text in ["one", "two"] {
        server.send(text).await.unwrap();
    }
    assert_eq!(client.read().await.unwrap(), Some(Message::Text("one")));
    let (reader, mut writer) = client.split();
    writer.queue("queued").await.unwrap();
    let (other, _) = pair().await;
    let (other_reader, other_writer) = other.split();
    // Of different connections they are given back.
    let error = reader.reunite(other_writer).unwrap_err();
    assert_eq!(error.to_string(), "the halves are of different connections");
    let (reader, other_writer) = error.into_halves();
    other_reader.reunite(other_writer).unwrap();
    let mut client = reader.reunite(writer).unwrap();
    assert!(client.response().is_some());
    assert_eq!(client.read().await.unwrap(), Some(Message::Text("two")));
    client.flush().await.unwrap();
    assert_eq!(server.read().await.unwrap(), Some(Message::Text("queued")));
}

#[tokio::test]
async fn a_peer_that_floods_pings_and_reads_nothing_is_not_read_any_more() {
    // Far more than the sockets and the queue of replies hold.
    const PINGS: usize = 64 << 20;
    for is_split in [false, true] {
        let (mut client, server) = sockets().await;
        client.write_all(&crate::common::request(&[])).await.unwrap();
        let mut server = open_to_all().timeouts(Timeouts::NONE).accept(server).await.unwrap();
        let reading = if is_split {
            let (mut reader, mut writer) = server.split();
            tokio::spawn(async move {
                let long = vec![0; 64 << 20];
                tokio::select! {
                    read = reader.read() => read.map(drop).unwrap_err(),
                    sent = writer.send(&long) => sent.unwrap_err(),
                }
            })
        } else {
            tokio::spawn(async move { server.read().await.map(drop).unwrap_err() })
        };
        let pings = masked(0x89, &[7; 125]).repeat(500);
        let mut sent = 0;
        // The server is stuck once the socket takes no more although the server has had its turns.
        let mut patience = 1000;
        while sent < PINGS && patience > 0 {
            match client.try_write(&pings) {
                Ok(count) => (sent, patience) = (sent + count, 1000),
                Err(_) => patience -= 1,
            }
            tokio::task::yield_now().await;
        }
        assert!(sent < PINGS, "the server goes on reading although nothing it writes is taken");
        drop(client);
        reading.await.unwrap();
    }
}
