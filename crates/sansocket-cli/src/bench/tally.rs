//! What one turn of a connection means to the whole.

use std::collections::VecDeque;

use hdrhistogram::Histogram;
use sansocket_mio::{CloseCode, EndedBy, Ending, Event, Message, OpenError, Stream, Time, TlsError, Turn};

use super::payload::Payload;

/// No further message is sent on a connection while more bytes than this wait for its socket.
const QUEUED: usize = 256 * 1024;

/// The longest latency that can be told from a longer one, in nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// How many errors are told one by one.
const TOLD: u64 = 10;

const NO_ECHO: &str = "a message has come that is no echo, because nothing was sent";

/// What is to be done, and what has come of it so far.
#[derive(Debug)]
pub(super) struct Tally {
    payload: Payload,
    in_flight: usize,
    /// Until when messages are sent and counted. `None`: none is sent yet.
    pub(super) end: Option<Time>,
    /// Connections whose opening is under way.
    pub(super) connecting: usize,
    /// Those that were opened.
    pub(super) opened: u32,
    /// Those of them that take part.
    pub(super) open: usize,
    /// How many could not be opened since the last that could.
    pub(super) failed_in_a_row: usize,
    /// Connections that were told that we close, and whose answer has not come.
    pub(super) closing: usize,
    /// Messages on the way, on connections that take part.
    pub(super) on_the_way: usize,
    /// Echoes that have arrived in time.
    pub(super) messages: u64,
    /// When an echo has arrived last.
    pub(super) last_echo: Time,
    /// In nanoseconds.
    pub(super) latencies: Histogram<u64>,
    pub(super) errors: Errors,
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Progress {
    /// Counted from 0.
    number: usize,
    stage: Stage,
    /// Whether an echo was compared byte by byte.
    compared: bool,
    /// When those messages were sent whose echoes have not arrived.
    sent: VecDeque<Time>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    /// It takes part.
    Open,
    /// We have closed it.
    Closing,
    /// Whatever still comes is of no interest.
    Over,
}

impl Progress {
    pub(super) const fn new(number: usize) -> Self {
        Self { number, stage: Stage::Opening, compared: false, sent: VecDeque::new() }
    }

    /// Whether nothing but its end is to be waited for.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Closing | Stage::Over)
    }
}

impl Tally {
    pub(super) fn new(payload: Payload, in_flight: usize) -> Self {
        // From a nanosecond on, in three digits.
        let latencies = Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds are good ones");
        Self {
            payload,
            in_flight,
            end: None,
            connecting: 0,
            opened: 0,
            open: 0,
            failed_in_a_row: 0,
            closing: 0,
            on_the_way: 0,
            messages: 0,
            last_echo: Time::default(),
            latencies,
            errors: Errors::default(),
        }
    }

    /// The bytes of a message.
    pub(super) const fn message_size(&self) -> usize {
        self.payload.size()
    }

    /// Takes what has come, and sends what is due. `now` is when the turn has begun.
    pub(super) fn serve<S: Stream>(
        &mut self,
        turn: &mut Turn<'_, S>,
        progress: &mut Progress,
        mut input: &mut [u8],
        now: Time,
    ) {
        while let Some(event) = turn.next(&mut input) {
            match event {
                Event::Message(message) => self.on_message(turn, progress, message.as_message(), now),
                Event::Open(_) => {
                    progress.stage = Stage::Open;
                    self.connecting -= 1;
                    self.opened += 1;
                    self.open += 1;
                    self.failed_in_a_row = 0;
                }
                Event::NotOpened(error) => {
                    progress.stage = Stage::Over;
                    self.connecting -= 1;
                    self.not_opened(progress.number, &explain(error));
                }
                Event::End(ending) => self.on_end(turn, progress, &ending),
                // Nothing comes in parts unless one asks for it, and nobody requests anything from a client.
                _ => {}
            }
        }
        self.send(turn, progress, now);
    }

    #[inline]
    fn on_message<S: Stream>(&mut self, turn: &mut Turn<'_, S>, progress: &mut Progress, echo: Message<'_>, now: Time) {
        match progress.stage {
            Stage::Open => {}
            // One that was given up may still arrive.
            Stage::Closing if progress.sent.pop_front().is_none() => {
                return self.errors.tell(1, format_args!("connection {}: {NO_ECHO}", progress.number + 1));
            }
            Stage::Closing | Stage::Opening | Stage::Over => return,
        }
        let verified = match progress.sent.pop_front() {
            None => Err(String::from(NO_ECHO)),
            Some(sent) => {
                self.on_the_way -= 1;
                self.payload.compare(progress.number, echo, !progress.compared).map(|()| sent)
            }
        };
        match verified {
            Ok(sent) => {
                progress.compared = true;
                self.last_echo = now;
                self.messages += u64::from(self.end.is_some_and(|end| now < end));
                self.latencies.saturating_record(now.as_nanos() - sent.as_nanos());
            }
            Err(error) => {
                self.disqualify(progress, &error);
                // Whoever runs that server may want to know. It is of no interest whether it does.
                let _ = turn.close(CloseCode::POLICY_VIOLATION, "not an echo");
            }
        }
    }

