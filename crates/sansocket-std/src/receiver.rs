//! Reading, and ending a connection: the same for a socket of one thread and for one that two threads share.

use std::io;
use std::time::Duration;

use sansocket::{EndedBy, Message, NextStep, OwnedMessage, Piece, ProtocolError, Time};
use sansocket_stream::{Engine, Error, Found, Inbox};

use crate::stream::Stream;
use crate::timing::{Limit, Timing, Waited, is_gone, is_timeout, read_within};

/// How much of a violating peer's input is read and discarded so that it gets to see the Close, in bytes.
const DRAINED: u64 = 16 * 1024 * 1024;

/// The engine, its output and the socket, as the reading side gets at them.
pub(crate) trait Side {
    type Stream: Stream;

    /// Calls `with` with the engine and its output.
    fn engine<T>(&mut self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T;

    /// Whether somebody else sends and closes at the same time.
    const SHARED: bool;

    /// Whether there is nothing to be written by this side.
    fn is_flushed(&self) -> bool;

    /// Writes what is queued, unless somebody else is writing, who then sees to it. False: somebody else is. `wait`: waits for somebody
    /// else until there is room for a reply.
    fn flush(&mut self, wait: bool, limit: Limit) -> io::Result<bool>;

    /// Forgets what is queued: the socket takes no more.
    fn discard(&mut self);

    fn stream(&mut self) -> &mut Self::Stream;

    /// Reads once.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether somebody else has sent a message since this was asked last.
    fn has_sent(&mut self) -> bool;

    /// From now on, writes have no limits but those that they are given here.
    fn lift_write_limit(&mut self);

    /// Tells the peer that nothing more will be written, or leaves that to somebody else who is writing.
    fn shutdown_write(&mut self, limit: Limit) -> io::Result<()>;

    /// Waits until nobody else is writing.
    fn await_writer(&mut self, limit: Limit) -> io::Result<()>;

    /// Nothing more is to be written: sets somebody else free who does.
    fn interrupt(&mut self) -> io::Result<()>;
}

#[derive(Debug)]
pub(crate) struct Receiver<D> {
    pub(crate) side: D,
    pub(crate) inbox: Inbox,
    pub(crate) timing: Timing,
    /// Whether the transport was brought to its end.
    finished: bool,
}

impl<D: Side> Receiver<D> {
    pub(crate) const fn new(side: D, inbox: Inbox, timing: Timing) -> Self {
        Self { side, inbox, timing, finished: false }
    }

    pub(crate) fn read(&mut self) -> Result<Option<Message<'_>>, Error> {
        if !self.receive_until(Inbox::take, Inbox::inflate)? {
            return Ok(None);
        }
        let Self { side, inbox, timing, finished } = self;
        match side.engine(|engine, out| inbox.finish(engine, out)) {
            Some(message) => Ok(Some(message)),
            None => end(side, finished, timing.timeouts.end, None).map(|()| None),
        }
    }

    pub(crate) fn read_owned(&mut self) -> Result<Option<OwnedMessage>, Error> {
        if !self.receive_until(Inbox::take, Inbox::inflate)? {
            return Ok(None);
        }
        match self.side.engine(|engine, out| self.inbox.finish_owned(engine, out)) {
            Some(message) => Ok(Some(message)),
            None => self.end(None).map(|()| None),
        }
    }

