//! Time limits on real sockets: a peer that never answers ends each of them.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{open_to_all, pair, raw_client, read_head, read_to_end, request, sockets};
use sansocket_std::{
    AcceptError, AcceptOptions, CloseCode, ConnectError, ConnectOptions, EndedBy, Error, Message, ProtocolError,
    Timeouts, WebSocket,
};

/// Short enough not to be waited for, long enough for a busy machine's other end.
const SHORT: Option<Duration> = Some(Duration::from_millis(50));

const NONE: Timeouts = Timeouts::NONE;

/// A server's end with these time limits, and a client of bare bytes.
fn server_with(timeouts: Timeouts) -> (std::net::TcpStream, WebSocket<std::net::TcpStream>) {
    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().timeouts(timeouts).accept(server).unwrap());
    (raw_client(client), server.join().unwrap())
}

#[test]
fn a_request_that_takes_too_long_is_answered_with_408_whatever_progress_it_makes() {
    let (mut client, server) = sockets();
    let timeouts = Timeouts { open: SHORT, ..NONE };
    let server = thread::spawn(move || AcceptOptions::new().timeouts(timeouts).accept(server).unwrap_err());
    // A byte now and then, as long as the server takes them.
    let request = request(&[]);
    let trickle = request[..request.len() - 1].iter().cycle();
    client.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut answer = [0; 512];
    let mut count = 0;
    for byte in trickle {
        let _ = client.write_all(&[*byte]);
        if let Ok(len @ 1..) = client.read(&mut answer) {
            count = len;
            break;
        }
    }
    assert!(answer[..count].starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer[..count]));
    drop(client);
    let error = server.join().unwrap();
    assert!(matches!(error, AcceptError::Refused(error) if error.status() == 408), "{error:?}");
}

#[test]
fn a_response_that_does_not_come_is_given_up() {
    let (client, mut server) = sockets();
    let options = ConnectOptions::new().timeouts(Timeouts { open: SHORT, ..NONE });
    let error = options.open(client, "ws://localhost/").unwrap_err();
    assert!(matches!(&error, ConnectError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut), "{error:?}");
    read_head(&mut server);
}

#[test]
fn a_silent_peer_gets_a_ping_and_then_a_close() {
    let (mut client, mut server) = server_with(Timeouts { ping: SHORT, pong: SHORT, end: SHORT, ..NONE });
    let error = server.read().unwrap_err();
    assert!(matches!(error, Error::Violation(ProtocolError::PongTimeout)), "{error:?}");
    let received = read_to_end(&mut client);
    assert_eq!(received[..3], [0x89, 0x00, 0x88]);
    assert_eq!(received[4..6], 1008_u16.to_be_bytes());
}

#[test]
fn a_peer_that_answers_pings_is_kept() {
    let (client, server) = sockets();
    let timeouts = Timeouts { ping: Some(Duration::from_millis(10)), pong: Some(Duration::from_secs(10)), ..NONE };
    let server = thread::spawn(move || {
        let mut server = open_to_all().timeouts(timeouts).accept(server).unwrap();
        let message = server.read_owned().unwrap();
        server.close(None, "").unwrap();
        message.is_some()
    });
    let mut client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    // Reading answers pings; the message is sent when some have been.
    client.set_read_timeout(Some(Duration::from_millis(100)));
    let error = client.read().unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut), "{error:?}");
    client.send("still here").unwrap();
    client.set_read_timeout(None);
    assert!(client.read().unwrap().is_none());
    assert!(server.join().unwrap());
}

#[test]
fn a_connection_without_messages_is_closed_as_idle() {
    let (mut client, mut server) = server_with(Timeouts { idle: SHORT, close: SHORT, ..NONE });
    let error = server.read().unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "the client has not answered: {error:?}");
    drop(server);
    assert_eq!(read_to_end(&mut client), b"\x88\x06\x03\xe9idle");
}

#[test]
fn a_close_that_is_not_answered_ends_in_time_though_the_peer_goes_on_sending() {
    let (mut client, mut server) = server_with(Timeouts { close: SHORT, ..NONE });
    client.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let flood = thread::spawn(move || while client.write_all(&[0x82, 0x81, 0, 0, 0, 0, 1]).is_ok() {});
    let error = server.close(CloseCode::NORMAL, "").unwrap_err();
    assert!(
        matches!(&error, Error::Lost { source: Some(source), .. } if source.kind() == std::io::ErrorKind::TimedOut),
        "{error:?}"
    );
    drop(server);
    flood.join().unwrap();
}

