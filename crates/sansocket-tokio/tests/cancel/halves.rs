//! Both peers have split their connections, and all four halves are polled by tasks of their own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use proptest::prelude::*;
use sansocket_testkit::Side;
#[cfg(feature = "deflate")]
use sansocket_tokio::deflate::Compress;
use sansocket_tokio::{CloseCode, Error, Kind, OwnedMessage, Prepared, Reader, Writer};

use crate::conversation::{Hear, How, Line, Place, check_wire, give_up_at_each_wait, script};
use crate::tasks::{Cuts, run};
use crate::wire::End;

/// How many have heard all that is to be said: a Close sent before would cut the others short.
#[derive(Default)]
struct Heard(RefCell<(usize, Option<Waker>)>);

impl Heard {
    fn add(&self) {
        let (count, waker) = &mut *self.0.borrow_mut();
        *count += 1;
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }

    async fn both(&self) {
        poll_fn(|cx| match &mut *self.0.borrow_mut() {
            (2, _) => Poll::Ready(()),
            (_, waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }
}

async fn speak(writer: &mut Writer<End>, side: Side, script: &[Line], closer: Side, heard: &Heard, cuts: &Cuts) {
    for line in script.iter().filter(|line| line.by == side) {
        say!(writer, line, cuts);
    }
    if side == closer {
        heard.both().await;
        once!(cuts, writer.start_close(CloseCode::NORMAL, "done"));
        assert!(!writer.may_send());
    }
}

async fn listen(reader: &mut Reader<End>, side: Side, script: &[Line], closer: Side, heard: &Heard, cuts: &Cuts) {
    for line in script.iter().filter(|line| line.by != side) {
        assert!(hear!(reader, line.hear, cuts).as_ref() == Some(&line.message), "{side:?}: {:?}", line.how);
    }
    heard.add();
    assert!(hear!(reader, Hear::Pieces, cuts).is_none(), "{side:?}: nothing more was said");
    let ending = reader.ending().unwrap();
    assert!(ending.is_clean() && ending.code() == 1000, "{ending}");
    let reason = if closer == side { "" } else { "done" };
    assert_eq!(reader.peer_close(), Some((Some(CloseCode::NORMAL), reason.to_owned())));
}

pub(crate) fn hold(place: &Place, script: &[Line], closer: Side, cuts: [Cuts; 2]) {
    let (sides, hands) = place.open();
    let [(mut client_reader, mut client_writer), (mut server_reader, mut server_writer)] = sides.map(|ws| ws.split());
    let heard = Heard::default();
    run(vec![
        Box::pin(speak(&mut client_writer, Side::Client, script, closer, &heard, &cuts[0])),
        Box::pin(listen(&mut client_reader, Side::Client, script, closer, &heard, &cuts[0])),
        Box::pin(speak(&mut server_writer, Side::Server, script, closer, &heard, &cuts[1])),
        Box::pin(listen(&mut server_reader, Side::Server, script, closer, &heard, &cuts[1])),
    ]);
    assert_eq!((client_writer.queued(), server_writer.queued()), (0, 0));
    check_wire(script, &hands);
}

const HOWS: [How; 4] = [How::Queue, How::Send, How::Parts(50), How::Prepared];
const HEARS: [Hear; 3] = [Hear::Lent, Hear::Owned, Hear::Pieces];

#[test]
fn short_messages_are_whole_whichever_wait_is_given_up() {
    let script = script(&[0, 1, 125, 126, 300], &HOWS, &HEARS);
    for (turns, buffer, closer) in [(&[][..], 1 << 14, Side::Client), (&[1, 0, 30, 0, 0, 100], 90, Side::Server)] {
        let place = Place::new((100, 40), turns, buffer);
        give_up_at_each_wait(|cuts| hold(&place, &script, closer, cuts));
    }
}

#[test]
fn long_messages_are_whole_whichever_wait_is_given_up() {
    let hows = [How::Queue, How::Send, How::Parts(60_000), How::Prepared];
    let script = script(&[65_537, 10, 200 * 1024], &hows, &HEARS);
    for (is_vectored, closer) in [(false, Side::Server), (true, Side::Client)] {
        let place = Place { is_vectored, ..Place::new((50_000, 70_000), &[100_000, 0, 1], 1 << 14) };
        give_up_at_each_wait(|cuts| hold(&place, &script, closer, cuts));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_are_whole_whichever_waits_both_give_up(
        capacities in (1_usize..400, 1_usize..400),
        turns in prop::collection::vec(prop_oneof![0_usize..4, 1_usize..200], 0..6),
        buffer in prop_oneof![1_usize..20, 20_usize..500],
        closer in prop::sample::select(&[Side::Client, Side::Server][..]),
        is_vectored in any::<bool>(),
        cuts in prop::array::uniform2(prop::collection::vec(any::<bool>(), 1..9)),
    ) {
        let script = script(&[0, 1, 125, 126, 300], &HOWS, &HEARS);
        let place = Place { is_vectored, ..Place::new(capacities, &[&turns[..], &[7]].concat(), buffer) };
        let cuts = cuts.map(|cuts| Cuts::new(move |wait| cuts.get(wait % (cuts.len() + 1)) == Some(&true)));
        hold(&place, &script, closer, cuts);
    }
}
