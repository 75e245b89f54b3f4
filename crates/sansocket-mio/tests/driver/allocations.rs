//! What a driver allocates once it is warm: nothing.

use allocation_counter::measure;
use sansocket_mio::{Common, Driver, Event, Settings};
use sansocket_testkit::{BINARY, PING, TEXT};

use crate::fake::{Coming, Fake, Going, masked, noise, open};

/// An echo's turn that keeps no record.
fn turn(driver: &mut Driver<Fake>, common: &mut Common, buffer: &mut [u8]) {
    let mut turn = driver.turn(common);
    turn.on_readable(false);
    let mut input = turn.read(buffer);
    while let Some(event) = turn.next(&mut input) {
        match event {
            Event::Message(message) => {
                let _ = turn.send(message.as_message()).unwrap();
                turn.reuse(message);
            }
            Event::Ping | Event::Drained => {}
            event => panic!("{event:?}"),
        }
    }
}

/// How many allocations are made by the second of two times that these packets come.
fn allocations(packets: &[Vec<u8>]) -> u64 {
    let mut rig = open(Settings::DEFAULT, 64 * 1024 + 64);
    let mut counted = 0;
    for round in 0..4 {
        // What the fake does with its own memory does not count.
        rig.stream().written.clear();
        rig.stream().written.reserve(1 << 20);
        for packet in packets {
            rig.stream().push(Coming::Bytes(packet.clone()));
            let info = measure(|| turn(&mut rig.driver, &mut rig.common, &mut rig.buffer));
            if round > 0 {
                counted += info.count_total;
            }
        }
        assert_eq!(rig.driver.queued(), 0);
    }
    counted
}

#[test]
fn whole_messages_of_up_to_16_kib_and_pings_are_echoed_without_an_allocation() {
    for len in [0, 1, 16, 125, 126, 1000, 4095, 4096, 4097, 10_000, 16_384] {
        for opcode in [TEXT, BINARY] {
            let payload = if opcode == TEXT { vec![b'x'; len] } else { noise(len) };
            assert_eq!(allocations(&[masked(opcode, payload)]), 0, "{len} bytes");
        }
        let umlauts = "ö".repeat(len / 2);
        assert_eq!(allocations(&[masked(TEXT, umlauts)]), 0, "{len} bytes, not in ASCII");
    }
    assert_eq!(allocations(&[masked(PING, [7; 125])]), 0);
}

#[test]
fn many_messages_in_one_read_are_echoed_without_an_allocation() {
    for (count, len) in [(1000, 16), (100, 500), (16, 1000), (4, 16_000), (3, 5000)] {
        assert_eq!(allocations(&[masked(BINARY, noise(len)).repeat(count)]), 0, "{count} of {len} bytes");
    }
    let mixed = [masked(BINARY, noise(10_000)), masked(TEXT, "a").repeat(500), masked(BINARY, noise(16_384))].concat();
    assert_eq!(allocations(&[mixed]), 0);
}

#[test]
fn messages_of_16_kib_that_are_cut_by_reads_are_joined_in_memory_that_was_used_before() {
    for opcode in [TEXT, BINARY] {
        let payload = if opcode == TEXT { vec![b'x'; 16_384] } else { noise(16_384) };
        let bytes = masked(opcode, payload);
        let packets: Vec<_> = bytes.chunks(5000).map(Vec::from).collect();
        // For four rounds of which three are counted: what only few connections need at a time is not kept for them.
        assert!(allocations(&packets) <= 3, "{}", allocations(&packets));
    }
}

#[test]
fn behind_a_long_message_that_had_to_wait_for_the_socket_nothing_more_is_held_than_before() {
    const LEN: usize = 1 << 20;
    let mut rig = open(Settings::DEFAULT, 64 * 1024);
    rig.stream().written.reserve(4 * LEN);
    for round in 0..3 {
        let info = measure(|| {
            rig.stream().push(Coming::Bytes(masked(BINARY, noise(LEN))));
            rig.stream().going.push_back(Going::Takes(1000));
            turn(&mut rig.driver, &mut rig.common, &mut rig.buffer);
            while rig.driver.may_read() {
                turn(&mut rig.driver, &mut rig.common, &mut rig.buffer);
            }
            assert!(rig.driver.queued() > LEN / 2, "{}", rig.driver.queued());
            let mut turn = rig.driver.turn(&mut rig.common);
            turn.on_writable();
            drop(turn);
            assert_eq!(rig.driver.queued(), 0);
        });
        assert!(info.bytes_max > LEN as u64, "{info:?}");
        // The first time, the loop takes what it keeps for all of its connections.
        let most = if round == 0 { 256 * 1024 } else { 0 };
        assert!(info.bytes_current <= most, "round {round}: {} bytes", info.bytes_current);
    }
}
