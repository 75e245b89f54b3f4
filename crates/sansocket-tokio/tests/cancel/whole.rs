//! Both peers have a connection in one piece, and take turns.

use proptest::prelude::*;
use sansocket_testkit::Side;
#[cfg(feature = "deflate")]
use sansocket_tokio::deflate::Compress;
use sansocket_tokio::{CloseCode, EndedBy, Error, Kind, OwnedMessage, Prepared, WebSocket};

use crate::conversation::{Hear, How, Line, Place, check_wire, give_up_at_each_wait, script};
use crate::tasks::{Cuts, Task, run};
use crate::wire::End;

/// How a connection is closed, and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    by: Side,
    /// By `start_close`, and reading what comes then; else by `close`.
    is_started: bool,
}

async fn talk(ws: &mut WebSocket<End>, side: Side, script: &[Line], closing: Closing, cuts: &Cuts) {
    for line in script {
        if line.by == side {
            say!(ws, line, cuts);
        } else if line.hear == Hear::Echo {
            let heard = repeat!(cuts, async {
                let Some((message, mut replies)) = ws.read_to_reply().await? else { return Ok(None) };
                replies.queue(message)?;
                Ok::<_, Error>(Some(message.to_owned()))
            });
            assert!(heard.as_ref() == Some(&line.message), "{side:?}: {:?}", line.how);
        } else {
            assert!(hear!(ws, line.hear, cuts).as_ref() == Some(&line.message), "{side:?}: {:?}", line.how);
        }
        if line.by == side && line.hear == Hear::Echo {
            assert!(hear!(ws, Hear::Owned, cuts).as_ref() == Some(&line.message), "{side:?}: the echo");
        }
    }
    if closing.by == side && closing.is_started {
        once!(cuts, ws.start_close(CloseCode::NORMAL, "done"));
    } else if closing.by == side {
        repeat!(cuts, ws.close(CloseCode::NORMAL, "done"));
    }
    for hear in [Hear::Lent, Hear::Owned, Hear::Pieces] {
        assert!(hear!(ws, hear, cuts).is_none(), "{side:?}: nothing more was said");
    }
    let ending = ws.ending().unwrap();
    assert!(ending.is_clean() && ending.code() == 1000, "{side:?}: {ending}");
    assert_eq!(ending.by(), if closing.by == side { EndedBy::Local } else { EndedBy::Peer });
    assert_eq!(ws.peer_close().unwrap().reason(), if closing.by == side { "" } else { "done" });
    assert_eq!(ws.queued(), 0);
}

pub(crate) fn hold(place: &Place, script: &[Line], closing: Closing, cuts: [Cuts; 2]) {
    let ([mut client, mut server], hands) = place.open();
    let client: Task<'_> = Box::pin(async {
        talk(&mut client, Side::Client, script, closing, &cuts[0]).await;
        drop(client);
    });
    let server: Task<'_> = Box::pin(async {
        talk(&mut server, Side::Server, script, closing, &cuts[1]).await;
        drop(server);
    });
    run(vec![client, server]);
    check_wire(script, &hands);
}

pub(crate) const CLOSINGS: [Closing; 4] = [
    Closing { by: Side::Client, is_started: true },
    Closing { by: Side::Client, is_started: false },
    Closing { by: Side::Server, is_started: true },
    Closing { by: Side::Server, is_started: false },
];

const HOWS: [How; 4] = [How::Queue, How::Send, How::Parts(50), How::Prepared];
const HEARS: [Hear; 5] = [Hear::Lent, Hear::Owned, Hear::Pieces, Hear::Echo, Hear::Echo];

/// What fits a buffer.
fn short() -> Vec<Line> {
    script(&[0, 1, 125, 126, 300], &HOWS, &HEARS)
}

/// What goes in frames.
fn long() -> Vec<Line> {
    let hows = [How::Queue, How::Send, How::Parts(60_000), How::Prepared];
    script(&[65_537, 10, 200 * 1024], &hows, &HEARS)
}

#[test]
fn short_messages_are_whole_whichever_wait_is_given_up() {
    let script = short();
    for (at, closing) in CLOSINGS.into_iter().enumerate() {
        // With the second of these, there is a wait wherever there may be one.
        let (capacity, turns, buffer) = [(100, &[][..], 1 << 14), (300, &[50, 0, 300, 0, 0, 100], 90)][at % 2];
        let place = Place::new((capacity, capacity / 2), turns, buffer);
        give_up_at_each_wait(|cuts| hold(&place, &script, closing, cuts));
    }
}

#[test]
fn long_messages_are_whole_whichever_wait_is_given_up() {
    for is_vectored in [false, true] {
        let place = Place { is_vectored, ..Place::new((50_000, 70_000), &[100_000, 0, 1], 1 << 14) };
        let script = long();
        give_up_at_each_wait(|cuts| hold(&place, &script, CLOSINGS[usize::from(is_vectored)], cuts));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_are_whole_whichever_waits_both_give_up(
        capacities in (1_usize..400, 1_usize..400),
        turns in prop::collection::vec(prop_oneof![0_usize..4, 1_usize..200], 0..6),
        buffer in prop_oneof![1_usize..20, 20_usize..500],
        closing in prop::sample::select(&CLOSINGS[..]),
        is_vectored in any::<bool>(),
        // Waits that are given up, again and again.
        cuts in prop::array::uniform2(prop::collection::vec(any::<bool>(), 1..9)),
        pair in (0_usize..500, 0_usize..500),
        is_pair in any::<bool>(),
    ) {
        // At some time the stream gives something, and some waits are waited for.
        let place = Place { is_vectored, ..Place::new(capacities, &[&turns[..], &[7]].concat(), buffer) };
        let cuts = if is_pair {
            [pair.0, pair.1].map(|at| Cuts::new(move |wait| wait == at))
        } else {
            cuts.map(|cuts| Cuts::new(move |wait| cuts.get(wait % (cuts.len() + 1)) == Some(&true)))
        };
        hold(&place, &short(), closing, cuts);
    }
}
