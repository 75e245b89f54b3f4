//! How a transport ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sansocket::{EndedBy, NextStep};
use sansocket_stream::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Link, poll_read};
use crate::waiters::Task;

/// How much of the peer's input is read and discarded at the end, so that it gets to see the last that was written, in bytes.
const DRAINED: usize = 16 * 1024 * 1024;

/// How large a buffer is taken to discard what is read, in bytes.
const SCRAP: usize = 4 * 1024;

/// How far the transport is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The last bytes are being written; before the end, all are.
    Writing,
    ShuttingDown,
    /// So many bytes have been read and discarded.
    Draining(usize),
    Over,
}

/// How many steps are taken in one poll before other tasks have a turn.
const MOST_WORK: usize = 128;

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Brings the transport to its end, and says how the connection ended.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut work = 0;
        while self.end != End::Over {
            // Not all streams keep to a budget, and what is due is to be looked at between reads.
            work += 1;
            if work > MOST_WORK && !self.expire(cx) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.engine.next_step() == NextStep::Closed {
                self.end = End::Over;
            } else if self.poll_end_further(cx).is_pending() && !self.expire(cx) {
                self.remember_reader(cx);
                self.outbox.rest();
                return Poll::Pending;
            }
            if self.end == End::Over {
                // The peer sees it now, and not when this is dropped. It may have shut down one direction alone.
                let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
                // Who still waits to write does so in vain.
                self.is_broken |= !self.outbox.is_empty() || self.is_unflushed;
                self.outbox.clear();
                self.waiters.wake();
            }
        }
        Poll::Ready(match self.engine.ending().map(|ending| (ending, ending.by())) {
            Some((_, EndedBy::Failure(error))) => Err(Error::Violation(error)),
            Some((ending, EndedBy::Loss(_))) => Err(Error::Lost { ending, source: self.source.take() }),
            _ => Ok(()),
        })
    }

    /// Takes a step towards the end. How the connection ended is known: what the stream says to its burial changes nothing.
    fn poll_end_further(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let step = self.engine.next_step();
        self.end = match self.end {
            End::Writing => match ready!(self.poll_flush(Task::Reader, cx)) {
                Err(_) => End::Over,
                Ok(()) if step == NextStep::AwaitEof => End::Draining(0),
                Ok(()) => End::ShuttingDown,
            },
            End::ShuttingDown => {
                let Self { waiters, stream, .. } = self;
                while let Err(error) =
                    ready!(waiters.poll(Task::Reader, cx, |cx| Pin::new(&mut *stream).poll_shutdown(cx)))
                    && error.kind() == io::ErrorKind::Interrupted
                {
                    // A signal is no reason to keep the peer waiting for the end.
                }
                // RFC 6455, 7.1.1: the server closes first. The descriptor goes with the WebSocket; the peer sees the end now.
                if step == NextStep::CloseAfterFlush { End::Over } else { End::Draining(0) }
            }
            // A socket that is closed with unread input takes back what it has sent.
            End::Draining(drained) => match poll_read(&mut self.stream, &mut [0; SCRAP], cx) {
                Err(None) => return Poll::Pending,
                Ok(count @ 1..) if drained + count <= DRAINED => End::Draining(drained + count),
                _ => End::Over,
            },
            End::Over => End::Over,
        };
        Poll::Ready(())
    }
}
