//! The driver over transports that delay, split and interrupt, and that break at every byte and at every call.

mod faulty;
#[cfg(feature = "tls")]
mod tls;

use proptest::prelude::*;
use sansocket_testkit::Side;
use sansocket_testkit::conversation::Conversation;
use sansocket_testkit::cuts::{self, Manner as _};
use sansocket_testkit::faults::{Program, Turn};

use crate::faulty::Manner;

#[test]
fn a_transport_that_ends_or_fails_behind_any_byte_received_is_told_once() {
    cuts::at_each_byte_received::<Manner>();
}

#[test]
fn a_transport_that_fails_behind_any_byte_sent_is_told_once() {
    cuts::at_each_byte_sent::<Manner>();
}

#[test]
fn a_call_that_fails_is_told_once_whichever_it_is() {
    cuts::at_each_call::<Manner>();
}

/// Turns that lose nothing, not all of which put a call off.
fn turns() -> impl Strategy<Value = [Vec<Turn>; 4]> {
    let turn = prop_oneof![
        3 => (1_usize..40).prop_map(Turn::UpTo),
        2 => (40_usize..3000).prop_map(Turn::UpTo),
        1 => Just(Turn::UpTo(usize::MAX)),
        2 => Just(Turn::Later),
        1 => Just(Turn::Interrupted),
    ];
    let some = || {
        prop::collection::vec(turn.clone(), 0..8).prop_map(|mut turns| {
            // Two: the end of TLS is flushed twice, and who puts off each second flush would never have it.
            turns.extend([Turn::UpTo(1000); 2]);
            turns
        })
    };
    [some(), some(), some(), some()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delays_splits_and_interruptions_change_nothing(
        turns in turns(),
        is_server: bool,
        longest in prop_oneof![Just(600_usize), Just(5000), Just(70_000)],
        buffer in prop_oneof![Just(430_usize), Just(700), Just(16 << 10)],
        vectored: bool,
        whole in prop_oneof![Just(usize::MAX), Just(150)],
        closes: bool,
    ) {
        let conversation = Conversation::new(Side::BOTH[usize::from(is_server)], longest, Manner::COMPRESSES);
        let manner = Manner { buffer, vectored, whole, closes };
        let without = manner.run_whole(&conversation);
        let story = manner.run(&conversation, &Program { turns, cut: None });
        story.expect_same(&without, &conversation);
    }
}
