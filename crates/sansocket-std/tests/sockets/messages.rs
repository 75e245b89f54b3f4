//! Messages over real sockets, and over streams that misbehave.

use std::io::{self, Read, Write};
use std::thread;

use crate::common::{echo, open_to_all, pair, raw_client, request, sockets};
use sansocket_std::{
    CloseCode, ConnectOptions, Error, Kind, Message, OwnedMessage, Prepared, SendError, Stream, Timeouts,
};

const SIZES: [usize; 14] =
    [0, 1, 125, 126, 4096, 4097, 16_384, 65_535, 65_536, 65_537, 131_072, 131_073, 1 << 20, 5_000_001];

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| i.wrapping_mul(31).to_le_bytes()[0]).collect()
}

fn text(len: usize) -> String {
    "aé€😀".chars().cycle().take(len).collect()
}

#[test]
fn messages_of_every_size_come_back_as_they_were() {
    let (mut client, server) = pair();
    let server = echo(server);
    for size in SIZES {
        let (bytes, text) = (bytes(size), text(size / 4));
        client.send(&bytes).unwrap();
        assert!(client.read().unwrap() == Some(Message::Binary(&bytes)), "{size}");
        client.send(&text).unwrap();
        assert!(client.read_owned().unwrap() == Some(OwnedMessage::Text(text)), "{size}");
    }
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().0.unwrap();
}

#[test]
fn a_queue_leaves_in_one_write_before_a_read_blocks() {
    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().accept(server).unwrap());
    let client = Counting { stream: client, writes: 0 };
    let mut client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    let server = echo(server.join().unwrap());
    let before = client.stream().writes;
    for i in 0..100 {
        client.queue(&format!("message {i}")).unwrap();
    }
    for i in 0..100 {
        assert_eq!(client.read().unwrap(), Some(Message::Text(&format!("message {i}"))));
    }
    assert_eq!(client.stream().writes - before, 1);
    client.close(None, "").unwrap();
    server.join().unwrap().0.unwrap();
}

#[test]
fn parts_of_unknown_number_make_one_message_and_pings_go_between() {
    let (mut client, mut server) = pair();
    let server = thread::spawn(move || {
        let mut pieces = String::new();
        while let Some(piece) = server.read_piece().unwrap() {
            assert_eq!(piece.kind(), Kind::Text);
            pieces.push_str(std::str::from_utf8(piece.as_bytes()).unwrap());
            if piece.is_last() {
                server.send(&std::mem::take(&mut pieces)).unwrap();
            }
        }
    });
    let whole = text(10_000);
    for part in whole.as_bytes().chunks(777) {
        client.send_part(Kind::Text, part, false).unwrap();
        client.ping(b"between").unwrap();
        assert!(matches!(client.send("another"), Err(Error::Send(SendError::MessageUnderWay))));
    }
    client.send_part(Kind::Text, b"", true).unwrap();
    assert!(client.read().unwrap() == Some(Message::Text(&whole)));
    assert!(matches!(client.send_part(Kind::Text, b"\xff", true), Err(Error::Send(SendError::InvalidUtf8))));
    client.close(None, "").unwrap();
    server.join().unwrap();
}

#[test]
fn the_first_frames_may_come_along_with_the_request() {
    let (mut client, server) = sockets();
    client.write_all(&[&request(&[])[..], &crate::common::masked(0x81, b"early")].concat()).unwrap();
    let mut server = open_to_all().accept(server).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::Text("early")));
}

#[test]
fn two_threads_share_a_connection() {
    let (client, server) = pair();
    let server = echo(server);
    let (mut reader, writer) = client.split().unwrap();
    let sending = thread::spawn(move || {
        for size in SIZES.into_iter().cycle().take(40) {
            writer.send(&bytes(size)).unwrap();
            writer.ping(b"x").unwrap();
        }
        writer
    });
    for size in SIZES.into_iter().cycle().take(40) {
        assert!(reader.read().unwrap() == Some(Message::Binary(&bytes(size))), "{size}");
    }
    let writer = sending.join().unwrap();
    writer.start_close(CloseCode::NORMAL, "done").unwrap();
    assert!(reader.read().unwrap().is_none());
    assert_eq!(reader.peer_close(), Some((Some(CloseCode::NORMAL), String::new())));
    assert!(reader.ending().unwrap().is_clean());
    assert!(matches!(writer.send("late"), Err(Error::Send(SendError::Closing))));
    server.join().unwrap().0.unwrap();
}

#[test]
fn pings_are_answered_by_a_reader_whose_writer_is_idle() {
    let (client, server) = pair();
    let (mut reader, writer) = server.split().unwrap();
    let server = thread::spawn(move || reader.read().unwrap().is_none());
    let (mut client, seen) = (client, b"\x8a\x02hi");
    client.ping(b"hi").unwrap();
    let mut pong = [0; 4];
    client.stream_mut().read_exact(&mut pong).unwrap();
    assert_eq!(&pong, seen);
    client.close(None, "").unwrap();
    assert!(server.join().unwrap());
    drop(writer);
}

