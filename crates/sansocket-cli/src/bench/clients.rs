//! The connections of a thread, and the loop that they are on.

use std::io;
use std::mem;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::bail;
use mio::{Events, Poll, Token};
use sansocket_mio::deflate::{Pool, PoolLimits};
use sansocket_mio::{ClientRequest, Common, Driver, Limits, Settings, Stream, Time, Timeouts, Turn};

use super::counts::Counts;
use super::errors::Fault;
use super::pace::Cursor;
use super::tally::{Progress, Tally};
use super::target::Target;
use super::task::Task;
use super::timer::Timer;
use super::under_way::Plan;

/// How many connections are being opened at once, by all threads. A listener's backlog has room for 128, often for more.
const AT_ONCE: usize = 64;

/// After so many failures to connect, and no success between, no more is tried.
const FAILURES: usize = 64;

/// How many connections send messages, their first ones or those that are due, before those that have sent are looked after.
const STARTED: usize = 64;

/// How long the next echo is waited for, after the time is over.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the server may take to answer our Closes.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// How long a window is.
const SECOND: Duration = Duration::from_secs(1);

/// A message of 64 KiB fits, header and all.
const READ_BUFFER: usize = 64 * 1024 + 64;

const EVENTS: usize = 1024;

/// The timer's. The others are places in the list of connections.
const TIMER: Token = Token(usize::MAX);

/// All connections of a thread.
pub(super) struct Clients<'t, S: Stream> {
    /// Which thread it is, counted from 0.
    thread: usize,
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
    /// How many connections there are to be.
    most: usize,
    /// The message that is due next, if messages are due at times.
    cursor: Option<Cursor>,
    timer: Option<Timer>,
    /// When the window under way began.
    window: Time,
    windows: Sender<Window>,
    tally: Tally<'t>,
}

/// What a thread has counted in about a second.
#[derive(Debug)]
pub(super) struct Window {
    /// Which one, counted from 0.
    pub(super) thread: usize,
    /// How long it was, and when it ended, from the start on.
    pub(super) length: Duration,
    pub(super) end: Duration,
    /// How many connections take part at its end.
    pub(super) open: usize,
    /// Whether it is the thread's last one, which may be short.
    pub(super) is_last: bool,
    pub(super) counts: Counts,
}

struct Client<S: Stream> {
    driver: Driver<S>,
    progress: Progress,
    /// Whether it is on the list of those that are ready.
    is_ready: bool,
}

impl<'t, S: Stream> Clients<'t, S> {
    /// For the connections of a thread: from its number on, each that is as many behind as there are threads.
    pub(super) fn new(task: &'t Task, thread: usize, windows: Sender<Window>) -> io::Result<Self> {
        let settings = Settings {
            limits: Limits { message: Limits::DEFAULT.message.max(task.payload.size() as u64), ..Limits::DEFAULT },
            // Nothing but messages goes over the wire.
            timeouts: Timeouts { ping: None, ..Timeouts::DEFAULT },
            // A client that does not read while its server does not take more, and a server that does the same, wait for each other. How
            // much is sent is bounded by the messages in flight, and by what the tally lets wait.
            high_mark: usize::MAX,
            queue: usize::MAX,
            compression: task.compression,
            ..Settings::DEFAULT
        };
        let mut common = Common::new(settings);
        // Every connection may be in the middle of a compressed message.
        common.set_pool(Pool::new(PoolLimits { lent: task.connections, ..PoolLimits::DEFAULT }));
        let poll = Poll::new()?;
        let timer = task.pace.map(|_| Timer::new(poll.registry(), TIMER)).transpose()?;
        Ok(Self {
            thread,
            poll,
            events: Events::with_capacity(EVENTS),
            common,
            buffer: vec![0; READ_BUFFER].into(),
            clients: Vec::new(),
            living: 0,
            ready: Vec::new(),
            round: Vec::new(),
            sweep: Time::default(),
            most: (task.connections - thread).div_ceil(task.threads),
            cursor: None,
            timer,
            window: Time::default(),
            windows,
            tally: Tally::new(task),
        })
    }

