//! From the stream to what a read looks for.

use std::io;
use std::task::{Context, Poll, ready};

use sansocket::{NextStep, ProtocolError};
use sansocket_stream::{Engine, Error, Found, Inbox};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop;

use super::{Link, poll_read};
use crate::waiters::Task;

/// How much is done in one poll before other tasks have a turn, where reading once is one: as much as tokio allows its own streams.
const MOST_WORK: usize = 128;

/// What inflating a piece counts as: it may become a thousand times as long.
const INFLATED: usize = 32;

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Receives until `take` finds what it looks for: true; or until the connection has ended: false, or its error.
    pub(crate) fn poll_receive(
        &mut self,
        inbox: &mut Inbox,
        take: fn(&mut Inbox, &mut Engine, &mut Vec<u8>) -> Found,
        inflate: fn(&mut Inbox, u64) -> Result<bool, ProtocolError>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Error>> {
        // What lies in the buffer is given without a wait. A peer that floods is to leave other tasks their turns all the same.
        let budget = ready!(coop::poll_proceed(cx));
        // Nor do all streams keep to a budget of their own.
        let mut work = 0;
        loop {
            if work >= MOST_WORK {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let found = take(inbox, &mut self.engine, self.outbox.replies());
            let step = self.engine.next_step();
            let is_ready = match found {
                Found::Ready => true,
                Found::Compressed if step == NextStep::Open => match inflate(inbox, self.engine.limits().message) {
                    Ok(true) => true,
                    Ok(false) => {
                        work += INFLATED;
                        self.timing.active();
                        continue;
                    }
                    Err(error) => {
                        self.engine(|engine, out| engine.fail(error, out));
                        continue;
                    }
                },
                Found::Compressed | Found::Nothing => false,
            };
            if is_ready {
                budget.made_progress();
                self.timing.active();
                return Poll::Ready(Ok(true));
            }
            if step != NextStep::Open {
                inbox.discard();
                return self.poll_end(cx).map_ok(|()| false);
            }
            if inbox.has_appended() {
                self.timing.active();
            }
            match self.poll_flush(Task::Reader, cx) {
                // What waits for room has it now: what was in its way is written, or never will be.
                Poll::Ready(_) if inbox.waits_for_room() => continue,
                // If the stream takes no more, the peer may have said why, and what it sent is still to be read.
                Poll::Ready(Err(error)) => self.note(error),
                Poll::Ready(Ok(())) => {}
                // The peer's answers would find no room.
                Poll::Pending if inbox.waits_for_room() => {
                    self.hear_by_writing();
                    match self.rests(inbox, cx) {
                        true => return Poll::Pending,
                        false => continue,
                    }
                }
                Poll::Pending => {}
            }
            // The end of a connection that is closing is not put off by what the peer sends.
            if self.timing.is_overdue(&self.engine) && self.expire(cx) {
                continue;
            }
            work += 1;
            match inbox.fill(|room| poll_read(&mut self.stream, room, cx)) {
                // What has come of a frame goes first. The end will be there again.
                Ok(0) if !inbox.unread().is_empty() => {}
                Ok(0) => self.engine.receive_eof(),
                Ok(_) => {
                    self.has_taken = false;
                    self.timing.received();
                }
                Err(None) => {
                    // Whoever takes something of a long queue is alive. That a short one is taken says nothing: the system does that.
                    if self.outbox.is_empty() {
                        self.has_taken = false;
                    }
                    self.hear_by_writing();
                    if self.rests(inbox, cx) {
                        return Poll::Pending;
                    }
                }
                Err(Some(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // Streams that have failed are not known to go on, whatever the error is called: by HTTP/2 or by TLS, say.
                Err(Some(error)) => {
                    if inbox.unread().is_empty() {
                        self.engine.receive_eof();
                    }
                    self.source = Some(error);
                }
            }
        }
    }
}
