//! The connections, and the loop that they are on.

use std::io;
use std::mem;
use std::time::Duration;

use anyhow::bail;
use mio::{Events, Poll, Token};
use sansocket_mio::{ClientRequest, Common, Driver, Limits, Settings, Stream, Time, Timeouts, Turn};

use super::tally::{Progress, Tally};
use super::target::Target;

/// How many connections are being opened at once. A listener's backlog has room for 128, often for more.
const AT_ONCE: usize = 64;

/// After so many failures to connect, and no success between, no more is tried.
const FAILURES: usize = 64;

/// How many connections send their first messages before those that have sent are looked after.
const STARTED: usize = 64;

/// How long the next echo is waited for, after the time is over.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the server may take to answer our Closes.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// A message of 64 KiB fits, header and all.
const READ_BUFFER: usize = 64 * 1024 + 64;

const EVENTS: usize = 1024;

/// All connections of a run.
pub(super) struct Clients<S: Stream> {
    poll: Poll,
    events: Events,
    common: Common,
    buffer: Box<[u8]>,
    /// By their tokens. `None`: it is gone.
    clients: Vec<Option<Client<S>>>,
    /// Those that are not.
    living: usize,
    /// Those that may be read from without a further event.
    ready: Vec<usize>,
    /// Room for a list of those who have their turns.
    round: Vec<usize>,
    /// When to look at deadlines next.
    sweep: Time,
    most: usize,
    tally: Tally,
}

struct Client<S: Stream> {
    driver: Driver<S>,
    progress: Progress,
    /// Whether it is on the list of those that are ready.
    is_ready: bool,
}

