//! Which connection's deadline comes next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sansocket::Time;

/// How many bits of an entry are the connection's index.
const INDEX_BITS: u32 = 24;

/// The most connections that a loop can have.
pub(crate) const MOST_CONNECTIONS: usize = 1 << INDEX_BITS;

/// How many ticks lie between now and the farthest deadline that is scheduled: 12 days.
const FARTHEST: u64 = 1 << 30;

/// Deadlines in order, one word each.
///
/// A deadline that moves away, as each byte from a peer makes it do, is left where it is: when it comes, the connection is asked again. Only
/// one that moves nearer gets an entry of its own.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// A tick, and in the lowest bits an index.
    entries: BinaryHeap<Reverse<u64>>,
}

/// The entry of one connection that counts: the tick's lowest 32 bits. Older ones are void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheduled(u32);

impl Scheduled {
    pub(crate) const NEVER: Self = Self(u32::MAX);

    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits")]
    const fn at(tick: u64) -> Self {
        Self(tick as u32)
    }
}

/// Milliseconds, rounded up: nothing is done early.
const fn tick(time: Time) -> u64 {
    time.as_nanos().div_ceil(1_000_000)
}

impl Timers {
    pub(crate) fn with_capacity(connections: usize) -> Self {
        Self { entries: BinaryHeap::with_capacity(connections) }
    }

    /// Sees to it that connection `index` is asked at `due`, or before.
    pub(crate) fn schedule(&mut self, index: usize, now: Time, due: Time, scheduled: &mut Scheduled) {
        // Who has a deadline far away is asked before, in vain.
        let mut tick = tick(due).min(tick(now) + FARTHEST);
        if Scheduled::at(tick) == Scheduled::NEVER {
            tick += 1;
        }
        let new = Scheduled::at(tick);
        // Ticks are compared as numbers on a circle, of which those that are scheduled span less than a half.
        let is_nearer = new.0.wrapping_sub(scheduled.0) > u32::MAX / 2;
        if *scheduled == Scheduled::NEVER || is_nearer {
            *scheduled = new;
            self.entries.push(Reverse(tick << INDEX_BITS | index as u64));
        }
    }

    /// When to ask next.
    pub(crate) fn next(&self) -> Option<Time> {
        self.entries.peek().map(|Reverse(entry)| Time::from_nanos((entry >> INDEX_BITS).saturating_mul(1_000_000)))
    }

    /// A connection to be asked at `now`, and the entry that says so.
    pub(crate) fn pop(&mut self, now: Time) -> Option<(usize, Scheduled)> {
        let Reverse(entry) = *self.entries.peek()?;
        if entry >> INDEX_BITS > now.as_nanos() / 1_000_000 {
            return None;
        }
        self.entries.pop();
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits")]
        Some((entry as usize & (MOST_CONNECTIONS - 1), Scheduled::at(entry >> INDEX_BITS)))
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
