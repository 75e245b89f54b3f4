//! Messages of all shapes, whole and in parts, in both directions.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::thread;

use sansocket_mio::{ClientRequest, ConnectionId, Kind, OwnedMessage, Settings, Uri};
use sansocket_testkit::{BINARY, CONTINUATION, PING, TEXT};

use crate::common::{LIMIT, TIMELESS, fragment, masked, noise, read_message};
use crate::harness::{Heard, Local, Net, Probe, Running};

const KIB: usize = 1024;
const WHOLE: [usize; 3] = [usize::MAX, 64 * KIB, 0];

/// Text of exactly so many bytes, with characters of one to four of them.
fn text(len: usize) -> Vec<u8> {
    let mut text = "xaß水🍌y".repeat(len / 12 + 1);
    while text.len() > len || !text.is_char_boundary(text.len()) {
        text.pop();
    }
    let missing = len - text.len();
    text.push_str(&"z".repeat(missing));
    text.into_bytes()
}

fn message(opcode: u8, len: usize) -> Vec<u8> {
    if opcode == TEXT { text(len) } else { noise(len) }
}

/// A message as frames that end at these places of it.
fn fragmented(opcode: u8, payload: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut start = 0;
    let ends: Vec<usize> = cuts.iter().copied().filter(|&cut| cut <= payload.len()).chain([payload.len()]).collect();
    for (at, &end) in ends.iter().enumerate() {
        let opcode = if at == 0 { opcode } else { CONTINUATION };
        let frame = if at + 1 == ends.len() { masked } else { fragment };
        bytes.extend(frame(opcode, &payload[start..end]));
        start = end;
    }
    bytes
}

/// Sends all of `messages`, fragmented at `cuts`, and expects each back.
fn echoed(peer: &TcpStream, messages: Vec<(u8, usize)>, cuts: &'static [usize]) {
    let (mut reader, mut writer) = (peer.try_clone().unwrap(), peer.try_clone().unwrap());
    let sent = messages.clone();
    let writing = thread::spawn(move || {
        for (opcode, len) in sent {
            writer.write_all(&fragmented(opcode, &message(opcode, len), cuts)).unwrap();
        }
    });
    for (opcode, len) in messages {
        assert!(
            read_message(&mut reader) == (opcode, message(opcode, len)),
            "{opcode} of {len} bytes, cut at {cuts:?}"
        );
    }
    writing.join().unwrap();
}

const CUTS: [&[usize]; 5] = [
    &[],
    &[0],
    &[1, 2, 3, 5, 8],
    &[0, 0, 7, 7, 126, 252, 70_000],
    &[16 * KIB - 1, 32 * KIB + 3, 64 * KIB + 1, 300_001],
];

#[test]
fn messages_of_all_shapes_are_echoed_whole_and_in_parts() {
    let lens = [0, 1, 2, 3, 5, 125, 126, 127, 4096, 4097, 16_384, 16_385, 32_754, 65_535, 65_536, 65_537];
    let more = [100_000, 600_001];
    for whole in WHOLE {
        let running = Running::new(Probe::echo(), Settings { whole, ..TIMELESS });
        let peer = running.open();
        for cuts in CUTS {
            let messages = lens.iter().chain(&more).flat_map(|&len| [(TEXT, len), (BINARY, len)]).collect();
            echoed(&peer, messages, cuts);
        }
    }
}

#[test]
fn messages_of_16_mib_are_echoed_whole_and_in_parts() {
    for whole in [usize::MAX, 64 * KIB] {
        let running = Running::new(Probe::echo(), Settings { whole, ..TIMELESS });
        let peer = running.open();
        let opcode = if whole == usize::MAX { BINARY } else { TEXT };
        echoed(&peer, vec![(opcode, 16 << 20)], &[3, 5_000_001]);
    }
}

#[test]
fn the_size_of_the_buffer_that_is_read_into_changes_nothing() {
    for size in [0, 17 * KIB, 33 * KIB + 1, 1 << 20] {
        for whole in WHOLE {
            let settings = Settings { whole, ..TIMELESS };
            let running = Running::prepared(Probe::echo(), settings, move |server| server.set_read_buffer(size));
            let peer = running.open();
            let lens = [0, 1, 16_999, 17_000, 17_408, 17_409, 40_000, 65_536, 400_000];
            for cuts in [&[][..], &[1, 17_407, 20_000, 200_001]] {
                let messages = lens.iter().flat_map(|&len| [(TEXT, len), (BINARY, len)]).collect();
                echoed(&peer, messages, cuts);
            }
        }
    }
}

