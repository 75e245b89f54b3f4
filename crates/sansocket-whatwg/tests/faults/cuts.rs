//! Servers that end or reset the connection behind any byte that they send, and behind any that they receive.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use sansocket_testkit::conversation::Conversation;
use sansocket_testkit::{BINARY, CLOSE, Frame, PONG, Side, TEXT, split_frames};
use sansocket_whatwg::{Event, WebSocket};
use socket2::SockRef;

use crate::peer::{Listener, Peer, next};
use crate::story::{Alone, Told, expect_silence, expected, failed, lost, pings, rest, told};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// The server has shut down writing, and reads on.
    End,
    /// It resets the connection behind the last message's event.
    Reset,
    /// It resets the connection at once: what has not been read may be lost.
    ResetAtOnce,
}

fn reset(peer: Peer) {
    SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// All that the client still sends. What comes to a reset is no matter of the order of things.
fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    bytes
}

/// How many bytes of a client's there are that are whole frames.
fn whole(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(&[_, second]) = bytes.get(end..end + 2) {
        let length = match second & 0x7F {
            126 if bytes.len() >= end + 4 => 2 + usize::from(u16::from_be_bytes([bytes[end + 2], bytes[end + 3]])),
            126 => break,
            short => usize::from(short),
        };
        if bytes.len() < end + 6 + length {
            break;
        }
        end += 6 + length;
    }
    end
}

/// What the client has sent behind its handshake, and that it could have.
fn expect_answers(sent: &[u8], frames: &[u8], story: &[Told]) {
    let all = split_frames(Side::Client, &sent[..whole(sent)]);
    let of = |opcode| all.iter().filter(move |frame| frame.opcode() == opcode).map(|frame| frame.payload().to_vec());
    assert_eq!(of(PONG).collect::<Vec<_>>(), pings(frames));
    let echoes: Vec<_> = all
        .iter()
        .filter(|frame| matches!(frame.opcode(), TEXT | BINARY))
        .map(|frame| Told::Message(frame.opcode() == TEXT, frame.payload().to_vec()))
        .collect();
    let messages: Vec<_> = story.iter().filter(|told| matches!(told, Told::Message(..))).cloned().collect();
    assert!(messages.starts_with(&echoes), "{echoes:?}");
    let is_clean = matches!(story.last(), Some(Told::Close(event)) if event.was_clean());
    assert_eq!(of(CLOSE).count(), usize::from(is_clean), "{story:?}");
}

#[test]
fn a_server_that_ends_behind_any_byte_it_sends_is_told_once_and_in_order() {
    let _alone = Alone::new();
    let listener = Listener::new();
    let frames = Conversation::new(Side::Client, 130, false).frames().to_vec();
    let mut sockets = Vec::new();
    let mut len = 1;
    for cut in [Cut::End, Cut::Reset, Cut::ResetAtOnce] {
        let mut at = 0;
        while at <= len {
            let socket = WebSocket::new(listener.url()).unwrap();
            let mut peer = listener.accept();
            let answer = peer.answer_of(&[]);
            len = answer.len() + frames.len();
            peer.send(&[answer.as_bytes(), &frames].concat()[..at]);
            let come = at.checked_sub(answer.len()).map(|come| &frames[..come]);
            let expected = come.map_or_else(failed, expected);
            let mut story = Vec::new();
            match cut {
                Cut::End => {
                    peer.shut_down();
                    story = rest(&socket);
                    let sent = drain(&mut peer.stream);
                    expect_answers(&sent, come.unwrap_or_default(), &story);
                }
                Cut::Reset => {
                    let events = if come.is_some() { expected.len() - 1 } else { 0 };
                    story.extend((0..events).map(|_| told(&socket)));
                    if at == len {
                        while peer.receive().opcode() != CLOSE {}
                    }
                    reset(peer);
                    story.extend(rest(&socket));
                }
                Cut::ResetAtOnce => {
                    reset(peer);
                    story = rest(&socket);
                    // The end is one that there can be, and what is before it is as it was sent.
                    let (end, before) = story.split_last().unwrap();
                    let is_failed = story == failed();
                    let is_cut = *end == lost() || Some(end) == expected.last();
                    assert!(is_failed || (is_cut && expected.starts_with(before)), "{at}: {story:?}");
                }
            }
            if cut != Cut::ResetAtOnce {
                assert_eq!(story, expected, "{cut:?} behind {at} bytes");
            }
            sockets.push(socket);
            at += 1;
        }
    }
    expect_silence(&sockets);
}

/// What the object sends once it is open, up to its Close.
fn send(socket: &WebSocket) {
    socket.send("one").unwrap();
    socket.send(vec![2; 200]).unwrap();
    socket.close_with(3000, "bye").unwrap();
}

#[test]
fn a_server_that_ends_behind_any_byte_it_receives_is_told_once_and_in_order() {
    let _alone = Alone::new();
    let listener = Listener::new();
    let frames = [Frame::new(TEXT, "one"), Frame::new(BINARY, [2; 200]), Frame::close(3000, "bye")];
    let sent: usize = frames.iter().map(|frame| frame.clone().masked([0; 4]).bytes().len()).sum();
    let head = {
        let _socket = WebSocket::new(listener.url()).unwrap();
        listener.accept().head().len()
    };
    let mut sockets = Vec::new();
    for cut in [Cut::End, Cut::Reset] {
        for at in 0..=head + sent {
            let socket = WebSocket::new(listener.url()).unwrap();
            let mut peer;
            let expected = if at < head {
                peer = listener.accept_silently();
                peer.stream.read_exact(&mut vec![0; at]).unwrap();
                failed()
            } else {
                peer = listener.accept();
                peer.answer(&[]);
                assert_eq!(next(&socket), Event::Open);
                send(&socket);
                peer.stream.read_exact(&mut vec![0; at - head]).unwrap();
                vec![lost()]
            };
            if cut == Cut::End {
                peer.shut_down();
            } else {
                reset(peer);
                assert_eq!(rest(&socket), expected, "{cut:?} behind {at} bytes");
                sockets.push(socket);
                continue;
            }
            assert_eq!(rest(&socket), expected, "{cut:?} behind {at} bytes");
            drain(&mut peer.stream);
            sockets.push(socket);
        }
    }
    expect_silence(&sockets);
}