#[test]
fn a_violating_peer_that_does_not_end_is_not_waited_for() {
    let (mut client, mut server) = server_with(Timeouts { end: SHORT, ..NONE });
    client.write_all(&[0xFF, 0x80, 0, 0, 0, 0]).unwrap();
    let error = server.read().unwrap_err();
    assert!(matches!(error, Error::Violation(ProtocolError::ReservedOpcode)), "{error:?}");
    // The client is still there: it was the limit that ended the wait.
    assert_eq!(read_to_end(&mut client)[..1], [0x88]);
}

#[test]
fn a_server_that_does_not_end_is_not_waited_for() {
    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().accept(server).unwrap());
    let options = ConnectOptions::new().timeouts(Timeouts { end: SHORT, ..NONE });
    let mut client = options.open(client, "ws://localhost/").unwrap();
    let mut server = server.join().unwrap();
    server.stream_mut().write_all(&[0x88, 0x00]).unwrap();
    assert!(client.read().unwrap().is_none());
    assert_eq!(client.ending().unwrap().by(), EndedBy::Peer);
}

#[test]
fn a_read_with_a_limit_can_be_repeated() {
    let (mut client, mut server) = pair();
    client.set_read_timeout(Some(Duration::from_millis(20)));
    for _ in 0..3 {
        let start = Instant::now();
        let error = client.read().unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut), "{error:?}");
        assert!(start.elapsed() >= Duration::from_millis(20));
    }
    server.send("late").unwrap();
    client.set_read_timeout(None);
    assert_eq!(client.read().unwrap(), Some(Message::Text("late")));
}

#[test]
fn a_half_that_only_sends_keeps_the_connection_from_being_idle() {
    let (client, server) = sockets();
    let timeouts = Timeouts { idle: Some(Duration::from_millis(200)), ..NONE };
    let server = thread::spawn(move || open_to_all().timeouts(timeouts).accept(server).unwrap().split().unwrap());
    let mut client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    let (mut reader, writer) = server.join().unwrap();
    let reading = thread::spawn(move || reader.read().map(|message| message.is_none()));
    // Time has to pass here: the reader is to come to its limit several times.
    let start = Instant::now();
    client.set_read_timeout(Some(Duration::from_millis(50)));
    while start.elapsed() < Duration::from_millis(600) {
        writer.send("tick").unwrap();
        assert_eq!(client.read().unwrap(), Some(Message::Text("tick")));
        assert!(matches!(client.read(), Err(Error::Io(_))), "nothing but ticks for a while, and no Close");
    }
    client.set_read_timeout(None);
    client.close(None, "").unwrap();
    assert!(reading.join().unwrap().unwrap());
}

#[test]
fn the_reading_half_ends_in_time_though_the_writing_half_is_stuck() {
    let (client, server) = sockets();
    // The write has no limit of its own: it is the end that sets it free.
    server.set_write_timeout(None).unwrap();
    let timeouts = Timeouts { end: SHORT, ..NONE };
    let server = thread::spawn(move || open_to_all().timeouts(timeouts).accept(server).unwrap().split().unwrap());
    let mut client = raw_client(client);
    let (mut reader, writer) = server.join().unwrap();
    // Far more than the sockets hold, and the client reads nothing.
    let writing = thread::spawn(move || writer.send(&vec![0; 64 << 20]));
    while client.peek(&mut [0]).unwrap() == 0 {}
    client.write_all(&[0xFF, 0x80, 0, 0, 0, 0]).unwrap();
    let error = reader.read().unwrap_err();
    assert!(matches!(error, Error::Violation(ProtocolError::ReservedOpcode)), "{error:?}");
    assert!(matches!(writing.join().unwrap(), Err(Error::Io(_) | Error::Send(_))));
}

#[test]
fn a_close_of_the_writing_half_is_waited_for_in_time() {
    let (client, server) = sockets();
    let timeouts = Timeouts { close: SHORT, ..NONE };
    let server = thread::spawn(move || open_to_all().timeouts(timeouts).accept(server).unwrap().split().unwrap());
    let client = raw_client(client);
    let (mut reader, writer) = server.join().unwrap();
    let reading = thread::spawn(move || reader.read().map(|message| message.is_some()));
    writer.start_close(CloseCode::NORMAL, "").unwrap();
    assert!(matches!(reading.join().unwrap(), Err(Error::Lost { .. })));
    drop(client);
}
