//! When bytes leave: what writes and what only queues, and that a read tells of nothing whose answer is still here.

use std::io::ErrorKind;

use sansocket_std::{AcceptOptions, CloseCode, Error, Kind, Message, Prepared, SendError};

use crate::script::{Script, server};

const QUEUED: &[u8] = b"\x81\x01a\x81\x01b";

/// What `start_close` without a code puts.
const CLOSE: &[u8] = b"\x88\x00";

#[test]
fn queue_writes_nothing_and_send_flush_ping_close_and_read_write_all_of_it() {
    for (how, behind) in [
        ("send", &b"\x81\x01c"[..]),
        ("send_part", b"\x01\x01c"),
        ("flush", b""),
        ("ping", b"\x89\x00"),
        ("start_close", CLOSE),
        ("close", CLOSE),
        ("read", b""),
        ("read_owned", b""),
        ("read_piece", b""),
    ] {
        let stream = Script::generous(&[]);
        let mut ws = server(AcceptOptions::new(), &stream);
        ws.queue("a").unwrap();
        ws.queue_prepared(&Prepared::new("b")).unwrap();
        assert_eq!(stream.state().written, b"", "{how}: queue and queue_prepared write nothing");
        // The peer is gone, which the reads tell, but only behind the write.
        let result = match how {
            "send" => ws.send("c"),
            "send_part" => ws.send_part(Kind::Text, b"c", false),
            "flush" => ws.flush(),
            "ping" => ws.ping(b""),
            "start_close" => ws.start_close(None, ""),
            "close" => ws.close(None, ""),
            "read" => ws.read().map(drop),
            "read_owned" => ws.read_owned().map(drop),
            _ => ws.read_piece().map(drop),
        };
        assert_eq!(matches!(result, Err(Error::Lost { .. })), how == "close" || how.starts_with("read"), "{how}");
        assert_eq!(stream.state().written, [QUEUED, behind].concat(), "{how}");
    }
}

#[test]
fn a_writing_half_queues_and_sends_as_the_whole_does() {
    for how in ["send", "flush", "ping", "start_close", "the reading half"] {
        let stream = Script::generous(&[]);
        let (mut reader, writer) = server(AcceptOptions::new(), &stream).split().unwrap();
        writer.queue("a").unwrap();
        writer.queue_prepared(&Prepared::new("b")).unwrap();
        assert_eq!(stream.state().written, b"", "{how}");
        match how {
            "send" => writer.send("c").unwrap(),
            "flush" => writer.flush().unwrap(),
            "ping" => writer.ping(b"").unwrap(),
            "start_close" => writer.start_close(None, "").unwrap(),
            _ => assert!(matches!(reader.read(), Err(Error::Lost { .. }))),
        }
        assert!(stream.state().written.starts_with(QUEUED), "{how}");
    }
}

/// More than one frame.
static LONG: [u8; 1 << 20] = [7; 1 << 20];

fn expect_broken_pipe(result: &Result<(), Error>) {
    assert!(matches!(result, Err(Error::Io(error)) if error.kind() == ErrorKind::BrokenPipe), "{result:?}");
}

#[test]
fn a_stream_that_was_lost_within_a_message_is_told_to_every_further_one() {
    let stream = Script::generous(&[]);
    let mut ws = server(AcceptOptions::new(), &stream);
    stream.state().write_error = Some(ErrorKind::BrokenPipe);
    for _ in 0..3 {
        expect_broken_pipe(&ws.send(&LONG));
    }
    expect_broken_pipe(&ws.queue("short"));
    expect_broken_pipe(&ws.queue_prepared(&Prepared::new("short")));
    expect_broken_pipe(&ws.send_part(Kind::Binary, b"short", true));
    assert_eq!(stream.state().written, b"", "nothing of them");
}

