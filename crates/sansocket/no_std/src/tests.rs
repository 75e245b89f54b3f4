use std::time::Duration;
use std::vec::Vec;

use sansocket::{EndedBy, Place, ProtocolError};

use super::*;

/// A transport whose peer sends these bytes, and a clock that goes on only while somebody waits.
struct Fake<'a> {
    incoming: &'a [u8],
    /// Bytes that are read at once.
    step: usize,
    /// Bytes that are written at once.
    takes: usize,
    /// Whether the transport ends behind the bytes. Otherwise the peer falls silent.
    ends: bool,
    written: Vec<u8>,
    shut: bool,
    now: Time,
}

impl<'a> Fake<'a> {
    fn new(incoming: &'a [u8], step: usize, ends: bool) -> Self {
        Self { incoming, step, takes: step, ends, written: Vec::new(), shut: false, now: Time::default() }
    }
}

impl Transport for Fake<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        assert!(!buffer.is_empty(), "there is room to read");
        let count = self.incoming.len().min(self.step).min(buffer.len());
        let (now, later) = self.incoming.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.incoming = later;
        if count == 0 && self.ends { None } else { Some(count) }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        assert!(!self.shut && !bytes.is_empty());
        let count = bytes.len().min(self.takes);
        self.written.extend_from_slice(&bytes[..count]);
        count
    }

    fn shutdown_write(&mut self) {
        assert!(!self.shut, "once");
        self.shut = true;
    }

    fn now(&self) -> Time {
        self.now
    }

    fn wait(&mut self, until: Option<Time>, to_write: bool) {
        let awake = if to_write { self.takes > 0 } else { !self.incoming.is_empty() };
        if !awake {
            self.now = until.expect("a peer that is silent for ever is not waited for");
        }
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What was written behind a good request, and how it has ended.
fn serve_frames(frames: &[u8], step: usize, ends: bool) -> (Vec<u8>, Option<Ending>, Time) {
    let incoming = [REQUEST, frames].concat();
    let mut fake = Fake::new(&incoming, step, ends);
    let ending = serve(&mut fake);
    assert!(fake.shut && fake.written.starts_with(b"HTTP/1.1 101 "));
    let head = fake.written.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    (fake.written.split_off(head), ending, fake.now)
}

fn after(durations: &[Option<Duration>]) -> Time {
    Time::default().after(durations.iter().flatten().sum())
}

#[test]
fn a_message_comes_back_and_a_close_is_answered_however_little_is_read_and_written_at_once() {
    for step in [1, 7, 4096] {
        let (written, ending, _) = serve_frames(b"\x81\x82\0\0\0\0hi\x88\x82\0\0\0\0\x03\xe8", step, false);
        assert!(written.starts_with(b"\x81\x02hi") || written.starts_with(b"\x01"), "{step}");
        assert!(written.ends_with(b"\x88\x02\x03\xe8"), "{step}");
        assert!(ending.unwrap().is_clean() && ending.unwrap().by() == EndedBy::Peer, "{step}");
    }
}

#[test]
fn a_message_far_longer_than_the_buffers_comes_back() {
    const LEN: usize = 1 << 20;
    let mut frames = [&[0x82, 0xFF][..], &(LEN as u64).to_be_bytes(), &[0; 4]].concat();
    frames.extend((0..LEN).map(|at| (at % 251) as u8));
    for step in [100, 4096] {
        let (written, ending, _) = serve_frames(&frames, step, true);
        let (mut rest, mut came) = (&written[..], Vec::new());
        // Frames of up to a read each: headers of two bytes, or of four.
        while let [_, len, ..] = *rest {
            let (start, len) =
                if len == 126 { (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))) } else { (2, len.into()) };
            came.extend_from_slice(&rest[start..start + len]);
            rest = &rest[start + len..];
        }
        assert!(came == frames[14..], "{step}");
        assert_eq!(ending.unwrap().code(), 1006, "there was no Close");
    }
}

