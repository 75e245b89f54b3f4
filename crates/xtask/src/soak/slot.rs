//! A place for one connection after the other, all of one kind.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Registry, Token};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use sansocket::deflate::Policy;

use super::bundles::{content, flood, fragments, size};
use super::deaths::{self, Before, Death};
use super::kind::Kind;
use super::link::{Link, Progress, Stage, Then};
use super::session::Shared;
use super::{requests, violations};

/// How long the server may take for anything. More than it gives a handshake.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client is mute: longer than the server waits before it pings, for the pong, and for the end of the stream.
pub(super) const MUTE: Duration = Duration::from_secs(45);

/// How long a client that reads slowly waits before it reads once more.
const SIP_INTERVAL: Duration = Duration::from_millis(20);

/// What all places are served with.
pub(super) struct Service<'a> {
    pub(super) address: SocketAddr,
    pub(super) seed: u64,
    pub(super) registry: &'a Registry,
    pub(super) buffer: &'a mut [u8],
    pub(super) shared: &'a mut Shared,
    /// Whether no connection is to be opened any more, and those that have nothing to wait for are to be closed.
    pub(super) is_finishing: bool,
}

pub(super) struct Slot {
    kind: Kind,
    number: usize,
    /// Counts the connections on this place.
    generation: u32,
    /// What this connection does follows from it: from the seed, the place and the generation.
    random: Xoshiro256PlusPlus,
    link: Option<Link>,
    /// When something is to be done of our own accord.
    pub(super) due: Option<Instant>,
    /// When the last such thing was due, and until when the server has to have answered; none: it has.
    waits: Option<(Instant, Instant)>,
    /// How often something was done on this connection.
    acts: u32,
    /// What it counts as, when it has come to its end.
    end: (&'static str, &'static str),
}

impl Slot {
    pub(super) fn new(number: usize, due: Instant) -> Self {
        Self {
            kind: Kind::of(number),
            number,
            generation: 0,
            random: Xoshiro256PlusPlus::seed_from_u64(0),
            link: None,
            due: Some(due),
            waits: None,
            acts: 0,
            end: ("", ""),
        }
    }

    /// Whether there is a connection, of whatever state.
    pub(super) const fn is_taken(&self) -> bool {
        self.link.is_some()
    }

    /// The socket has got or taken something.
    pub(super) fn turn(&mut self, now: Instant, service: &mut Service<'_>) {
        if let Some(link) = &mut self.link {
            let turned = link.turn(service.buffer, &mut self.random, service.shared);
            self.settle(turned, now, service);
        }
    }

    /// What was due is done.
    pub(super) fn act(&mut self, now: Instant, service: &mut Service<'_>) {
        let due = self.due.take().unwrap_or(now);
        let acted = match &mut self.link {
            None if service.is_finishing => return,
            None => self.open(due, service),
            Some(link) if link.is_paused && self.kind == Kind::Mute => {
                link.is_paused = false;
                link.turn(service.buffer, &mut self.random, service.shared)
            }
            Some(link) if link.is_paused => {
                // As much as it would have read by now, were it not for all the others.
                let sips = 1 + (now - due).as_micros() / SIP_INTERVAL.as_micros();
                self.due = Some(now + SIP_INTERVAL);
                link.sip(sips, service.buffer, &mut self.random, service.shared)
            }
            Some(_) if self.waits.is_some() => return,
            Some(_) => {
                self.waits = Some((due, now + PATIENCE));
                let acted = if service.is_finishing { self.finish() } else { self.next(now, service) };
                acted.and_then(|()| self.link.as_mut().map_or(Ok(Progress::Over), Link::write))
            }
        };
        self.settle(acted, now, service);
    }

    /// Comes by now and then: whether the server lets us wait for too long.
    pub(super) fn look(&mut self, now: Instant, service: &mut Service<'_>) {
        if let (Some(link), Some((_, patience))) = (&self.link, self.waits)
            && patience.max(link.heard + PATIENCE) < now
        {
            let silence = format!("nothing came for {PATIENCE:?}, and awaited were {}", link.awaited());
            self.settle(Err(silence), now, service);
        }
    }

