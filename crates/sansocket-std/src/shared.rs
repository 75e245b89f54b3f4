//! What two threads share of a connection: the engine, and the writing side.
//!
//! 1. One lock is around all of it, and nobody holds it while a socket blocks.
//! 2. Who writes has taken the writing side out from under the lock, and has it in hand, as a [`Turn`].
//! 3. Who finds it taken says so, and may rely on whoever has it: a turn ends under the lock, and not with something left to it.

use std::io;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use sansocket::deflate::Compress;
use sansocket::{Kind, Message, Prepared, SendError};
use sansocket_stream::{Engine, FRAME, Frame, Sender, frames, has_room, queue, queue_frame};

use crate::layer::Layer;
use crate::outbox::Outbox;
use crate::split::{Direction, Trace};
use crate::stream::CloneStream;
use crate::timing::Limit;

#[derive(Debug)]
pub(crate) struct Shared<S> {
    state: Mutex<State<S>>,
    /// A turn of a writing half has come.
    turn: Condvar,
    /// The reading half may have a turn, or there is room for its replies.
    room: Condvar,
}

/// What both halves work with.
#[derive(Debug)]
pub(crate) struct State<S> {
    pub(crate) engine: Engine,
    /// What the engine has put and nobody has begun to write.
    pub(crate) queued: Vec<u8>,
    pub(crate) layer: Layer,
    pub(crate) trace: Trace,
    /// Whether a message was sent of which the reading half, which keeps the time, has not heard.
    pub(crate) has_sent: bool,
    /// The writing side. `None`: somebody has it.
    writing: Option<Writing<S>>,
    /// Whether something queued was left to whoever has the writing side.
    left: bool,
    /// Whether the stream is to be shut down behind what is queued.
    ends: bool,
    /// How many writing halves wait for a turn.
    writers: usize,
    /// Whether the reading half waits.
    reader: bool,
}

/// What a thread has in hand while it writes.
#[derive(Debug)]
pub(crate) struct Writing<S> {
    pub(crate) stream: S,
    pub(crate) outbox: Outbox,
    /// Here, so that who has a turn can compress while others have the lock.
    pub(crate) codec: Sender,
}

/// Locks. A thread that panicked has left nothing half done: the engine's calls do all or nothing.
fn locked<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

impl<S> Shared<S> {
    pub(crate) fn new(engine: Engine, queued: Vec<u8>, layer: Layer, trace: Trace, writing: Writing<S>) -> Self {
        let writing = Some(writing);
        let (left, ends, writers, reader) = (false, false, 0, false);
        let state = State { engine, queued, layer, trace, has_sent: false, writing, left, ends, writers, reader };
        Self { state: Mutex::new(state), turn: Condvar::new(), room: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<S>> {
        locked(self.state.lock())
    }

    pub(crate) fn with_engine<T>(&self, with: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        let State { engine, queued, .. } = &mut *self.lock();
        with(engine, queued)
    }

    /// Whether a message was sent since this was asked last.
    pub(crate) fn has_sent(&self) -> bool {
        mem::take(&mut self.lock().has_sent)
    }

    /// Waits for a turn.
    pub(crate) fn turn(&self) -> Turn<'_, S> {
        let mut state = self.lock();
        loop {
            if let Some(writing) = state.writing.take() {
                return Turn { shared: self, writing: Some(writing) };
            }
            state.writers += 1;
            state = locked(self.turn.wait(state));
            state.writers -= 1;
        }
    }

    /// A turn for the reading half, or word to whoever has it that something was left to them. `wait`: waits until there is room for a
    /// reply.
    pub(crate) fn turn_or_leave(&self, wait: bool, limit: Limit) -> io::Result<Option<Turn<'_, S>>> {
        let mut state = self.lock();
        loop {
            if let Some(writing) = state.writing.take() {
                return Ok(Some(Turn { shared: self, writing: Some(writing) }));
            }
            state.left = true;
            if !wait || has_room(&state.queued) {
                return Ok(None);
            }
            state = self.wait_for_turns(state, limit)?;
        }
    }

    /// Waits until nobody has a turn.
    pub(crate) fn await_end_of_turn(&self, limit: Limit) -> io::Result<()> {
        let mut state = self.lock();
        while state.writing.is_none() {
            state = self.wait_for_turns(state, limit)?;
        }
        Ok(())
    }

