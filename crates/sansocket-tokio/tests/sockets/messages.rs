//! Messages, both ways.

use sansocket_tokio::{CloseCode, Message, OwnedMessage};

use crate::common::pair;

#[tokio::test]
async fn messages_of_all_sizes_are_echoed() {
    let (mut client, mut server) = pair().await;
    let echo = tokio::spawn(async move {
        while let Some((message, mut replies)) = server.read_to_reply().await.unwrap() {
            replies.queue(message).unwrap();
        }
        server
    });
    for len in [0, 1, 125, 126, 16 * 1024, 65_535, 65_536, 200_000, 1 << 20] {
        let text = "é".repeat(len / 2);
        client.send(&text).await.unwrap();
        assert_eq!(client.read().await.unwrap(), Some(Message::Text(&text)), "{len}");
        let bytes = vec![7; len];
        client.send(&bytes).await.unwrap();
        assert_eq!(client.read_owned().await.unwrap(), Some(OwnedMessage::Binary(bytes)), "{len}");
    }
    client.close(CloseCode::NORMAL, "bye").await.unwrap();
    let server = echo.await.unwrap();
    assert_eq!(server.peer_close().unwrap().reason(), "bye");
    assert!(server.ending().unwrap().is_clean());
}

#[tokio::test]
async fn a_character_may_lie_across_frames_whichever_of_them_are_copied() {
    let (mut client, mut server) = pair().await;
    for behind in [0, 1, 4 << 10, (16 << 10) - 2, 16 << 10, 64 << 10] {
        let text = "x".repeat((64 << 10) - 1) + "é" + &"y".repeat(behind);
        let (sent, read) = tokio::join!(server.send(&text), client.read_owned());
        sent.unwrap();
        assert!(read.unwrap() == Some(OwnedMessage::Text(text)), "{behind} bytes behind the character");
    }
}
