//! Compression changes what is on the wire and nothing else.

use std::mem;

use proptest::collection::vec;
use proptest::prelude::*;
use sansocket_mio::deflate::{Compress, Policy};
use sansocket_mio::{CloseCode, Kind, Settings};

use crate::compression::{POLICIES, compressing, open, open_client, scrambled, talk};
use crate::fake::{Going, Heard};
use crate::peer::Got;
use crate::properties::{Step, cut, going, settings, step};

/// What a peer does.
#[derive(Clone, Debug)]
enum Act {
    /// A message, cut into parts at these places, with a ping behind each of them or not.
    Message {
        kind: Kind,
        len: usize,
        is_noise: bool,
        cuts: Vec<usize>,
        pings: bool,
        choice: Compress,
    },
    Ping(usize),
}

impl Act {
    fn payload(kind: Kind, len: usize, is_noise: bool) -> Vec<u8> {
        match kind {
            Kind::Binary if is_noise => scrambled(len),
            Kind::Binary => vec![7; len],
            Kind::Text if is_noise => scrambled(len)
                .into_iter()
                .map(|byte| char::from_u32(u32::from(byte) * 81 + 1).unwrap_or('ß'))
                .collect::<String>()
                .into_bytes(),
            Kind::Text => "aß水🍌".repeat(len.div_ceil(10)).into_bytes(),
        }
    }
}

fn choice() -> impl Strategy<Value = Compress> {
    prop_oneof![Just(Compress::Auto), Just(Compress::Always), Just(Compress::Never)]
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![Just(Kind::Text), Just(Kind::Binary)];
    let len = prop_oneof![8 => 0..1000_usize, 4 => 4000..20_000_usize, 1 => 20_000..150_000_usize];
    let message = (kind, len, any::<bool>(), vec(any::<usize>(), 0..4), any::<bool>(), choice());
    prop_oneof![
        4 => message.prop_map(|(kind, len, is_noise, cuts, pings, choice)| {
            Act::Message { kind, len, is_noise, cuts, pings, choice }
        }),
        1 => (0..=125_usize).prop_map(Act::Ping),
    ]
}

/// What both ends hear in a run of the program.
fn run(
    acts: &[Act],
    settings: Settings,
    theirs: Option<Policy>,
    is_client: bool,
    steps: &[Step],
    goings: &[Going],
) -> (Vec<Heard>, Vec<Got>) {
    let (mut rig, mut peer) = match theirs {
        Some(policy) if is_client => open_client(settings, policy),
        policy => open(settings, policy.as_slice()),
    };
    for act in acts {
        let (kind, payload, cuts, pings, choice) = match act {
            Act::Ping(len) => {
                peer.ping(&vec![1; *len]);
                continue;
            }
            Act::Message { kind, len, is_noise, cuts, pings, choice } => {
                (*kind, Act::payload(*kind, *len, *is_noise), cuts, *pings, *choice)
            }
        };
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
        ends.sort_unstable();
        let mut start = 0;
        for &end in &ends {
            peer.send_part(kind, &payload[start..end], false, choice);
            if pings {
                peer.ping(b"in between");
            }
            start = end;
        }
        peer.send_part(kind, &payload[start..], true, choice);
    }
    peer.close(CloseCode::NORMAL);
    rig.stream().going.extend(goings);
    for coming in cut(&peer.take(), steps) {
        rig.stream().push(coming);
    }
    talk(&mut rig, &mut peer);
    assert_eq!((rig.stuck(), rig.driver.queued()), (None, 0));
    let got = peer.got.into_iter().map(|got| match got {
        Got::Compressed(kind, bytes) => Got::Message(kind, bytes),
        got => got,
    });
    (mem::take(&mut rig.heard), got.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_both_ends_hear_is_the_same_with_and_without_compression(
        acts in vec(act(), 0..8),
        steps in vec(step(), 1..12).prop_filter("some bytes", |steps| {
            steps.iter().any(|step| matches!(step, Step::Bytes(_)))
        }),
        goings in vec(going(), 0..40),
        settings in settings(),
        (ours, theirs) in (0..POLICIES.len(), 0..POLICIES.len()),
        is_client in any::<bool>(),
    ) {
        let (ours, theirs) = (POLICIES[ours], POLICIES[theirs]);
        let plain = run(&acts, settings, None, false, &steps, &goings);
        let with = Settings { compression: compressing(ours).compression, ..settings };
        let compressed = run(&acts, with, Some(theirs), is_client, &steps, &goings);
        prop_assert_eq!(plain.0.len(), compressed.0.len());
        prop_assert!(plain.0[..plain.0.len() - 1] == compressed.0[..plain.0.len() - 1]);
        prop_assert!(matches!(compressed.0.last(), Some(Heard::End(ending)) if ending.is_clean()));
        prop_assert!(plain.1 == compressed.1);
        // An echo of each, and a pong for each ping.
        let lens = |got: &Got| match got {
            Got::Message(_, bytes) | Got::Compressed(_, bytes) | Got::Pong(bytes) | Got::Ping(bytes) => bytes.len(),
        };
        let sent: usize = plain.0.iter().map(|heard| match heard {
            Heard::Message(_, bytes) | Heard::Ping(bytes) => bytes.len(),
            _ => 0,
        }).sum();
        prop_assert_eq!(compressed.1.iter().map(lens).sum::<usize>(), sent);
    }
}