    /// Waits for something that those who have turns do.
    fn wait_for_turns<'s>(
        &self,
        mut state: MutexGuard<'s, State<S>>,
        limit: Limit,
    ) -> io::Result<MutexGuard<'s, State<S>>> {
        limit.check()?;
        state.reader = true;
        state = match limit.left() {
            Some(left) => locked(self.room.wait_timeout(state, left)).0,
            None => locked(self.room.wait(state)),
        };
        state.reader = false;
        Ok(state)
    }

    /// The last turn, behind which nothing more will be written, or word to whoever has a turn that theirs is the last.
    pub(crate) fn last_turn_or_leave(&self) -> Option<Turn<'_, S>> {
        let mut state = self.lock();
        state.ends = true;
        let writing = state.writing.take();
        state.left |= writing.is_none();
        writing.map(|writing| Turn { shared: self, writing: Some(writing) })
    }

    fn give_back(&self, state: &mut State<S>, writing: Option<Writing<S>>) {
        state.writing = writing;
        if state.writers > 0 {
            self.turn.notify_one();
        }
        self.ease(state);
    }

    /// Tells the reading half, if it waits, that something has changed.
    fn ease(&self, state: &State<S>) {
        if state.reader {
            self.room.notify_one();
        }
    }
}

impl<S> State<S> {
    /// Whether there is nothing to be written, but for what somebody is writing already.
    pub(crate) fn is_flushed(&self) -> bool {
        let rest = self.writing.as_ref().is_some_and(|writing| !writing.outbox.is_empty());
        self.queued.is_empty() && !self.layer.wants_write() && !rest
    }

    /// Forgets what is queued, but for what somebody is writing.
    pub(crate) fn discard(&mut self) {
        self.queued.clear();
        if let Some(writing) = &mut self.writing {
            writing.outbox.clear();
        }
    }

    /// Lifts the caller's own limit of writes. Whoever is writing keeps to it.
    pub(crate) const fn lift_write_limit(&mut self) {
        if let Some(writing) = &mut self.writing {
            writing.outbox.limit.lift();
        }
    }

    /// Moves what is queued into the outbox.
    fn take_queued(&mut self, outbox: &mut Outbox) -> io::Result<()> {
        self.left = false;
        self.trace.see(Direction::Sent, &self.queued);
        self.layer.seal(&mut self.queued, &[], outbox).map(drop)
    }
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'s, S> {
    shared: &'s Shared<S>,
    /// `None`: it was given back.
    writing: Option<Writing<S>>,
}

impl<S> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.shared.give_back(&mut self.shared.lock(), Some(writing));
        }
    }
}

