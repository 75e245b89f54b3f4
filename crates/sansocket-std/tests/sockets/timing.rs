//! Time limits on real sockets: a peer that never answers ends each of them.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{LIMIT, masked, open_to_all, pair, raw_client, read_head, read_to_end, request, sockets};
use sansocket_std::{
    AcceptError, AcceptOptions, CloneStream, CloseCode, ConnectError, ConnectOptions, EndedBy, Error, Layer, Message,
    ProtocolError, SplitStream, Stream, Timeouts, WebSocket,
};

/// Short enough not to be waited for, long enough for a busy machine's other end.
const SHORT: Option<Duration> = Some(Duration::from_millis(50));

const NONE: Timeouts = Timeouts::NONE;

/// A server's end with these time limits, and a client of bare bytes.
fn server_with(timeouts: Timeouts) -> (TcpStream, WebSocket<TcpStream>) {
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
    let open = Some(Duration::from_millis(500));
    let options = ConnectOptions::new().timeouts(Timeouts { open, ..NONE });
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
    let timeouts = Timeouts { idle: Some(Duration::from_secs(1)), ..NONE };
    let server = thread::spawn(move || open_to_all().timeouts(timeouts).accept(server).unwrap().split().unwrap());
    let mut client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    let (mut reader, writer) = server.join().unwrap();
    let reading = thread::spawn(move || reader.read().map(|message| message.is_none()));
    // Time has to pass here: the reader is to come to its limit several times.
    let start = Instant::now();
    client.set_read_timeout(Some(Duration::from_millis(50)));
    while start.elapsed() < Duration::from_secs(3) {
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

/// Pings, until the server takes no more.
fn flood(mut client: TcpStream) -> thread::JoinHandle<()> {
    let pings = masked(0x89, &[7; 125]).repeat(500);
    thread::spawn(move || while client.write_all(&pings).is_ok() {})
}

/// What a thread has found, unless it is stuck.
fn in_time<T: Send + 'static>(find: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(find()));
    receiver
}

#[test]
fn a_peer_that_floods_pings_and_reads_nothing_fails_in_time() {
    for (split, stuck) in [(false, false), (true, false), (true, true)] {
        let (client, server) = server_with(Timeouts { ping: SHORT, pong: SHORT, end: SHORT, ..NONE });
        let (failed, writing) = if split {
            server.stream().set_write_timeout(None).unwrap();
            let (mut reader, writer) = server.split().unwrap();
            // With a writer that is stuck, the reader waits for it and not for the socket.
            let writing = stuck.then(|| in_time(move || writer.send(&vec![0; 64 << 20]).is_err()));
            (in_time(move || reader.read().map(drop)), writing)
        } else {
            let mut server = server;
            (in_time(move || server.read().map(drop)), None)
        };
        let flooding = flood(client);
        let error = failed.recv_timeout(LIMIT).expect("the reader is stuck").unwrap_err();
        assert!(matches!(error, Error::Violation(ProtocolError::PongTimeout)), "{error:?}");
        if let Some(writing) = writing {
            assert!(writing.recv_timeout(LIMIT).expect("the writer is stuck"));
        }
        flooding.join().unwrap();
    }
}

/// A socket that tells when a write has run into a time limit.
struct Told {
    socket: TcpStream,
    struck: Sender<()>,
}

impl Told {
    fn tell<T>(&self, written: io::Result<T>) -> io::Result<T> {
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            let _ = self.struck.send(());
        }
        written
    }
}

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.socket.write(bytes);
        self.tell(written)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.socket.write_vectored(slices);
        self.tell(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Told {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.socket.shutdown_write()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Stream::set_read_timeout(&mut self.socket, timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Stream::set_write_timeout(&mut self.socket, timeout)
    }

    fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.write_timeout()
    }
}

impl CloneStream for Told {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, struck: self.struck.clone() })
    }
}

impl SplitStream for Told {
    type Raw = Self;

    fn into_raw(self) -> (Self, Layer) {
        (self, Layer::default())
    }
}

/// A server that pings soon and has answered a ping, so that its socket has a short limit for writes, and its client.
fn server_that_has_replied(own: Option<Duration>, timeouts: Timeouts) -> (TcpStream, WebSocket<Told>, Receiver<()>) {
    let (client, socket) = sockets();
    socket.set_write_timeout(own).unwrap();
    let (struck, strikes) = channel();
    let timeouts = Timeouts { ping: SHORT, ..timeouts };
    let server = thread::spawn(move || open_to_all().timeouts(timeouts).accept(Told { socket, struck }).unwrap());
    let mut client = raw_client(client);
    let mut server = server.join().unwrap();
    client.write_all(&[masked(0x89, b""), masked(0x81, b"go")].concat()).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::Text("go")));
    // The pong leaves with the next read, which waits for as long as the client is silent.
    server.set_read_timeout(Some(Duration::from_millis(20)));
    assert!(matches!(server.read(), Err(Error::Io(_))));
    server.set_read_timeout(None);
    let mut pong = [0; 2];
    client.read_exact(&mut pong).unwrap();
    assert_eq!(pong, [0x8A, 0]);
    assert!(server.stream().socket.write_timeout().unwrap() <= SHORT);
    (client, server, strikes)
}