    pub(super) const fn tally(&self) -> &Tally<'t> {
        &self.tally
    }

    /// The number among all connections, counted from 0, of one of this thread's.
    const fn number(&self, index: usize) -> usize {
        self.thread + index * self.tally.task.threads
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
        let at_once = AT_ONCE.div_ceil(self.tally.task.threads);
        loop {
            while self.clients.len() < self.most && self.tally.connecting < at_once {
                let index = self.clients.len();
                let number = self.number(index);
                if self.tally.failed_in_a_row >= FAILURES {
                    let left = self.most - index;
                    let error = format_args!("{left} connections are not tried, after {FAILURES} failures in a row");
                    self.tally.task.tell(Fault::NotOpened, left as u64, error);
                    self.most = index;
                    break;
                }
                let stream = match dial(target) {
                    Ok(stream) => stream,
                    Err(error) => {
                        if let Some(why) = target.explain_exhaustion(&error) {
                            bail!("cannot open connection {} of {}: {why}", number + 1, self.tally.task.connections);
                        }
                        self.clients.push(None);
                        self.tally.not_opened(number, &error.to_string());
                        continue;
                    }
                };
                let mut driver = Driver::client(stream, request, &self.common)?;
                self.poll.registry().register(driver.stream_mut(), Token(index), Driver::<S>::INTEREST)?;
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

    /// Lets messages go around, waits for the last ones, and says how long they were sent.
    pub(super) fn measure(&mut self) -> io::Result<Duration> {
        let Task { pace, duration, threads, .. } = *self.tally.task;
        self.common.look_at_clock();
        let start = self.common.now();
        let end = start.after(duration);
        self.tally.plan = Plan { pace, start, end };
        self.tally.is_sending = true;
        self.cursor = pace.map(|pace| Cursor::new(pace, start, self.thread, threads));
        (self.window, self.sweep) = (start, start.after(SWEEP));
        // Without a pace, all messages are due at once.
        let mut starting = match pace {
            None => 0..self.clients.len(),
            Some(_) => 0..0,
        };
        while self.common.now() < end && self.tally.open > 0 {
            starting.by_ref().take(STARTED).for_each(|index| self.turn(index, |_| {}));
            let until = if starting.is_empty() { self.send_due()?.min(end) } else { self.common.now() };
            self.round(until)?;
            self.end_window_in_time();
        }
        // Those that have become due while the end was waited for.
        self.send_due()?;
        self.tally.is_sending = false;
        let elapsed = self.common.now().min(end).since(start);

        while self.tally.on_the_way > 0 {
            let patience = self.tally.last_echo.max(end).after(PATIENCE);
            if self.common.now() >= patience {
                break;
            }
            self.round(patience)?;
            self.end_window_in_time();
        }
        for client in self.clients.iter().flatten() {
            self.tally.give_up(&client.progress);
        }
        self.end_window(true);
        Ok(elapsed)
    }

    /// If messages are due at times: sends those that are, on not too many connections at once, and says when to come back.
    fn send_due(&mut self) -> io::Result<Time> {
        let Some(mut cursor) = self.cursor else { return Ok(Time::from_nanos(u64::MAX)) };
        let mut turns = 0;
        while cursor.due() <= self.common.now() && turns < STARTED {
            let (index, message) = cursor.take();
            // One that was late has taken along those behind it that were due by then.
            if self.clients[index].as_ref().is_some_and(|client| client.progress.sent() <= message) {
                self.turn(index, |_| {});
                turns += 1;
            }
        }
        self.cursor = Some(cursor);
        if let Some(timer) = &self.timer
            && cursor.due() > self.common.now()
        {
            timer.set(cursor.due().since(self.common.now()))?;
        }
        Ok(cursor.due())
    }

    fn end_window_in_time(&mut self) {
        if self.common.now().since(self.window) >= SECOND {
            self.end_window(false);
        }
    }

    /// Hands over what was counted.
    fn end_window(&mut self, is_last: bool) {
        let now = self.common.now();
        let window = Window {
            thread: self.thread,
            length: now.since(self.window),
            end: now.since(self.tally.plan.start),
            open: self.tally.open,
            is_last,
            counts: mem::replace(&mut self.tally.counts, Counts::new()),
        };
        self.window = now;
        // They are taken until the last one.
        let _ = self.windows.send(window);
    }

    /// Closes all connections, and waits for the server to do so. How many Closes it has not answered, which is no fault of an echo.
    pub(super) fn close(&mut self) -> io::Result<usize> {
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
        Ok(self.tally.closing)
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
        for event in events.iter().filter(|event| event.token() != TIMER) {
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
        for place in 0..self.round.len() {
            let index = self.round[place];
            if let Some(client) = &mut self.clients[index] {
                client.is_ready = false;
                self.turn(index, |_| {});
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
        for index in 0..self.clients.len() {
            let Some(client) = &mut self.clients[index] else { continue };
            if client.driver.deadline(&self.common).is_some_and(|due| due <= now) {
                self.turn(index, |turn| turn.on_deadline());
            }
        }
    }

    /// A connection's turn, if it is not gone.
    fn turn(&mut self, index: usize, begin: impl FnOnce(&mut Turn<'_, S>)) {
        let Self { poll, common, buffer, clients, living, ready, tally, .. } = self;
        let Some(Client { driver, progress, is_ready }) = &mut clients[index] else { return };
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
            clients[index] = None;
            *living -= 1;
        } else if driver.may_read() && !mem::replace(is_ready, true) {
            ready.push(index);
        }
    }
}
