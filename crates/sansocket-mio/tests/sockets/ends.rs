//! Peers whose stream ends anywhere, in order or by a reset: told once, with its place, and nothing stays behind.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::channel;

use mio::net::{TcpStream, UnixStream};
use sansocket::Place;
use sansocket_mio::{Answer, CloseCode, EndedBy, ProtocolError};
use sansocket_testkit::{BINARY, CLOSE, CONTINUATION, Frame, PING, TEXT};

use crate::common::{
    KEY, TIMELESS, close_frame, fragment, masked, masked_close, noise, read_frame, read_head, read_message,
    read_to_end, request, reset,
};
use crate::harness::{Heard, Local, Net, Probe};

/// What an open connection's peer sends before its stream ends, what the handler hears of it, and where the end finds the stream.
fn places() -> Vec<(&'static str, Vec<u8>, Vec<Heard>, Place)> {
    let long = masked(BINARY, noise(300));
    let huge = masked(BINARY, noise(100_000));
    vec![
        ("behind the head", vec![], vec![], Place::BetweenMessages),
        ("behind a message", masked(TEXT, "whole"), vec![Heard::Message(5)], Place::BetweenMessages),
        ("behind a ping", masked(PING, "p"), vec![Heard::Ping(b"p".to_vec())], Place::BetweenMessages),
        ("behind the first byte", vec![0x81], vec![], Place::InHeader),
        ("inside the length", long[..3].to_vec(), vec![], Place::InHeader),
        ("inside the key", long[..6].to_vec(), vec![], Place::InHeader),
        ("behind a header", long[..8].to_vec(), vec![], Place::InPayload),
        ("inside a payload", long[..200].to_vec(), vec![], Place::InPayload),
        ("inside a long payload", huge[..90_000].to_vec(), vec![], Place::InPayload),
        ("inside a ping", masked(PING, "ping")[..8].to_vec(), vec![], Place::InPayload),
        ("inside a Close", masked_close(1000, "")[..7].to_vec(), vec![], Place::InPayload),
        ("between fragments", fragment(TEXT, "half"), vec![], Place::BetweenFragments),
        (
            "behind a ping between fragments",
            [fragment(TEXT, "half"), masked(PING, "p")].concat(),
            vec![Heard::Ping(b"p".to_vec())],
            Place::BetweenFragments,
        ),
        (
            "inside the second fragment",
            [fragment(TEXT, "half"), masked(CONTINUATION, "the rest")[..9].to_vec()].concat(),
            vec![],
            Place::InPayload,
        ),
    ]
}