/// Far more than sockets hold.
const LONG: usize = 32 << 20;

/// Reads the frames of a message of [`LONG`] bytes, all of them 7, and pings in between.
fn read_long(client: &mut TcpStream) {
    let mut left = LONG;
    while left > 0 {
        let mut head = [0; 2];
        client.read_exact(&mut head).unwrap();
        let mut long = [0; 8];
        let len = match head[1] {
            126 => {
                client.read_exact(&mut long[6..]).unwrap();
                usize::try_from(u64::from_be_bytes(long)).unwrap()
            }
            127 => {
                client.read_exact(&mut long).unwrap();
                usize::try_from(u64::from_be_bytes(long)).unwrap()
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; len];
        client.read_exact(&mut payload).unwrap();
        if head[0] & 0x0F != 0x9 {
            assert!(payload.iter().all(|byte| *byte == 7), "frames are whole and in order");
            left -= len;
        }
    }
}

#[test]
fn a_message_is_not_cut_short_by_the_limit_of_a_reply() {
    for split in [false, true] {
        let (mut client, mut server, strikes) = server_that_has_replied(None, NONE);
        let sent = if split {
            let (mut reader, writer) = server.split().unwrap();
            let sent = in_time(move || (writer.send(&vec![7; LONG]), writer));
            // It goes on setting its limits meanwhile.
            thread::spawn(move || reader.read().map(drop));
            in_time(move || sent.recv_timeout(LIMIT).expect("the writer is stuck").0)
        } else {
            in_time(move || server.send(&vec![7; LONG]))
        };
        // Only then does the client begin to read.
        strikes.recv_timeout(LIMIT).expect("the limit of the reply strikes");
        read_long(&mut client);
        sent.recv_timeout(LIMIT).unwrap().unwrap();
    }
}

#[test]
fn a_limit_from_before_the_split_holds_for_the_writing_half() {
    // Longer than the reply's, which strikes first.
    let own = Duration::from_secs(1);
    for through_the_connection in [true, false] {
        let (_client, mut server, strikes) = server_that_has_replied((!through_the_connection).then_some(own), NONE);
        if through_the_connection {
            server.set_write_timeout(Some(own)).unwrap();
        }
        let (_reader, writer) = server.split().unwrap();
        let start = Instant::now();
        let sent = in_time(move || writer.send(&vec![7; LONG]));
        let error = sent.recv_timeout(LIMIT).expect("the writer is stuck").unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock), "{error:?}");
        assert!(start.elapsed() >= own, "{:?}", start.elapsed());
        // Set through the connection, the limit was the socket's at once. Otherwise the reply's struck before it.
        let struck = strikes.try_iter().count();
        assert!(if through_the_connection { struck == 1 } else { struck > 1 }, "{struck}");
    }
}

#[test]
fn a_socket_that_somebody_has_made_non_blocking_is_told_of() {
    let (_client, server, strikes) = server_that_has_replied(None, NONE);
    let socket = server.stream().socket.try_clone().unwrap();
    let (_reader, writer) = server.split().unwrap();
    socket.set_nonblocking(true).unwrap();
    let error = writer.send(&vec![7; LONG]).unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock), "{error:?}");
    assert!(strikes.try_iter().count() <= 2);
}

#[test]
fn a_close_that_cannot_be_written_is_given_up_in_time() {
    let (_client, mut server) = server_with(Timeouts { close: SHORT, ..NONE });
    server.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    assert!(matches!(server.send(&vec![0; LONG]), Err(Error::Io(_))));
    server.set_write_timeout(None).unwrap();
    let error = in_time(move || server.close(CloseCode::NORMAL, "")).recv_timeout(LIMIT).expect("stuck").unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

#[test]
fn a_writing_half_that_is_stuck_is_set_free_when_a_close_was_in_vain() {
    let timeouts = Timeouts { close: Some(Duration::from_millis(500)), end: SHORT, ..NONE };
    let (mut client, server, strikes) = server_that_has_replied(None, timeouts);
    let (mut reader, writer) = server.split().unwrap();
    let closing = writer.clone();
    let sent = in_time(move || writer.send(&vec![0; LONG]));
    strikes.recv_timeout(LIMIT).expect("the limit of the reply strikes");
    let closed = in_time(move || closing.start_close(CloseCode::NORMAL, ""));
    client.write_all(&masked(0x81, b"still here")).unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::Text("still here")));
    let ended = in_time(move || reader.read().map(drop));
    assert!(matches!(ended.recv_timeout(LIMIT).expect("the reader is stuck"), Err(Error::Lost { .. })));
    assert!(sent.recv_timeout(LIMIT).expect("the writer is stuck").is_err());
    // The Close may still have found room: then it was the message's next frame that came too late.
    let _ = closed.recv_timeout(LIMIT).expect("who closes is stuck");
}