#[test]
fn pings_between_the_fragments_of_a_long_message_change_nothing() {
    for whole in WHOLE {
        let running = Running::new(Probe::echo(), Settings { whole, ..TIMELESS });
        let (_, mut peer) = running.open_heard();
        for opcode in [TEXT, BINARY] {
            let payload = message(opcode, 200_000);
            let mut bytes = Vec::new();
            for (at, chunk) in payload.chunks(30_001).enumerate() {
                let opcode = if at == 0 { opcode } else { CONTINUATION };
                bytes.extend(fragment(opcode, chunk));
                bytes.extend(masked(PING, [u8::try_from(at).unwrap()]));
            }
            bytes.extend(masked(CONTINUATION, ""));
            peer.write_all(&bytes).unwrap();
            let (mut pongs, mut echo) = (0_u8, Vec::new());
            loop {
                let frame = crate::common::read_frame(&mut peer);
                if frame.opcode() == 10 {
                    assert_eq!(frame.payload(), [pongs]);
                    pongs += 1;
                    continue;
                }
                echo.extend_from_slice(frame.payload());
                if frame.is_fin() {
                    break;
                }
            }
            assert_eq!(usize::from(pongs), 200_000_usize.div_ceil(30_001));
            assert!(echo == payload);
        }
    }
}

/// What the handler hears of one message, sent in these packets.
fn heard_of<S: Net>(whole: usize, packets: &[Vec<u8>]) -> Vec<Heard> {
    let mut local = Local::<S>::new(Probe::echo(), Settings { whole, ..TIMELESS });
    let (id, mut peer) = local.open();
    for packet in packets {
        peer.write_all(packet).unwrap();
        local.turn();
    }
    let mut heard = Vec::new();
    loop {
        let (of, what) = local.hear();
        assert_eq!(of, id);
        let is_over = matches!(what, Heard::Message(_) | Heard::Part(_, true));
        heard.push(what);
        if is_over {
            return heard;
        }
    }
}

/// `bytes` in packets of at most 10,000 bytes.
fn packets(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(10_000).map(Vec::from).collect()
}

fn lens_of(parts: &[Heard]) -> Option<usize> {
    parts
        .iter()
        .map(|heard| match heard {
            Heard::Part(len, _) => Some(*len),
            _ => None,
        })
        .sum()
}

#[test]
fn a_message_of_n_bytes_is_given_whole_and_one_of_n_plus_1_in_parts() {
    fn over<S: Net>() {
        for n in [20_000, 64 * KIB] {
            for opcode in [TEXT, BINARY] {
                let whole = heard_of::<S>(n, &packets(&masked(opcode, message(opcode, n))));
                assert_eq!(whole, [Heard::Message(n)]);
                let parts = heard_of::<S>(n, &packets(&masked(opcode, message(opcode, n + 1))));
                assert_eq!(lens_of(&parts), Some(n + 1), "{parts:?}");
            }
        }
    }
    over::<mio::net::TcpStream>();
    over::<mio::net::UnixStream>();
}

#[test]
fn a_message_longer_than_n_that_lies_whole_in_what_was_read_is_given_whole() {
    for opcode in [TEXT, BINARY] {
        let heard = heard_of::<mio::net::TcpStream>(0, &[masked(opcode, message(opcode, 5000))]);
        assert_eq!(heard, [Heard::Message(5000)]);
    }
}

#[test]
fn a_message_of_n_plus_1_bytes_is_given_in_parts_though_its_last_fragment_says_so_first() {
    let heard = heard_of::<mio::net::TcpStream>(10, &[fragment(BINARY, [7; 8]), masked(CONTINUATION, [7; 3])]);
    assert_eq!(lens_of(&heard), Some(11), "{heard:?}");
    let heard = heard_of::<mio::net::TcpStream>(10, &[fragment(BINARY, [7; 8]), masked(CONTINUATION, [7; 30_000])]);
    assert_eq!(lens_of(&heard), Some(30_008), "{heard:?}");
}

#[test]
fn a_message_of_more_than_0_bytes_is_given_in_parts_though_its_first_fragment_is_empty() {
    for opcode in [TEXT, BINARY] {
        let heard = heard_of::<mio::net::TcpStream>(0, &[fragment(opcode, ""), masked(CONTINUATION, "abc")]);
        assert_eq!(lens_of(&heard), Some(3), "{heard:?}");
    }
}

#[test]
fn a_message_of_n_plus_1_bytes_is_given_in_parts_though_a_read_ends_behind_the_header_that_says_so() {
    const REST: usize = 8_000;
    let frame = masked(CONTINUATION, vec![7; REST]);
    let (header, payload) = frame.split_at(frame.len() - REST);
    let beginning = [fragment(BINARY, [7]), header.to_vec()].concat();
    let heard = heard_of::<mio::net::TcpStream>(10, &[beginning, payload.to_vec()]);
    assert_eq!(lens_of(&heard), Some(REST + 1), "{heard:?}");
}

#[test]
fn a_text_of_n_plus_1_bytes_is_given_in_parts_though_a_cut_character_is_not_given_yet() {
    let frame = masked(TEXT, "12345678水");
    let heard =
        heard_of::<mio::net::TcpStream>(10, &[frame[..frame.len() - 2].to_vec(), frame[frame.len() - 2..].to_vec()]);
    assert_eq!(lens_of(&heard), Some(11), "{heard:?}");
}