    pub(crate) fn read_piece(&mut self) -> Result<Option<Piece<'_>>, Error> {
        if !self.receive_until(Inbox::take_to_piece, Inbox::inflate_piece)? {
            return Ok(None);
        }
        let Self { side, inbox, timing, finished } = self;
        match side.engine(|engine, out| inbox.piece(engine, out)) {
            Some(piece) => Ok(Some(piece)),
            None => end(side, finished, timing.timeouts.end, None).map(|()| None),
        }
    }

    /// Receives until `take` finds what it looks for: true; or until the connection has ended: false, or its error.
    fn receive_until(
        &mut self,
        take: fn(&mut Inbox, &mut Engine, &mut Vec<u8>) -> Found,
        inflate: fn(&mut Inbox, u64) -> Result<bool, ProtocolError>,
    ) -> Result<bool, Error> {
        let call = self.timing.call_limit();
        let mut source = None;
        loop {
            let (found, step, limits) = self
                .side
                .engine(|engine, out| (take(&mut self.inbox, engine, out), engine.next_step(), engine.limits()));
            let is_ready = match found {
                Found::Nothing => false,
                Found::Ready => true,
                // That takes its time, so it is not done under a lock that a writing half may be waiting for.
                Found::Compressed => {
                    let inflated =
                        if step == NextStep::Open { inflate(&mut self.inbox, limits.message) } else { Ok(false) };
                    match inflated {
                        Ok(false) if step == NextStep::Open => {
                            self.timing.active(false);
                            continue;
                        }
                        Ok(is_ready) => is_ready,
                        Err(error) => {
                            self.side.engine(|engine, out| engine.fail(error, out));
                            continue;
                        }
                    }
                }
            };
            if is_ready {
                self.timing.active(false);
                return Ok(true);
            }
            if step != NextStep::Open {
                self.inbox.discard();
                return self.end(source).map(|()| false);
            }
            if self.inbox.has_appended() {
                self.timing.active(false);
            }
            match self.flush(call) {
                Ok(()) => {}
                // The peer may have said why it went before it did: what it sent is still to be read.
                Err(Fill::Io(error)) if is_gone(&error) => self.side.discard(),
                Err(Fill::Io(error)) => return Err(Error::Io(error)),
                Err(Fill::Again | Fill::InVain) => continue,
            }
            if self.inbox.waits_for_room() {
                continue;
            }
            match self.fill(call) {
                // What has come of a frame goes first. The end will be there again.
                Ok(0) if !self.inbox.unread().is_empty() => {}
                Ok(0) => self.side.engine(|engine, _| engine.receive_eof()),
                Ok(_) => self.timing.received(),
                Err(Fill::Again) => {}
                Err(Fill::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(Fill::InVain) => {
                    source = Some(io::Error::new(io::ErrorKind::TimedOut, "the Close was not answered in time"));
                }
                Err(Fill::Io(error)) if is_gone(&error) => {
                    if self.inbox.unread().is_empty() {
                        self.side.engine(|engine, _| engine.receive_eof());
                    }
                    // A socket tells why it has failed once, and TLS of the end behind that as of another failure.
                    source.get_or_insert(error);
                }
                Err(Fill::Io(error)) => return Err(Error::Io(error)),
            }
        }
    }

    /// Writes what is queued, until something is due at most.
    fn flush(&mut self, call: Option<Time>) -> Result<(), Fill> {
        let Self { side, inbox, timing, .. } = self;
        if side.is_flushed() {
            return Ok(());
        }
        let wait = next_wait(side, timing, call);
        let start = timing.now();
        // With input that waits for room, whoever is writing is waited for: nothing more is to be read before.
        match side.flush(inbox.waits_for_room(), Limit::after(wait)) {
            Ok(_) => Ok(()),
            Err(error) if is_timeout(&error) => {
                hear_of_sent(side, timing);
                let waited = side.engine(|engine, out| timing.waited_to_write(start, call, wait, engine, out));
                Err(Fill::why(waited, error))
            }
            Err(error) => Err(Fill::Io(error)),
        }
    }

    /// Reads once, until something is due at most.
    fn fill(&mut self, call: Option<Time>) -> Result<usize, Fill> {
        let Self { side, inbox, timing, .. } = self;
        let wait = next_wait(side, timing, call);
        let start = timing.now();
        let read = if wait == Some(Duration::ZERO) {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            timing.arm(wait, side.stream()).and_then(|()| inbox.fill(|buffer| side.read(buffer)))
        };
        match read {
            Err(error) if is_timeout(&error) => {
                hear_of_sent(side, timing);
                let waited = side.engine(|engine, out| timing.waited(start, call, engine, out));
                Err(Fill::why(waited, error))
            }
            read => read.map_err(Fill::Io),
        }
    }

    /// Reads and discards messages until the peer has answered our Close, or the time for that has passed.
    pub(crate) fn await_close(&mut self) -> Result<(), Error> {
        self.timing.read_timeout = None;
        while self.read_piece()?.is_some() {}
        Ok(())
    }

    fn end(&mut self, source: Option<io::Error>) -> Result<(), Error> {
        end(&mut self.side, &mut self.finished, self.timing.timeouts.end, source)
    }
}

