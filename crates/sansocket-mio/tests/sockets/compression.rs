//! permessage-deflate on real sockets: who agrees on it, who gets what, and who is told off.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::thread;

use mio::net::TcpStream as MioStream;
use sansocket::handshake::{Accept, RequestProgress, ServerHandshake};
use sansocket_mio::deflate::{Compress, Config, Policy, Pool, PoolLimits, WindowBits};
use sansocket_mio::{
    Answer, ClientRequest, CloseCode, ConnectionId, Kind, Limits, Prepared, ProtocolError, SendError, Settings, Uri,
};
use sansocket_testkit::{BINARY, Frame, Side};

use crate::common::{LIMIT, TIMELESS, noise, read_head, read_to_end};
use crate::harness::{Heard, Local, Probe, Running};
use crate::peer::{Got, Peer, RSV1, agreed, request};

const SMALL: Policy = Policy { window_bits: WindowBits::new(10).unwrap(), ..Policy::DEFAULT };

const fn compressing(policy: Policy) -> Settings {
    Settings { compression: Some(Config { policy, threshold: 256, ..Config::DEFAULT }), ..TIMELESS }
}

/// A peer and its socket.
struct Wire {
    peer: Peer,
    stream: TcpStream,
}

impl Wire {
    /// Writes what was put.
    fn flush(&mut self) {
        self.stream.write_all(&self.peer.take()).unwrap();
    }

    /// What comes next.
    fn next(&mut self) -> Got {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Some(got) = self.peer.got.pop_front() {
                return got;
            }
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "it has ended: {:?}", self.peer.ending());
            self.peer.receive(&buffer[..count]);
        }
    }

    /// That this is echoed.
    fn expect_echo(&mut self, payload: &[u8]) {
        self.peer.send(payload, Compress::Always);
        self.flush();
        assert!(matches!(self.next(), Got::Compressed(Kind::Binary, echoed) if echoed == payload));
    }
}

/// Opens a connection with these offers.
fn open(running: &Running, policies: &[Policy]) -> (ConnectionId, Wire) {
    let mut stream = running.connect();
    let (request, handshake) = request(policies);
    stream.write_all(&request).unwrap();
    let head = read_head(&mut stream);
    let (negotiated, len) = agreed(handshake, head.as_bytes());
    assert_eq!(len, head.len());
    let (id, heard) = running.hear();
    assert_eq!(heard, Heard::Open);
    (id, Wire { peer: Peer::client(negotiated), stream })
}

fn is_compressed(wire: &Wire) -> bool {
    wire.peer.connection.negotiated().compression().is_some()
}

#[test]
fn long_messages_are_echoed_over_sockets() {
    for policy in [Policy::DEFAULT, Policy::TAKEOVER] {
        let running = Running::new(Probe::echo(), compressing(policy));
        let (_, mut wire) = open(&running, &[policy]);
        for payload in [noise(1 << 20), vec![7; 5 << 20], noise(65_537)] {
            wire.peer.send(&payload, Compress::Auto);
            let bytes = wire.peer.take();
            let mut writer = wire.stream.try_clone().unwrap();
            let writing = thread::spawn(move || writer.write_all(&bytes).unwrap());
            assert!(wire.next() == Got::Compressed(Kind::Binary, payload));
            writing.join().unwrap();
        }
        wire.peer.close(CloseCode::NORMAL);
        wire.flush();
        wire.peer.receive(&read_to_end(&mut wire.stream));
        assert!(wire.peer.ending().unwrap().is_clean());
    }
}

#[test]
fn rfc7692_5_a_server_accepts_what_is_offered_unless_the_settings_or_the_answer_decline() {
    let answers: [fn() -> Answer; 2] = [Answer::accept, || Answer::accept().uncompressed()];
    for (settings, offers, answer, expected) in [
        (compressing(Policy::DEFAULT), &[Policy::DEFAULT][..], answers[0], true),
        (compressing(Policy::DEFAULT), &[Policy::DEFAULT], answers[1], false),
        (compressing(Policy::DEFAULT), &[], answers[0], false),
        (TIMELESS, &[Policy::DEFAULT], answers[0], false),
        (compressing(Policy::TAKEOVER), &[SMALL, Policy::TAKEOVER], answers[0], true),
    ] {
        for later in [false, true] {
            let (sender, receiver) = channel();
            let probe = Probe::echo().on_request(move |cx, _| {
                if later {
                    sender.send(cx.id()).unwrap();
                    Answer::later()
                } else {
                    answer()
                }
            });
            let running = Running::new(probe, settings);
            let mut stream = running.connect();
            let (request, handshake) = request(offers);
            stream.write_all(&request).unwrap();
            if later {
                let id = receiver.recv_timeout(LIMIT).unwrap();
                running.ask(move |connections| connections.answer(id, &answer()));
            }
            let (negotiated, _) = agreed(handshake, read_head(&mut stream).as_bytes());
            let mut wire = Wire { peer: Peer::client(negotiated), stream };
            assert_eq!(is_compressed(&wire), expected, "{settings:?} {offers:?}");
            if expected {
                wire.expect_echo(&[7; 10_000]);
                continue;
            }
            let rsv1 = Frame::new(BINARY, "x").reserved(RSV1);
            wire.peer.frame(rsv1);
            wire.flush();
            assert_eq!(read_to_end(&mut wire.stream)[2..4], 1002_u16.to_be_bytes());
        }
    }
}

