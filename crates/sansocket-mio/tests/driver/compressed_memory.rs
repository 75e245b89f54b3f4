//! What compression allocates and holds: next to nothing between messages.

use allocation_counter::{AllocationInfo, measure};
use sansocket_mio::deflate::{Compress, Policy, Pool};
use sansocket_mio::{Common, Driver, Event, Limits, Settings};
use sansocket_testkit::{BINARY, Frame};

use crate::compression::{compressing, open, scrambled};
use crate::fake::{Coming, Fake, Rig};
use crate::peer::{Peer, RSV1};

/// A turn that echoes what comes and keeps no record.
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
            Event::End(_) => {}
            event => panic!("{event:?}"),
        }
    }
}

/// What this packet's turns allocate. What the fake does with its own memory does not count.
fn measured(rig: &mut Rig, packet: Vec<u8>) -> AllocationInfo {
    rig.stream().written.clear();
    rig.stream().written.reserve(1 << 20);
    let packet = packet.into_boxed_slice().into_vec();
    let len = i64::try_from(packet.len()).unwrap();
    rig.stream().push(Coming::Bytes(packet));
    let mut info = measure(|| {
        turn(&mut rig.driver, &mut rig.common, &mut rig.buffer);
        // A turn inflates so much and no more.
        while rig.driver.wants_turn() {
            turn(&mut rig.driver, &mut rig.common, &mut rig.buffer);
        }
    });
    info.bytes_current += len;
    info
}

/// An echo of a message, packed by `peer`.
fn echo(rig: &mut Rig, peer: &mut Peer, payload: &[u8]) -> AllocationInfo {
    peer.send(payload, Compress::Always);
    let info = measured(rig, peer.take());
    assert_eq!(rig.driver.queued(), 0);
    info
}

#[test]
fn an_echoed_message_costs_one_allocation_without_references_to_earlier_ones_and_none_with_them() {
    for (policy, expected) in [(Policy::DEFAULT, 1), (Policy::TAKEOVER, 0)] {
        for payload in [vec![7; 256], vec![7; 4096], scrambled(4096), vec![7; 16 << 10], vec![7; 60_000]] {
            let (mut rig, mut peer) = open(compressing(policy), &[policy]);
            for _ in 0..3 {
                echo(&mut rig, &mut peer, &payload);
            }
            for _ in 0..5 {
                let info = echo(&mut rig, &mut peer, &payload);
                // What only few connections need at a time, a compressed message among it, is not kept for them.
                assert_eq!(info.count_total, expected, "{} bytes: {info:?}", payload.len());
                assert_eq!(info.bytes_current, 0, "nothing stays behind");
            }
        }
    }
}

#[test]
fn many_messages_in_one_read_cost_one_allocation_together() {
    let (mut rig, mut peer) = open(compressing(Policy::DEFAULT), &[Policy::DEFAULT]);
    for round in 0..5 {
        for _ in 0..100 {
            peer.send(&[7; 1000], Compress::Always);
        }
        let info = measured(&mut rig, peer.take());
        assert!(info.count_total == 1 || round < 2, "{info:?}");
    }
}

#[test]
fn an_idle_connection_holds_nothing_unless_messages_refer_to_earlier_ones() {
    for (policy, kept) in [(Policy::DEFAULT, 0..1), (Policy::TAKEOVER, 200 << 10..600 << 10)] {
        let (mut rig, mut peer) = open(compressing(policy), &[policy]);
        // What all connections share is warm.
        let (mut other, mut other_peer) = open(compressing(policy), &[policy]);
        echo(&mut other, &mut other_peer, &[7; 5000]);
        rig.common = other.common;
        let held: i64 = (0..3).map(|_| echo(&mut rig, &mut peer, &[7; 5000]).bytes_current).sum();
        assert!(kept.contains(&held), "{held} bytes");
    }
}

#[test]
fn what_has_come_of_a_message_that_is_too_long_is_not_held_until_the_socket_ends() {
    const LIMIT: usize = 4 << 20;
    let limits = Limits { message: LIMIT as u64, ..Limits::DEFAULT };
    let (mut rig, mut peer) = open(Settings { limits, ..compressing(Policy::DEFAULT) }, &[Policy::DEFAULT]);
    let compressed = peer.compressed(&vec![0; LIMIT + 1]);
    peer.frame(Frame::new(BINARY, compressed).reserved(RSV1));
    let packet = peer.take();
    assert!(packet.len() < LIMIT / 400);
    let info = measured(&mut rig, packet);
    assert!(info.bytes_max >= LIMIT as u64, "{info:?}");
    // What is left is what all connections share.
    assert!(info.bytes_current < 100 << 10, "{info:?}");
    assert!(!rig.driver.is_finished(), "the peer may take its time to go");
}

#[test]
fn a_pool_serves_several_loops_and_keeps_no_more_than_it_is_told_to() {
    let pool = Pool::default();
    let mut ends: Vec<_> = (0..3)
        .map(|_| {
            let (mut rig, peer) = open(compressing(Policy::DEFAULT), &[Policy::DEFAULT]);
            rig.common.set_pool(pool.clone());
            (rig, peer)
        })
        .collect();
    let mut taken = Vec::new();
    for (rig, peer) in &mut ends {
        taken.push(echo(rig, peer, &[7; 5000]).bytes_current);
        assert_eq!(pool.lent(), (0, 0));
    }
    // A decompressor and a compressor for the first; a scratch and an output for each.
    assert!(taken[0] > 200 << 10 && taken[1] < 50 << 10 && taken[2] < 50 << 10, "{taken:?}");
}
