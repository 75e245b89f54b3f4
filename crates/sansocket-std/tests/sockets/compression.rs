//! permessage-deflate over real sockets.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use allocation_counter::measure;
use sansocket::deflate::{Parameters, Window};
use sansocket::handshake::{ClientRequest, ResponseProgress, Uri};
use sansocket_std::deflate::{Compress, Config, Policy, Pool, WindowBits};
use sansocket_std::{
    Accept, AcceptOptions, CloseCode, ConnectOptions, Error, Kind, Message, Negotiated, OwnedMessage, Prepared,
    ProtocolError, SendError, WebSocket,
};

use crate::common::{echo, masked, open_to_all, raw_client, read_head, read_to_end, sockets};

const SMALL: Policy = Policy { window_bits: WindowBits::new(9).unwrap(), ..Policy::DEFAULT };

pub(crate) const fn compressing(policy: Policy) -> Config {
    Config { policy, threshold: 256, ..Config::DEFAULT }
}

pub(crate) fn accepting(policy: Policy) -> AcceptOptions<'static> {
    open_to_all().compression(compressing(policy))
}

pub(crate) fn connecting(policy: Policy) -> ConnectOptions<'static> {
    ConnectOptions::new().compression(compressing(policy))
}

/// An open connection: the client's end and the server's.
pub(crate) fn pair_with(
    connect: ConnectOptions<'static>,
    accept: AcceptOptions<'static>,
) -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let (client, server) = sockets();
    let server = thread::spawn(move || accept.accept(server).unwrap());
    let client = connect.open(client, "ws://localhost/").unwrap();
    let server = server.join().unwrap();
    assert_eq!(client.negotiated(), server.negotiated());
    (client, server)
}

/// As `pair_with`, where both have agreed on what this policy says.
fn pair(policy: Policy) -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let pair = pair_with(connecting(policy), accepting(policy));
    assert!(pair.0.negotiated().compression().is_some());
    pair
}

/// Bytes that no compressor makes shorter.
pub(crate) fn scrambled(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ len as u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..len).map(next).collect()
}

pub(crate) fn text(len: usize) -> String {
    "aé€😀, und größer".chars().cycle().take(len * 17 / 26).collect()
}

/// A server's frame header: its first byte and the payload's length.
pub(crate) fn read_header(stream: &mut impl Read) -> (u8, usize) {
    let mut start = [0; 2];
    stream.read_exact(&mut start).unwrap();
    let mut len = [0; 8];
    let extended = match start[1] {
        126 => 2,
        127 => 8,
        short => return (start[0], usize::from(short)),
    };
    stream.read_exact(&mut len[8 - extended..]).unwrap();
    (start[0], usize::try_from(u64::from_be_bytes(len)).unwrap())
}

/// A client that is no more than its socket, and a server, which have agreed on the default.
pub(crate) fn raw_pair(accept: AcceptOptions<'static>) -> (TcpStream, WebSocket<TcpStream>) {
    let (mut client, server) = sockets();
    let server = thread::spawn(move || accept.accept(server).unwrap());
    client.write_all(&crate::common::request(&["Sec-WebSocket-Extensions: permessage-deflate"])).unwrap();
    let head = read_head(&mut client);
    assert!(head.contains("Sec-WebSocket-Extensions: permessage-deflate"), "{head}");
    (client, server.join().unwrap())
}

#[test]
fn messages_of_every_size_come_back_as_they_were_under_every_agreement() {
    let sizes = [0, 1, 255, 256, 4096, 16 << 10, (64 << 10) - 1, 64 << 10, (64 << 10) + 1];
    let mut choices = [Compress::Auto, Compress::Always, Compress::Never].into_iter().cycle();
    for (ours, theirs) in [
        (Policy::DEFAULT, Policy::DEFAULT),
        (Policy::TAKEOVER, Policy::DEFAULT),
        (Policy::TAKEOVER, Policy::TAKEOVER),
        (SMALL, Policy::TAKEOVER),
    ] {
        let (mut client, server) = pair_with(connecting(ours), accepting(theirs));
        assert!(client.negotiated().compression().is_some());
        let server = echo(server);
        for size in sizes {
            for payload in [scrambled(size), vec![7; size]] {
                client.send_with(&payload, choices.next().unwrap()).unwrap();
                assert!(client.read().unwrap() == Some(Message::Binary(&payload)), "{size}");
            }
            let text = text(size);
            client.send_with(&text, choices.next().unwrap()).unwrap();
            assert!(client.read_owned().unwrap() == Some(OwnedMessage::Text(text)), "{size}");
            // A number of messages for which the choices do not repeat themselves.
            choices.next();
        }
        client.close(CloseCode::NORMAL, "").unwrap();
        server.join().unwrap().0.unwrap();
    }
}

