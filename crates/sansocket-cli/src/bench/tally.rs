//! What one turn of a connection means to the whole.

use std::fmt;

use sansocket_mio::{CloseCode, EndedBy, Ending, Event, Message, OpenError, Stream, Time, TlsError, Turn};

use super::counts::Counts;
use super::errors::Fault;
use super::task::Task;
use super::under_way::{Plan, UnderWay};

/// No further message is sent on a connection while more bytes than this wait for its socket.
const QUEUED: usize = 256 * 1024;

const NO_ECHO: &str = "a message has come that is no echo, because nothing was sent";

/// What is to be done by one thread, and what has come of it so far.
#[derive(Debug)]
pub(super) struct Tally<'t> {
    pub(super) task: &'t Task,
    /// When messages leave, and until when echoes are in time. It ends where it starts until the start is known.
    pub(super) plan: Plan,
    /// Whether messages that are due may leave.
    pub(super) is_sending: bool,
    /// Connections whose opening is under way.
    pub(super) connecting: usize,
    /// Those that were opened.
    pub(super) opened: u32,
    /// Those of them for which the server has agreed to compression.
    pub(super) compressed: u32,
    /// Those that were opened and take part.
    pub(super) open: usize,
    /// How many could not be opened since the last that could.
    pub(super) failed_in_a_row: usize,
    /// Connections that were told that we close, and whose answer has not come.
    pub(super) closing: usize,
    /// Messages on the way, on connections that take part.
    pub(super) on_the_way: usize,
    /// When an echo has arrived last.
    pub(super) last_echo: Time,
    /// Since they were taken last.
    pub(super) counts: Counts,
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Progress {
    stage: Stage,
    /// Whether an echo was compared byte by byte.
    compared: bool,
    under_way: UnderWay,
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
        Self { stage: Stage::Opening, compared: false, under_way: UnderWay::new(number) }
    }

    /// The connection's number, counted from 0.
    const fn number(&self) -> usize {
        self.under_way.connection()
    }

    /// How many messages have left so far.
    pub(super) const fn sent(&self) -> u64 {
        self.under_way.sent()
    }

    /// Whether nothing but its end is to be waited for.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Closing | Stage::Over)
    }
}

impl<'t> Tally<'t> {
    pub(super) fn new(task: &'t Task) -> Self {
        Self {
            task,
            plan: Plan { pace: task.pace, start: Time::default(), end: Time::default() },
            is_sending: false,
            connecting: 0,
            opened: 0,
            compressed: 0,
            open: 0,
            failed_in_a_row: 0,
            closing: 0,
            on_the_way: 0,
            last_echo: Time::default(),
            counts: Counts::new(),
        }
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
                Event::Open(response) => {
                    self.compressed += u32::from(response.negotiated().compression().is_some());
                    progress.stage = Stage::Open;
                    self.connecting -= 1;
                    self.opened += 1;
                    self.open += 1;
                    self.failed_in_a_row = 0;
                }
                Event::NotOpened(error) => {
                    progress.stage = Stage::Over;
                    self.connecting -= 1;
                    self.not_opened(progress.number(), &explain(error));
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
            Stage::Closing if progress.under_way.arrive(&self.plan).is_none() => {
                return self.tell(Fault::Unasked, 1, progress.number(), NO_ECHO);
            }
            Stage::Closing | Stage::Opening | Stage::Over => return,
        }
        let verified = match progress.under_way.arrive(&self.plan) {
            None => Err((Fault::Unasked, String::from(NO_ECHO))),
            Some(since) => {
                self.on_the_way -= 1;
                let compared = self.task.payload.compare(progress.number(), echo, !progress.compared);
                compared.map(|()| since).map_err(|error| (Fault::WrongEcho, error))
            }
        };
        match verified {
            Ok(since) => {
                progress.compared = true;
                self.last_echo = now;
                self.counts.arrive(since, now, now < self.plan.end);
            }
            Err((fault, error)) => {
                self.disqualify(progress, fault, &error);
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
                let (fault, error) = match (ending.by(), driver.error()) {
                    // Escaped: what a server says must not get at a terminal.
                    (EndedBy::Peer, _) => {
                        (Fault::ClosedByServer, format!("the server has closed it: {} {reason:?}", ending.code()))
                    }
                    (EndedBy::Failure(error), _) => {
                        (Fault::ProtocolViolation, format!("the server violated the protocol: {error}"))
                    }
                    (_, Some(error)) => (Fault::Lost, format!("{ending}: {error}")),
                    (_, None) => (Fault::Lost, format!("{ending}: the stream ended without a Close")),
                };
                self.disqualify(progress, fault, &error);
            }
            Stage::Closing if ending.is_clean() => {
                self.closing -= 1;
                progress.stage = Stage::Over;
            }
            // One that is lost behind our Close stays unanswered.
            Stage::Closing | Stage::Opening | Stage::Over => {}
        }
    }

    /// Sends the messages that are due, as far as there is room for them.
    #[inline]
    fn send<S: Stream>(&mut self, turn: &mut Turn<'_, S>, progress: &mut Progress, now: Time) {
        if progress.stage != Stage::Open || !self.is_sending {
            return;
        }
        while progress.under_way.len() < self.task.in_flight
            && let Some(due) = progress.under_way.next(&self.plan, now)
            && turn.driver().queued() <= QUEUED
        {
            // It refuses because the server has just closed, which will be told as the end.
            if turn.send(self.task.payload.message(progress.number())).is_err() {
                break;
            }
            progress.under_way.leave(&self.plan, due);
            self.on_the_way += 1;
            self.counts.leave(self.plan.pace.map(|_| due), now);
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
    pub(super) fn give_up(&self, progress: &Progress) {
        let lost = progress.under_way.len();
        if progress.stage == Stage::Open && lost > 0 {
            self.tell(Fault::NoEcho, lost as u64, progress.number(), format_args!("messages without an echo: {lost}"));
        }
    }

    pub(super) fn not_opened(&mut self, number: usize, error: &str) {
        self.failed_in_a_row += 1;
        self.tell(Fault::NotOpened, 1, number, error);
    }

    /// An error: the connection takes no further part.
    fn disqualify(&mut self, progress: &mut Progress, fault: Fault, error: &str) {
        self.leave(progress);
        progress.stage = Stage::Over;
        self.tell(fault, 1, progress.number(), error);
    }

    fn leave(&mut self, progress: &Progress) {
        self.open -= 1;
        self.on_the_way -= progress.under_way.len();
    }

    /// Tells about errors of the connection with that number.
    fn tell(&self, fault: Fault, count: u64, number: usize, what: impl fmt::Display) {
        self.task.tell(fault, count, format_args!("connection {}: {what}", number + 1));
    }
}

/// As the blocking client tells it.
fn explain(error: OpenError) -> String {
    match error {
        OpenError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => TlsError::from(error).to_string(),
        error => error.to_string(),
    }
}
