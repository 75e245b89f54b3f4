//! Two ends of a connection in memory, which take and give as much at a time as a test says.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

// A test's own, which is no matter of the scheduler's.
use std::sync as plain;

#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    bytes: Vec<u8>,
    capacity: usize,
    /// All that ever went through.
    log: Vec<u8>,
    is_logged: bool,
    /// Nothing more will be written.
    is_shut: bool,
    /// Nobody reads any more.
    is_abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// How one end behaves, and what it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Manners {
    /// How many bytes a call takes or gives at most, in turn; 0: it is `Pending`, and woken at once.
    pub(crate) turns: Vec<usize>,
    /// Of each kind of call by itself, so that none is put off for ever.
    turn: [usize; 3],
    /// Whether it takes more than one slice at once.
    pub(crate) is_vectored: bool,
    /// Whether what was written is held back for ever.
    pub(crate) holds_back: bool,
    /// Calls of `poll_read` and `poll_write` that brought something.
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    /// The lengths of the slices of the last write.
    pub(crate) slices: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Read,
    Write,
    Flush,
}

impl Manners {
    fn turn(&mut self, call: Call) -> usize {
        let count = &mut self.turn[call as usize];
        let turn = self.turns.get(*count % self.turns.len().max(1)).copied();
        *count += 1;
        turn.unwrap_or(usize::MAX)
    }
}

/// One end. Dropped, it ends the stream for the other one.
#[derive(Debug)]
pub(crate) struct End {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    manners: Arc<plain::Mutex<Manners>>,
}

/// A look at an end, and a hand on it, from outside.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    manners: Arc<plain::Mutex<Manners>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Two ends, between which so many bytes fit in either direction: from the first to the second, and back.
pub(crate) fn wire(there: usize, back: usize) -> (End, End) {
    let pipe = |capacity| Arc::new(Mutex::new(Pipe { capacity, is_logged: true, ..Pipe::default() }));
    let (there, back) = (pipe(there), pipe(back));
    let one = End { incoming: Arc::clone(&back), outgoing: Arc::clone(&there), manners: Arc::default() };
    (one, End { incoming: there, outgoing: back, manners: Arc::default() })
}

impl End {
    pub(crate) fn hand(&self) -> Hand {
        let Self { incoming, outgoing, manners } = self;
        Hand { incoming: Arc::clone(incoming), outgoing: Arc::clone(outgoing), manners: Arc::clone(manners) }
    }

    /// How much may go with this call. `None`: it is put off.
    fn turn(&self, call: Call, cx: &Context<'_>) -> Option<usize> {
        let turn = self.manners.lock().unwrap().turn(call);
        if turn == 0 {
            cx.waker().wake_by_ref();
        }
        (turn > 0).then_some(turn)
    }
}

impl Hand {
    pub(crate) fn manners(&self) -> plain::MutexGuard<'_, Manners> {
        self.manners.lock().unwrap()
    }

    /// How many of its reads and writes have brought something.
    pub(crate) fn calls(&self) -> (usize, usize) {
        let manners = self.manners();
        (manners.reads, manners.writes)
    }

    /// All that this end has written.
    pub(crate) fn written(&self) -> Vec<u8> {
        lock(&self.outgoing).log.clone()
    }

    /// Whether this end has ended its direction.
    pub(crate) fn has_shut_down(&self) -> bool {
        lock(&self.outgoing).is_shut
    }

    /// What this end has written from here on is not kept for [`written`](Self::written).
    pub(crate) fn stop_logging(&self) {
        let mut pipe = lock(&self.outgoing);
        (pipe.is_logged, pipe.log) = (false, Vec::new());
    }

    /// As much room as never gets full, with memory taken beforehand.
    pub(crate) fn make_room(&self, room: usize) {
        let mut pipe = lock(&self.outgoing);
        pipe.bytes.reserve(room);
        pipe.capacity = usize::MAX;
        let writer = pipe.writer.take();
        drop(pipe);
        wake(writer);
    }

    /// Cuts the connection: the peer's reads find the end, its writes fail.
    pub(crate) fn cut(&self) {
        for pipe in [&self.incoming, &self.outgoing] {
            let mut pipe = lock(pipe);
            (pipe.is_shut, pipe.is_abandoned) = (true, true);
            let wakers = [pipe.reader.take(), pipe.writer.take()];
            drop(pipe);
            wakers.into_iter().for_each(wake);
        }
    }
}

/// Never with a lock in hand: a waker may be anything.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(turn) = self.turn(Call::Read, cx) else { return Poll::Pending };
        let mut pipe = lock(&self.incoming);
        if pipe.bytes.is_empty() {
            if pipe.is_shut {
                return Poll::Ready(Ok(()));
            }
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = turn.min(pipe.bytes.len()).min(buffer.remaining());
        buffer.put_slice(&pipe.bytes[..count]);
        pipe.bytes.drain(..count);
        let writer = pipe.writer.take();
        drop(pipe);
        self.manners.lock().unwrap().reads += 1;
        wake(writer);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(turn) = self.turn(Call::Write, cx) else { return Poll::Pending };
        let mut pipe = lock(&self.outgoing);
        if pipe.is_abandoned || pipe.is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = pipe.capacity.saturating_sub(pipe.bytes.len());
        if room == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut left = room.min(turn);
        let mut written = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(left)];
            pipe.bytes.extend_from_slice(part);
            if pipe.is_logged {
                pipe.log.extend_from_slice(part);
            }
            written += part.len();
            left -= part.len();
        }
        let reader = pipe.reader.take();
        drop(pipe);
        {
            let mut manners = self.manners.lock().unwrap();
            manners.writes += 1;
            manners.slices.clear();
            manners.slices.extend(slices.iter().map(|slice| slice.len()));
        }
        wake(reader);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.manners.lock().unwrap().is_vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let holds_back = self.manners.lock().unwrap().holds_back;
        if holds_back || self.turn(Call::Flush, cx).is_none() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.turn(Call::Flush, cx).is_none() {
            return Poll::Pending;
        }
        let mut pipe = lock(&self.outgoing);
        pipe.is_shut = true;
        let reader = pipe.reader.take();
        drop(pipe);
        wake(reader);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.is_shut = true;
        let reader = outgoing.reader.take();
        drop(outgoing);
        let mut incoming = lock(&self.incoming);
        incoming.is_abandoned = true;
        let writer = incoming.writer.take();
        drop(incoming);
        wake(reader);
        wake(writer);
    }
}