#[test]
fn a_flood_of_pings_does_not_need_more_room() {
    let (written, ..) = serve_frames(&[0x89, 0x80, 0, 0, 0, 0].repeat(1000), 4096, true);
    assert_eq!(written, [0x8A, 0].repeat(1000));
}

#[test]
fn no_read_causes_more_than_the_output_has_room_for() {
    // Fragments that cut characters of four bytes, and the longest pings in between: what grows most on its way back.
    let crabs = "\u{1F980}".repeat(1000);
    for part in 1..=130 {
        let mut frames = Vec::new();
        for (at, part) in crabs.as_bytes().chunks(part).enumerate() {
            frames.push(u8::from(at == 0));
            match u8::try_from(part.len()) {
                Ok(len @ ..126) => frames.push(0x80 | len),
                _ => frames.extend([0xFE, 0, part.len() as u8]),
            }
            frames.extend([0; 4]);
            frames.extend_from_slice(part);
            frames.extend_from_slice(&[0x89, 0x80 | 125, 0, 0, 0, 0]);
            frames.extend_from_slice(&[b'p'; 125]);
        }
        for step in [125, 900 + part] {
            // `serve` asserts it.
            let (_, ending, _) = serve_frames(&frames, step, true);
            assert_eq!(ending.unwrap().by(), EndedBy::Loss(Place::BetweenFragments));
        }
    }
}

#[test]
fn a_violation_is_told_and_what_follows_is_drained() {
    let (written, ending, now) = serve_frames(&[b"\x81\x02hi", &[b'?'; 5000][..]].concat(), 7, false);
    assert_eq!((written[0], &written[2..4]), (0x88, &1002_u16.to_be_bytes()[..]));
    assert_eq!(ending.unwrap().by(), EndedBy::Failure(ProtocolError::UnmaskedFrame));
    assert_eq!(now, after(&[TIMEOUTS.end]));
}

#[test]
fn a_peer_that_falls_silent_is_given_up_when_it_owes_a_pong() {
    let (written, ending, now) = serve_frames(b"", 4096, false);
    assert!(written.starts_with(b"\x89\0\x88"));
    assert_eq!(ending.unwrap().by(), EndedBy::Failure(ProtocolError::PongTimeout));
    assert_eq!(now, after(&[TIMEOUTS.ping, TIMEOUTS.pong, TIMEOUTS.end]));
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_as_well() {
    for (head, opened) in [(REQUEST, true), (b"POST / HTTP/1.1\r\n\r\n", false)] {
        let incoming = [head, &[0x89, 0x80, 0, 0, 0, 0].repeat(1000)].concat();
        let mut fake = Fake { takes: 0, ..Fake::new(&incoming, 4096, false) };
        let ending = serve(&mut fake);
        assert!(fake.written.is_empty());
        assert_eq!(ending.is_some(), opened);
        let waits = if opened { &[TIMEOUTS.ping, TIMEOUTS.pong, TIMEOUTS.end][..] } else { &[TIMEOUTS.end] };
        assert_eq!(fake.now, after(waits));
    }
}

#[test]
fn bad_requests_and_slow_ones_are_refused() {
    let refuse = |incoming: &[u8], ends| {
        let mut fake = Fake::new(incoming, 100, ends);
        assert_eq!(serve(&mut fake), None);
        assert!(fake.shut);
        (fake.written, fake.now)
    };
    assert!(refuse(b"POST / HTTP/1.1\r\n\r\n", true).0.starts_with(b"HTTP/1.1 405 "));
    assert!(refuse(&[b"GET / HTTP/1.1\r\nA: ", &[b'a'; IN][..]].concat(), true).0.starts_with(b"HTTP/1.1 431 "));
    let (slow, now) = refuse(b"GET / HTTP/1.1\r\n", false);
    assert!(slow.starts_with(b"HTTP/1.1 408 "));
    assert_eq!(now, after(&[TIMEOUTS.open, TIMEOUTS.end]));
}
