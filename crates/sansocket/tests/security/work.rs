//! How many bytes are passed over for what a peer sends: in proportion to it, whatever it is. Counted, not timed: feature `steps`.

use sansocket::handshake::{ClientRequest, ResponseProgress, ServerHandshake, Uri};
use sansocket::steps::taken;
use sansocket::{Limits, Messages};

use super::{NO_LIMITS, SWITCH, hex, receive, request, server, times};

/// Bytes passed over by `work`.
fn steps(work: impl FnOnce()) -> u64 {
    let before = taken();
    work();
    taken() - before
}

/// Bytes passed over for this request, whole or byte for byte, as a multiple of its length.
fn head(text: &str, byte_for_byte: bool) -> u64 {
    let (mut handshake, mut out) = (ServerHandshake::new().limits(NO_LIMITS), Vec::new());
    let start = if byte_for_byte { 1 } else { text.len() };
    let steps = steps(|| {
        for end in start..=text.len() {
            handshake.receive(&text.as_bytes()[..end], &mut out);
        }
    });
    steps.div_ceil(text.len() as u64)
}

/// The most that a byte of a request costs, rounded up: it is looked at when it comes, when its head is whole, and for each header that is
/// looked up.
const MOST: u64 = 12;

/// The same where the byte is in a list, which is taken apart, too.
const MOST_IN_A_LIST: u64 = 15;

/// The most that a byte of a response costs: fewer headers are looked up.
const MOST_IN_A_RESPONSE: u64 = 7;

/// CVE-2023-43669 (tungstenite).
#[test]
fn cve_2023_43669_the_bytes_of_a_head_are_passed_over_as_often_however_it_comes() {
    for len in [0, 1 << 10, 16 << 10, 64 << 10] {
        let text = request(&format!("Cookie: {}\r\n", "x".repeat(len)));
        let (whole, each) = (head(&text, false), head(&text, true));
        assert!(whole > 0 && each <= whole + 1 && whole <= MOST, "{len}: {whole}, {each}");
    }
    let lines = request(&"A: b\r\n".repeat(5000));
    assert!(head(&lines, true) <= MOST, "{}", head(&lines, true));
}

/// CVE-2021-32640 (ws), CVE-2023-26103 (Deno), CVE-2020-7662 and CVE-2020-7663 (websocket-extensions): work that grew with the square of a list, or faster.
#[test]
fn cve_2021_32640_cve_2023_26103_cve_2020_7662_work_does_not_grow_faster_than_a_header() {
    let lists: [fn(usize) -> String; 9] = [
        |len| format!("Sec-WebSocket-Protocol: b{}x\r\n", " ".repeat(len)),
        |len| format!("Sec-WebSocket-Protocol: {}b\r\n", ",".repeat(len)),
        |len| format!("Sec-WebSocket-Protocol: {}b\r\n", " , ".repeat(len / 3)),
        |len| format!("Connection: {}\r\n", " ".repeat(len)),
        |len| format!("Connection: {}x\r\n", " ,".repeat(len / 2)),
        |len| format!("Upgrade: {}x\r\n", "a, ".repeat(len / 3)),
        |len| format!("Sec-WebSocket-Extensions: a; b=\"{}\r\n", "\\c".repeat(len / 2)),
        |len| format!("Sec-WebSocket-Extensions: a; b=\"{}\"\r\n", "\\c".repeat(len / 2)),
        |len| format!("Sec-WebSocket-Extensions: {}a\r\n", "a; b, ".repeat(len / 6)),
    ];
    for list in lists {
        for len in [1000, 30_000, 300_000] {
            let text = request(&list(len));
            let most = head(&text, false);
            assert!((1..=MOST_IN_A_LIST).contains(&most), "{len}: {most} for {}", &list(12));
        }
    }
}

/// A hundred subprotocols, behind a header that each comparison would have to pass over.
#[test]
fn cve_2021_32640_protocols_are_compared_without_going_through_the_head() {
    let protocols: Vec<_> = (0..100).map(|at| format!("p{at}")).collect();
    let text =
        request(&format!("Cookie: {}\r\nSec-WebSocket-Protocol: {}\r\n", "x".repeat(16 << 10), protocols.join(", ")));
    assert!(head(&text, true) <= MOST_IN_A_LIST, "{}", head(&text, true));
}

/// CVE-2026-54465 (websocket-driver), at a client: interim answers and headers without end.
#[test]
fn cve_2026_54465_a_response_is_passed_over_as_often_however_it_comes() {
    let uri = Uri::parse("ws://example.com/").unwrap();
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    for text in [
        format!("HTTP/1.1 101 X\r\nA: {}\r\n{SWITCH}\r\n", "b".repeat(16 << 10)),
        format!("{}HTTP/1.1 101 X\r\n{SWITCH}\r\n", interim.repeat(1000)),
    ] {
        let start = || ClientRequest::new(&uri).limits(NO_LIMITS).start(*b"the sample nonce", &mut Vec::new()).unwrap();
        let [whole, each] = [text.len(), 1].map(|first| {
            let mut handshake = start();
            steps(|| {
                let last = (first..=text.len()).map(|end| handshake.receive(&text.as_bytes()[..end])).last();
                assert!(matches!(last, Some(ResponseProgress::Accepted(_))), "{last:?}");
            })
        });
        let most = MOST_IN_A_RESPONSE * text.len() as u64;
        assert!(whole > 0 && whole <= most && each <= most, "{whole} and {each} for {}", text.len());
    }
}

/// rama #895, and messages that were scanned anew with each piece of them.
#[test]
fn rama_895_frames_cost_what_they_have_of_bytes_however_they_come() {
    for (name, wire) in [
        ("small messages", times(20_000, "82 82 00000000 6162")),
        ("text", times(20_000, "81 83 00000000 E282AC")),
        ("pings", times(20_000, "89 80 00000000")),
        ("fragments", [hex("01 80 00000000"), times(20_000, "00 81 00000000 61")].concat()),
        ("one message", [hex("81 FF 00000000000186A0 00000000"), vec![b'a'; 100_000]].concat()),
    ] {
        for chunk in [1, 7, 4096, usize::MAX] {
            let (mut bytes, mut connection) = (wire.clone(), server(Limits::DEFAULT));
            let mut out = Vec::new();
            let count = steps(|| {
                for read in bytes.chunks_mut(chunk.min(wire.len())) {
                    receive(&mut connection, read, &mut out);
                }
            });
            assert_eq!(connection.failure(), None);
            let most = 12 * (wire.len() + out.len()) as u64;
            assert!(count > 0 && count <= most, "{name} by {chunk}: {count} of {most}");
        }
    }
}

/// Joining a message takes as much as the message has, however many pieces it comes in.
#[test]
fn rama_895_a_joined_message_costs_what_it_has_of_bytes() {
    let mut wire = [hex("02 80 00000000"), times(100_000, "00 81 00000000 61"), hex("80 80 00000000")].concat();
    let (mut connection, mut messages, mut out) = (server(Limits::DEFAULT), Messages::new(), Vec::new());
    let len = wire.len() as u64;
    let count = steps(|| {
        let mut input = &mut wire[..];
        while let Some(event) = connection.receive(&mut input, &mut out) {
            let piece = event.piece().unwrap();
            if piece.is_last() { messages.finish(piece).map(drop) } else { messages.append(piece) }.unwrap();
        }
    });
    assert!(count > 0 && count <= 12 * len, "{count} for {len}");
}