#[test]
fn a_client_of_the_loop_offers_and_takes_what_the_server_chooses() {
    let offers = [SMALL, Policy::TAKEOVER];
    for (own, policy, expected) in
        [(&offers[..], Some(Policy::TAKEOVER), true), (&[], Some(Policy::DEFAULT), true), (&[], None, false)]
    {
        let probe = Probe::<MioStream>::echo();
        let mut local = Local::new(probe, compressing(Policy::DEFAULT));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = MioStream::connect(listener.local_addr().unwrap()).unwrap();
        let uri = Uri::parse("ws://localhost/").unwrap();
        let request = ClientRequest::new(&uri).compression(own);
        let id = local.server.connections().connect(stream, &request).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        local.turn();
        let head = read_head(&mut stream);
        assert_eq!(head.matches("permessage-deflate").count(), own.len().max(1));
        let mut answer = Vec::new();
        let accept = policy.map_or(Accept::new(), |policy| Accept::new().compression(policy));
        let negotiated = match ServerHandshake::new().receive(head.as_bytes(), &mut answer) {
            RequestProgress::Request(request) => request.accept(&accept, &mut answer).unwrap(),
            refused => panic!("{refused:?}"),
        };
        stream.write_all(&answer).unwrap();
        assert_eq!(local.hear(), (id, Heard::Response(101)));
        assert_eq!(local.hear(), (id, Heard::Open));
        assert_eq!(negotiated.compression().is_some(), expected);
        let mut wire = Wire { peer: Peer::new(Side::Server, negotiated, &Config::DEFAULT), stream };
        let serving = thread::spawn(move || {
            for len in [10, 1000, 100_000] {
                for payload in [noise(len), vec![7; len]] {
                    wire.peer.send(&payload, Compress::Always);
                    wire.flush();
                    let (Got::Compressed(_, echoed) | Got::Message(_, echoed)) = wire.next() else { panic!() };
                    assert!(echoed == payload);
                }
            }
        });
        local.serve(serving);
    }
}

#[test]
fn a_broadcast_reaches_everybody_as_it_was_agreed_on() {
    let running = Running::new(Probe::echo(), compressing(Policy::TAKEOVER));
    // Fresh messages, references to earlier ones, a window that is too small, and no compression at all.
    let smaller = Policy { peer_window_bits: WindowBits::new(10).unwrap(), ..Policy::DEFAULT };
    let offers: [&[Policy]; 4] = [&[Policy::DEFAULT], &[Policy::TAKEOVER], &[smaller], &[]];
    let mut wires: Vec<_> = offers.into_iter().map(|policies| open(&running, policies).1).collect();
    let payload = noise(1000).repeat(50);
    for round in 0..3 {
        let message = payload.clone();
        running.ask(move |connections| {
            let prepared = connections.common().prepare(&message, Compress::Auto);
            connections.broadcast(&prepared, None);
            // What is prepared and cannot be shared alike is sent to each on its own.
            connections.broadcast(&Prepared::new("plain"), None);
        });
        for (at, wire) in wires.iter_mut().enumerate() {
            let got = wire.next();
            assert!(got == Got::message((&payload).into(), at == 0), "{at}, round {round}");
            assert_eq!(wire.next(), Got::message("plain".into(), false));
            // A compressor that refers to earlier messages has not seen it, and goes on.
            if at < 3 {
                wire.expect_echo(&payload);
            }
        }
    }
}