#[test]
fn rfc6455_7_1_5_an_end_of_the_stream_is_told_once_with_its_place() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        for (name, bytes, heard, place) in places() {
            for (how, at_once) in [(Some(Shutdown::Write), true), (Some(Shutdown::Write), false), (None, true)] {
                let (id, mut peer) = local.open();
                for chunk in bytes.chunks(30_000) {
                    peer.write_all(chunk).unwrap();
                    if !at_once || bytes.len() > 30_000 {
                        local.turn();
                    }
                }
                let peer = match how {
                    Some(how) => {
                        S::shut_down(&peer, how);
                        Some(peer)
                    }
                    None => {
                        drop(peer);
                        None
                    }
                };
                let expected: Vec<_> = heard.iter().cloned().chain([Heard::lost(place)]).collect();
                assert_eq!(local.story(id), expected, "{name}, {how:?}, at once: {at_once}");
                assert_eq!(local.server.connections().len(), 0);
                // What was answered before the end still comes.
                if let (Some(mut peer), [Heard::Message(_)]) = (peer, &heard[..]) {
                    assert_eq!(read_message(&mut peer), (TEXT, b"whole".to_vec()));
                    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
                }
            }
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn a_reset_is_told_once_with_its_place_and_its_error() {
    let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
    for (name, bytes, heard, place) in places() {
        let (id, mut peer) = local.open();
        for chunk in bytes.chunks(30_000) {
            peer.write_all(chunk).unwrap();
            local.turn();
        }
        reset(peer);
        let expected: Vec<_> = heard.into_iter().chain([Heard::reset(place)]).collect();
        assert_eq!(local.story(id), expected, "{name}");
        assert_eq!(local.server.connections().len(), 0);
    }
}

#[test]
fn a_reset_in_the_packet_of_the_data_is_told_once() {
    let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
    for (name, bytes, heard, place) in places().into_iter().filter(|(_, bytes, ..)| bytes.len() < 30_000) {
        let (id, mut peer) = local.open();
        peer.write_all(&bytes).unwrap();
        reset(peer);
        let expected: Vec<_> = heard.into_iter().chain([Heard::reset(place)]).collect();
        assert_eq!(local.story(id), expected, "{name}");
        assert_eq!(local.server.connections().len(), 0);
    }
}

#[test]
fn an_end_before_the_head_is_told_once() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        let peer = local.connect();
        S::shut_down(&peer, Shutdown::Write);
        assert_eq!(local.next_story(), [Heard::not_opened("Io(UnexpectedEof)")]);
        let peer = local.connect();
        drop(peer);
        assert_eq!(local.next_story(), [Heard::not_opened("Io(UnexpectedEof)")]);
        assert_eq!(local.server.connections().len(), 0);
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn an_end_inside_the_head_is_told_once_and_answered_with_400() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        for at_once in [true, false] {
            for cut in [1, 17, 50, request(&[]).len() - 1] {
                let mut peer = local.connect();
                peer.write_all(&request(&[])[..cut]).unwrap();
                if !at_once {
                    local.turn();
                }
                S::shut_down(&peer, Shutdown::Write);
                assert_eq!(local.next_story(), [Heard::not_opened("Request(Incomplete)")], "cut at {cut}");
                assert!(read_to_end(&mut peer).starts_with(b"HTTP/1.1 400 "));
                assert_eq!(local.server.connections().len(), 0);
            }
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn a_reset_before_the_head_and_inside_it_is_told_once_as_one() {
    let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
    for cut in [0, 1, 50] {
        for at_once in [true, false] {
            let mut peer = local.connect();
            peer.write_all(&request(&[])[..cut]).unwrap();
            if !at_once && cut > 0 {
                local.turn();
            }
            reset(peer);
            assert_eq!(
                local.next_story(),
                [Heard::not_opened("Io(ConnectionReset)")],
                "{cut} bytes of the head, at once: {at_once}"
            );
            assert_eq!(local.server.connections().len(), 0);
        }
    }
}

#[test]
fn an_end_in_the_packet_of_head_and_frames_is_told_behind_them() {
    fn over<S: Net>() {
        let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
        let mut peer = local.connect();
        peer.write_all(&[request(&[]), masked(TEXT, "one"), fragment(TEXT, "two")].concat()).unwrap();
        S::shut_down(&peer, Shutdown::Write);
        assert_eq!(local.next_story(), [Heard::Open, Heard::Message(3), Heard::lost(Place::BetweenFragments)]);
        assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
        assert_eq!(read_message(&mut peer), (TEXT, b"one".to_vec()));
        assert_eq!(read_to_end(&mut peer), b"");
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn an_end_while_a_request_waits_for_its_answer_is_told_behind_that() {
    fn over<S: Net>() {
        let (asked, asking) = channel();
        let probe = Probe::echo().on_request(move |cx, _| {
            asked.send(cx.id()).unwrap();
            Answer::later()
        });
        let mut local = Local::<S>::new(probe, TIMELESS);
        for behind in [&b""[..], &masked(TEXT, "one")] {
            let mut peer = local.connect();
            peer.write_all(&[&request(&[]), behind].concat()).unwrap();
            local.turn();
            S::shut_down(&peer, Shutdown::Write);
            local.turn();
            let id = asking.try_recv().unwrap();
            local.server.connections().answer(id, &Answer::accept());
            let mut expected = vec![Heard::Open];
            expected.extend((!behind.is_empty()).then_some(Heard::Message(3)));
            expected.push(Heard::lost(Place::BetweenMessages));
            assert_eq!(local.story(id), expected);
            assert!(read_head(&mut peer).starts_with("HTTP/1.1 101 "));
        }
        assert_eq!(local.server.connections().len(), 0);
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn rfc6455_7_1_4_an_end_behind_our_close_is_a_loss_until_the_peers_close_has_come() {
    fn over<S: Net>() {
        for at_once in [true, false] {
            for (bytes, heard, by, code) in [
                (vec![], vec![], EndedBy::Loss(Place::BetweenMessages), 1006),
                (masked(TEXT, "last"), vec![Heard::Message(4)], EndedBy::Loss(Place::BetweenMessages), 1006),
                (masked(TEXT, "last")[..7].to_vec(), vec![], EndedBy::Loss(Place::InPayload), 1006),
                (masked_close(4000, ""), vec![], EndedBy::Local, 4000),
                ([masked(TEXT, "last"), masked(CLOSE, "")].concat(), vec![Heard::Message(4)], EndedBy::Local, 1005),
            ] {
                let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
                let (id, mut peer) = local.open();
                local.server.connections().close(id, CloseCode::NORMAL, "").unwrap();
                local.turn();
                assert_eq!(read_frame(&mut peer).payload(), 1000_u16.to_be_bytes());
                peer.write_all(&bytes).unwrap();
                if !at_once && !bytes.is_empty() {
                    local.turn();
                }
                S::shut_down(&peer, Shutdown::Write);
                let expected: Vec<_> = heard.into_iter().chain([Heard::closed(by, code)]).collect();
                assert_eq!(local.story(id), expected, "at once: {at_once}");
                assert_eq!(read_to_end(&mut peer), b"", "nothing behind a Close");
                assert_eq!(local.server.connections().len(), 0);
            }
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn rfc6455_7_1_4_an_end_behind_the_peers_close_is_clean() {
    fn over<S: Net>() {
        for end in ["in order", "data and in order", "reset"] {
            let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
            let (id, mut peer) = local.open();
            peer.write_all(&[masked(TEXT, "last"), masked_close(1001, "bye")].concat()).unwrap();
            match end {
                "in order" => S::shut_down(&peer, Shutdown::Write),
                // Nothing behind a Close counts.
                "data and in order" => {
                    peer.write_all(&masked(TEXT, "too late")).unwrap();
                    S::shut_down(&peer, Shutdown::Write);
                }
                _ => {
                    local.turn();
                    drop(peer);
                    peer = S::pair().1;
                }
            }
            let reason = String::from("bye");
            let close = Heard::Close { by: EndedBy::Peer, code: 1001, reason, error: None };
            assert_eq!(local.story(id), [Heard::Message(4), close], "{end}");
            assert_eq!(local.server.connections().len(), 0);
            if end != "reset" {
                assert_eq!(read_message(&mut peer), (TEXT, b"last".to_vec()));
                assert_eq!(read_to_end(&mut peer), close_frame(1001, ""));
            }
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn an_end_behind_a_violation_is_told_as_the_violation() {
    fn over<S: Net>() {
        for (at_once, more) in [(true, 0), (false, 0), (true, 50_000)] {
            let mut local = Local::<S>::new(Probe::echo(), TIMELESS);
            let (id, mut peer) = local.open();
            let violation = Frame::new(TEXT, "x").reserved(4).masked(KEY).bytes();
            peer.write_all(&violation).unwrap();
            peer.write_all(&noise(more)).unwrap();
            if !at_once {
                local.turn();
            }
            S::shut_down(&peer, Shutdown::Write);
            assert_eq!(local.story(id), [Heard::failed(ProtocolError::ReservedBits)]);
            let close = close_frame(1002, ProtocolError::ReservedBits.text());
            assert_eq!(read_to_end(&mut peer), close);
            assert_eq!(local.server.connections().len(), 0);
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn a_peer_that_goes_while_much_is_queued_for_it_leaves_nothing() {
    fn over<S: Net>(how: fn(S::Peer)) {
        let probe = Probe::echo().on_message(|cx, _| _ = cx.send(&vec![7; 8 << 20]));
        let mut local = Local::<S>::new(probe, TIMELESS);
        let (id, mut peer) = local.open();
        peer.write_all(&masked(TEXT, "feed me")).unwrap();
        assert_eq!(local.hear(), (id, Heard::Message(7)));
        assert!(local.server.connections().queued(id) > 0, "the sockets hold more than 8 MiB");
        how(peer);
        let mut story = local.story(id);
        story.retain(|heard| *heard != Heard::Drained);
        assert!(
            matches!(story[..], [Heard::Close { by: EndedBy::Loss(Place::BetweenMessages), code: 1006, .. }]),
            "{story:?}"
        );
        assert_eq!(local.server.connections().len(), 0);
    }
    over::<TcpStream>(drop);
    over::<TcpStream>(reset);
    over::<UnixStream>(drop);
}

#[test]
fn a_handler_that_is_told_of_a_reset_behind_much_that_is_queued_gets_its_error() {
    let probe = Probe::echo().on_message(|cx, _| _ = cx.send(&vec![7; 8 << 20]));
    let mut local = Local::<TcpStream>::new(probe, TIMELESS);
    let (id, mut peer) = local.open();
    peer.write_all(&masked(TEXT, "feed me")).unwrap();
    assert_eq!(local.hear(), (id, Heard::Message(7)));
    reset(peer);
    assert_eq!(local.story(id).last(), Some(&Heard::reset(Place::BetweenMessages)));
}