    /// No connection is to be opened any more: what waits long by itself goes at once, and what waits for nothing is closed.
    pub(super) fn finish_soon(&mut self, now: Instant, service: &mut Service<'_>) {
        if matches!(self.kind, Kind::HalfOpen | Kind::Mute) {
            self.leave(service);
        }
        match &self.link {
            None => self.due = None,
            Some(_) if self.waits.is_none() => self.due = Some(now),
            Some(_) => {}
        }
    }

    fn settle(&mut self, progress: Result<Progress, String>, now: Instant, service: &mut Service<'_>) {
        match progress {
            Ok(Progress::Waits) => {}
            Ok(Progress::Ready) => {
                let Some((due, _)) = self.waits.take() else { return };
                if self.kind == Kind::Echo && self.acts > 0 {
                    service.shared.tally.latencies.record(now - due);
                }
                if let Some(link) = &mut self.link {
                    link.is_paused = false;
                }
                self.due = if service.is_finishing { Some(now) } else { self.pause().map(|pause| now + pause) };
            }
            Ok(Progress::Over) => {
                let (group, name) = self.end;
                service.shared.tally.end(group, name);
                self.leave(service);
                self.due = self.pause().map(|pause| now + pause).filter(|_| !service.is_finishing);
            }
            Err(error) => {
                let Self { kind, number, generation, .. } = self;
                service.shared.tally.fault(format!("{kind:?}, connection {number}.{generation}: {error}"));
                self.leave(service);
                self.due = (!service.is_finishing).then(|| now + Duration::from_secs(1));
            }
        }
    }

    fn leave(&mut self, service: &mut Service<'_>) {
        if self.link.take().is_some() {
            service.shared.tally.taken -= 1;
        }
        self.waits = None;
        self.due = None;
    }

    /// How long it takes until something is done; none: until all is to be finished.
    fn pause(&mut self) -> Option<Duration> {
        let milliseconds = match self.kind {
            Kind::Idle => return None,
            Kind::Echo | Kind::Fragments | Kind::Compressed | Kind::Takeover => 500..1_500,
            Kind::Violation | Kind::Death | Kind::HalfOpen | Kind::BadRequest => 1_000..3_000,
            Kind::Flood => 2_000..6_000,
            Kind::Slow => 4_000..8_000,
            Kind::Churn | Kind::Mute => 500..1_000,
        };
        Some(Duration::from_millis(self.random.random_range(milliseconds)))
    }

    fn open(&mut self, due: Instant, service: &mut Service<'_>) -> Result<Progress, String> {
        self.generation += 1;
        let seed = service.seed ^ ((self.number as u64) << 32) ^ u64::from(self.generation);
        self.random = Xoshiro256PlusPlus::seed_from_u64(seed);
        self.acts = 0;
        self.waits = Some((due, due.max(Instant::now()) + PATIENCE));
        self.end = ("closed", "by the client");
        service.shared.tally.connections += 1;
        let mut link = self.link_of(service)?;
        link.register(service.registry, Token(self.number))?;
        service.shared.tally.taken += 1;
        self.link.insert(link).write()
    }

    fn link_of(&mut self, service: &Service<'_>) -> Result<Link, String> {
        let address = service.address;
        let part_of_a_head = |random: &mut Xoshiro256PlusPlus| {
            let mut head = requests::good();
            head.truncate(random.random_range(0..head.len() - 1));
            head
        };
        match self.kind {
            Kind::BadRequest => {
                let request = &requests::ALL[self.turn_of(requests::ALL.len())];
                self.end = ("refused", request.name);
                Link::raw(address, request.head(), request.status)
            }
            Kind::HalfOpen => {
                self.end = ("refused", "half a request, in time");
                Link::raw(address, part_of_a_head(&mut self.random), 408)
            }
            Kind::Death if matches!(self.death().before, Before::Handshake) => {
                let Death { name, then, .. } = self.death();
                self.end = ("died", name);
                let head = part_of_a_head(&mut self.random);
                // To nothing there is no answer.
                let status = (!head.is_empty()).then_some(400);
                let mut link = Link::raw(address, head, 400)?;
                link.then = Some(if *then == Then::Finish(None) { Then::Finish(status) } else { *then });
                Ok(link)
            }
            _ => {
                let offers: &[Policy] = match self.kind {
                    Kind::Takeover => &[Policy::TAKEOVER],
                    Kind::Compressed => &[Policy::DEFAULT],
                    Kind::Violation if self.violation().deflate => &[Policy::DEFAULT],
                    Kind::Death if self.random.random() => &[Policy::DEFAULT],
                    _ => &[],
                };
                let nonce = self.random.random();
                let link = Link::websocket(address, offers, self.number as u32, nonce)?;
                if self.kind == Kind::Slow {
                    link.hold_little()?;
                }
                Ok(link)
            }
        }
    }