impl<S: Stream> Clients<S> {
    /// For up to so many connections.
    pub(super) fn new(tally: Tally, most: usize) -> io::Result<Self> {
        let settings = Settings {
            limits: Limits { message: Limits::DEFAULT.message.max(tally.message_size() as u64), ..Limits::DEFAULT },
            // Nothing but messages goes over the wire.
            timeouts: Timeouts { ping: None, ..Timeouts::DEFAULT },
            // A client that does not read while its server does not take more, and a server that does the same, wait for each other. How
            // much is sent is bounded by the messages in flight, and by what the tally lets wait.
            high_mark: usize::MAX,
            queue: usize::MAX,
            ..Settings::DEFAULT
        };
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            common: Common::new(settings),
            buffer: vec![0; READ_BUFFER].into(),
            clients: Vec::new(),
            living: 0,
            ready: Vec::new(),
            round: Vec::new(),
            sweep: Time::default(),
            most,
            tally,
        })
    }

    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Opens the connections, and says how long that has taken. Those that could not be opened are counted; it is an error if there is
    /// no descriptor for another one.
    pub(super) fn open(
        &mut self,
        target: &mut Target,
        dial: impl Fn(&mut Target) -> io::Result<S>,
        request: &ClientRequest<'_>,
    ) -> anyhow::Result<Duration> {
        self.common.look_at_clock();
        let start = self.common.now();
        loop {
            while self.clients.len() < self.most && self.tally.connecting < AT_ONCE {
                let number = self.clients.len();
                if self.tally.failed_in_a_row >= FAILURES {
                    let left = self.most - number;
                    let error = format_args!("{left} connections are not tried, after {FAILURES} failures in a row");
                    self.tally.errors.tell(left as u64, error);
                    self.most = number;
                    break;
                }
                let stream = match dial(target) {
                    Ok(stream) => stream,
                    Err(error) => {
                        if let Some(why) = target.explain_exhaustion(&error) {
                            bail!("cannot open connection {} of {}: {why}", number + 1, self.most);
                        }
                        self.clients.push(None);
                        self.tally.not_opened(number, &error.to_string());
                        continue;
                    }
                };
                let mut driver = Driver::client(stream, request, &self.common)?;
                self.poll.registry().register(driver.stream_mut(), Token(number), Driver::<S>::INTEREST)?;
                self.clients.push(Some(Client { driver, progress: Progress::new(number), is_ready: false }));
                self.living += 1;
                self.tally.connecting += 1;
            }
            if self.tally.connecting == 0 {
                return Ok(self.common.now().since(start));
            }
            self.round(self.sweep)?;
        }
    }

    /// Lets messages go around for that long, waits for the last ones, and says how long it was.
    pub(super) fn measure(&mut self, duration: Duration) -> io::Result<Duration> {
        self.common.look_at_clock();
        let start = self.common.now();
        let end = start.after(duration);
        self.tally.end = Some(end);
        let mut starting = 0..self.clients.len();
        while self.common.now() < end && self.tally.open > 0 {
            starting.by_ref().take(STARTED).for_each(|number| self.turn(number, |_| {}));
            self.round(if starting.is_empty() { end } else { self.common.now() })?;
        }
        let elapsed = self.common.now().min(end).since(start);

        while self.tally.on_the_way > 0 {
            let patience = self.tally.last_echo.max(end).after(PATIENCE);
            if self.common.now() >= patience {
                break;
            }
            self.round(patience)?;
        }
        for client in self.clients.iter().flatten() {
            self.tally.give_up(&client.progress);
        }
        Ok(elapsed)
    }

    /// Closes all connections, and waits for the server to do so.
    pub(super) fn close(&mut self) -> io::Result<()> {
        for client in &mut self.clients {
            match client {
                Some(Client { driver, progress, .. }) if driver.may_send() || progress.is_ending() => {
                    self.tally.close(&mut driver.turn(&mut self.common), progress);
                }
                Some(_) => {
                    // Its opening is under way, or it ends already.
                    *client = None;
                    self.living -= 1;
                }
                None => {}
            }
        }
        self.common.look_at_clock();
        let end = self.common.now().after(FAREWELL);
        while self.living > 0 && self.common.now() < end {
            self.round(end)?;
        }
        match self.tally.closing {
            0 => {}
            // That is no fault of an echo.
            unanswered => eprintln!("sansocket: connections whose Close was not answered: {unanswered}"),
        }
        Ok(())
    }

    /// Waits for events, but not beyond `until`, and does all that is to be done then.
    fn round(&mut self, until: Time) -> io::Result<()> {
        let wait = match &self.ready[..] {
            [] => until.min(self.sweep).since(self.common.now()),
            _ => Duration::ZERO,
        };
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        self.common.look_at_clock();
        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let read_closed = event.is_read_closed() || event.is_error();
            self.turn(event.token().0, |turn| {
                if event.is_writable() {
                    turn.on_writable();
                }
                if event.is_readable() || read_closed {
                    turn.on_readable(read_closed);
                }
            });
        }
        self.events = events;

        mem::swap(&mut self.ready, &mut self.round);
        for index in 0..self.round.len() {
            let number = self.round[index];
            if let Some(client) = &mut self.clients[number] {
                client.is_ready = false;
                self.turn(number, |_| {});
            }
        }
        self.round.clear();

        if self.sweep <= self.common.now() {
            self.sweep = self.common.now().after(SWEEP);
            self.look_at_deadlines();
        }
        Ok(())
    }

    fn look_at_deadlines(&mut self) {
        let now = self.common.now();
        for number in 0..self.clients.len() {
            let Some(client) = &mut self.clients[number] else { continue };
            if client.driver.deadline(&self.common).is_some_and(|due| due <= now) {
                self.turn(number, |turn| turn.on_deadline());
            }
        }
    }

    /// A connection's turn, if it is not gone.
    fn turn(&mut self, number: usize, begin: impl FnOnce(&mut Turn<'_, S>)) {
        let Self { poll, common, buffer, clients, living, ready, tally, .. } = self;
        let Some(Client { driver, progress, is_ready }) = &mut clients[number] else { return };
        // Once for all that has come: this is when it was there, and when what is sent now leaves.
        common.look_at_clock();
        let now = common.now();
        let mut turn = driver.turn(common);
        begin(&mut turn);
        let input = if turn.driver().may_read() { turn.read(buffer) } else { &mut [] };
        tally.serve(&mut turn, progress, input, now);
        drop(turn);
        if driver.is_finished() {
            // The end may have come with what was written.
            tally.serve(&mut driver.turn(common), progress, &mut [], now);
            // It is dropped with the stream anyway.
            let _ = poll.registry().deregister(driver.stream_mut());
            clients[number] = None;
            *living -= 1;
        } else if driver.may_read() && !mem::replace(is_ready, true) {
            ready.push(number);
        }
    }
}
