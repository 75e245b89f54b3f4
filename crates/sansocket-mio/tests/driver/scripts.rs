//! Streams that refuse, fail and interrupt at any call.

use std::io::ErrorKind;
use std::time::Duration;

use sansocket::Place;
use sansocket_mio::{
    ClientRequest, CloseCode, Common, Driver, EndedBy, Message, Prepared, SendError, Sent, Settings, Timeouts, Uri,
};
use sansocket_testkit::{BINARY, CLOSE, TEXT, close_body};

use crate::fake::{Coming, Fake, Going, Heard, REQUEST, Rig, frame, masked, message, noise, open};

const READ: usize = 32 * 1024;

/// How the connection has ended, which is what was heard last.
fn ended(rig: &Rig) -> EndedBy {
    match rig.heard.last() {
        Some(Heard::End(ending)) => ending.by(),
        heard => panic!("{heard:?}"),
    }
}

#[test]
fn interrupted_reads_are_repeated() {
    let mut rig = open(Settings::DEFAULT, READ);
    for coming in [Coming::Interrupted, Coming::Interrupted, Coming::Bytes(masked(TEXT, "hello"))] {
        rig.stream().push(coming);
    }
    rig.run();
    rig.expect_done();
    assert_eq!(rig.heard, [message(Message::Text("hello"))]);
}

#[test]
fn interrupted_writes_are_repeated() {
    for len in [5, 5000, 30_000, 200_000] {
        let mut rig = open(Settings::DEFAULT, READ);
        rig.stream().going.extend([Going::Interrupted, Going::Interrupted]);
        rig.stream().push(Coming::Bytes(masked(BINARY, noise(len))));
        rig.run();
        rig.expect_done();
        assert_eq!(
            sansocket_testkit::split_frames(sansocket_testkit::Side::Server, &rig.stream().written).len(),
            len.div_ceil(65_536)
        );
    }
}

#[test]
fn an_interrupted_write_of_the_queue_is_repeated() {
    for len in [5, 5000, 30_000] {
        let mut rig = open(Settings::DEFAULT, READ);
        rig.stream().going.extend([Going::Takes(3), Going::Interrupted, Going::Interrupted, Going::Interrupted]);
        rig.stream().push(Coming::Bytes(masked(BINARY, noise(len))));
        rig.run();
        rig.expect_done();
        assert!(rig.stream().written == frame(BINARY, noise(len)));
    }
}

#[test]
fn a_write_that_fails_does_not_hide_what_the_peer_has_said_before() {
    for error in [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset] {
        let mut rig = open(Settings::DEFAULT, READ);
        rig.stream().going.push_back(Going::Error(error));
        rig.stream().push(Coming::Bytes(masked(TEXT, "hello")));
        rig.stream().push(Coming::Bytes(masked(CLOSE, close_body(1001, "bye"))));
        rig.stream().ends = true;
        // The second packet and the end come without events: the first is told of both.
        rig.turn((true, true, false));
        rig.run();
        assert!(rig.driver.is_finished());
        assert_eq!(ended(&rig), EndedBy::Peer);
        assert_eq!(rig.driver.peer_close().unwrap().reason(), "bye");
        assert_eq!(rig.driver.queued(), 0);
    }
}

#[test]
fn a_write_that_fails_is_told_with_the_end() {
    for queued in [false, true] {
        let mut rig = open(Settings::DEFAULT, READ);
        rig.stream().going.extend(queued.then_some(Going::Takes(1)));
        rig.stream().going.push_back(Going::Error(ErrorKind::ConnectionReset));
        rig.stream().push(Coming::Bytes(masked(TEXT, "hello")));
        assert!(!rig.driver.is_write_shut());
        rig.turn((true, false, false));
        // The write has eaten the error: the read says no more than that there is no more.
        rig.stream().ends = true;
        rig.run();
        assert!(rig.driver.is_finished());
        assert_eq!(ended(&rig), EndedBy::Loss(Place::BetweenMessages));
        assert_eq!(rig.driver.error().map(std::io::Error::kind), Some(ErrorKind::ConnectionReset));
        assert!(rig.driver.is_write_shut() && rig.driver.queued() == 0, "what was queued is lost");
    }
}