#[test]
fn parts_are_sent_from_everywhere() {
    let settings = compressing(Policy::DEFAULT);
    // Each message of one connection is sent in parts to all, in their turn or not.
    let probe = Probe::echo().on_message(|cx, message| {
        let ids: Vec<_> = cx.connections().open_ids().collect();
        for part in message.as_bytes().chunks(30_001) {
            for &id in &ids {
                let _ = cx.connections().send_part_with(id, message.kind(), part, false, Compress::Always).unwrap();
                let prepared = cx.connections().send_with(id, "x", Compress::Never);
                assert_eq!(prepared, Err(SendError::MessageUnderWay));
            }
            let _ = cx.send_part_with(message.kind(), b"", false, Compress::Never).unwrap();
        }
        for id in ids {
            let _ = cx.connections().send_part(id, message.kind(), b"", true).unwrap();
            let _ = cx.connections().send_with(id, &[7; 1000], Compress::Always).unwrap();
        }
    });
    let running = Running::new(probe, settings);
    let mut wires: Vec<_> = (0..3).map(|_| open(&running, &[Policy::DEFAULT]).1).collect();
    let text = "aß水🍌".repeat(20_000);
    for sender in 0..3 {
        wires[sender].peer.send(&text, Compress::Auto);
        wires[sender].flush();
        for wire in &mut wires {
            assert!(wire.next() == Got::Compressed(Kind::Text, text.clone().into_bytes()));
            assert_eq!(wire.next(), Got::Compressed(Kind::Binary, vec![7; 1000]));
        }
    }
}

#[test]
fn a_mebibyte_that_would_become_a_gibibyte_is_1009_and_others_are_served() {
    const LEN: usize = 8 << 20;
    for whole in [usize::MAX, 100_000] {
        let limits = Limits { message: LEN as u64, ..Limits::DEFAULT };
        let probe = Probe::echo().on_part(|_, _| {});
        let running = Running::new(probe, Settings { limits, whole, ..compressing(Policy::DEFAULT) });
        let (_, mut served) = open(&running, &[Policy::DEFAULT]);
        let (id, mut bomber) = open(&running, &[Policy::DEFAULT]);
        // Four mebibytes of zeros, over and over: their blocks follow each other as they are.
        let mut unit = bomber.peer.compressed(&vec![0; 4 << 20]);
        unit.extend([0, 0, 0xFF, 0xFF]);
        let bomb = unit.repeat((1 << 20) / unit.len());
        assert!(bomb.len() / unit.len() * 4 >= 1000, "a gibibyte");
        bomber.peer.frame(Frame::new(BINARY, bomb).reserved(RSV1));
        let bytes = bomber.peer.take();
        let mut writer = bomber.stream.try_clone().unwrap();
        // It may be told off before it has ended.
        let writing = thread::spawn(move || drop(writer.write_all(&bytes)));
        loop {
            match running.hear() {
                (of, Heard::Part(..)) => assert_eq!(of, id),
                heard => {
                    assert_eq!(heard, (id, Heard::failed(ProtocolError::MessageTooBig)));
                    break;
                }
            }
        }
        served.expect_echo(&[7; 50_000]);
        writing.join().unwrap();
        bomber.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut bomber.stream)[2..4], 1009_u16.to_be_bytes());
        served.expect_echo(&[8; 50_000]);
    }
}

#[test]
fn who_goes_in_the_middle_of_a_message_leaves_nothing_behind() {
    let pool = Pool::new(PoolLimits { lent: 2, kept: 2 });
    let shared = pool.clone();
    let running = Running::prepared(Probe::echo(), compressing(Policy::DEFAULT), move |server| server.set_pool(shared));
    // Two at a time take all that there is.
    for round in 0..5 {
        let goers: Vec<_> = (0..2)
            .map(|_| {
                let (id, mut wire) = open(&running, &[Policy::DEFAULT]);
                wire.peer.send_part(Kind::Binary, &noise(10_000), false, Compress::Always);
                wire.peer.ping(b"");
                wire.flush();
                assert_eq!(running.hear(), (id, Heard::Ping(Vec::new())));
                let sent = running.ask(move |connections| {
                    connections.send_part_with(id, Kind::Binary, &noise(10_000), false, Compress::Always)
                });
                assert!(sent.is_ok());
                (id, wire)
            })
            .collect();
        assert_eq!(pool.lent(), (2, 2), "round {round}");
        let (id, mut wire) = open(&running, &[Policy::DEFAULT]);
        wire.peer.send(&[7; 1000], Compress::Always);
        wire.flush();
        let error = ProtocolError::TooManyCompressed;
        assert_eq!(running.hear(), (id, Heard::failed(error)));
        assert_eq!(read_to_end(&mut wire.stream)[2..4], CloseCode::TRY_AGAIN_LATER.get().to_be_bytes());
        drop(wire);
        assert_eq!(running.story(id), []);
        for (id, wire) in goers {
            drop(wire);
            assert!(matches!(running.story(id)[..], [Heard::Close { .. }]));
        }
        assert_eq!(pool.lent(), (0, 0), "round {round}");
    }
}