#[test]
fn two_peers_send_a_lot_to_each_other_at_once_and_neither_reads_ahead() {
    /// Bytes that each side sends, and how large its messages are: far more than sockets hold.
    const TOTAL: usize = 100 << 20;
    const MESSAGE: usize = 1 << 20;

    let (client, server) = pair();
    let sides = [client, server].map(|ws| {
        let (mut reader, writer) = ws.split().unwrap();
        let writing = thread::spawn(move || {
            let message = bytes(MESSAGE);
            for _ in 0..TOTAL / MESSAGE {
                writer.send(&message).unwrap();
                // The reader that answers it must not wait for its own side's writer.
                writer.ping(b"in between").unwrap();
            }
        });
        let reading = thread::spawn(move || {
            let message = bytes(MESSAGE);
            for _ in 0..TOTAL / MESSAGE {
                assert!(reader.read().unwrap() == Some(Message::Binary(&message)));
            }
            reader
        });
        (writing, reading)
    });
    // The readers live until both are done: a socket that is closed early is reset.
    let _readers = sides.map(|(writing, reading)| {
        writing.join().unwrap();
        reading.join().unwrap()
    });
}

#[cfg(unix)]
#[test]
fn unix_sockets_carry_connections_too() {
    let (client, server) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let mut ws = open_to_all().accept(server).unwrap();
        while let Some(message) = ws.read_owned().unwrap() {
            ws.send(&message).unwrap();
        }
    });
    let mut client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    client.send("over a file").unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::Text("over a file")));
    client.close(None, "").unwrap();
    server.join().unwrap();
}

#[test]
fn a_prepared_message_goes_to_many_clients() {
    let news = Prepared::new("news");
    let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
    for (mut client, mut server) in pairs {
        server.queue_prepared(&news).unwrap();
        server.flush().unwrap();
        assert_eq!(client.read().unwrap(), Some(Message::Text("news")));
        assert!(matches!(client.queue_prepared(&news), Err(Error::Send(SendError::MustMask))));
        let (_reader, writer) = server.split().unwrap();
        writer.queue_prepared(&news).unwrap();
        writer.flush().unwrap();
        assert_eq!(client.read().unwrap(), Some(Message::Text("news")));
    }
}

#[test]
fn rfc6455_5_4_no_message_of_any_length_gets_into_another() {
    let (mut client, mut server) = pair();
    for ws in [&mut client, &mut server] {
        ws.send_part(Kind::Binary, b"A", false).unwrap();
        for size in SIZES {
            assert!(matches!(ws.send(&bytes(size)), Err(Error::Send(SendError::MessageUnderWay))), "{size}");
        }
        ws.send_part(Kind::Binary, b"Z", true).unwrap();
    }
    assert_eq!(client.read().unwrap(), Some(Message::Binary(b"AZ")));
    assert_eq!(server.read().unwrap(), Some(Message::Binary(b"AZ")));
}

#[test]
fn what_is_left_of_a_message_does_not_get_into_the_rest_of_another() {
    let (mut client, mut server) = pair();
    for part in ["a secret", " of long ago"] {
        client.send_part(Kind::Text, part.as_bytes(), part.starts_with(' ')).unwrap();
    }
    assert_eq!(server.read().unwrap(), Some(Message::Text("a secret of long ago")));
    client.send_part(Kind::Text, b"x", false).unwrap();
    assert_eq!(server.read_piece().unwrap().unwrap().as_bytes(), b"x");
    client.send_part(Kind::Text, b"y", false).unwrap();
    client.send_part(Kind::Text, b"z", true).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::Text("yz")));
}