impl<S: CloneStream> Turn<'_, S> {
    /// Writes everything queued. What is queued by others in the meantime, too. Shuts the stream down behind that if it is to end.
    pub(crate) fn flush(mut self, limit: Limit) -> io::Result<()> {
        while let Some(Writing { stream, outbox, .. }) = &mut self.writing {
            let mut state = self.shared.lock();
            state.take_queued(outbox)?;
            if outbox.is_empty() && state.ends {
                state.layer.close();
                state.take_queued(outbox)?;
                if outbox.is_empty() {
                    state.ends = false;
                    drop(state);
                    // How the connection ended is known, and all that this turn was taken for is written.
                    let _ = outbox.shutdown(stream, limit);
                    continue;
                }
            }
            if outbox.is_empty() {
                self.shared.give_back(&mut state, self.writing.take());
                return Ok(());
            }
            self.shared.ease(&state);
            drop(state);
            outbox.flush(stream, limit)?;
        }
        Ok(())
    }

    /// Ends the turn, and writes before what the reading half has left to it.
    pub(crate) fn release(mut self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if !state.left {
            self.shared.give_back(&mut state, self.writing.take());
            return Ok(());
        }
        drop(state);
        self.flush(Limit::NONE)
    }

    /// Queues a message, and writes it if it is long or much is queued.
    pub(crate) fn queue(&mut self, message: Message<'_>, compress: Compress) -> Result<io::Result<()>, SendError> {
        let payload = message.as_bytes();
        if self.begin(|codec, engine| codec.begin(payload.len(), compress, engine))? {
            return self.queue_compressed(message.kind(), payload, true);
        }
        if self.send(|engine, out| queue(engine, message, out))? {
            return Ok(self.write_if_full());
        }
        let mut written = Ok(());
        for frame in frames(message) {
            written = self.write_frame(frame, written)?;
            if self.gives_up(&written) {
                break;
            }
        }
        Ok(written)
    }

    /// Queues a part of a message, and writes what is queued, if it is much or not copied.
    pub(crate) fn send_part(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        compress: Compress,
    ) -> Result<io::Result<()>, SendError> {
        if self.begin(|codec, engine| codec.begin_part(kind, part, last, compress, engine))? {
            return self.queue_compressed(kind, part, last);
        }
        self.write_frame(Frame { kind, part, last, trusted: false }, Ok(()))
    }

    /// Whether something is to be compressed.
    fn begin(
        &mut self,
        begin: impl FnOnce(&mut Sender, &Engine) -> Result<bool, SendError>,
    ) -> Result<bool, SendError> {
        let Some(Writing { codec, .. }) = &mut self.writing else { return Ok(false) };
        begin(codec, &self.shared.lock().engine)
    }

    /// Queues what was begun to be compressed, and writes it if it is much. It is compressed while others may have the lock.
    fn queue_compressed(&mut self, kind: Kind, mut part: &[u8], last: bool) -> Result<io::Result<()>, SendError> {
        let mut written = Ok(());
        while let Some(fragment) = self.writing.as_mut().and_then(|writing| writing.codec.compress(&mut part, last)) {
            {
                let State { engine, queued, has_sent, .. } = &mut *self.shared.lock();
                *has_sent = true;
                fragment.send(kind, engine, queued)?;
            }
            // Behind an error, the message is to be whole all the same, once the stream takes more.
            if written.is_ok() {
                written = self.write_if_full();
            }
            if self.gives_up(&written) {
                break;
            }
        }
        Ok(written)
    }

    /// As [`queue`](Self::queue).
    pub(crate) fn queue_prepared(&mut self, prepared: &Prepared) -> Result<io::Result<()>, SendError> {
        self.send(|engine, out| engine.send_prepared(prepared, out))?;
        Ok(self.write_if_full())
    }

    /// Queues a frame, and writes it together with all that was queued before it, unless `written` has failed already.
    pub(crate) fn write_frame(
        &mut self,
        frame: Frame<'_>,
        written: io::Result<()>,
    ) -> Result<io::Result<()>, SendError> {
        let Some(Writing { stream, outbox, .. }) = &mut self.writing else { return Ok(written) };
        let behind = {
            let state = &mut *self.shared.lock();
            let State { engine, queued, layer, trace, .. } = state;
            let behind = queue_frame(engine, frame, queued)?;
            trace.see(Direction::Sent, queued);
            trace.see(Direction::Sent, behind);
            // What is queued from now on comes behind the payload.
            let behind = match layer.seal(queued, behind, outbox) {
                Ok(behind) => behind,
                Err(error) => return Ok(Err(error)),
            };
            (state.has_sent, state.left) = (true, false);
            self.shared.ease(state);
            behind
        };
        Ok(match written {
            Ok(()) => outbox.flush_with(behind, stream),
            // The message is to be whole all the same, once the stream takes more.
            Err(error) => {
                outbox.bytes.extend_from_slice(behind);
                Err(error)
            }
        })
    }

    /// As [`Outbox::check`].
    pub(crate) fn check(&self) -> io::Result<()> {
        self.writing.as_ref().map_or(Ok(()), |writing| writing.outbox.check())
    }

    fn gives_up(&mut self, written: &io::Result<()>) -> bool {
        self.writing.as_mut().is_some_and(|writing| writing.outbox.gives_up(written))
    }

    fn send<T>(&mut self, send: impl FnOnce(&mut Engine, &mut Vec<u8>) -> T) -> T {
        let State { engine, queued, has_sent, .. } = &mut *self.shared.lock();
        *has_sent = true;
        send(engine, queued)
    }

    /// Writes what is queued, if it has become much.
    fn write_if_full(&mut self) -> io::Result<()> {
        let Some(Writing { stream, outbox, .. }) = &mut self.writing else { return Ok(()) };
        {
            let mut state = self.shared.lock();
            if state.queued.len() < FRAME {
                return Ok(());
            }
            state.take_queued(outbox)?;
            self.shared.ease(&state);
        }
        outbox.flush(stream, Limit::NONE)
    }
}