#[test]
fn messages_of_megabytes_come_back_as_they_were() {
    let (mut client, server) = pair(Policy::DEFAULT);
    let server = echo(server);
    for payload in [scrambled(1 << 20), vec![7; 5 << 20]] {
        client.send(&payload).unwrap();
        assert!(client.read().unwrap() == Some(Message::Binary(&payload)));
    }
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().0.unwrap();
}

#[test]
fn whoever_sends_chooses_whether_it_is_compressed() {
    let (mut client, mut server) = raw_pair(accepting(Policy::DEFAULT));
    let mut seen = |server: &mut WebSocket<TcpStream>, len: usize, choice| {
        server.queue_with(&vec![b'x'; len], choice).unwrap();
        server.flush().unwrap();
        let (first, len) = read_header(&mut client);
        client.read_exact(&mut vec![0; len]).unwrap();
        first
    };
    assert_eq!(seen(&mut server, 255, Compress::Auto), 0x82);
    assert_eq!(seen(&mut server, 256, Compress::Auto), 0xC2);
    assert_eq!(seen(&mut server, 10_000, Compress::Never), 0x82);
    assert_eq!(seen(&mut server, 0, Compress::Always), 0xC2);
    let (_, writer) = server.split().unwrap();
    writer.queue_with(&[b'x'; 255], Compress::Always).unwrap();
    writer.queue(&[b'x'; 256]).unwrap();
    writer.queue_with(&[b'x'; 4000], Compress::Never).unwrap();
    writer.flush().unwrap();
    for expected in [0xC2, 0xC2, 0x82] {
        let (first, len) = read_header(&mut client);
        client.read_exact(&mut vec![0; len]).unwrap();
        assert_eq!(first, expected);
    }
}

#[test]
fn rfc7692_5_it_is_agreed_on_only_if_both_want_it() {
    let plain = (ConnectOptions::new(), open_to_all());
    for (connect, accept) in
        [(plain.0, accepting(Policy::DEFAULT)), (connecting(Policy::DEFAULT), plain.1), (plain.0, plain.1)]
    {
        let (mut client, server) = pair_with(connect, accept);
        assert_eq!(client.negotiated(), Negotiated::default());
        // What was not agreed on is not done, whatever is asked for.
        let server = echo(server);
        for choice in [Compress::Auto, Compress::Always] {
            client.send_with(&[7; 5000], choice).unwrap();
            assert_eq!(client.read().unwrap(), Some(Message::Binary(&[7; 5000])));
        }
        client.send_part_with(Kind::Text, b"x", true, Compress::Always).unwrap();
        assert_eq!(client.read().unwrap(), Some(Message::Text("x")));
        client.close(None, "").unwrap();
        server.join().unwrap().0.unwrap();
    }
}

#[test]
fn rfc6455_5_2_rsv1_without_an_agreement_is_1002() {
    let (client, server) = sockets();
    let server = thread::spawn(move || accepting(Policy::DEFAULT).accept(server).unwrap());
    let mut client = raw_client(client);
    let mut server = server.join().unwrap();
    client.write_all(&masked(0xC1, b"x")).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(matches!(server.read(), Err(Error::Violation(ProtocolError::ReservedBits))));
    let close = read_to_end(&mut client);
    assert_eq!(close[2..4], 1002_u16.to_be_bytes());
}

