//! How often a driver asks its stream.

use sansocket_mio::Settings;
use sansocket_testkit::{BINARY, PING, PONG, TEXT};

use crate::fake::{Coming, Rig, frame, masked, noise, open};

const READ: usize = 32 * 1024;

/// Delivers `bytes` in one event, and gives the reads and writes that came of it.
fn wake(rig: &mut Rig, bytes: Vec<u8>) -> (usize, usize) {
    rig.stream().push(Coming::Bytes(bytes));
    rig.turn((true, false, false));
    rig.calls()
}

#[test]
fn a_wake_up_with_one_message_and_one_with_sixteen_cost_one_read_and_one_write() {
    for count in [1, 16] {
        for len in [0, 1, 125, 126, 1000] {
            for opcode in [TEXT, BINARY] {
                let payload = vec![b'x'; len];
                let mut rig = open(Settings::DEFAULT, READ);
                assert_eq!(wake(&mut rig, masked(opcode, &payload).repeat(count)), (1, 1), "{count} of {len} bytes");
                assert!(!rig.driver.may_read(), "the read was a short one: there is no more");
                assert_eq!(rig.stream().written, frame(opcode, &payload).repeat(count));
                assert_eq!(rig.heard.len(), count);
            }
        }
    }
}

#[test]
fn a_wake_up_with_a_long_message_costs_one_read_and_one_write() {
    for len in [4096, 4097, 10_000, 16_384, 16_385, 32_000] {
        let mut rig = open(Settings::DEFAULT, READ);
        assert_eq!(wake(&mut rig, masked(BINARY, noise(len))), (1, 1), "{len} bytes");
        assert!(rig.stream().written == frame(BINARY, noise(len)));
    }
}

#[test]
fn messages_of_all_lengths_in_one_wake_up_cost_one_read_and_one_write() {
    let lens = [1, 5000, 2, 4096, 3, 4097, 10_000, 4];
    let mut rig = open(Settings::DEFAULT, READ);
    let bytes = lens.iter().flat_map(|&len| masked(BINARY, noise(len))).collect();
    assert_eq!(wake(&mut rig, bytes), (1, 1));
    let expected: Vec<u8> = lens.iter().flat_map(|&len| frame(BINARY, noise(len))).collect();
    assert!(rig.stream().written == expected);
}

#[test]
fn pongs_and_echoes_of_one_wake_up_leave_in_one_write() {
    let mut rig = open(Settings::DEFAULT, READ);
    let bytes = [masked(PING, "1"), masked(TEXT, "a"), masked(PING, "2"), masked(TEXT, "b")].concat();
    assert_eq!(wake(&mut rig, bytes), (1, 1));
    assert_eq!(rig.stream().written, [frame(PONG, "1"), frame(TEXT, "a"), frame(PONG, "2"), frame(TEXT, "b")].concat());
}

#[test]
fn nothing_to_be_said_costs_no_write() {
    let mut rig = open(Settings::DEFAULT, READ);
    rig.echoes = false;
    assert_eq!(wake(&mut rig, masked(TEXT, "hello")), (1, 0));
    assert_eq!(wake(&mut rig, masked(PONG, "")), (1, 0));
    assert_eq!(wake(&mut rig, masked(TEXT, "half")[..5].to_vec()), (1, 0));
}

#[test]
fn the_opening_costs_one_read_and_one_write() {
    let mut rig = Rig::server(
        crate::fake::Fake::new([Coming::Bytes([crate::fake::REQUEST, &masked(TEXT, "first")].concat())]),
        Settings::DEFAULT,
        READ,
    );
    rig.turn((true, false, true));
    assert_eq!(rig.calls(), (1, 1));
    assert!(rig.stream().written.ends_with(&frame(TEXT, "first")));
}

