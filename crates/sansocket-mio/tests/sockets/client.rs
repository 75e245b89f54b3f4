//! The client's end, against raw servers and against our own.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sansocket::Place;
use sansocket::handshake::{Accept, RequestProgress, ServerHandshake};
use sansocket_mio::{ClientRequest, CloseCode, ConnectionId, EndedBy, ProtocolError, Settings, Timeouts, Uri};
use sansocket_testkit::{BINARY, Frame, PING, Side, TEXT, split_frames};

use crate::common::{LIMIT, SHORT, TIMELESS, close_frame, noise, read_head, read_to_end, with_timeouts};
use crate::harness::{Heard, Local, Probe};

/// A loop with one client, which has sent its request, and the server's end of it.
struct Opening {
    local: Local<mio::net::TcpStream>,
    id: ConnectionId,
    server: TcpStream,
    /// What a good server answers.
    answer: Vec<u8>,
}

fn opening(probe: Probe<mio::net::TcpStream>, settings: Settings) -> Opening {
    let mut local = Local::new(probe, settings);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = mio::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let uri = Uri::parse("ws://localhost/chat?room=1").unwrap();
    let request = ClientRequest::new(&uri).protocols(&["a", "b"]).headers(&[("Cookie", "c=d")]);
    let id = local.server.connections().connect(stream, &request).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(LIMIT)).unwrap();
    server.set_nodelay(true).unwrap();
    local.turn();
    let head = read_head(&mut server);
    assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\nHost: localhost\r\n"), "{head}");
    assert!(head.contains("Cookie: c=d\r\n") && head.contains("Sec-WebSocket-Protocol: a, b\r\n"), "{head}");
    let mut answer = Vec::new();
    match ServerHandshake::new().receive(head.as_bytes(), &mut answer) {
        RequestProgress::Request(request) => _ = request.accept(&Accept::new().protocol("b"), &mut answer).unwrap(),
        refused => panic!("{refused:?}"),
    }
    Opening { local, id, server, answer }
}

/// As `opening`, and the server has let it in.
fn open(probe: Probe<mio::net::TcpStream>, settings: Settings) -> Opening {
    let mut this = opening(probe, settings);
    this.server.write_all(&this.answer).unwrap();
    assert_eq!(this.local.hear(), (this.id, Heard::Response(101)));
    assert_eq!(this.local.hear(), (this.id, Heard::Open));
    this
}

#[test]
fn interim_answers_are_skipped_and_frames_behind_the_answer_are_not_lost() {
    let Opening { mut local, id, mut server, answer } = opening(Probe::echo(), TIMELESS);
    let frames = [Frame::new(TEXT, "one"), Frame::new(PING, "two"), Frame::new(BINARY, noise(3000))];
    let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let packet = [interim, answer, frames.iter().flat_map(Frame::bytes).collect()].concat();
    server.write_all(&packet).unwrap();
    let expected = [Heard::Response(101), Heard::Open, Heard::Message(3), Heard::Ping(b"two".to_vec())];
    for heard in expected.into_iter().chain([Heard::Message(3000)]) {
        assert_eq!(local.hear(), (id, heard));
    }
    server.write_all(&close_frame(1000, "")).unwrap();
    assert_eq!(local.hear(), (id, Heard::closed(EndedBy::Peer, 1000)));
    server.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(local.hear(), (id, Heard::Gone));
    let sent = split_frames(Side::Client, &read_to_end(&mut server));
    let payloads: Vec<_> = sent.iter().map(|frame| (frame.opcode(), frame.payload().to_vec())).collect();
    let echoes = [(TEXT, b"one".to_vec()), (10, b"two".to_vec()), (BINARY, noise(3000)), (8, vec![3, 232])];
    assert_eq!(payloads, echoes);
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let Opening { mut local, id, mut server, answer } = opening(Probe::echo(), TIMELESS);
    let interim = b"HTTP/1.1 102 Processing\r\n\r\n".to_vec();
    for byte in [interim, answer, Frame::new(TEXT, "größer").bytes()].concat() {
        server.write_all(&[byte]).unwrap();
        local.turn();
    }
    for heard in [Heard::Response(101), Heard::Open, Heard::Message(8)] {
        assert_eq!(local.hear(), (id, heard));
    }
}

