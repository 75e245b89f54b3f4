//! How connections end on real sockets.

use sansocket_tokio::{CloseCode, EndedBy, Error, Kind, Limits, Message, ProtocolError, SendError};
use tokio::io::AsyncWriteExt;

use crate::common::{echo, masked, open_to_all, pair, raw_pair, read_to_end};

#[tokio::test]
async fn a_violation_behind_a_good_message_in_one_segment_is_answered_20_times_of_20() {
    for round in 0..20 {
        let (mut client, server) = raw_pair(open_to_all(), &[]).await;
        let server = tokio::spawn(async {
            let (result, ws) = echo(server).await.unwrap();
            // Here the socket is closed, as by an application that is done.
            (result, ws.ending().unwrap().by())
        });
        // Behind the violation lies a lot that the server does not read as frames: closed over it, the socket would be reset.
        let segment = [masked(0x81, b"good"), masked(0x83, b"a reserved opcode"), masked(0x82, &[7; 60_000])].concat();
        client.write_all(&segment).await.unwrap();
        let received = read_to_end(&mut client).await;
        let reason = ProtocolError::ReservedOpcode.text();
        let len = u8::try_from(2 + reason.len()).unwrap();
        let expected = [b"\x81\x04good\x88", &[len][..], &1002_u16.to_be_bytes(), reason.as_bytes()].concat();
        assert_eq!(received, expected, "round {round}");
        for _ in 0..10 {
            client.write_all(&[7; 60_000]).await.expect("the server still reads, and has not reset the connection");
        }
        drop(client);
        let (result, by) = server.await.unwrap();
        assert!(matches!(result, Err(Error::Violation(ProtocolError::ReservedOpcode))), "{result:?}");
        assert_eq!(by, EndedBy::Failure(ProtocolError::ReservedOpcode));
    }
}

#[tokio::test]
async fn what_a_violating_peer_sends_is_read_up_to_a_bound() {
    const BOUND: usize = 16 << 20;
    let (mut client, mut server) = raw_pair(open_to_all(), &[]).await;
    let reading = tokio::spawn(async move { (server.read().await.map(drop), server) });
    client.write_all(&masked(0x83, b"")).await.unwrap();
    // Far more than the bound and what sockets hold: the server has left before all is written.
    let mut written = 0;
    let chunk = vec![7; 1 << 20];
    while written < BOUND {
        client.write_all(&chunk).await.expect("that much is read");
        written += chunk.len();
    }
    let sending = tokio::spawn(async move {
        while client.write_all(&chunk).await.is_ok() {}
        client
    });
    let (result, server) = reading.await.unwrap();
    assert!(matches!(result, Err(Error::Violation(ProtocolError::ReservedOpcode))), "{result:?}");
    drop(server);
    sending.await.unwrap();
}

#[tokio::test]
async fn rfc6455_7_1_the_server_closes_and_what_the_client_had_sent_is_read() {
    let (mut client, mut server) = pair().await;
    client.send("on its way").await.unwrap();
    server.start_close(CloseCode::GOING_AWAY, "").await.unwrap();
    assert_eq!(server.read().await.unwrap(), Some(Message::Text("on its way")));
    let client = echo(client);
    assert!(server.read().await.unwrap().is_none());
    let ending = server.ending().unwrap();
    assert_eq!((ending.by(), ending.code(), ending.is_clean()), (EndedBy::Local, 1001, true));
    // The client waits for the server to close the socket first.
    drop(server);
    let (result, client) = client.await.unwrap();
    result.unwrap();
    assert_eq!(client.ending().unwrap().code(), 1001);
}

#[tokio::test]
async fn rfc6455_5_5_1_both_close_at_once() {
    let (mut client, mut server) = pair().await;
    client.start_close(CloseCode::NORMAL, "").await.unwrap();
    server.start_close(None, "").await.unwrap();
    assert!(server.read().await.unwrap().is_none());
    assert_eq!(server.ending().unwrap().code(), 1000);
    assert!(client.read().await.unwrap().is_none());
    assert_eq!(client.ending().unwrap().code(), 1005);
}

#[tokio::test]
async fn rfc6455_5_5_1_a_server_ends_the_stream_as_soon_as_both_closes_have_passed() {
    let (mut client, mut server) = raw_pair(open_to_all(), &[]).await;
    client.write_all(&masked(0x88, b"\x03\xe8")).await.unwrap();
    assert!(server.read().await.unwrap().is_none());
    // The server's socket still lives: it was not its end that has ended the stream.
    assert_eq!(read_to_end(&mut client).await, b"\x88\x02\x03\xe8");
    assert!(server.read().await.unwrap().is_none(), "an end stays an end");
    assert!(matches!(server.send("late").await, Err(Error::Send(SendError::Closing))));
}

