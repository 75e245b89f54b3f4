//! The conversations, compressed: with and without messages that refer to earlier ones.

use sansocket_testkit::Side;
use sansocket_tokio::Negotiated;
use sansocket_tokio::deflate::{Parameters, Window, WindowBits};

use crate::conversation::{Hear, How, Line, Place, give_up_at_each_wait, script};
use crate::{halves, whole};

const HEARS: [Hear; 3] = [Hear::Lent, Hear::Owned, Hear::Pieces];

fn place(capacities: (usize, usize), turns: &[usize], takeover: bool) -> Place {
    let window = Window { bits: WindowBits::MAX, takeover };
    let negotiated = Negotiated::new(Some(Parameters { server: window, client: window }));
    Place { negotiated, ..Place::new(capacities, turns, 1000) }
}

fn short() -> Vec<Line> {
    let hows = [How::QueueCompressed, How::SendCompressed, How::Send, How::PartsCompressed(50)];
    script(&[0, 1, 125, 126, 300], &hows, &HEARS)
}

fn long() -> Vec<Line> {
    let hows = [How::QueueCompressed, How::SendCompressed, How::PartsCompressed(60_000), How::Queue];
    script(&[65_537, 10, 200 * 1024], &hows, &HEARS)
}

#[test]
fn short_messages_are_whole_whichever_wait_is_given_up() {
    let (script, turns) = (short(), [50, 0, 300, 0, 0, 100]);
    let alone = place((300, 150), &turns, false);
    give_up_at_each_wait(|cuts| whole::hold(&alone, &script, whole::CLOSINGS[1], cuts));
    let taking_over = place((100, 40), &turns, true);
    give_up_at_each_wait(|cuts| halves::hold(&taking_over, &script, Side::Server, cuts));
}

#[test]
fn long_messages_are_whole_whichever_wait_is_given_up() {
    let (place, script) = (place((100_000, 150_000), &[], true), long());
    give_up_at_each_wait(|cuts| whole::hold(&place, &script, whole::CLOSINGS[2], cuts));
    give_up_at_each_wait(|cuts| halves::hold(&place, &script, Side::Client, cuts));
}