    /// Which of so many ways this connection takes: each place takes all of them in turn.
    fn turn_of(&self, count: usize) -> usize {
        // Places of one kind are at many different distances, and so begin with different ones.
        (self.number / 7 + self.generation as usize) % count
    }

    fn violation(&self) -> &'static violations::Violation {
        &violations::ALL[self.turn_of(violations::ALL.len())]
    }

    fn death(&self) -> &'static Death {
        &deaths::ALL[self.turn_of(deaths::ALL.len())]
    }

    /// Closes the connection, if it can be.
    fn finish(&mut self) -> Result<(), String> {
        match &mut self.link {
            Some(Link { stage: Stage::Open(session), out, .. }) => session.close(Some(1000), out),
            _ => Ok(()),
        }
    }

    /// Sends what comes next, if the connection is open.
    fn next(&mut self, now: Instant, service: &mut Service<'_>) -> Result<(), String> {
        let (violation, death) = (self.violation(), self.death());
        let Self { kind, random, link: Some(link), acts, due, waits, end, .. } = self else { return Ok(()) };
        let Link { stage: Stage::Open(session), out, most, then, is_paused, .. } = link else { return Ok(()) };
        let shared = &mut *service.shared;
        let act = *acts;
        *acts += 1;
        match kind {
            Kind::Echo => session.send(content(random), size(random), None, shared, out),
            Kind::Flood => flood(session, random, shared, out),
            Kind::Slow => {
                *is_paused = true;
                *due = Some(now + Duration::from_millis(random.random_range(1_000..3_000)));
                (0..random.random_range(4..24)).try_for_each(|_| {
                    session.send(content(random), random.random_range(1 << 10..128 << 10), None, shared, out)
                })
            }
            Kind::Fragments => {
                *most = if random.random() { random.random_range(1..16) } else { usize::MAX };
                fragments(session, content(random), random.random_range(0..4_000), random, shared, out)
            }
            Kind::Compressed | Kind::Takeover => {
                let (content, size) = (content(random), size(random).min(128 << 10));
                if random.random() {
                    session.send(content, size, None, shared, out)
                } else {
                    fragments(session, content, size.min(4_000), random, shared, out)
                }
            }
            Kind::Violation | Kind::Death | Kind::Churn if act == 0 => {
                session.send(content(random), random.random_range(0..1_000), None, shared, out)
            }
            Kind::Violation => {
                *end = ("violation", violation.name);
                session.provoke(violation.code);
                out.extend_from_slice(&violation.bytes());
                Ok(())
            }
            Kind::Death => {
                *end = ("died", death.name);
                *then = Some(death.then);
                match death.before {
                    Before::Handshake | Before::Nothing => Ok(()),
                    Before::HalfAMessage => session.send_torso(shared, out),
                    Before::HalfAFrame => {
                        let frame = violations::frame(0x82, &[b'x'; 1_000]);
                        out.extend_from_slice(&frame[..random.random_range(1..frame.len())]);
                        Ok(())
                    }
                    Before::Messages => (0..random.random_range(1..10)).try_for_each(|_| {
                        session.send(content(random), random.random_range(1 << 10..100 << 10), None, shared, out)
                    }),
                }
            }
            Kind::Churn => {
                let codes = [None, Some(1000), Some(1001), Some(3000), Some(4999)];
                session.close(codes[random.random_range(0..codes.len())], out)
            }
            Kind::Mute => {
                *end = ("violation", "no pong");
                *is_paused = true;
                *due = Some(now + MUTE);
                *waits = Some((now, now + MUTE + PATIENCE));
                session.provoke(violations::SILENCE);
                Ok(())
            }
            Kind::Idle | Kind::HalfOpen | Kind::BadRequest => Ok(()),
        }
    }
}
