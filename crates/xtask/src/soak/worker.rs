//! The thread that all clients run on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::Result;
use mio::{Events, Poll, Token};

use super::session::Shared;
use super::slot::{Service, Slot};
use super::tally::{Percentiles, Tally};

/// How long it takes to open all connections for the first time.
const START: Duration = Duration::from_secs(3);

/// How often is told what has happened, and looked whether the server is silent.
const INTERVAL: Duration = Duration::from_secs(1);

/// What has happened in a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    /// Connections at its end.
    pub(super) connections: u64,
    /// Of the echoes in it, if there were any.
    pub(super) latencies: Option<Percentiles>,
}

pub(super) struct Worker {
    address: SocketAddr,
    seed: u64,
    count: usize,
    poll: Poll,
    buffer: Vec<u8>,
    shared: Shared,
}

impl Worker {
    pub(super) fn new(address: SocketAddr, seed: u64, count: usize) -> Result<Self> {
        Ok(Self { address, seed, count, poll: Poll::new()?, buffer: vec![0; 256 << 10], shared: Shared::new(seed) })
    }

    /// What has happened since this was called last.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.shared.tally)
    }

    /// Opens all connections, puts the load on the server for `time`, and closes all. Ends early if nobody listens.
    pub(super) fn run(&mut self, time: Duration, tell: &Sender<Interval>) -> Result<()> {
        let start = Instant::now();
        let mut slots: Vec<_> = (0..self.count)
            .map(|number| Slot::new(number, start + START * number as u32 / self.count as u32))
            .collect();
        let mut timers: BinaryHeap<_> =
            slots.iter().enumerate().map(|(number, slot)| Reverse((slot.due, number))).collect();
        let mut events = Events::with_capacity(1024);
        let mut next_interval = start + INTERVAL;
        let mut is_finishing = false;
        loop {
            let mut now = Instant::now();
            let next = timers.peek().and_then(|Reverse((due, _))| *due).unwrap_or(next_interval).min(next_interval);
            self.poll.poll(&mut events, Some(next.saturating_duration_since(now)))?;
            let mut service = Service {
                address: self.address,
                seed: self.seed,
                registry: self.poll.registry(),
                buffer: &mut self.buffer,
                shared: &mut self.shared,
                is_finishing,
            };
            let mut serve = |number: usize, service: &mut Service<'_>, work: &dyn Fn(&mut Slot, &mut Service<'_>)| {
                let slot = &mut slots[number];
                let before = slot.due;
                work(slot, service);
                (slot.due.is_some() && slot.due != before).then_some((slot.due, number))
            };
            for event in &events {
                let Token(number) = event.token();
                let due = serve(number, &mut service, &|slot, service| slot.turn(Instant::now(), service));
                timers.extend(due.map(Reverse));
            }
            now = Instant::now();
            while let Some(&Reverse((due, number))) = timers.peek()
                && due.is_some_and(|due| due <= now)
            {
                timers.pop();
                // One that was put off, or is over, has left its old time here.
                let due = serve(number, &mut service, &|slot, service| {
                    if slot.due == due {
                        slot.act(Instant::now(), service);
                    }
                });
                timers.extend(due.map(Reverse));
            }
            if now < next_interval {
                continue;
            }
            next_interval = now + INTERVAL;
            let finishes_now = !is_finishing && start + time <= now;
            is_finishing |= finishes_now;
            service.is_finishing = is_finishing;
            for number in 0..self.count {
                let due = serve(number, &mut service, &|slot, service| {
                    slot.look(now, service);
                    if finishes_now {
                        slot.finish_soon(now, service);
                    }
                });
                timers.extend(due.map(Reverse));
            }
            let tally = &mut self.shared.tally;
            let interval = Interval { connections: tally.taken, latencies: tally.latencies.recent() };
            let is_over = is_finishing && !slots.iter().any(Slot::is_taken);
            if tell.send(interval).is_err() || is_over {
                return Ok(());
            }
        }
    }
}