#[test]
fn a_stream_that_was_lost_within_a_message_is_told_to_every_writing_half() {
    let stream = Script::generous(&[]);
    let (_reader, writer) = server(AcceptOptions::new(), &stream).split().unwrap();
    stream.state().write_error = Some(ErrorKind::BrokenPipe);
    for writer in [writer.clone(), writer.clone(), writer.clone()] {
        expect_broken_pipe(&writer.send(&LONG));
    }
    expect_broken_pipe(&writer.queue("short"));
    expect_broken_pipe(&writer.queue_prepared(&Prepared::new("short")));
    expect_broken_pipe(&writer.send_part(Kind::Binary, b"short", true));
    assert_eq!(stream.state().written, b"", "nothing of them");
}

#[test]
fn the_answer_to_a_close_is_written_before_a_read_tells_of_it() {
    let wire = b"\x88\x82\0\0\0\0\x03\xe9";
    for how in ["read", "read_owned", "read_piece", "the reading half"] {
        let stream = Script::generous(wire);
        let mut ws = server(AcceptOptions::new(), &stream);
        let is_end = match how {
            "read" => ws.read().unwrap().is_none(),
            "read_owned" => ws.read_owned().unwrap().is_none(),
            "read_piece" => ws.read_piece().unwrap().is_none(),
            _ => {
                let (mut reader, _writer) = ws.split().unwrap();
                reader.read().unwrap().is_none()
            }
        };
        assert!(is_end, "{how}");
        assert_eq!(stream.state().written, b"\x88\x02\x03\xe9", "{how}");
    }
}

#[test]
fn behind_our_close_sending_fails_with_the_message_in_the_callers_hand_and_reading_goes_on() {
    let stream = Script::generous(b"\x81\x81\0\0\0\x001\x81\x81\0\0\0\x002\x88\x82\0\0\0\0\x03\xe8");
    let mut ws = server(AcceptOptions::new(), &stream);
    ws.start_close(CloseCode::NORMAL, "").unwrap();
    let written = stream.state().written.clone();
    let message = String::from("what could not be sent");
    for expected in [Some("1"), Some("2"), None, None] {
        for result in [ws.send(&message), ws.queue(&message), ws.ping(b""), ws.start_close(None, "")] {
            assert!(matches!(result, Err(Error::Send(SendError::Closing))), "{result:?}");
        }
        assert_eq!(ws.read().unwrap(), expected.map(Message::Text));
    }
    assert_eq!(stream.state().written, written, "nothing behind the Close");
    assert_eq!(message, "what could not be sent");
}

#[test]
fn behind_the_peers_close_sending_fails_and_the_read_still_tells_its_code() {
    let stream = Script::generous(b"\x88\x82\0\0\0\0\x03\xe9");
    let (mut reader, writer) = server(AcceptOptions::new(), &stream).split().unwrap();
    // Told three times, and the same each time; closing once more does no harm either.
    for _ in 0..3 {
        assert!(reader.read().unwrap().is_none());
        assert!(matches!(writer.send("late"), Err(Error::Send(SendError::Closing))));
        assert!(matches!(writer.start_close(None, ""), Err(Error::Send(SendError::Closing))));
        assert_eq!(reader.peer_close().unwrap().0, Some(CloseCode::GOING_AWAY));
        assert_eq!(reader.ending().unwrap().code(), 1001);
    }
}

#[test]
fn an_end_is_the_same_however_often_it_is_asked_for() {
    for wire in [&b"\x88\x80\0\0\0\0"[..], b"\x81", b"\x83\x80\0\0\0\0"] {
        let mut ws = server(AcceptOptions::new(), &Script::generous(wire));
        let first = (format!("{:?}", ws.read()), ws.ending().unwrap());
        for _ in 0..3 {
            let closed = ws.close(None, "");
            assert_eq!(closed.is_ok(), first.1.is_clean(), "{closed:?}");
            assert_eq!((format!("{:?}", ws.read()), ws.ending().unwrap()), first);
            assert!(matches!(ws.send("late"), Err(Error::Send(SendError::Closing))));
        }
    }
}