#[test]
fn rfc6455_4_1_an_answer_that_does_not_open_the_connection_is_told_with_its_fault() {
    let not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nwhat?".to_vec();
    type Forge = fn(String) -> String;
    let cases: [(&str, Forge); 5] = [
        ("Response(Accept)", |good| good.replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: A")),
        ("Response(Upgrade)", |good| good.replace("websocket", "h2c")),
        ("Response(Protocol)", |good| good.replace("Protocol: b", "Protocol: c")),
        ("Response(Extension)", |good| good.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n")),
        ("Response(Malformed)", |_| String::from("SSH-2.0-OpenSSH\r\n")),
    ];
    for (error, forge) in cases {
        let Opening { mut local, id, mut server, answer } = opening(Probe::echo(), TIMELESS);
        server.write_all(forge(String::from_utf8(answer).unwrap()).as_bytes()).unwrap();
        assert_eq!(local.story(id), [Heard::not_opened(error)]);
        assert_eq!(local.server.connections().len(), 0);
    }
    let Opening { mut local, id, mut server, .. } = opening(Probe::echo(), TIMELESS);
    server.write_all(&not_found).unwrap();
    assert_eq!(local.story(id), [Heard::not_opened("Refused(404)")]);
}

#[test]
fn a_server_that_ends_inside_its_answer_is_told() {
    for sent in [0, 20] {
        let Opening { mut local, id, mut server, answer } = opening(Probe::echo(), TIMELESS);
        server.write_all(&answer[..sent]).unwrap();
        drop(server);
        assert_eq!(local.story(id), [Heard::not_opened("Io(UnexpectedEof)")]);
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let mut local = Local::<mio::net::TcpStream>::new(Probe::echo(), TIMELESS);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stream = mio::net::TcpStream::connect(address).unwrap();
    let uri = Uri::parse("ws://localhost/").unwrap();
    let id = local.server.connections().connect(stream, &ClientRequest::new(&uri)).unwrap();
    assert_eq!(local.story(id), [Heard::not_opened("Io(ConnectionRefused)")]);
    assert_eq!(local.server.connections().len(), 0);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let timeouts = Timeouts { open: SHORT, ..Timeouts::NONE };
    let Opening { mut local, id, mut server, .. } = opening(Probe::echo(), with_timeouts(timeouts));
    assert_eq!(local.story(id), [Heard::not_opened("TimedOut")]);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_request_that_must_not_be_sent_is_refused_and_leaves_nothing() {
    let mut local = Local::<mio::net::TcpStream>::new(Probe::echo(), TIMELESS);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = mio::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let uri = Uri::parse("ws://localhost/").unwrap();
    let request = ClientRequest::new(&uri);
    let error = local.server.connections().connect(stream, &request.headers(&[("Upgrade", "h2c")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(local.server.connections().len(), 0);
}

#[test]
fn rfc6455_5_3_a_client_masks_each_frame_with_a_key_of_its_own() {
    let Opening { mut local, id, mut server, .. } = open(Probe::echo(), TIMELESS);
    for _ in 0..50 {
        let _ = local.server.connections().send(id, "same").unwrap();
    }
    let _ = local.server.connections().send(id, &vec![0; 200_000]).unwrap();
    local.server.connections().close(id, None, "").unwrap();
    // The stream does not end here: the server is to end it.
    let headers = 50 * 6 + 3 * 14 + 8 + 6;
    let reading = thread::spawn(move || {
        let mut sent = vec![0; headers + 50 * 4 + 200_000];
        server.read_exact(&mut sent).map(|()| sent)
    });
    let sent = local.serve(reading).unwrap();
    let frames = split_frames(Side::Client, &sent);
    let mut keys: Vec<_> = frames.iter().map(|frame| frame.key().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), frames.len());
    assert_eq!(frames.len(), 50 + 200_000_usize.div_ceil(1 << 16) + 1);
}

#[test]
fn rfc6455_5_1_a_client_fails_on_a_masked_frame() {
    let Opening { mut local, id, mut server, .. } = open(Probe::echo(), TIMELESS);
    server.write_all(&crate::common::masked(TEXT, "masked")).unwrap();
    assert_eq!(local.hear(), (id, Heard::failed(ProtocolError::MaskedFrame)));
    let sent = read_to_end(&mut server);
    assert_eq!(split_frames(Side::Client, &sent)[0].payload()[..2], 1002_u16.to_be_bytes());
    drop(server);
    assert_eq!(local.story(id), []);
}

#[test]
fn rfc6455_7_1_1_a_client_waits_for_the_server_to_end_the_stream() {
    let Opening { mut local, id, mut server, .. } = open(Probe::echo(), TIMELESS);
    server.write_all(&close_frame(1001, "bye")).unwrap();
    let (by, code) = (EndedBy::Peer, 1001);
    assert_eq!(local.hear(), (id, Heard::Close { by, code, reason: String::from("bye"), error: None }));
    let mut echo = [0; 8];
    server.read_exact(&mut echo).unwrap();
    assert_eq!(echo[..2], [0x88, 0x82]);
    server.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let error = server.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "the client has ended the stream");
    assert_eq!(local.server.connections().len(), 1);
    drop(server);
    assert_eq!(local.story(id), []);
    assert_eq!(local.server.connections().len(), 0);
}

#[test]
fn a_server_that_does_not_end_the_stream_is_not_waited_for() {
    let timeouts = Timeouts { end: SHORT, ..Timeouts::NONE };
    let Opening { mut local, id, mut server, .. } = open(Probe::echo(), with_timeouts(timeouts));
    local.server.connections().close(id, CloseCode::NORMAL, "").unwrap();
    server.write_all(&close_frame(1000, "")).unwrap();
    assert_eq!(local.story(id), [Heard::closed(EndedBy::Local, 1000)]);
}

#[test]
fn a_server_that_is_lost_is_told_with_the_place() {
    for (bytes, place) in [
        (&[][..], Place::BetweenMessages),
        (&[0x82], Place::InHeader),
        (&[0x82, 5, 1], Place::InPayload),
        (&[0x02, 1, 1], Place::BetweenFragments),
    ] {
        let Opening { mut local, id, mut server, .. } = open(Probe::echo(), TIMELESS);
        server.write_all(bytes).unwrap();
        drop(server);
        assert_eq!(local.story(id), [Heard::lost(place)]);
    }
}

#[test]
fn a_server_that_floods_pings_and_never_reads_does_not_fill_the_clients_memory() {
    let settings = Settings { queue: 1 << 20, high_mark: 64 * 1024, low_mark: 16 * 1024, ..TIMELESS };
    let Opening { mut local, id, mut server, .. } = open(Probe::echo(), settings);
    server.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let flooding = thread::spawn(move || {
        let pings = Frame::new(PING, [7; 125]).bytes().repeat(500);
        // 32 MiB, or as much as the client takes.
        for _ in 0..512 {
            if server.write_all(&pings).is_err() {
                break;
            }
        }
        server
    });
    let mut most = 0;
    while !flooding.is_finished() {
        local.server.run_once(Some(Duration::from_millis(10))).unwrap();
        most = most.max(local.server.connections().queued(id));
    }
    drop(flooding.join().unwrap());
    assert!(most <= settings.queue + 200_000, "{most} bytes of pongs are queued, {} may be", settings.queue);
}