#[tokio::test]
async fn a_lost_connection_is_told_apart_with_its_place_again_and_again() {
    for (bytes, place) in [
        (&[][..], "connection lost between messages"),
        (&[0x81], "connection lost inside a frame's header"),
        (&[0x81, 0x85, 0, 0, 0, 0, b'H'], "connection lost inside a frame's payload"),
        (&[0x01, 0x80, 0, 0, 0, 0], "connection lost between the fragments of a message"),
    ] {
        let (mut client, mut server) = raw_pair(open_to_all(), &[]).await;
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        for _ in 0..3 {
            let error = server.read().await.unwrap_err();
            assert!(matches!(error, Error::Lost { source: None, .. }), "{error:?}");
            assert_eq!(error.to_string(), format!("{place}: the stream ended without a Close"));
        }
        assert_eq!(server.ending().unwrap().code(), 1006);
    }
}

#[tokio::test]
async fn a_peer_that_has_shut_down_its_direction_still_gets_what_is_sent() {
    let (mut client, mut server) = raw_pair(open_to_all(), &[]).await;
    client.write_all(&masked(0x81, b"the last")).await.unwrap();
    client.shutdown().await.unwrap();
    let (message, mut replies) = server.read_to_reply().await.unwrap().unwrap();
    replies.queue(message).unwrap();
    assert!(matches!(server.read_to_reply().await.map(drop), Err(Error::Lost { .. })));
    assert_eq!(read_to_end(&mut client).await, b"\x81\x08the last");
}

#[tokio::test]
async fn a_reset_behind_the_peers_close_is_still_a_clean_end() {
    let (mut client, mut server) = raw_pair(open_to_all(), &[]).await;
    client.write_all(&masked(0x88, b"\x03\xe8")).await.unwrap();
    // Closed with this ping unread, the socket is reset.
    server.ping(b"unread").await.unwrap();
    client.readable().await.unwrap();
    drop(client);
    assert!(server.read().await.unwrap().is_none());
    assert_eq!(server.peer_close().unwrap().code(), Some(CloseCode::NORMAL));
}

#[tokio::test]
async fn the_limit_of_a_message_holds_at_n_and_at_n_and_one() {
    const LIMIT: usize = 1000;
    let limits = Limits { message: LIMIT as u64, ..Limits::DEFAULT };
    for fragments in [vec![LIMIT], vec![400, 600], vec![0, 1, LIMIT - 1]] {
        for more in [0, 1] {
            let (mut client, mut server) = raw_pair(open_to_all().limits(limits), &[]).await;
            for (at, &len) in fragments.iter().enumerate() {
                let is_last = at + 1 == fragments.len();
                let first = if at == 0 { 0x02 } else { 0 } | if is_last { 0x80 } else { 0 };
                client.write_all(&masked(first, &vec![7; len + if is_last { more } else { 0 }])).await.unwrap();
            }
            client.shutdown().await.unwrap();
            let read = server.read().await.map(|message| message.unwrap().as_bytes().len());
            if more == 0 {
                assert_eq!(read.unwrap(), LIMIT);
            } else {
                assert!(matches!(read, Err(Error::Violation(ProtocolError::MessageTooBig))), "{read:?}");
                assert_eq!(read_to_end(&mut client).await[2..4], 1009_u16.to_be_bytes());
            }
        }
    }
}

#[tokio::test]
async fn misuse_is_refused_and_harms_nothing() {
    let (mut client, server) = pair().await;
    let server = echo(server);
    let long = "x".repeat(124);
    assert!(matches!(client.close(CloseCode::NORMAL, &long).await, Err(Error::Send(SendError::ReasonTooLong))));
    assert!(matches!(client.close(None, "why").await, Err(Error::Send(SendError::ReasonWithoutCode))));
    assert!(matches!(client.ping(&[0; 126]).await, Err(Error::Send(SendError::ControlTooLong))));
    client.send_part(Kind::Text, b"still ", false).await.unwrap();
    for len in [1, 65_536, 65_537, 200_000] {
        assert!(matches!(client.send(&vec![7; len]).await, Err(Error::Send(SendError::MessageUnderWay))), "{len}");
        assert!(matches!(client.try_queue(&vec![7; len]), Err(SendError::MessageUnderWay)), "{len}");
    }
    let bad = client.send_part(Kind::Text, b"\xff", true).await;
    assert!(matches!(bad, Err(Error::Send(SendError::InvalidUtf8))), "{bad:?}");
    client.send_part(Kind::Text, b"open", true).await.unwrap();
    assert_eq!(client.read().await.unwrap(), Some(Message::Text("still open")));
    client.close(CloseCode::NORMAL, "").await.unwrap();
    server.await.unwrap().0.unwrap();
}