#[test]
fn an_answer_of_its_own_may_have_a_policy_of_its_own() {
    let own = Policy { takeover: true, peer_window_bits: WindowBits::new(10).unwrap(), ..Policy::DEFAULT };
    // The options say nothing, or something else.
    for options in [open_to_all(), accepting(Policy::DEFAULT)] {
        let (client, server) = sockets();
        let server = thread::spawn(move || {
            let pending = options.receive(server).unwrap();
            pending.accept(&Accept::new().compression(own)).unwrap()
        });
        let mut client = connecting(Policy::TAKEOVER).open(client, "ws://localhost/").unwrap();
        let server = server.join().unwrap();
        let agreed = Parameters {
            server: Window { bits: WindowBits::MAX, takeover: true },
            client: Window { bits: WindowBits::new(10).unwrap(), takeover: false },
        };
        assert_eq!(client.negotiated(), Negotiated::new(Some(agreed)));
        assert_eq!(server.negotiated(), client.negotiated());
        let server = echo(server);
        for _ in 0..3 {
            let payload = [scrambled(30_000), vec![7; 30_000]].concat();
            client.send(&payload).unwrap();
            assert!(client.read().unwrap() == Some(Message::Binary(&payload)));
        }
        client.close(None, "").unwrap();
        server.join().unwrap().0.unwrap();
    }
}

#[test]
fn an_upgrade_that_somebody_else_has_performed_may_have_agreed_on_it() {
    let window = Window { bits: WindowBits::MAX, takeover: true };
    let negotiated = Negotiated::new(Some(Parameters { server: window, client: window }));
    let (client, server) = sockets();
    // A message came along with the handshake.
    let mut early = Vec::new();
    let mut peer = sansocket::Connection::new(
        sansocket::Client::new(sansocket::RandomKeys),
        negotiated,
        sansocket::Limits::DEFAULT,
    );
    let parameters = negotiated.compression().unwrap();
    sansocket::deflate::Compressor::new(parameters, false, &Config::DEFAULT, &Pool::default())
        .send(&[7; 1000], Compress::Always, &mut peer, &mut early)
        .unwrap();
    let mut server = open_to_all().upgraded(server, negotiated, &early).unwrap();
    let mut client = ConnectOptions::new().upgraded(client, negotiated, &[]).unwrap();
    assert_eq!(server.negotiated(), negotiated);
    assert_eq!(server.read().unwrap(), Some(Message::Binary(&[7; 1000])));
    for size in [10, 1000, 100_000] {
        server.send_with(&vec![8; size], Compress::Always).unwrap();
        assert!(client.read().unwrap() == Some(Message::Binary(&vec![8; size])));
    }
    drop(server);
}

#[test]
fn what_is_read_in_pieces_and_what_is_read_whole_may_change_between_messages() {
    let (mut client, mut server) = pair(Policy::TAKEOVER);
    let sending = thread::spawn(move || {
        for size in [0, 1, 5000, 100_000] {
            for choice in [Compress::Always, Compress::Never, Compress::Always, Compress::Always] {
                client.send_with(&text(size), choice).unwrap();
            }
        }
        client
    });
    for size in [0, 1, 5000, 100_000] {
        let text = text(size);
        for round in 0..4 {
            match round {
                0 => assert!(server.read().unwrap() == Some(Message::Text(&text))),
                3 => assert!(server.read_owned().unwrap() == Some(OwnedMessage::Text(text.clone()))),
                _ => {
                    let mut joined = String::new();
                    loop {
                        let piece = server.read_piece().unwrap().unwrap();
                        assert!(piece.kind() == Kind::Text && piece.is_first() == joined.is_empty());
                        joined.push_str(std::str::from_utf8(piece.as_bytes()).unwrap());
                        if piece.is_last() {
                            break;
                        }
                    }
                    assert!(joined == text, "{size}");
                }
            }
        }
    }
    drop(sending.join().unwrap());
}

#[test]
fn a_long_message_is_read_in_pieces_in_little_memory() {
    const LEN: usize = 50 << 20;
    let (mut client, mut server) = pair(Policy::DEFAULT);
    // From its first read on, it has a buffer.
    client.send("before").unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::Text("before")));
    let sending = thread::spawn(move || {
        let part = vec![0; 1 << 20];
        for at in 1..=LEN >> 20 {
            client.send_part(Kind::Binary, &part, at == LEN >> 20).unwrap();
        }
        client.send("behind").unwrap();
        client
    });
    let mut len = 0;
    let info = measure(|| {
        loop {
            let piece = server.read_piece().unwrap().unwrap();
            assert!(piece.is_first() == (len == 0) && piece.as_bytes().len() <= 16 << 10);
            len += piece.as_bytes().len();
            if piece.is_last() {
                break;
            }
        }
    });
    assert_eq!(len, LEN);
    // What is inflated into, and the decompressor, if no other connection has left one.
    assert!(info.bytes_max < (16 + 48) << 10, "{info:?}");
    assert_eq!(server.read().unwrap(), Some(Message::Text("behind")));
    drop(sending.join().unwrap());
}

