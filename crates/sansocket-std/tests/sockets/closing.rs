//! How connections end on real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use crate::common::{echo, masked, open_to_all, pair, raw_client, read_to_end, sockets};
use sansocket_std::{CloseCode, EndedBy, Error, Message, ProtocolError, SendError, Timeouts};

#[test]
fn a_violation_behind_a_good_message_in_one_segment_is_answered_20_times_of_20() {
    for round in 0..20 {
        let (client, server) = sockets();
        let server = thread::spawn(move || {
            let (result, ws) = echo(open_to_all().accept(server).unwrap()).join().unwrap();
            // Here the socket is closed, as by an application that is done.
            (result, ws.ending().unwrap().by())
        });
        let mut client = raw_client(client);
        // Behind the violation lies a lot that the server does not read as frames: closed over it, the socket would be reset.
        let mut segment = masked(0x81, b"good");
        segment.extend(masked(0x83, b"a reserved opcode"));
        segment.extend(masked(0x82, &[7; 60_000]));
        client.write_all(&segment).unwrap();

        let received = read_to_end(&mut client);
        let reason = ProtocolError::ReservedOpcode.text();
        let mut expected = b"\x81\x04good\x88".to_vec();
        expected.push(u8::try_from(2 + reason.len()).unwrap());
        expected.extend(1002_u16.to_be_bytes());
        expected.extend(reason.as_bytes());
        assert_eq!(received, expected, "round {round}");
        // On another network the reset could have come first.
        for _ in 0..10 {
            client.write_all(&[7; 60_000]).expect("the server still reads, and has not reset the connection");
        }
        drop(client);
        let (result, by) = server.join().unwrap();
        assert!(matches!(result, Err(Error::Violation(ProtocolError::ReservedOpcode))), "{result:?}");
        assert_eq!(by, EndedBy::Failure(ProtocolError::ReservedOpcode));
    }
}

#[test]
fn rfc6455_7_1_the_client_closes_and_both_ends_are_clean() {
    let (mut client, server) = pair();
    let server = echo(server);
    client.send("before").unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::Text("before")));
    client.close(CloseCode::new(4000).unwrap(), "größer").unwrap();
    let ending = client.ending().unwrap();
    assert_eq!((ending.by(), ending.code(), ending.is_clean()), (EndedBy::Local, 4000, true));
    assert!(client.read().unwrap().is_none(), "an end stays an end");
    assert!(matches!(client.send("after"), Err(Error::Send(SendError::Closing))));

    let (result, server) = server.join().unwrap();
    result.unwrap();
    let close = server.peer_close().unwrap();
    assert_eq!((close.code().unwrap().get(), close.reason()), (4000, "größer"));
    assert_eq!(server.ending().unwrap().by(), EndedBy::Peer);
}

#[test]
fn rfc6455_7_1_the_server_closes_and_what_the_client_had_sent_is_read() {
    let (mut client, mut server) = pair();
    client.send("on its way").unwrap();
    server.start_close(CloseCode::GOING_AWAY, "").unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::Text("on its way")));
    let client = echo(client);
    assert!(server.read().unwrap().is_none());
    let ending = server.ending().unwrap();
    assert_eq!((ending.by(), ending.code(), ending.is_clean()), (EndedBy::Local, 1001, true));
    // The client waits for the server to close the socket first.
    drop(server);
    let (result, client) = client.join().unwrap();
    result.unwrap();
    assert_eq!(client.ending().unwrap().code(), 1001);
}

#[test]
fn rfc6455_5_5_1_both_close_at_once() {
    let (mut client, mut server) = pair();
    client.start_close(CloseCode::NORMAL, "").unwrap();
    server.start_close(None, "").unwrap();
    assert!(server.read().unwrap().is_none());
    assert_eq!(server.ending().unwrap().code(), 1000);
    drop(server);
    assert!(client.read().unwrap().is_none());
    assert_eq!(client.ending().unwrap().code(), 1005);
}

