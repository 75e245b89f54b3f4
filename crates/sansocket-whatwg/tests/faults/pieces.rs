//! Servers that split what they send, and put it together, and that have little room to receive.

use std::io::Read;

use sansocket_testkit::conversation::Conversation;
use sansocket_testkit::{BINARY, CLOSE, Frame, PONG, Side, TEXT, split_frames};
use sansocket_whatwg::{Event, WebSocket};
use socket2::SockRef;

use crate::peer::{Listener, clean, next};
use crate::story::{Alone, Told, expect_silence, expected, pings, rest};

/// Lengths of pieces, over and over.
const PIECES: [&[usize]; 5] = [&[1], &[2, 1, 7, 3], &[13, 1, 1, 130], &[4096, 1], &[usize::MAX]];

#[test]
fn what_comes_in_pieces_or_all_at_once_is_the_same_and_answered_alike() {
    let _alone = Alone::new();
    let listener = Listener::new();
    for (number, pieces) in PIECES.iter().enumerate() {
        // Byte for byte, less of it.
        let longest = if number < 2 { 600 } else { 70_000 };
        let frames = Conversation::new(Side::Client, longest, false).frames().to_vec();
        let socket = WebSocket::new(listener.url()).unwrap();
        let mut peer = listener.accept();
        let all = [peer.answer_of(&[]).as_bytes(), &frames].concat();
        let mut reader = peer.stream.try_clone().unwrap();
        let reading = std::thread::spawn(move || {
            let mut sent = Vec::new();
            reader.read_to_end(&mut sent).unwrap();
            sent
        });
        let telling = std::thread::spawn(move || (rest(&socket), socket));
        let mut rest = &all[..];
        for &piece in pieces.iter().cycle() {
            let (now, behind) = rest.split_at(piece.min(rest.len()));
            peer.send(now);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        peer.shut_down();
        let (story, socket) = telling.join().unwrap();
        assert_eq!(story, expected(&frames), "{pieces:?}");
        let sent = split_frames(Side::Client, &reading.join().unwrap());
        let pongs = sent.iter().filter(|frame| frame.opcode() == PONG).map(|frame| frame.payload().to_vec());
        assert_eq!(pongs.collect::<Vec<_>>(), pings(&frames), "{pieces:?}");
        assert_eq!(sent.iter().filter(|frame| frame.opcode() == CLOSE).count(), 1);
        expect_silence(&[socket]);
    }
}

#[test]
fn a_server_with_little_room_to_receive_gets_everything_once_and_in_order() {
    let _alone = Alone::new();
    let listener = Listener::new();
    let socket = WebSocket::builder(listener.url()).compression(false).build().unwrap();
    let mut peer = listener.accept_silently();
    SockRef::from(&peer.stream).set_recv_buffer_size(4096).unwrap();
    peer.read_head();
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open);
    let lengths = [0, 1, 125, 126, 5000, 65_536, 0, 200_000];
    let messages: Vec<_> = lengths
        .iter()
        .enumerate()
        .map(|(number, &len)| {
            let bytes: Vec<u8> = (0..len).map(|at| b'a' + u8::try_from((at * 7 + number) % 26).unwrap()).collect();
            Told::Message(number % 2 == 0, bytes)
        })
        .collect();
    for message in &messages {
        match message {
            Told::Message(true, bytes) => socket.send(str::from_utf8(bytes).unwrap()).unwrap(),
            Told::Message(false, bytes) => socket.send(&bytes[..]).unwrap(),
            _ => unreachable!("only messages are sent"),
        }
    }
    socket.close_with(3000, "").unwrap();
    let mut got = Vec::new();
    while got.len() < messages.len() {
        let (opcode, payload) = peer.receive_message();
        assert!(matches!(opcode, TEXT | BINARY));
        got.push(Told::Message(opcode == TEXT, payload));
    }
    assert!(got == messages, "something is lost, doubled or changed");
    let body = peer.receive_close();
    peer.frame(Frame::new(CLOSE, body));
    peer.shut_down();
    assert_eq!(rest(&socket), [Told::from(clean(3000, ""))]);
    assert_eq!(socket.buffered_amount(), 0);
    expect_silence(&[socket]);
}