#[test]
fn a_part_is_refused_with_1009_by_a_handler_that_knows_of_none() {
    struct Simple;
    impl sansocket_mio::Handler for Simple {
        type Stream = mio::net::TcpStream;
        type Data = ();
        fn message(&mut self, cx: &mut sansocket_mio::Context<'_, Self>, message: sansocket_mio::Message<'_>) {
            let _ = cx.send(message);
        }
    }
    let mut server = sansocket_mio::Server::new(Simple, Settings { whole: 1000, ..TIMELESS }).unwrap();
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    server.listen(listener).unwrap();
    let handle = server.handle();
    let client = thread::spawn(move || {
        let mut peer = TcpStream::connect(address).unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        peer.write_all(&crate::common::request(&[])).unwrap();
        assert!(crate::common::read_head(&mut peer).starts_with("HTTP/1.1 101 "));
        peer.write_all(&masked(BINARY, noise(100_000))).unwrap();
        let close = crate::common::read_frame(&mut peer);
        assert_eq!((close.opcode(), close.payload()), (8, &1009_u16.to_be_bytes()[..]));
        peer.write_all(&crate::common::masked_close(1009, "")).unwrap();
        assert_eq!(crate::common::read_to_end(&mut peer), b"");
        handle.shut_down(std::time::Duration::ZERO);
    });
    server.run().unwrap();
    client.join().unwrap();
}

#[test]
fn our_client_and_our_server_in_one_loop_exchange_messages_of_all_shapes() {
    for whole in WHOLE {
        let (came, coming) = channel();
        let came_in_parts = came.clone();
        let probe = Probe::echo()
            .on_message(move |cx, message| match &*cx.data().note {
                "client" => came.send(message.to_owned()).unwrap(),
                _ => _ = cx.send(message),
            })
            .on_part(move |cx, part| match &mut cx.data().note {
                note if note.starts_with("client") => {
                    // Collected in hexadecimal: the note is a text.
                    note.extend(part.as_bytes().iter().map(|byte| char::from(*byte)));
                    if part.is_last() {
                        let bytes: Vec<u8> = note.drain(6..).map(|char| u8::try_from(char).unwrap()).collect();
                        let message = match part.kind() {
                            Kind::Text => OwnedMessage::Text(String::from_utf8(bytes).unwrap()),
                            Kind::Binary => OwnedMessage::Binary(bytes),
                        };
                        came_in_parts.send(message).unwrap();
                    }
                }
                _ => _ = cx.send_part(part.kind(), part.as_bytes(), part.is_last()),
            });
        let running = Running::new(probe, Settings { whole, ..TIMELESS });
        let id = our_client(&running);
        for len in [0, 1, 125, 126, 16_384, 16_385, 65_536, 100_000, 524_288, 524_289] {
            for opcode in [TEXT, BINARY] {
                let message = match opcode {
                    TEXT => OwnedMessage::Text(String::from_utf8(text(len)).unwrap()),
                    _ => OwnedMessage::Binary(noise(len)),
                };
                running.handle().send(id, message.clone());
                let back = coming.recv_timeout(LIMIT).expect("the echo comes");
                assert!(back == message, "{len} bytes of opcode {opcode}, whole: {whole}");
            }
        }
    }
}

/// Opens a connection from the loop to itself.
fn our_client(running: &Running) -> ConnectionId {
    let address = running.address();
    let id = running.ask(move |connections| {
        let uri = Uri::parse("ws://localhost/").unwrap();
        let stream = mio::net::TcpStream::connect(address).unwrap();
        let id = connections.connect(stream, &ClientRequest::new(&uri)).unwrap();
        connections.data(id).unwrap().note = String::from("client");
        id
    });
    while running.hear() != (id, Heard::Open) {}
    id
}

#[test]
fn our_client_and_our_server_in_one_loop_exchange_16_mib_at_once() {
    for whole in WHOLE {
        let (came, coming) = channel();
        let came_in_parts = came.clone();
        let probe = Probe::echo()
            .on_message(move |cx, message| match &*cx.data().note {
                "client" => came.send((message.as_bytes().len(), true)).unwrap(),
                _ => _ = cx.send(message),
            })
            .on_part(move |cx, part| match &*cx.data().note {
                "client" => came_in_parts.send((part.as_bytes().len(), part.is_last())).unwrap(),
                _ => _ = cx.send_part(part.kind(), part.as_bytes(), part.is_last()),
            });
        let running = Running::new(probe, Settings { whole, ..TIMELESS });
        let id = our_client(&running);
        running.handle().send(id, OwnedMessage::Binary(noise(16 << 20)));
        let mut total = 0;
        loop {
            let (len, last) = coming.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("stuck behind {total} bytes"));
            total += len;
            if last {
                break;
            }
        }
        assert_eq!(total, 16 << 20);
    }
}