#[test]
fn parts_of_a_text_may_cut_characters_and_no_other_message_comes_in_between() {
    let (mut client, server) = pair(Policy::DEFAULT);
    let server = echo(server);
    let whole = text(3000);
    for part in whole.as_bytes().chunks(7) {
        client.send_part_with(Kind::Text, part, false, Compress::Always).unwrap();
        client.ping(b"between").unwrap();
        let another = client.queue_with("another", Compress::Never);
        assert!(matches!(another, Err(Error::Send(SendError::MessageUnderWay))));
        assert!(matches!(client.send(&[0; 100_000]), Err(Error::Send(SendError::MessageUnderWay))));
    }
    client.send_part(Kind::Text, b"", true).unwrap();
    assert!(client.read().unwrap() == Some(Message::Text(&whole)));
    let bad = client.send_part_with(Kind::Text, b"\xff", true, Compress::Always);
    assert!(matches!(bad, Err(Error::Send(SendError::InvalidUtf8))));
    // The same by a half, and the right part may follow a wrong one.
    let (mut reader, writer) = client.split().unwrap();
    writer.send_part_with(Kind::Text, b"\xE2\x82", false, Compress::Always).unwrap();
    writer.send_part(Kind::Text, b"\x82", true).unwrap();
    assert!(reader.read().unwrap() == Some(Message::Text("\u{2082}")));
    for part in whole.as_bytes().chunks(7) {
        writer.send_part_with(Kind::Text, part, false, Compress::Always).unwrap();
        let bad = writer.send_part(Kind::Text, b"\xff\xff\xff\xff", false);
        assert!(matches!(bad, Err(Error::Send(SendError::InvalidUtf8))));
        assert!(matches!(writer.send("another"), Err(Error::Send(SendError::MessageUnderWay))));
    }
    writer.send_part(Kind::Text, b"", true).unwrap();
    assert!(reader.read().unwrap() == Some(Message::Text(&whole)));
    writer.start_close(None, "").unwrap();
    assert!(reader.read().unwrap().is_none());
    server.join().unwrap().0.unwrap();
}

#[test]
fn two_threads_of_each_side_send_and_read_at_once() {
    for policy in [Policy::DEFAULT, Policy::TAKEOVER] {
        let (client, server) = pair(policy);
        let messages = || (0..60_usize).map(|at| [scrambled(at * 200), vec![7; at * 2000]].concat());
        let sides = [client, server].map(|ws| {
            let (mut reader, writer) = ws.split().unwrap();
            let writing = thread::spawn(move || {
                for (at, message) in messages().enumerate() {
                    let choice = [Compress::Auto, Compress::Always, Compress::Never][at % 3];
                    if at % 2 == 0 {
                        writer.send_with(&message, choice).unwrap();
                    } else {
                        writer.queue_with(&message, choice).unwrap();
                    }
                    writer.ping(b"in between").unwrap();
                }
                writer
            });
            let reading = thread::spawn(move || {
                for (at, message) in messages().enumerate() {
                    if at % 5 == 0 {
                        assert!(reader.read_owned().unwrap() == Some(OwnedMessage::Binary(message)), "{at}");
                    } else {
                        assert!(reader.read().unwrap() == Some(Message::Binary(&message)), "{at}");
                    }
                }
                reader
            });
            (writing, reading)
        });
        let [mut client, mut server] =
            sides.map(|(writing, reading)| (writing.join().unwrap(), reading.join().unwrap()));
        client.0.start_close(CloseCode::NORMAL, "").unwrap();
        assert!(server.1.read().unwrap().is_none());
        drop(server);
        assert!(client.1.read().unwrap().is_none());
        assert!(client.1.ending().unwrap().is_clean());
    }
}

