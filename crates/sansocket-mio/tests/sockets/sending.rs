//! Sending to others: from callbacks, from other threads, to many.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::thread;

use mio::net::{TcpStream, UnixStream};
use sansocket_mio::{
    ClientRequest, CloseCode, ConnectionId, Connections, EndedBy, Kind, OwnedMessage, Prepared, SendError, Uri,
};
use sansocket_testkit::{BINARY, TEXT};

use crate::common::{LIMIT, TIMELESS, close_frame, masked, masked_close, noise, read_frame, read_message};
use crate::harness::{Heard, Local, Net, Probe, Running};

#[test]
fn a_message_to_somebody_else_arrives_and_the_senders_own_stay_its_own() {
    fn over<S: Net>() {
        let probe = Probe::echo().on_message(|cx, message| {
            let id = cx.id();
            let _ = cx.send("before").unwrap();
            let others: Vec<_> = cx.connections().open_ids().filter(|other| *other != id).collect();
            for other in others {
                let _ = cx.connections().send(other, message).unwrap();
            }
            let _ = cx.send("behind").unwrap();
        });
        let mut local = Local::<S>::new(probe, TIMELESS);
        let mut peers: Vec<_> = (0..4).map(|_| local.open().1).collect();
        for long in [5, 4096, 4097, 20_000] {
            peers[1].write_all(&masked(BINARY, noise(long))).unwrap();
            local.hear();
            for (at, peer) in peers.iter_mut().enumerate() {
                if at == 1 {
                    assert_eq!(read_message(peer), (TEXT, b"before".to_vec()));
                    assert_eq!(read_message(peer), (TEXT, b"behind".to_vec()));
                } else {
                    assert_eq!(read_message(peer), (BINARY, noise(long)));
                }
            }
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

/// Sends messages of all kinds and lengths by all means, and gives what the peer is to receive.
fn everything<S: Net>(connections: &mut Connections<Probe<S>>, id: ConnectionId) -> Vec<Vec<u8>> {
    let mut expected = Vec::new();
    let lens = [1, 20_000, 5, 4096, 4097, 600_000, 3, 16_384, 16_385, 70_000, 2, 1_100_000, 8];
    for (round, len) in lens.into_iter().chain(lens).enumerate() {
        let payload = noise(len);
        let sent = match round % 4 {
            0 => connections.send(id, &payload),
            1 => connections.send_prepared(id, &Prepared::new(&payload)),
            2 => connections.send(id, OwnedMessage::Binary(payload.clone()).as_message()),
            _ => {
                let (start, end) = payload.split_at(len / 3);
                let _ = connections.send_part(id, Kind::Binary, start, false).unwrap();
                connections.send_part(id, Kind::Binary, end, true)
            }
        };
        let _ = sent.unwrap();
        expected.push(payload);
    }
    expected
}

#[test]
fn messages_of_all_lengths_keep_their_order_however_they_are_sent() {
    fn over<S: Net>() {
        // In its own turn, in somebody else's, and in none.
        for sender in ["own", "other", "none"] {
            let (sent, to_be_sent) = channel();
            let probe = Probe::echo().on_message(move |cx, _| {
                let last = cx.connections().open_ids().last().unwrap();
                sent.send(everything(cx.connections(), last)).unwrap();
            });
            let mut local = Local::<S>::new(probe, TIMELESS);
            let (_, mut other) = local.open();
            let (id, mut peer) = local.open();
            let expected = match sender {
                "own" => {
                    peer.write_all(&masked(TEXT, "go")).unwrap();
                    local.hear();
                    to_be_sent.recv().unwrap()
                }
                "other" => {
                    other.write_all(&masked(TEXT, "go")).unwrap();
                    local.hear();
                    to_be_sent.recv().unwrap()
                }
                _ => everything(local.server.connections(), id),
            };
            let reading = thread::spawn(move || {
                for (at, payload) in expected.into_iter().enumerate() {
                    assert!(read_message(&mut peer).1 == payload, "message {at}");
                }
                peer
            });
            local.serve(reading);
        }
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn many_threads_send_through_handles_and_each_ones_order_is_kept() {
    const THREADS: u32 = 8;
    const EACH: u32 = 1000;
    let running = Running::new(Probe::echo(), TIMELESS);
    let (id, mut peer) = running.open_heard();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let handle = running.handle().clone();
            scope.spawn(move || {
                for at in 0..EACH {
                    handle.send(id, OwnedMessage::Text(format!("{thread} {at}")));
                }
            });
        }
        let mut next = [0; THREADS as usize];
        for _ in 0..THREADS * EACH {
            let text = String::from_utf8(read_message(&mut peer).1).unwrap();
            let (thread, at) = text.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(at.parse(), Ok(*next));
            *next += 1;
        }
    });
}

#[test]
fn a_handle_whose_server_has_gone_does_nothing() {
    let running = Running::new(Probe::echo(), TIMELESS);
    let (id, peer) = running.open_heard();
    let handle = running.handle().clone();
    drop(running);
    handle.send(id, OwnedMessage::Text(String::from("hello")));
    handle.close(id, CloseCode::NORMAL, "");
    handle.broadcast(Prepared::new("news"));
    handle.shut_down(LIMIT);
    handle.run(|_, _| unreachable!());
    drop(peer);
}

#[test]
fn commands_given_before_the_loop_runs_are_carried_out() {
    let running = Running::prepared(Probe::echo(), TIMELESS, |server| {
        server.handle().run(|_, connections| assert!(connections.is_empty()));
        let handle = server.handle();
        server.handle().run(move |_, _| handle.broadcast(Prepared::new("nobody is there")));
    });
    let mut peer = running.open();
    running.handle().broadcast(Prepared::new("somebody is"));
    assert_eq!(read_message(&mut peer), (TEXT, b"somebody is".to_vec()));
}

#[test]
fn a_handler_closes_a_third_connection_and_sends_nothing_more_to_it() {
    let probe = Probe::echo().on_message(|cx, _| {
        let id = cx.id();
        let other = cx.connections().open_ids().find(|other| *other != id).unwrap();
        let connections = cx.connections();
        let _ = connections.send(other, "goodbye").unwrap();
        connections.close(other, CloseCode::POLICY_VIOLATION, "out").unwrap();
        assert_eq!(connections.send(other, "too late"), Err(SendError::Closing));
        assert!(!connections.is_open(other));
        let _ = cx.send("done").unwrap();
    });
    let mut local = Local::<TcpStream>::new(probe, TIMELESS);
    let (third, mut thrown) = local.open();
    let (_, mut thrower) = local.open();
    thrower.write_all(&masked(TEXT, "throw")).unwrap();
    local.hear();
    assert_eq!(read_message(&mut thrower), (TEXT, b"done".to_vec()));
    assert_eq!(read_message(&mut thrown), (TEXT, b"goodbye".to_vec()));
    assert_eq!(read_frame(&mut thrown).bytes(), close_frame(1008, "out"));
    thrown.write_all(&masked_close(1008, "")).unwrap();
    assert_eq!(local.story(third), [Heard::closed(EndedBy::Local, 1008)]);
}

#[test]
fn what_is_sent_to_others_when_one_ends_arrives() {
    fn over<S: Net>() {
        let probe = Probe::echo().on_close(|cx| {
            assert_eq!(cx.send("to myself"), Err(SendError::Closing));
            let note = cx.data().note.clone();
            let others: Vec<_> = cx.connections().open_ids().collect();
            for other in others {
                assert_ne!(other, cx.id());
                let _ = cx.connections().send(other, &format!("{note} has gone")).unwrap();
            }
        });
        let mut local = Local::<S>::new(probe, TIMELESS);
        let (id, mut leaves) = local.open();
        local.server.connections().data(id).unwrap().note = String::from("anna");
        let (_, mut stays) = local.open();
        leaves.write_all(&masked_close(1000, "")).unwrap();
        assert_eq!(local.story(id), [Heard::closed(EndedBy::Peer, 1000)]);
        assert_eq!(read_message(&mut stays), (TEXT, b"anna has gone".to_vec()));
        // In disorder, too.
        let (id, leaves) = local.open();
        local.server.connections().data(id).unwrap().note = String::from("otto");
        drop(leaves);
        local.story(id);
        assert_eq!(read_message(&mut stays), (TEXT, b"otto has gone".to_vec()));
    }
    over::<TcpStream>();
    over::<UnixStream>();
}

#[test]
fn ids_of_connections_that_have_gone_do_nothing_though_others_came_in_their_place() {
    let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
    let (gone, peer) = local.open();
    local.server.connections().data(gone).unwrap().note = String::from("gone");
    drop(peer);
    local.story(gone);
    for came in [false, true] {
        let mut new = came.then(|| local.open());
        let connections = local.server.connections();
        assert_eq!(connections.send(gone, "hello"), Err(SendError::Closing));
        assert_eq!(connections.send_part(gone, Kind::Text, b"hello", true), Err(SendError::Closing));
        assert_eq!(connections.send_prepared(gone, &Prepared::new("hello")), Err(SendError::Closing));
        assert_eq!(connections.ping(gone, b""), Err(SendError::Closing));
        assert_eq!(connections.close(gone, CloseCode::NORMAL, ""), Err(SendError::Closing));
        connections.answer(gone, &sansocket_mio::Answer::reject(500));
        connections.set_limits(gone, sansocket_mio::Limits { message: 0, ..sansocket_mio::Limits::DEFAULT });
        assert!(!connections.is_open(gone) && connections.data(gone).is_none() && connections.stream(gone).is_none());
        assert_eq!(connections.queued(gone), 0);
        if let Some((id, peer)) = &mut new {
            assert_ne!(*id, gone);
            assert_eq!(connections.data(*id).unwrap().note, "", "nothing of the one before");
            assert!(connections.stream(*id).is_some() && connections.is_open(*id));
            peer.write_all(&masked(TEXT, "hello")).unwrap();
            assert_eq!(local.hear(), (*id, Heard::Message(5)));
            assert_eq!(read_message(peer), (TEXT, b"hello".to_vec()));
        }
    }
}

#[test]
fn what_is_kept_for_a_connection_is_there_from_its_request_to_its_end() {
    let probe = Probe::echo()
        .on_request(|cx, request| {
            cx.data().note = format!("{} asked", request.target());
            sansocket_mio::Answer::accept()
        })
        .on_open(|cx| cx.data().note.push_str(", opened"))
        .on_message(|cx, _| {
            cx.data().note.push_str(", said");
            let note = cx.data().note.clone();
            let _ = cx.send(&note).unwrap();
        })
        .on_close(|cx| assert_eq!(cx.data().note, "/ asked, opened, said, said"));
    let running = Running::new(probe, TIMELESS);
    let (id, mut peer) = running.open_heard();
    peer.write_all(&masked(TEXT, "x").repeat(2)).unwrap();
    assert_eq!(read_message(&mut peer).1, b"/ asked, opened, said");
    assert_eq!(read_message(&mut peer).1, b"/ asked, opened, said, said");
    drop(peer);
    assert_eq!(running.story(id).len(), 3);
}

#[test]
fn rfc6455_5_4_no_message_begins_inside_of_one_that_is_sent_in_parts() {
    let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
    let (id, mut peer) = local.open();
    let connections = local.server.connections();
    let under_way = Err(SendError::MessageUnderWay);
    for part in [&b"part"[..], &noise(100_000)] {
        connections.send_part(id, Kind::Binary, part, false).map(drop).unwrap();
        assert_eq!(connections.send(id, "whole"), under_way);
        assert_eq!(connections.send(id, &noise(100_000)), under_way);
        assert_eq!(connections.send_prepared(id, &Prepared::new("whole")), under_way);
        assert_eq!(connections.send_prepared(id, &Prepared::new(&noise(100_000))), under_way);
        assert_eq!(connections.send_part(id, Kind::Text, b"text", true), under_way);
        assert_eq!(connections.send_part(id, Kind::Text, &[b'x'; 100_000], true), under_way);
        connections.ping(id, b"between").unwrap();
        connections.send_part(id, Kind::Binary, part, true).map(drop).unwrap();
    }
    let reading = thread::spawn(move || {
        for part in [&b"part"[..], &noise(100_000)] {
            let (mut message, mut pings) = (Vec::new(), 0);
            loop {
                let frame = read_frame(&mut peer);
                match frame.opcode() {
                    9 => pings += 1,
                    _ => message.extend_from_slice(frame.payload()),
                }
                if frame.is_fin() && frame.opcode() != 9 {
                    break;
                }
            }
            assert_eq!(pings, 1);
            assert!(message == [part, part].concat());
        }
    });
    local.serve(reading);
}

#[test]
fn rfc6455_5_6_parts_of_a_text_may_cut_characters_and_a_wrong_one_is_refused_without_a_trace() {
    let text = "größer als ein Rahmen ".repeat(10_000);
    let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
    let (id, mut peer) = local.open();
    let connections = local.server.connections();
    // "Nothing was written": the right part may follow.
    let mut wrong = text.clone().into_bytes();
    wrong.push(0xFF);
    for wrong in [&wrong[wrong.len() - 10..], &wrong] {
        assert_eq!(connections.send_part(id, Kind::Text, wrong, true), Err(SendError::InvalidUtf8));
    }
    for chunk in text.as_bytes().chunks(70_001) {
        connections.send_part(id, Kind::Text, chunk, false).map(drop).unwrap();
    }
    // Cut as it is, it may not end.
    connections.send_part(id, Kind::Text, b"\xC3", false).map(drop).unwrap();
    assert_eq!(connections.send_part(id, Kind::Text, b"", true), Err(SendError::InvalidUtf8));
    connections.send_part(id, Kind::Text, b"\xB6", true).map(drop).unwrap();
    let reading = thread::spawn(move || read_message(&mut peer).1);
    assert!(local.serve(reading) == format!("{text}ö").into_bytes());
}

#[test]
fn rfc6455_5_1_a_client_sends_no_prepared_message() {
    let running = Running::new(Probe::echo(), TIMELESS);
    let address = running.address();
    let id = running.ask(move |connections| {
        let stream = TcpStream::connect(address).unwrap();
        let uri = Uri::parse("ws://localhost/").unwrap();
        connections.connect(stream, &ClientRequest::new(&uri)).unwrap()
    });
    while running.hear() != (id, Heard::Open) {}
    for len in [1, 100_000] {
        let payload = noise(len);
        let prepared = Prepared::new(&payload);
        let result = running.ask(move |connections| connections.send_prepared(id, &prepared));
        assert_eq!(result, Err(SendError::MustMask));
    }
    assert!(running.ask(move |connections| connections.is_open(id)));
}

#[test]
fn a_handler_opens_further_connections_from_its_callbacks() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let probe = Probe::echo().on_message(move |cx, _| {
        let uri = Uri::parse("ws://localhost/").unwrap();
        for _ in 0..3 {
            let stream = TcpStream::connect(address).unwrap();
            cx.connections().connect(stream, &ClientRequest::new(&uri)).unwrap();
        }
    });
    let running = Running::new(probe, TIMELESS);
    let mut peer = running.open();
    peer.write_all(&masked(TEXT, "go")).unwrap();
    for _ in 0..3 {
        let (mut server, _) = listener.accept().unwrap();
        server.set_read_timeout(Some(LIMIT)).unwrap();
        assert!(crate::common::read_head(&mut server).starts_with("GET / HTTP/1.1\r\n"));
    }
}

#[test]
fn what_comes_from_another_source_that_the_loop_watches_can_be_sent_to_all() {
    let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
    let (end, mut source) = UnixStream::pair().unwrap();
    local
        .server
        .watch(end, |end, _, connections| {
            let mut line = [0; 100];
            // Until there is no more: events come where something changes.
            while let Ok(count @ 1..) = end.read(&mut line) {
                connections.broadcast(&Prepared::new(&line[..count]), None);
            }
        })
        .unwrap();
    let (_, mut peer) = local.open();
    for news in ["one", "two"] {
        source.write_all(news.as_bytes()).unwrap();
        local.turn();
        assert_eq!(read_message(&mut peer), (BINARY, news.as_bytes().to_vec()));
    }
}