#[test]
fn behind_a_short_read_none_is_made_that_is_sure_to_say_that_there_is_nothing() {
    let mut rig = open(Settings::DEFAULT, READ);
    for len in [1, 100, 5000, 16_000, READ - 14 - 1] {
        rig.stream().push(Coming::Bytes(masked(BINARY, noise(len))));
        rig.run();
    }
    assert_eq!(rig.stream().empty_reads, 0);
    assert_eq!(rig.calls().0, 5);
}

#[test]
fn behind_a_read_that_fills_the_buffer_there_may_be_more() {
    let mut rig = open(Settings::DEFAULT, READ);
    let bytes = masked(BINARY, noise(READ - 8));
    assert_eq!(bytes.len(), READ);
    assert_eq!(wake(&mut rig, bytes), (1, 1));
    assert!(rig.driver.may_read());
    rig.run();
    assert_eq!(rig.stream().empty_reads, 1);
    assert!(!rig.driver.may_read());
}

#[test]
fn far_more_than_a_buffer_is_read_turn_by_turn_without_an_event() {
    let mut rig = open(Settings::DEFAULT, READ);
    let bytes = masked(TEXT, "some words").repeat(10_000);
    let turns = bytes.len() / READ + 1;
    rig.stream().push(Coming::Bytes(bytes));
    rig.turn((true, false, false));
    for _ in 1..turns {
        assert!(rig.driver.may_read());
        rig.turn((false, false, false));
    }
    assert!(!rig.driver.may_read());
    assert_eq!(rig.calls(), (turns, turns));
    assert_eq!(rig.heard.len(), 10_000);
}

#[test]
fn an_event_that_says_that_the_peer_is_done_is_read_to_the_end() {
    let mut rig = open(Settings::DEFAULT, READ);
    rig.stream().push(Coming::Bytes(masked(TEXT, "last words")));
    rig.stream().ends = true;
    // The end comes with the bytes: there is no further event for it.
    rig.turn((true, true, false));
    assert!(rig.driver.may_read(), "a short read, but not the end");
    rig.turn((false, false, false));
    assert!(rig.driver.is_finished() && rig.stream().saw_end);
    assert_eq!(rig.calls(), (2, 1));
    assert_eq!(rig.heard.len(), 2);
}

#[test]
fn a_long_message_is_read_straight_to_its_place_in_few_reads() {
    let len = 4 << 20;
    let mut rig = open(Settings::DEFAULT, READ);
    rig.echoes = false;
    rig.stream().push(Coming::Bytes(masked(BINARY, noise(len))));
    rig.run();
    assert_eq!(rig.heard.len(), 1);
    let reads = rig.calls().0;
    assert!(reads <= len / (64 * 1024), "{reads} reads");
}

#[test]
fn a_queue_is_written_in_few_writes() {
    let mut rig = open(Settings::DEFAULT, READ);
    // The socket takes a part of the first write, and then nothing for a while.
    rig.stream().going.extend([crate::fake::Going::Takes(1)]);
    let bytes = masked(BINARY, noise(30_000));
    rig.stream().push(Coming::Bytes(bytes.repeat(8)));
    rig.turn((true, false, false));
    for _ in 0..7 {
        rig.turn((false, false, false));
    }
    assert_eq!(rig.calls().1, 1, "a socket that takes nothing is not asked again");
    assert_eq!(rig.driver.queued(), 8 * 30_004 - 1);
    rig.turn((false, false, true));
    assert_eq!(rig.calls().1, 1);
    assert!(rig.stream().written == frame(BINARY, noise(30_000)).repeat(8));
}

#[test]
fn an_event_without_a_reason_costs_a_read_at_most() {
    let mut rig = open(Settings::DEFAULT, READ);
    rig.turn((false, false, true));
    assert_eq!(rig.calls(), (0, 0));
    rig.turn((true, false, true));
    assert_eq!(rig.calls(), (1, 0));
    rig.turn((false, false, false));
    assert_eq!(rig.calls(), (0, 0));
}
