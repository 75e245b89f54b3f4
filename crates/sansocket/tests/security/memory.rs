//! Memory that was dirty, is lent, or leaks.

use std::fs;
use std::path::Path;

use allocation_counter::measure;
use sansocket::handshake::{Accept, ClientRequest, Reject, RequestProgress, ResponseProgress, ServerHandshake, Uri};
use sansocket::{CloseCode, Connection, Event, Kind, Limits, Messages, SliceOutput};
use sansocket_testkit::{Frame, Peer, Side};

use super::{receive, request, server};

/// RUSTSEC-2020-0123 (libp2p-deflate) and tungstenite 0.26.0, which both lent memory that nobody had written: `unsafe` is forbidden in every
/// crate, so the compiler keeps us from it.
#[test]
fn rustsec_2020_0123_unsafe_code_is_forbidden_in_every_crate() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let root = fs::read_to_string(workspace.join("Cargo.toml")).unwrap();
    assert!(root.contains("[workspace.lints.rust]") && root.contains("unsafe_code = \"forbid\""));
    let mut crates = 0;
    for entry in fs::read_dir(workspace.join("crates")).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{}", manifest.display());
        crates += 1;
    }
    assert!(crates > 5, "{crates}");
}

/// CVE-2016-10518 (ws): what was written was memory that nobody had written before. Here it is a function of what is sent, whatever lies in
/// the memory that an output lends.
#[test]
fn cve_2016_10518_what_is_written_does_not_depend_on_the_memory_below() {
    let written = |side: Side, dirt: u8| {
        let mut memory = vec![dirt; 2000];
        let mut out = SliceOutput::new(&mut memory);
        let mut connection = Peer::either(side).connection;
        connection.ping(b"", &mut out).unwrap();
        connection.ping(&[7; 125], &mut out).unwrap();
        connection.send_text("hello", &mut out).unwrap();
        connection.send_part(Kind::Binary, b"", false, &mut out).unwrap();
        connection.send_part(Kind::Binary, &[1; 200], true, &mut out).unwrap();
        let pings = [Frame::new(9, [3; 100]), Frame::new(9, "")];
        receive(&mut connection, &mut pings.map(|ping| ping.for_reader(side, [0; 4]).bytes()).concat(), &mut out);
        connection.close(Some(CloseCode::NORMAL), "bye", &mut out).unwrap();
        out.bytes().to_vec()
    };
    for side in Side::BOTH {
        assert_eq!(written(side, 0), written(side, 0xFF));
        assert!(written(side, 0).len() > 450);
    }
}

/// tungstenite 0.26.0: memory was as long as what was to be read, whatever was. A message holds what was said to have been read, and all of its
/// memory was written before.
#[test]
fn tungstenite_0_26_0_a_message_read_straight_into_its_memory_is_as_long_as_what_was_read() {
    let mut messages = Messages::new();
    let mut connection = server(Limits::DEFAULT);
    let header = Frame::new(2, "").declared(1000).masked([0; 4]).bytes();
    let mut first = [header, vec![1; 10]].concat();
    let mut input = &mut first[..];
    while let Some(event) = connection.receive(&mut input, &mut Vec::new()) {
        messages.append(event.piece().unwrap()).unwrap();
    }
    for read in 1..=99 {
        let room = messages.room(connection.payload_left()).unwrap().unwrap();
        assert!(room.iter().all(|&byte| byte == 0), "memory that is new is zeros");
        room[..10].fill(1);
        let is_whole = messages.received(10, &mut connection);
        assert_eq!((is_whole, messages.len_under_way()), (read == 99, if read == 99 { 0 } else { 10 + 10 * read }));
    }
    assert_eq!(messages.message().unwrap().as_bytes(), [1; 1000]);
}

/// CVE-2021-42340 (Tomcat): each connection left something behind.
#[test]
fn cve_2021_42340_a_hundred_thousand_connections_leave_nothing_behind() {
    let (mut out, frames) = (
        Vec::with_capacity(4096),
        [
            Frame::new(1, "hello").masked([0; 4]).bytes(),
            Frame::new(2, [7; 300]).fin(false).masked([0; 4]).bytes(),
            Frame::new(0, [7; 300]).masked([0; 4]).bytes(),
            Frame::close(1000, "bye").masked([0; 4]).bytes(),
        ],
    );
    let mut bytes = frames.concat();
    let cut = bytes.len() - 300;
    let taken = measure(|| {
        for at in 0..100_000 {
            out.clear();
            let (mut connection, mut messages) = (server(Limits::DEFAULT), Messages::new());
            let mut input = if at % 2 == 0 { &mut bytes[..] } else { &mut bytes[..cut] };
            while let Some(event) = connection.receive(&mut input, &mut out) {
                if let Some(piece) = event.piece() {
                    if piece.is_last() { messages.finish(piece).map(drop) } else { messages.append(piece) }.unwrap();
                }
                if matches!(event, Event::Close) {
                    break;
                }
            }
            connection.receive_eof();
        }
    });
    assert_eq!((taken.count_current, taken.bytes_current), (0, 0));
    assert!(taken.bytes_max < 4096, "{taken:?}");
}

/// The same with opening handshakes, good ones and others.
#[test]
fn cve_2021_42340_ten_thousand_handshakes_leave_nothing_behind() {
    let good = request("Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n");
    let bad = request("Origin: http://evil.net\r\n");
    let uri = Uri::parse("ws://example.com/").unwrap();
    let (mut out, mut sent) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    let taken = measure(|| {
        for at in 0..10_000 {
            out.clear();
            sent.clear();
            let mut handshake = ServerHandshake::new();
            match handshake.receive([&good, &bad][at % 2].as_bytes(), &mut out) {
                RequestProgress::Request(request) if at % 4 == 0 => {
                    request.defer().accept(&Accept::new().protocol("b"), &mut out).map(drop).unwrap();
                }
                RequestProgress::Request(request) => request.reject(&Reject::new(401), &mut out).unwrap(),
                RequestProgress::Refused(_) => {}
                RequestProgress::Incomplete => unreachable!("it is whole"),
            }
            let client = ClientRequest::new(&uri).protocols(&["b"]).start([7; 16], &mut sent).unwrap();
            let progress = client.into_owned().receive(&out);
            assert!(!matches!(progress, ResponseProgress::Incomplete));
        }
    });
    assert_eq!((taken.count_current, taken.bytes_current), (0, 0));
    assert!(taken.bytes_max < 16 << 10, "{taken:?}");
}

/// What a connection holds for itself has the size of its type, whatever a peer sends: there is nothing behind it.
#[test]
fn bounded_memory_a_connection_is_as_large_as_its_type() {
    assert!(size_of::<Connection<sansocket::Server>>() <= 192);
    for side in Side::BOTH {
        let mut connections: Vec<_> = (0..200).map(|_| Peer::either(side).connection).collect();
        let mut out = Vec::with_capacity(10_000);
        let mut bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let taken = measure(|| {
            for (start, connection) in connections.iter_mut().enumerate() {
                receive(connection, &mut bytes[start..], &mut out);
                out.clear();
            }
        });
        assert_eq!(taken.count_total, 0);
    }
}
