//! Limits at N and at N+1, and violations that are told before a message has ended.

use std::io::{Read, Write};

use mio::net::{TcpStream, UnixStream};
use sansocket_mio::{Limits, ProtocolError, Server, Settings};
use sansocket_testkit::{BINARY, CONTINUATION, Frame, TEXT};

use crate::common::{KEY, TIMELESS, close_frame, fragment, masked, noise, read_frame, read_message, read_to_end};
use crate::harness::{Heard, Local, Net, Probe};

fn limited(limits: Limits) -> Settings {
    Settings { limits, ..TIMELESS }
}

/// That `bytes` are answered by this failure alone, while the peer has not ended.
fn expect_failure<S: Net>(settings: Settings, bytes: &[u8], error: ProtocolError) {
    let mut local = Local::<S>::new(Probe::echo(), settings);
    let (id, mut peer) = local.open();
    peer.write_all(bytes).unwrap();
    assert_eq!(local.hear(), (id, Heard::failed(error)));
    assert_eq!(read_to_end(&mut peer), close_frame(error.close_code().get(), error.text()));
    drop(peer);
    assert_eq!(local.story(id), []);
}

#[test]
fn rfc6455_10_4_a_message_of_n_bytes_is_taken_and_one_of_n_plus_1_is_1009_from_its_header_alone() {
    fn over<S: Net>() {
        for n in [0, 1, 125, 126, 1000, 20_000] {
            let settings = limited(Limits { message: n, ..Limits::DEFAULT });
            let mut local = Local::<S>::new(Probe::echo(), settings);
            let (id, mut peer) = local.open();
            let payload = noise(usize::try_from(n).unwrap());
            peer.write_all(&masked(BINARY, &payload)).unwrap();
            assert_eq!(local.hear(), (id, Heard::Message(payload.len())));
            assert_eq!(read_message(&mut peer), (BINARY, payload));
            let header = Frame::new(BINARY, []).declared(n + 1).masked(KEY).bytes();
            expect_failure::<S>(settings, &header, ProtocolError::MessageTooBig);
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn rfc6455_10_4_the_limit_holds_for_the_fragments_together() {
    let settings = limited(Limits { message: 100, ..Limits::DEFAULT });
    let mut local = Local::<TcpStream>::new(Probe::echo(), settings);
    let (id, mut peer) = local.open();
    peer.write_all(&[fragment(TEXT, [b'a'; 60]), masked(CONTINUATION, [b'b'; 40])].concat()).unwrap();
    assert_eq!(local.hear(), (id, Heard::Message(100)));
    let bytes = [fragment(TEXT, [b'a'; 60]), masked(CONTINUATION, [b'b'; 41])].concat();
    expect_failure::<TcpStream>(settings, &bytes, ProtocolError::MessageTooBig);
}

#[test]
fn rfc6455_10_4_a_message_of_n_fragments_is_taken_and_one_of_n_plus_1_is_1008() {
    let settings = limited(Limits { fragments: 3, ..Limits::DEFAULT });
    let mut local = Local::<TcpStream>::new(Probe::echo(), settings);
    let (id, mut peer) = local.open();
    peer.write_all(&[fragment(TEXT, ""), fragment(CONTINUATION, "a"), masked(CONTINUATION, "b")].concat()).unwrap();
    assert_eq!(local.hear(), (id, Heard::Message(2)));
    let bytes = [fragment(TEXT, ""), fragment(CONTINUATION, "a").repeat(3)].concat();
    expect_failure::<TcpStream>(settings, &bytes, ProtocolError::TooManyFragments);
}

#[test]
fn a_length_that_nobody_could_hold_is_refused_from_its_header() {
    let mut header = Frame::new(BINARY, []).declared((1 << 63) - 1).masked(KEY).bytes();
    expect_failure::<TcpStream>(TIMELESS, &header, ProtocolError::MessageTooBig);
    header[2] |= 0x80;
    expect_failure::<TcpStream>(TIMELESS, &header, ProtocolError::LengthTopBit);
    // Without a limit it is waited for, and no memory is taken for it.
    header[2] &= 0x7F;
    let mut local = Local::<TcpStream>::new(Probe::echo(), limited(Limits::UNLIMITED));
    let (id, mut peer) = local.open();
    peer.write_all(&header).unwrap();
    local.turn();
    peer.write_all(&noise(100_000)).unwrap();
    local.turn();
    drop(peer);
    assert_eq!(local.story(id), [Heard::lost(sansocket::Place::InPayload)]);
}

#[test]
fn limits_can_be_raised_behind_a_login() {
    let probe = Probe::echo().on_message(|cx, message| {
        if message.as_bytes() == b"password" {
            cx.set_limits(Limits { message: 1000, ..Limits::DEFAULT });
        }
        let _ = cx.send(message);
    });
    let settings = limited(Limits { message: 8, ..Limits::DEFAULT });
    let mut local = Local::<TcpStream>::new(probe, settings);
    let (id, mut peer) = local.open();
    // In one packet: the limit is another one from the next frame on.
    peer.write_all(&[masked(TEXT, "password"), masked(BINARY, [7; 1000]), masked(BINARY, [7; 1001])].concat()).unwrap();
    for heard in [Heard::Message(8), Heard::Message(1000), Heard::failed(ProtocolError::MessageTooBig)] {
        assert_eq!(local.hear(), (id, heard));
    }
    assert_eq!(read_message(&mut peer).1.len(), 8);
    assert_eq!(read_message(&mut peer).1.len(), 1000);
    assert_eq!(read_frame(&mut peer).payload()[..2], 1009_u16.to_be_bytes());
}

#[test]
fn rfc6455_8_1_invalid_utf8_fails_at_its_first_byte_inside_a_long_text() {
    fn over<S: Net>() {
        for whole in [usize::MAX, 64 * 1024, 0] {
            let settings = Settings { whole, ..TIMELESS };
            let header = Frame::new(TEXT, []).declared(10_000_000).masked(KEY).bytes();
            for (good, bad) in [(0, &b"\xFF"[..]), (1000, b"\xC0"), (40_000, b"\xED\xA0"), (100_000, b"\xF4\x90")] {
                let mut local = Local::<S>::new(Probe::echo(), settings);
                let (id, mut peer) = local.open();
                let text = [&vec![b'x'; good][..], bad].concat();
                let payload: Vec<u8> = text.iter().zip(KEY.into_iter().cycle()).map(|(byte, key)| byte ^ key).collect();
                for chunk in [&header[..], &payload].concat().chunks(20_000) {
                    peer.write_all(chunk).unwrap();
                    local.turn();
                }
                // Nearly ten million bytes are still to come, and nobody waits for them.
                let heard = loop {
                    match local.hear().1 {
                        Heard::Part(..) => {}
                        heard => break heard,
                    }
                };
                assert_eq!(heard, Heard::failed(ProtocolError::InvalidUtf8), "behind {good} bytes");
                let received = read_to_end(&mut peer);
                let close = close_frame(1007, ProtocolError::InvalidUtf8.text());
                assert!(received.ends_with(&close));
                assert!(whole < 100_000 || received == close);
                drop(peer);
                assert_eq!(local.story(id), []);
            }
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn rfc6455_5_6_a_text_that_ends_inside_a_character_is_1007() {
    let bytes = [fragment(TEXT, "gr\u{f6}".as_bytes()), masked(CONTINUATION, b"\xC3")].concat();
    expect_failure::<TcpStream>(TIMELESS, &bytes, ProtocolError::InvalidUtf8);
}

#[test]
fn a_violation_that_is_cut_anywhere_is_answered_once() {
    let bytes = Frame::new(CONTINUATION, "x").masked(KEY).bytes();
    for cut in 1..bytes.len() {
        let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
        let (id, mut peer) = local.open();
        peer.write_all(&bytes[..cut]).unwrap();
        local.turn();
        peer.write_all(&bytes[cut..]).unwrap();
        let error = ProtocolError::UnexpectedContinuation;
        assert_eq!(local.hear(), (id, Heard::failed(error)));
        assert_eq!(read_to_end(&mut peer), close_frame(1002, error.text()));
    }
}

#[test]
fn a_server_holds_as_many_connections_as_it_was_made_for_and_others_wait() {
    let mut server = Server::with_capacity(Greeter, TIMELESS, 2).unwrap();
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    server.listen(listener).unwrap();
    let handle = server.handle();
    let client = std::thread::spawn(move || {
        let connect = || {
            let mut peer = std::net::TcpStream::connect(address).unwrap();
            peer.set_read_timeout(Some(crate::common::LIMIT)).unwrap();
            peer.write_all(&crate::common::request(&[])).unwrap();
            peer
        };
        let mut peers: Vec<_> = (0..4).map(|_| connect()).collect();
        for peer in &mut peers[..2] {
            assert!(crate::common::read_head(peer).starts_with("HTTP/1.1 101 "));
            assert_eq!(read_message(peer), (TEXT, b"welcome".to_vec()));
        }
        peers[2].set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
        assert!(peers[2].read(&mut [0]).is_err(), "there is no room for a third");
        peers[2].set_read_timeout(Some(crate::common::LIMIT)).unwrap();
        while !peers.is_empty() {
            let mut peer = peers.remove(0);
            if peers.len() < 2 {
                assert!(crate::common::read_head(&mut peer).starts_with("HTTP/1.1 101 "));
            }
        }
        handle.shut_down(std::time::Duration::ZERO);
    });
    server.run().unwrap();
    client.join().unwrap();
    assert_eq!(server.connections().len(), 0);

    struct Greeter;
    impl sansocket_mio::Handler for Greeter {
        type Stream = TcpStream;
        type Data = ();
        fn open(&mut self, cx: &mut sansocket_mio::Context<'_, Self>) {
            assert!(cx.connections().len() <= 2);
            let _ = cx.send("welcome");
        }
        fn message(&mut self, _: &mut sansocket_mio::Context<'_, Self>, _: sansocket_mio::Message<'_>) {}
    }
}