#[test]
fn prepared_messages_go_between_others_and_parts_of_several_threads_wait_for_their_turn() {
    for policy in [Policy::DEFAULT, Policy::TAKEOVER] {
        let (mut client, server) = pair(policy);
        let (mut reader, writer) = server.split().unwrap();
        let prepared = Prepared::compressed(&[9; 50_000], Compress::Always, &compressing(policy), &Pool::default());
        let threads = [0, 1, 2].map(|at| {
            let (writer, prepared) = (writer.clone(), prepared.clone());
            thread::spawn(move || {
                for _ in 0..20 {
                    match at {
                        0 => writer.queue_prepared(&prepared).unwrap(),
                        at => writer.send_with(&[at; 40_000], Compress::Always).unwrap(),
                    }
                }
                // What is queued last is not sent by the others' messages.
                writer.flush().unwrap();
            })
        });
        let mut seen = [0; 10];
        for _ in 0..60 {
            let Some(Message::Binary(bytes)) = client.read().unwrap() else { panic!("a binary message") };
            let len = if bytes[0] == 9 { 50_000 } else { 40_000 };
            assert!(bytes.len() == len && bytes.iter().all(|byte| *byte == bytes[0]));
            seen[usize::from(bytes[0])] += 1;
        }
        assert_eq!((seen[9], seen[1], seen[2]), (20, 20, 20));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(client);
        assert!(reader.read().is_err());
    }
}

#[test]
fn a_reader_goes_on_while_its_writer_waits_for_a_peer_that_does_not_read() {
    const TOTAL: usize = 8 << 20;
    let (mut client, server) = pair(Policy::DEFAULT);
    let (mut reader, writer) = server.split().unwrap();
    let noise = scrambled(TOTAL);
    let sent = noise.clone();
    let writing = thread::spawn(move || {
        // It cannot end: so much is held by no socket.
        writer.send_with(&sent, Compress::Always).unwrap();
        writer
    });
    for at in 0..50_usize {
        let message = vec![7; at * 1000];
        client.send_with(&message, Compress::Always).unwrap();
        client.ping(b"?").unwrap();
        assert!(reader.read().unwrap() == Some(Message::Binary(&message)), "{at}");
    }
    assert!(!writing.is_finished(), "the sockets hold more than was thought");
    // The pongs lie somewhere in it.
    assert!(client.read().unwrap() == Some(Message::Binary(&noise)));
    drop(writing.join().unwrap());
}

#[test]
fn a_message_that_was_cut_short_by_a_time_limit_is_whole_once_it_is_flushed() {
    let (mut client, mut server) = pair(Policy::TAKEOVER);
    server.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    let noise = scrambled(8 << 20);
    match server.send_with(&noise, Compress::Always) {
        Err(Error::Io(error)) => assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)),
        result => panic!("{result:?}"),
    }
    // One that refers to it may be queued behind it.
    let behind = noise[noise.len() - 20_000..].to_vec();
    match server.queue_with(&behind, Compress::Always) {
        Ok(()) | Err(Error::Io(_)) => {}
        result => panic!("{result:?}"),
    }
    let reading = thread::spawn(move || {
        assert!(client.read().unwrap() == Some(Message::Binary(&noise)));
        assert!(client.read().unwrap() == Some(Message::Binary(&noise[noise.len() - 20_000..])));
        client
    });
    while let Err(error) = server.flush() {
        assert!(matches!(error, Error::Io(_)), "{error}");
    }
    drop(reading.join().unwrap());
}

#[test]
fn behind_the_peers_close_nothing_is_sent_and_a_message_in_parts_stays_unfinished() {
    let (mut client, server) = pair(Policy::DEFAULT);
    let (mut reader, writer) = server.split().unwrap();
    writer.send_part_with(Kind::Binary, &[7; 5000], false, Compress::Always).unwrap();
    client.start_close(CloseCode::NORMAL, "").unwrap();
    let reading = thread::spawn(move || reader.read().map(|message| message.is_none()));
    assert!(client.read().unwrap().is_none(), "the unfinished message is not given");
    drop(client);
    assert!(reading.join().unwrap().unwrap());
    for _ in 0..2 {
        let part = writer.send_part_with(Kind::Binary, &[7; 5000], true, Compress::Always);
        assert!(matches!(part, Err(Error::Send(SendError::Closing))), "{part:?}");
        for choice in [Compress::Always, Compress::Never] {
            let whole = writer.send_with(&[7; 5000], choice);
            assert!(matches!(whole, Err(Error::Send(SendError::Closing))), "{whole:?}");
        }
    }

    let (mut client, mut server) = pair(Policy::DEFAULT);
    server.send_part_with(Kind::Binary, &[7; 5000], false, Compress::Always).unwrap();
    let closing = thread::spawn(move || client.close(CloseCode::NORMAL, "").map(|()| client));
    assert!(server.read().unwrap().is_none());
    let part = server.send_part_with(Kind::Binary, &[7; 5000], true, Compress::Always);
    assert!(matches!(part, Err(Error::Send(SendError::Closing))), "{part:?}");
    assert!(matches!(server.send_with("x", Compress::Always), Err(Error::Send(SendError::Closing))));
    drop(server);
    closing.join().unwrap().unwrap();
}