#[test]
fn a_lost_connection_is_told_apart_with_its_place() {
    for (bytes, place) in [
        (&[][..], "connection lost between messages"),
        (&[0x81], "connection lost inside a frame's header"),
        (&[0x81, 0x85, 0, 0, 0, 0, b'H'], "connection lost inside a frame's payload"),
        (&[0x01, 0x80, 0, 0, 0, 0], "connection lost between the fragments of a message"),
    ] {
        let (client, server) = sockets();
        let server = thread::spawn(move || open_to_all().accept(server).unwrap());
        let mut client = raw_client(client);
        let mut server = server.join().unwrap();
        client.write_all(bytes).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let error = server.read().unwrap_err();
        assert_eq!(error.to_string(), format!("{place}: the stream ended without a Close"));
        assert!(matches!(server.read(), Err(Error::Lost { .. })), "told again");
        assert_eq!(server.ending().unwrap().code(), 1006);
    }
}

#[test]
fn a_reset_behind_the_peers_close_is_still_a_clean_end() {
    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().accept(server).unwrap());
    let mut client = raw_client(client);
    let mut server = server.join().unwrap();
    client.write_all(&masked(0x88, b"\x03\xe8")).unwrap();
    // Closed with the unread response of this ping, the socket is reset.
    server.ping(b"unread").unwrap();
    drop(client);
    assert!(server.read().unwrap().is_none());
    assert_eq!(server.peer_close().unwrap().code(), Some(CloseCode::NORMAL));
}

#[test]
fn a_peer_that_never_answers_the_close_is_not_waited_for_longer_than_asked() {
    let (client, server) = sockets();
    let options = open_to_all().timeouts(Timeouts { close: Some(Duration::from_millis(50)), ..Timeouts::DEFAULT });
    let server = thread::spawn(move || options.accept(server).unwrap());
    let client = raw_client(client);
    let mut server = server.join().unwrap();
    let error = server.close(CloseCode::NORMAL, "").unwrap_err();
    assert!(matches!(error, Error::Lost { source: Some(_), .. }), "{error:?}");
    drop(client);
}

#[test]
fn misuse_is_refused_and_harms_nothing() {
    let (mut client, server) = pair();
    let server = echo(server);
    let long = "x".repeat(124);
    assert!(matches!(client.close(CloseCode::NORMAL, &long), Err(Error::Send(SendError::ReasonTooLong))));
    assert!(matches!(client.close(None, "why"), Err(Error::Send(SendError::ReasonWithoutCode))));
    assert!(matches!(client.ping(&[0; 126]), Err(Error::Send(SendError::ControlTooLong))));
    client.send("still open").unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::Text("still open")));
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().0.unwrap();
}

#[test]
fn rfc6455_5_5_1_a_server_ends_the_stream_as_soon_as_both_closes_have_passed() {
    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().accept(server).unwrap());
    let mut client = raw_client(client);
    let mut server = server.join().unwrap();
    client.write_all(&masked(0x88, b"\x03\xe8")).unwrap();
    assert!(server.read().unwrap().is_none());
    // The server's socket still lives: it was not its end that has ended the stream.
    assert_eq!(read_to_end(&mut client), b"\x88\x02\x03\xe8");
    drop(server);
}

#[test]
fn rfc6455_5_5_1_a_client_waits_for_the_server_to_end_the_stream() {
    let (client, mut server) = pair();
    let client = echo(client);
    server.start_close(CloseCode::NORMAL, "").unwrap();
    let mut close = [0; 8];
    // Behind its own Close, masked, the client sends nothing and keeps the stream.
    server.stream_mut().read_exact(&mut close).unwrap();
    assert_eq!(close[..2], [0x88, 0x82]);
    server.stream_mut().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let error = server.stream_mut().read(&mut close).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error:?}");
    drop(server);
    client.join().unwrap().0.unwrap();
}

#[test]
fn rfc6455_7_1_1_what_a_violating_peer_has_sent_is_read_before_the_socket_is_closed() {
    let (client, server) = sockets();
    let server = thread::spawn(move || {
        let mut server = open_to_all().accept(server).unwrap();
        // Dropped with the error, as an application does: over unread input this would be a reset.
        server.read().map(drop).unwrap_err().to_string()
    });
    let mut client = raw_client(client);
    let mut segment = masked(0x83, b"a reserved opcode");
    segment.extend(masked(0x82, &[7; 60_000]));
    client.write_all(&segment).unwrap();
    assert_eq!(read_to_end(&mut client)[..1], [0x88]);
    for _ in 0..10 {
        client.write_all(&[7; 60_000]).expect("the server still reads, and has not reset the connection");
    }
    drop(client);
    server.join().unwrap();
}
