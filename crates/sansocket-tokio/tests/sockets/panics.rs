//! Tasks that panic with a connection in hand.

use std::panic::resume_unwind;

use sansocket_tokio::{Message, connect};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::common::{masked, open_to_all, pair, raw_pair, read_to_end};

/// Panics, and leaves the test's output alone.
fn panics() -> ! {
    resume_unwind(Box::new("on purpose"))
}

#[tokio::test]
async fn a_task_that_panics_ends_its_connection_and_nobody_elses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let (stream, _) = listener.accept().await.unwrap();
            tasks.push(tokio::spawn(async move {
                let mut ws = open_to_all().accept(stream).await.unwrap();
                while let Some(message) = ws.read_owned().await.unwrap() {
                    if message.as_message() == Message::Text("bad") {
                        panics();
                    }
                    ws.send(&message).await.unwrap();
                }
            }));
        }
        tasks
    });
    let (mut bystander, mut lost) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
    for ws in [&mut bystander, &mut lost] {
        ws.send("good").await.unwrap();
        assert_eq!(ws.read().await.unwrap(), Some(Message::Text("good")));
    }
    lost.send("bad").await.unwrap();
    lost.read().await.unwrap_err();
    assert_eq!(lost.ending().unwrap().code(), 1006);
    let mut third = connect(&url).await.unwrap();
    for ws in [&mut bystander, &mut third] {
        ws.send("still there").await.unwrap();
        assert_eq!(ws.read().await.unwrap(), Some(Message::Text("still there")));
        ws.close(None, "").await.unwrap();
    }
    let mut panicked = Vec::new();
    for task in serving.await.unwrap() {
        panicked.push(task.await.is_err());
    }
    assert_eq!(panicked, [false, true, false]);
}

#[tokio::test]
async fn what_the_peer_of_a_task_that_panics_sees_is_the_end_without_a_close() {
    let (mut client, mut server) = raw_pair(open_to_all(), &[]).await;
    let serving = tokio::spawn(async move {
        assert_eq!(server.read().await.unwrap(), Some(Message::Text("bad")));
        panics();
    });
    client.write_all(&masked(0x81, b"bad")).await.unwrap();
    assert_eq!(read_to_end(&mut client).await, []);
    assert!(serving.await.is_err());
}

#[tokio::test]
async fn a_half_whose_task_panics_leaves_the_other_half_at_work() {
    for reader_panics in [false, true] {
        let (mut client, server) = pair().await;
        let (mut reader, mut writer) = server.split();
        if reader_panics {
            let panicked = tokio::spawn(async move {
                assert_eq!(reader.read().await.unwrap(), Some(Message::Text("bad")));
                panics();
            });
            client.send("bad").await.unwrap();
            assert!(panicked.await.is_err());
            writer.send("behind it").await.unwrap();
            assert_eq!(client.read().await.unwrap(), Some(Message::Text("behind it")));
        } else {
            let panicked = tokio::spawn(async move {
                writer.send("before").await.unwrap();
                panics();
            });
            assert!(panicked.await.is_err());
            assert_eq!(client.read().await.unwrap(), Some(Message::Text("before")));
            client.send("in").await.unwrap();
            assert_eq!(reader.read().await.unwrap(), Some(Message::Text("in")));
            drop(reader);
            client.read().await.unwrap_err();
            assert_eq!(client.ending().unwrap().code(), 1006);
        }
    }
}