/// How long the next read or write may last.
fn next_wait<D: Side>(side: &mut D, timing: &mut Timing, call: Option<Time>) -> Option<Duration> {
    hear_of_sent(side, timing);
    let wait = side.engine(|engine, _| timing.next_wait(call, engine));
    // A Close that the other half sends in the meantime is to be noticed before its time is over.
    let close = timing.timeouts.close.filter(|_| D::SHARED);
    [wait, close].into_iter().flatten().min()
}

/// The reading side keeps the time, and has to know of messages that somebody else has sent.
fn hear_of_sent(side: &mut impl Side, timing: &mut Timing) {
    if side.has_sent() {
        timing.active(true);
    }
}

/// Brings the transport to its end, once, and says how the connection ended.
fn end(
    side: &mut impl Side,
    finished: &mut bool,
    timeout: Option<Duration>,
    source: Option<io::Error>,
) -> Result<(), Error> {
    let (step, ending) = side.engine(|engine, _| (engine.next_step(), engine.ending()));
    if !*finished {
        *finished = true;
        // How the connection ended is known. What the socket says to its burial changes nothing.
        let _ = end_transport(side, step, timeout);
    }
    match ending {
        Some(ending) => match ending.by() {
            EndedBy::Failure(error) => Err(Error::Violation(error)),
            EndedBy::Loss(_) => Err(Error::Lost { ending, source }),
            _ => Ok(()),
        },
        None => Ok(()),
    }
}

fn end_transport(side: &mut impl Side, step: NextStep, timeout: Option<Duration>) -> io::Result<()> {
    let limit = Limit::after(timeout);
    if step == NextStep::Closed {
        return side.interrupt();
    }
    // The peer has all of its time to take what is queued, however short the caller wants its own calls to be.
    if timeout.is_some() {
        side.lift_write_limit();
    }
    match side.flush(false, limit) {
        Ok(true) => {}
        // Somebody else is writing, and writes the Close behind that, if the peer takes it in time. The end of the stream that the peer
        // waits for then is left to them, too; a client waits for the server's, and no server for its client's.
        Ok(false) => {
            let ended = match step {
                NextStep::CloseAfterFlush => side.shutdown_write(limit).and_then(|()| side.await_writer(limit)),
                NextStep::AwaitEof => {
                    let drained = drain(side.stream(), limit);
                    side.shutdown_write(limit).and(drained)
                }
                _ => {
                    let ended = side.shutdown_write(limit);
                    drain(side.stream(), limit).and(ended)
                }
            };
            return side.interrupt().and(ended);
        }
        Err(error) => {
            side.interrupt()?;
            return Err(error);
        }
    }
    match step {
        // RFC 6455, 7.1.1: the server closes first. The descriptor goes with the WebSocket; the peer sees the end now.
        NextStep::CloseAfterFlush => side.shutdown_write(limit),
        NextStep::AwaitEof => drain(side.stream(), limit),
        _ => {
            side.shutdown_write(limit)?;
            drain(side.stream(), limit)
        }
    }
}

/// Reads and discards until the stream ends. A socket that is closed with unread input takes back what it has sent.
pub(crate) fn drain(stream: &mut impl Stream, limit: Limit) -> io::Result<()> {
    let mut scrap = [0; 4096];
    let mut left = DRAINED;
    while left > 0 {
        match read_within(stream, limit, &mut scrap)? {
            0 => break,
            count => left = left.saturating_sub(count as u64),
        }
    }
    Ok(())
}

/// Why a read has brought nothing.
enum Fill {
    /// Something was due and is done, or nothing was: look again.
    Again,
    /// The peer's part of the closing handshake did not come in time.
    InVain,
    Io(io::Error),
}

impl Fill {
    fn why(waited: Waited, error: io::Error) -> Self {
        match waited {
            Waited::Expired | Waited::GoOn => Self::Again,
            Waited::InVain => Self::InVain,
            Waited::ReadTimeout => Self::Io(io::ErrorKind::TimedOut.into()),
            Waited::Foreign => Self::Io(error),
        }
    }
}
