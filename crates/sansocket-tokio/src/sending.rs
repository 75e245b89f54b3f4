//! How a message gets into the queue: a short one at once, a long one frame by frame, as the stream takes it.
//!
//! A message whose first frame is queued gets there as a whole, whatever becomes of the future that sends it: what is left when that is dropped
//! is queued then.

use std::future::poll_fn;
use std::io;
use std::sync::PoisonError;
use std::task::{Context, Poll, ready};

use sansocket::deflate::Compress;
use sansocket::{Kind, Message, Prepared, SendError};
use sansocket_stream::{Engine, Error, FRAME, Frame, Sender, queue_frame};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::link::Link;
use crate::replies::Replies;
use crate::sync::Mutex;
use crate::waiters::Task;

/// A way to get at a link.
pub(crate) trait Access {
    type Stream: AsyncRead + AsyncWrite + Unpin;

    /// Calls `with` with it. Nothing is held from one call to the next.
    fn link<T>(&mut self, with: impl FnOnce(&mut Link<Self::Stream>) -> T) -> T;
}

impl<S: AsyncRead + AsyncWrite + Unpin> Access for &mut Link<S> {
    type Stream = S;

    fn link<T>(&mut self, with: impl FnOnce(&mut Link<S>) -> T) -> T {
        with(self)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Access for &Mutex<Link<S>> {
    type Stream = S;

    fn link<T>(&mut self, with: impl FnOnce(&mut Link<S>) -> T) -> T {
        // A thread that panicked has left nothing half done: the engine's calls do all or nothing.
        with(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Queues a message, and waits until the queue is no longer full.
pub(crate) async fn queue<A: Access>(
    mut access: A,
    codec: &mut Sender,
    message: Message<'_>,
    choice: Compress,
) -> Result<(), Error> {
    let payload = message.as_bytes();
    let is_compressed = access.link(|link| {
        link.timing.sent();
        codec.begin(payload.len(), choice, &link.engine)
    })?;
    if !is_compressed && payload.len() <= FRAME && !access.link(|link| link.gathers(payload)) {
        access.link(|link| link.engine(|engine, out| engine.send(message, out)))?;
    } else {
        // Its first frame would otherwise go on with a message that somebody sends in parts.
        if access.link(|link| link.engine.is_sending()) {
            return Err(SendError::MessageUnderWay.into());
        }
        let left = Left { kind: message.kind(), rest: payload, last: true, trusted: true, step: FRAME };
        Sending { access: &mut access, codec, left: Some(left), is_compressed }.queue().await?;
    }
    wait_for_room(access).await
}

/// Queues without a wait.
pub(crate) fn try_queue<A: Access>(
    mut access: A,
    codec: &mut Sender,
    queue: impl FnOnce(Replies<'_, A::Stream>) -> Result<(), SendError>,
) -> Result<(), SendError> {
    access.link(|link| {
        if link.outbox.is_full() {
            return Err(SendError::NoRoom);
        }
        queue(Replies::new(link, codec, Task::Writer))
    })
}

/// Queues a message that was encoded before, and waits until the queue is no longer full.
pub(crate) async fn queue_prepared<A: Access>(mut access: A, prepared: &Prepared) -> Result<(), Error> {
    access.link(|link| {
        link.timing.sent();
        link.engine(|engine, out| engine.send_prepared(prepared, out))
    })?;
    wait_for_room(access).await
}

/// Queues a part of a message, and waits until the queue is no longer full.
pub(crate) async fn queue_part<A: Access>(
    mut access: A,
    codec: &mut Sender,
    (kind, part, last): (Kind, &[u8], bool),
    choice: Compress,
) -> Result<(), Error> {
    let is_compressed = access.link(|link| {
        link.timing.sent();
        codec.begin_part(kind, part, last, choice, &link.engine)
    })?;
    let left = Left { kind, rest: part, last, trusted: false, step: part.len() };
    Sending { access: &mut access, codec, left: Some(left), is_compressed }.queue().await?;
    wait_for_room(access).await
}

/// Writes all that is queued.
pub(crate) async fn flush<A: Access>(access: A) -> Result<(), Error> {
    wait(access, |link, cx| link.poll_flush_in_time(cx)).await
}

async fn wait_for_room<A: Access>(access: A) -> Result<(), Error> {
    wait(access, |link, cx| link.poll_room(Task::Writer, cx)).await
}

/// Waits for the stream.
async fn wait<A: Access>(
    access: A,
    mut poll: impl FnMut(&mut Link<A::Stream>, &mut Context<'_>) -> Poll<io::Result<()>>,
) -> Result<(), Error> {
    let mut waiting = Waiting { access, is_over: false };
    let written = poll_fn(|cx| {
        let polled = waiting.access.link(|link| poll(link, cx));
        waiting.is_over = polled.is_ready();
        polled
    });
    Ok(written.await?)
}

/// A wait that, when it is given up, leaves what is queued to the task that reads: that one may be waiting, too, and has to be told.
#[derive(Debug)]
struct Waiting<A: Access> {
    access: A,
    is_over: bool,
}

impl<A: Access> Drop for Waiting<A> {
    fn drop(&mut self) {
        if !self.is_over {
            self.access.link(Link::wake_reader);
        }
    }
}

/// What is not queued yet of a message.
#[derive(Debug)]
struct Left<'m> {
    kind: Kind,
    rest: &'m [u8],
    /// Whether the message ends with it.
    last: bool,
    /// Whether a text is known to be UTF-8 as a whole.
    trusted: bool,
    /// How long its frames are.
    step: usize,
}

/// A message on its way into the queue. Dropped, it queues what is left of it.
#[derive(Debug)]
struct Sending<'s, 'm, A: Access> {
    access: &'s mut A,
    codec: &'s mut Sender,
    /// `None`: all of it is queued.
    left: Option<Left<'m>>,
    is_compressed: bool,
}

impl<A: Access> Sending<'_, '_, A> {
    /// Queues all of it, as the stream takes it. The first frame is queued by the first poll.
    async fn queue(mut self) -> Result<(), Error> {
        let mut begun = false;
        poll_fn(|cx| {
            while self.left.is_some() {
                if begun {
                    ready!(self.access.link(|link| link.poll_room(Task::Writer, cx)))?;
                }
                begun = true;
                self.queue_frame(Some(cx))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Queues the next frame; with a context, writes what is better not copied.
    fn queue_frame(&mut self, cx: Option<&mut Context<'_>>) -> Result<(), Error> {
        let Some(left) = &mut self.left else { return Ok(()) };
        let kind = left.kind;
        if self.is_compressed {
            let Some(fragment) = self.codec.compress(&mut left.rest, left.last) else {
                self.left = None;
                return Ok(());
            };
            let sent = self.access.link(|link| {
                reserve(link, fragment.as_bytes().len())?;
                link.engine(|engine, out| fragment.send(kind, engine, out))
            });
            return sent.map_err(|error| self.give_up(error));
        }
        let (part, rest) = left.rest.split_at(left.step.min(left.rest.len()));
        let frame = Frame { kind, part, last: left.last && rest.is_empty(), trusted: left.trusted };
        left.rest = rest;
        if rest.is_empty() {
            self.left = None;
        }
        // All at once: what somebody else queues comes behind the payload.
        let queued = self.access.link(|link| {
            link.timing.sent();
            if !link.gathers(part) {
                reserve(link, part.len())?;
                let queue = |engine: &mut Engine, out: &mut Vec<u8>| {
                    let behind = queue_frame(engine, frame, out)?;
                    out.extend_from_slice(behind);
                    Ok(Ok(()))
                };
                return link.engine(queue);
            }
            let behind = link.engine(|engine, out| queue_frame(engine, frame, out))?;
            Ok(link.queue_behind(Task::Writer, behind, cx))
        });
        Ok(queued.map_err(|error| self.give_up(error))??)
    }

    /// The connection is closing: nothing more of the message can be sent.
    fn give_up(&mut self, error: SendError) -> Error {
        self.left = None;
        error.into()
    }
}

/// Takes memory for a frame of a message whose other frames may be queued already: without it, the connection is lost.
fn reserve<S: AsyncRead + AsyncWrite + Unpin>(link: &mut Link<S>, len: usize) -> Result<(), SendError> {
    link.reserve(len).inspect_err(|_| drop(link.lose_for_want_of_memory()))
}

impl<A: Access> Drop for Sending<'_, '_, A> {
    fn drop(&mut self) {
        let is_given_up = self.left.is_some();
        // The connection may have ended meanwhile: then nobody needs the rest.
        while self.left.is_some() && self.access.link(|link| link.engine.may_send() && !link.is_broken()) {
            if self.queue_frame(None).is_err() {
                break;
            }
        }
        if is_given_up {
            self.access.link(Link::wake_reader);
        }
    }
}