    fn on_end<S: Stream>(&mut self, turn: &Turn<'_, S>, progress: &mut Progress, ending: &Ending) {
        match progress.stage {
            Stage::Open => {
                let driver = turn.driver();
                let reason = driver.peer_close().map_or("", |close| close.reason());
                let error = match (ending.by(), driver.error()) {
                    // Escaped: what a server says must not get at a terminal.
                    (EndedBy::Peer, _) => format!("the server has closed it: {} {reason:?}", ending.code()),
                    (EndedBy::Failure(error), _) => format!("the server violated the protocol: {error}"),
                    (_, Some(error)) => format!("{ending}: {error}"),
                    (_, None) => format!("{ending}: the stream ended without a Close"),
                };
                self.disqualify(progress, &error);
            }
            Stage::Closing if ending.is_clean() => {
                self.closing -= 1;
                progress.stage = Stage::Over;
            }
            // One that is lost behind our Close stays unanswered.
            Stage::Closing | Stage::Opening | Stage::Over => {}
        }
    }

    /// Sends as many messages as are to be on their way.
    #[inline]
    fn send<S: Stream>(&mut self, turn: &mut Turn<'_, S>, progress: &mut Progress, now: Time) {
        if progress.stage != Stage::Open || self.end.is_none_or(|end| end <= now) {
            return;
        }
        while progress.sent.len() < self.in_flight && turn.driver().queued() <= QUEUED {
            // It refuses because the server has just closed, which will be told as the end.
            if turn.send(self.payload.message(progress.number)).is_err() {
                break;
            }
            progress.sent.push_back(now);
            self.on_the_way += 1;
        }
    }

    /// Begins to close a connection that takes part.
    pub(super) fn close<S: Stream>(&mut self, turn: &mut Turn<'_, S>, progress: &mut Progress) {
        if progress.stage == Stage::Open {
            self.leave(progress);
            progress.stage = Stage::Closing;
            self.closing += 1;
            // It refuses because the server has just closed, too.
            let _ = turn.close(CloseCode::NORMAL, "");
        }
    }

    /// The echoes of a connection that have not arrived will not be waited for any more.
    pub(super) fn give_up(&mut self, progress: &Progress) {
        if progress.stage == Stage::Open && !progress.sent.is_empty() {
            let lost = progress.sent.len();
            self.errors.tell(
                lost as u64,
                format_args!("connection {}: messages without an echo: {lost}", progress.number + 1),
            );
        }
    }

    pub(super) fn not_opened(&mut self, number: usize, error: &str) {
        self.failed_in_a_row += 1;
        self.errors.tell(1, format_args!("connection {}: {error}", number + 1));
    }

    /// An error: the connection takes no further part.
    fn disqualify(&mut self, progress: &mut Progress, error: &str) {
        self.leave(progress);
        progress.stage = Stage::Over;
        self.errors.tell(1, format_args!("connection {}: {error}", progress.number + 1));
    }

    fn leave(&mut self, progress: &mut Progress) {
        self.open -= 1;
        self.on_the_way -= progress.sent.len();
    }
}

/// As the blocking client tells it.
fn explain(error: OpenError) -> String {
    match error {
        OpenError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => TlsError::from(error).to_string(),
        error => error.to_string(),
    }
}

/// Counts errors and tells the first of them.
#[derive(Debug, Default)]
pub(super) struct Errors {
    count: u64,
    lines: u64,
    /// What the lines stand for that were told.
    told: u64,
}

impl Errors {
    /// Tells about `count` of them.
    pub(super) fn tell(&mut self, count: u64, what: std::fmt::Arguments<'_>) {
        self.count += count;
        if self.lines < TOLD {
            self.lines += 1;
            self.told += count;
            eprintln!("sansocket: {what}");
        }
    }

    /// Says how many there are that were not told, and gives the number of all.
    pub(super) fn finish(&self) -> u64 {
        if self.count > self.told {
            eprintln!("sansocket: and {} more errors", self.count - self.told);
        }
        self.count
    }
}