#[test]
fn a_peer_that_floods_pings_and_reads_nothing_is_not_read_any_more() {
    // Pings of 125 bytes; far more of them than the sockets and the queue of replies hold.
    const PINGS: usize = 64 << 20;

    for split in [false, true] {
        let (client, server) = sockets();
        let server = thread::spawn(move || open_to_all().timeouts(Timeouts::NONE).accept(server).unwrap());
        let mut client = raw_client(client);
        let server = server.join().unwrap();
        let socket = server.stream().try_clone().unwrap();
        let reading = thread::spawn(move || {
            if split {
                let (mut reader, writer) = server.split().unwrap();
                // A writer that is stuck does not make replies pile up either.
                let writing = thread::spawn(move || writer.send(&vec![0; 64 << 20]).is_err());
                let ended = reader.read().is_err();
                ended & writing.join().unwrap()
            } else {
                let mut server = server;
                server.read().is_err()
            }
        });
        client.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
        let mut ping = vec![0x89, 0xFD, 0, 0, 0, 0];
        ping.extend([7; 125]);
        let pings = ping.repeat(500);
        let mut sent = 0;
        while sent < PINGS {
            match client.write(&pings) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        assert!(sent < PINGS, "the server goes on reading although nothing it writes is taken");
        // Whatever blocks is set free.
        socket.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(reading.join().unwrap());
    }
}

#[test]
fn what_a_write_that_ran_into_its_limit_has_left_leaves_with_the_reads() {
    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().timeouts(Timeouts::NONE).accept(server).unwrap());
    let mut client = raw_client(client);
    let mut server = server.join().unwrap();
    server.set_write_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    let (mut reader, writer) = server.split().unwrap();
    let error = writer.send(&vec![7; 32 << 20]).unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    let reading = thread::spawn(move || {
        loop {
            match reader.read() {
                Err(Error::Io(_)) => {}
                result => break result.map(|message| message.is_none()),
            }
        }
    });
    let mut payload = 0;
    while payload < 32 << 20 {
        let mut head = [0; 2];
        client.read_exact(&mut head).unwrap();
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                client.read_exact(&mut len).unwrap();
                usize::from(u16::from_be_bytes(len))
            }
            127 => {
                let mut len = [0; 8];
                client.read_exact(&mut len).unwrap();
                usize::try_from(u64::from_be_bytes(len)).unwrap()
            }
            short => usize::from(short),
        };
        let mut frame = vec![0; len];
        client.read_exact(&mut frame).unwrap();
        assert!(frame.iter().all(|byte| *byte == 7), "frames are whole and in order");
        payload += len;
    }
    client.write_all(&crate::common::masked(0x88, &[])).unwrap();
    assert!(reading.join().unwrap().unwrap());
    drop(writer);
}

/// A stream that does one small thing at a time, is interrupted, and runs into its time limit again and again.
struct Stubborn<S> {
    stream: S,
    nuisance: bool,
    turn: usize,
}

impl<S> Stubborn<S> {
    fn hinder(&mut self) -> io::Result<()> {
        self.turn += usize::from(self.nuisance);
        match if self.nuisance { self.turn % 4 } else { 0 } {
            1 => Err(io::ErrorKind::Interrupted.into()),
            2 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }
}

impl<S: Read> Read for Stubborn<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.hinder()?;
        let len = buffer.len().min(7);
        self.stream.read(&mut buffer[..len])
    }
}

impl<S: Write> Write for Stubborn<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hinder()?;
        self.stream.write(&bytes[..bytes.len().min(501)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Read + Write> Stream for Stubborn<S> {}

/// Repeats a call that runs into time limits.
fn patiently<T>(mut call: impl FnMut() -> Result<T, Error>) -> T {
    for _ in 0..1_000_000 {
        match call() {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result.unwrap(),
        }
    }
    panic!("no progress");
}

#[test]
fn nothing_is_lost_when_calls_are_cut_short() {
    let (client, server) = sockets();
    let server = thread::spawn(move || {
        let server = Stubborn { stream: server, nuisance: false, turn: 0 };
        let mut ws = open_to_all().accept(server).unwrap();
        // From here on the stream is a nuisance; the peer must not notice.
        ws.stream_mut().nuisance = true;
        for size in [0, 1, 5000, 70_000, 200_000] {
            let message = patiently(|| ws.read_owned());
            assert!(message == Some(OwnedMessage::Binary(bytes(size))), "{size}");
            match ws.send(message.as_ref().unwrap()) {
                Ok(()) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => patiently(|| ws.flush()),
                Err(error) => panic!("{error}"),
            }
        }
        patiently(|| ws.read_owned()).is_none()
    });
    let mut client = ConnectOptions::new().open(client, "ws://localhost/").unwrap();
    for size in [0, 1, 5000, 70_000, 200_000] {
        client.send(&bytes(size)).unwrap();
        assert!(client.read().unwrap() == Some(Message::Binary(&bytes(size))), "{size}");
    }
    client.close(None, "").unwrap();
    assert!(server.join().unwrap());
}

#[test]
fn a_raw_client_sees_server_frames_without_masks() {
    let (client, server) = sockets();
    let server = thread::spawn(move || open_to_all().accept(server).unwrap());
    let mut client = raw_client(client);
    let mut server = server.join().unwrap();
    server.send("Hello").unwrap();
    let mut frame = [0; 7];
    client.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, b"\x81\x05Hello");
}

/// Counts the writes that reach the socket.
struct Counting<S> {
    stream: S,
    writes: usize,
}

impl<S: Read> Read for Counting<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl<S: Write> Write for Counting<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Read + Write> Stream for Counting<S> {}

#[test]
fn rfc6455_5_3_a_clients_frames_have_keys_of_their_own() {
    const FRAMES: usize = 16;
    let (mut client, mut server) = pair();
    let mut keys = std::collections::HashSet::new();
    for _ in 0..FRAMES {
        client.send("x").unwrap();
        let mut frame = [0; 7];
        server.stream_mut().read_exact(&mut frame).unwrap();
        let [0x81, 0x81, key @ .., _] = frame else { panic!("{frame:02x?}") };
        keys.insert(key);
    }
    // By chance two of 16 are the same once in 36 million runs.
    assert_eq!(keys.len(), FRAMES, "{keys:02x?}");
}