#[test]
fn a_message_that_comes_byte_by_byte_with_pings_between_is_one_message() {
    let (mut client, mut server) = raw_pair(accepting(Policy::DEFAULT));
    // RFC 7692, 7.2.3.1: "Hello", in fragments.
    let compressed = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let mut frames = masked(0x41, &compressed[..1]);
    for byte in &compressed[1..6] {
        frames.extend(masked(0x89, b"?"));
        frames.extend(masked(0x00, &[*byte]));
    }
    frames.extend(masked(0x80, &compressed[6..]));
    let sending = thread::spawn(move || {
        for byte in frames {
            client.write_all(&[byte]).unwrap();
        }
        client
    });
    assert_eq!(server.read().unwrap(), Some(Message::Text("Hello")));
    let mut client = sending.join().unwrap();
    server.send("and back").unwrap();
    let mut pongs = [0; 15];
    client.read_exact(&mut pongs).unwrap();
    assert_eq!(pongs.chunks(3).filter(|pong| *pong == b"\x8a\x01?").count(), 5);
}

#[test]
fn an_event_loops_server_and_a_blocking_client_understand_each_other() {
    struct Echo;
    impl sansocket_mio::Handler for Echo {
        type Stream = mio::net::TcpStream;
        type Data = ();

        fn message(&mut self, cx: &mut sansocket_mio::Context<'_, Self>, message: Message<'_>) {
            let _ = cx.send(message);
        }
    }

    for (ours, theirs) in [
        (Policy::DEFAULT, Policy::DEFAULT),
        (Policy::TAKEOVER, Policy::TAKEOVER),
        (SMALL, Policy::TAKEOVER),
        (Policy::TAKEOVER, Policy::DEFAULT),
    ] {
        let settings = sansocket_mio::Settings { compression: Some(compressing(theirs)), ..Default::default() };
        let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = sansocket_mio::Server::new(Echo, settings).unwrap();
        server.listen(listener).unwrap();
        let handle = server.handle();
        let serving = thread::spawn(move || server.run().unwrap());
        let mut client = connecting(ours).connect(&format!("ws://{address}/")).unwrap();
        assert!(client.negotiated().compression().is_some());
        for size in [0, 1, 256, 4096, 65_537] {
            for payload in [scrambled(size), vec![7; size]] {
                for choice in [Compress::Auto, Compress::Always] {
                    client.send_with(&payload, choice).unwrap();
                    assert!(client.read().unwrap() == Some(Message::Binary(&payload)), "{size}");
                }
            }
        }
        client.close(CloseCode::NORMAL, "").unwrap();
        handle.shut_down(Duration::ZERO);
        serving.join().unwrap();
    }
}

#[test]
fn a_request_may_be_answered_by_the_engine_alone() {
    // What a client offers by itself is seen by a server, and the answer by the client.
    let (mut client, server) = sockets();
    let server = thread::spawn(move || accepting(Policy::DEFAULT).accept(server).unwrap());
    let uri = Uri::parse("ws://localhost/").unwrap();
    let offers = [SMALL, Policy::TAKEOVER];
    let mut request = Vec::new();
    let mut handshake = ClientRequest::new(&uri).compression(&offers).start([7; 16], &mut request).unwrap();
    client.write_all(&request).unwrap();
    let head = read_head(&mut client);
    let ResponseProgress::Accepted(response) = handshake.receive(head.as_bytes()) else { panic!("{head}") };
    assert_eq!(response.negotiated(), server.join().unwrap().negotiated());
    assert_eq!(response.negotiated().compression().unwrap().client.bits.get(), 9, "the first that fits");
}