#[test]
fn a_read_that_fails_is_told_with_the_end() {
    let mut rig = open(Settings::DEFAULT, READ);
    rig.stream().push(Coming::Bytes(masked(TEXT, "hello")[..4].to_vec()));
    rig.stream().push(Coming::Error(ErrorKind::ConnectionReset));
    rig.run();
    assert!(rig.driver.is_finished());
    assert_eq!(ended(&rig), EndedBy::Loss(Place::InHeader));
    assert_eq!(rig.driver.error().unwrap().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_stream_that_lies_about_its_reads_does_no_harm() {
    struct Liar(Fake);
    impl std::io::Read for Liar {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer).map(|count| count + 1_000_000)
        }
    }
    impl std::io::Write for Liar {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl mio::event::Source for Liar {
        fn register(&mut self, _: &mio::Registry, _: mio::Token, _: mio::Interest) -> std::io::Result<()> {
            Ok(())
        }
        fn reregister(&mut self, _: &mio::Registry, _: mio::Token, _: mio::Interest) -> std::io::Result<()> {
            Ok(())
        }
        fn deregister(&mut self, _: &mio::Registry) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl sansocket_mio::Stream for Liar {
        fn shutdown_write(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut common = Common::new(Settings::DEFAULT);
    let mut driver = Driver::server(Liar(Fake::new([Coming::Bytes(REQUEST.to_vec())])), &common);
    let mut buffer = vec![0; READ];
    let mut turn = driver.turn(&mut common);
    turn.on_readable(false);
    let mut input = turn.read(&mut buffer);
    while let Some(event) = turn.next(&mut input) {
        if let sansocket_mio::Event::Request(request) = event {
            turn.answer(Some(&request), &sansocket_mio::Answer::accept());
        }
    }
}

#[test]
fn a_head_that_ends_early_is_answered_and_over_without_a_further_event() {
    let mut rig = Rig::server(Fake::new([Coming::Bytes(REQUEST[..40].to_vec())]).ending(), Settings::DEFAULT, READ);
    rig.run();
    assert_eq!(rig.heard, [Heard::NotOpened(String::from("Request(Incomplete)"))]);
    assert!(rig.stream().written.starts_with(b"HTTP/1.1 400 ") && rig.stream().is_shut);
    assert!(rig.driver.is_finished(), "the peer's end has been seen, and everything is written");
}

#[test]
fn a_head_that_ends_early_is_answered_though_the_socket_takes_that_only_later() {
    let stream = Fake::new([Coming::Bytes(REQUEST[..40].to_vec())]).ending().with_going([Going::Takes(10)]);
    let mut rig = Rig::server(stream, Settings::DEFAULT, READ);
    rig.run();
    let answer = String::from_utf8(rig.stream().written.clone()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\r\n\r\n"), "{answer}");
}

#[test]
fn a_deadline_that_has_passed_is_told_with_nothing_to_be_read() {
    let timeouts = Timeouts { open: Some(Duration::ZERO), end: Some(Duration::ZERO), ..Timeouts::NONE };
    let mut rig = Rig::server(Fake::default(), Settings { timeouts, ..Settings::DEFAULT }, READ);
    assert!(rig.driver.deadline(&rig.common).unwrap() <= rig.common.now());
    let Rig { driver, common, .. } = &mut rig;
    let mut turn = driver.turn(common);
    turn.on_deadline();
    let told = turn.next(&mut &mut [][..]);
    assert!(matches!(told, Some(sansocket_mio::Event::NotOpened(sansocket_mio::OpenError::TimedOut))), "{told:?}");
    assert!(turn.next(&mut &mut [][..]).is_none());
    drop(turn);
    assert!(rig.stream().written.starts_with(b"HTTP/1.1 408 ") && rig.stream().is_shut);
    let Rig { driver, common, .. } = &mut rig;
    assert!(!driver.is_finished() && driver.deadline(common).unwrap() <= common.now());
    driver.turn(common).on_deadline();
    assert!(driver.is_finished() && driver.deadline(common).is_none());
}

#[test]
fn a_client_waits_until_it_is_connected_and_sends_its_request_once() {
    let common = Common::new(Settings::DEFAULT);
    let uri = Uri::parse("ws://localhost/chat").unwrap();
    let driver = Driver::client(Fake::default(), &ClientRequest::new(&uri), &common).unwrap();
    let mut rig = Rig::new(driver, common, READ);
    rig.turn((true, false, false));
    assert_eq!(rig.calls(), (0, 0), "not connected yet");
    assert!(rig.driver.is_opening() && rig.driver.queued() > 0 && !rig.driver.may_read());
    rig.turn((false, false, true));
    assert!(rig.stream().written.starts_with(b"GET /chat HTTP/1.1\r\n"));
    assert_eq!((rig.driver.queued(), rig.calls().1), (0, 1));
    rig.stream().push(Coming::Bytes(b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec()));
    rig.run();
    assert_eq!(rig.heard, [Heard::NotOpened(String::from("Refused(404)"))]);
    assert!(rig.driver.is_finished());
}

#[test]
fn a_message_that_the_socket_takes_byte_by_byte_arrives() {
    for len in [0, 125, 5000, 100_000] {
        let mut rig = open(Settings::DEFAULT, READ);
        rig.stream().going.extend((0..len + 20).map(|_| Going::Takes(1)));
        rig.stream().push(Coming::Bytes(masked(BINARY, noise(len))));
        rig.run();
        rig.expect_done();
        let frames = sansocket_testkit::split_frames(sansocket_testkit::Side::Server, &rig.stream().written);
        assert!(frames.iter().flat_map(|frame| frame.payload()).copied().eq(noise(len)));
    }
}

#[test]
fn prepared_and_other_messages_keep_their_order_whatever_the_socket_takes() {
    for takes in [0, 1, 7, 1000, 70_000, 1_000_000] {
        let mut rig = open(Settings::DEFAULT, READ);
        rig.stream().going.extend((0..40).map(|_| Going::Takes(takes)));
        let lens = [3, 70_000, 4, 5000, 100_000, 5];
        let mut turn = rig.driver.turn(&mut rig.common);
        for len in lens {
            let _ = turn.send(&noise(len)).unwrap();
            let _ = turn.send_prepared(&Prepared::new(&noise(len))).unwrap();
        }
        turn.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(turn.send("late"), Err(SendError::Closing));
        drop(turn);
        rig.run();
        rig.expect_done();
        let frames = sansocket_testkit::split_frames(sansocket_testkit::Side::Server, &rig.stream().written);
        let mut messages = vec![Vec::new()];
        for frame in frames {
            messages.last_mut().unwrap().extend_from_slice(frame.payload());
            if frame.is_fin() {
                messages.push(Vec::new());
            }
        }
        let expected: Vec<_> = lens.iter().flat_map(|&len| [noise(len), noise(len)]).collect();
        assert!(messages[..12] == expected, "{takes} at a time");
        assert_eq!(messages[12], close_body(1000, ""));
    }
}

#[test]
fn who_was_told_to_send_less_can_see_when_the_queue_has_drained() {
    let settings = Settings { high_mark: 1000, low_mark: 100, ..Settings::DEFAULT };
    let mut rig = open(settings, READ);
    rig.stream().going.push_back(Going::Takes(10));
    let mut turn = rig.driver.turn(&mut rig.common);
    let sent: Vec<_> = (0..3).map(|_| turn.send(&[7; 500]).unwrap()).collect();
    assert_eq!(sent, [Sent::Accepted, Sent::AboveMark, Sent::AboveMark]);
    drop(turn);
    rig.stream().going.push_back(Going::Takes(1000));
    assert!(!rig.turn((false, false, true)), "more than the low mark is left");
    assert!(rig.turn((false, false, true)), "it has drained");
    assert!(!rig.turn((false, false, true)), "it is told once");
}
