//! All connections of a loop, and what can be done to each from anywhere.

use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use mio::{Registry, Token};
use sansocket::deflate::Compress;
use sansocket::handshake::{ClientRequest, ClientRequestError};
use sansocket::{CloseCode, Kind, Limits, Message, Prepared, SendError, Time};
use slab::Slab;

use super::handler::Handler;
use super::timers::{MOST_CONNECTIONS, Scheduled, Timers};
use crate::answer::Answer;
use crate::driver::{Driver, Sent};
use crate::settings::{Common, Settings};

/// The first token of a connection.
pub(crate) const FIRST_TOKEN: usize = 1 << 16;

/// How long the list of those who get a turn may be before it is looked through for doubles, with few connections.
const MOST_TOUCHED: usize = 1024;

/// A connection's name on its loop. It is never given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    pub(crate) index: u32,
    serial: u32,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.serial)
    }
}

/// All connections of a [`Server`](super::Server).
pub struct Connections<H: Handler> {
    pub(super) entries: Slab<Entry<H>>,
    pub(super) common: Common,
    /// What is put for a connection while another one has its turn.
    aside: Vec<u8>,
    /// Who has its turn: what it puts lies in `common`.
    pub(super) turn: Option<usize>,
    /// Who was sent something outside of its turn, or may be read from without a further event. They get a turn in this round.
    pub(super) touched: Vec<usize>,
    /// Whose requests were answered late, and which are now open.
    pub(super) answered: Vec<ConnectionId>,
    pub(super) timers: Timers,
    registry: Registry,
    serial: u32,
    /// Until when a loop that stops waits for its connections to end.
    pub(super) stop_at: Option<Time>,
}

pub(super) struct Entry<H: Handler> {
    pub(super) driver: Driver<H::Stream>,
    serial: u32,
    pub(super) scheduled: Scheduled,
    data: H::Data,
}

impl<H: Handler> fmt::Debug for Connections<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<H: Handler> Connections<H> {
    pub(super) fn new(settings: Settings, most: usize, registry: Registry) -> Self {
        // Memory that nobody touches is only reserved; and nothing has to be moved as the number grows.
        Self {
            entries: Slab::with_capacity(most),
            common: Common::new(settings),
            aside: Vec::new(),
            turn: None,
            touched: Vec::new(),
            answered: Vec::new(),
            timers: Timers::with_capacity(most),
            registry,
            serial: 0,
            stop_at: None,
        }
    }

    /// How many there are, those included that are being opened or have ended and are not gone yet.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those that are open.
    pub fn open_ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.entries.iter().filter(|(_, entry)| entry.driver.may_send()).map(|(index, entry)| entry.id(index))
    }

    /// Whether messages may be sent to a connection.
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.entry(id).is_some_and(|entry| entry.driver.may_send())
    }

    /// What is kept for a connection. `None`: it is gone.
    pub fn data(&mut self, id: ConnectionId) -> Option<&mut H::Data> {
        self.entry_mut(id).map(|entry| &mut entry.data)
    }

    /// A connection's stream. `None`: it is gone.
    pub fn stream(&self, id: ConnectionId) -> Option<&H::Stream> {
        self.entry(id).map(|entry| entry.driver.stream())
    }

    /// Bytes that wait for a connection's socket to take them.
    pub fn queued(&self, id: ConnectionId) -> usize {
        self.entry(id).map_or(0, |entry| entry.driver.queued())
    }

    /// Sends a message to a connection.
    ///
    /// # Errors
    ///
    /// As [`Context::send`](super::Context::send).
    #[inline]
    pub fn send<'m>(&mut self, id: ConnectionId, message: impl Into<Message<'m>>) -> Result<Sent, SendError> {
        let message = message.into();
        self.with(id, |driver, common| driver.send(message, Compress::Auto, common)).unwrap_or(Err(SendError::Closing))
    }

    /// As [`send`](Self::send), and says whether the message is compressed.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_with<'m>(
        &mut self,
        id: ConnectionId,
        message: impl Into<Message<'m>>,
        compress: Compress,
    ) -> Result<Sent, SendError> {
        let message = message.into();
        self.with(id, |driver, common| driver.send(message, compress, common)).unwrap_or(Err(SendError::Closing))
    }

    /// Sends a part of a message; `last` ends it.
    ///
    /// # Errors
    ///
    /// As [`Turn::send_part`](crate::Turn::send_part).
    pub fn send_part(&mut self, id: ConnectionId, kind: Kind, part: &[u8], last: bool) -> Result<Sent, SendError> {
        self.with(id, |driver, common| driver.send_part(kind, part, last, Compress::Auto, common))
            .unwrap_or(Err(SendError::Closing))
    }

    /// As [`send_part`](Self::send_part), and says with a message's first part whether all of it is compressed.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_part_with(
        &mut self,
        id: ConnectionId,
        kind: Kind,
        part: &[u8],
        last: bool,
        compress: Compress,
    ) -> Result<Sent, SendError> {
        self.with(id, |driver, common| driver.send_part(kind, part, last, compress, common))
            .unwrap_or(Err(SendError::Closing))
    }

    /// Sends a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`Turn::send_prepared`](crate::Turn::send_prepared).
    pub fn send_prepared(&mut self, id: ConnectionId, prepared: &Prepared) -> Result<Sent, SendError> {
        self.with(id, |driver, common| driver.send_prepared(prepared, common)).unwrap_or(Err(SendError::Closing))
    }

    /// Sends a message that was encoded before to all clients whose connection is open, but for the one that `skip` names.
    ///
    /// It does not go to servers that this loop has connected to, for which a message cannot be encoded before, nor to a client that is being sent
    /// another message in parts. A client that does not read fails by [`Settings::queue`]. Who needs to know of each sends to each.
    pub fn broadcast(&mut self, prepared: &Prepared, skip: Option<ConnectionId>) {
        for index in self.indexes() {
            let Some(entry) = self.entries.get(index) else { continue };
            let id = entry.id(index);
            if entry.driver.may_send() && Some(id) != skip {
                let _ = self.send_prepared(id, prepared);
            }
        }
    }

    /// Sends a ping of at most 125 bytes.
    ///
    /// # Errors
    ///
    /// As [`Turn::ping`](crate::Turn::ping).
    pub fn ping(&mut self, id: ConnectionId, payload: &[u8]) -> Result<(), SendError> {
        self.with(id, |driver, common| driver.ping(payload, common)).unwrap_or(Err(SendError::Closing))
    }

    /// Begins a connection's closing handshake.
    ///
    /// # Errors
    ///
    /// As [`Connection::close`](sansocket::Connection::close).
    pub fn close(
        &mut self,
        id: ConnectionId,
        code: impl Into<Option<CloseCode>>,
        reason: &str,
    ) -> Result<(), SendError> {
        let code = code.into();
        self.with(id, |driver, common| driver.close(code, reason, common)).unwrap_or(Err(SendError::Closing))
    }

    /// Answers a request whose answer was [`Answer::later`]. Of no effect if the connection is gone, because it has taken too long, say.
    pub fn answer(&mut self, id: ConnectionId, answer: &Answer) {
        let waits = self.entry(id).is_some_and(|entry| entry.driver.is_opening());
        if waits {
            self.with(id, |driver, common| driver.answer(None, answer, common));
            if self.entry(id).is_some_and(|entry| entry.driver.may_send()) {
                self.answered.push(id);
            }
        }
    }

    /// Changes the limits of what a peer sends.
    pub fn set_limits(&mut self, id: ConnectionId, limits: Limits) {
        if let Some(entry) = self.entry_mut(id) {
            entry.driver.set_limits(limits);
        }
    }

    /// Opens a connection as a client, over a stream that is being connected. What comes of it is told to the same handler. As with
    /// [`Driver::client`](crate::Driver::client), compression is offered only where the settings say so.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, as an error of kind `InvalidInput`; what [`Poll`](mio::Poll) has against the stream; that the loop is
    /// being shut down, or has 16,777,216 connections.
    pub fn connect(&mut self, stream: H::Stream, request: &ClientRequest<'_>) -> io::Result<ConnectionId> {
        let invalid = |error: ClientRequestError| io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
        if self.stop_at.is_some() {
            return Err(io::Error::other("the loop is being shut down"));
        }
        self.look_at_clock();
        let driver = Driver::client(stream, request, &self.common).map_err(invalid)?;
        self.insert(driver)
    }

    /// Accepts no more connections, closes those that are open with 1001, and ends the loop once all are gone, or after `grace`.
    pub fn shut_down(&mut self, grace: Duration) {
        self.look_at_clock();
        self.stop_at = Some(self.common.now().after(grace));
        for index in self.indexes() {
            let Some(entry) = self.entries.get(index) else { continue };
            let id = entry.id(index);
            if entry.driver.is_opening() {
                self.with(id, |driver, common| driver.abandon(common));
            } else {
                // Those that are closing already are left to it.
                let _ = self.close(id, CloseCode::GOING_AWAY, "the server shuts down");
            }
        }
    }

    /// Whether the loop was told to [shut down](Self::shut_down).
    pub const fn is_shutting_down(&self) -> bool {
        self.stop_at.is_some()
    }

    /// Looks up the time for a call from outside of the loop, which may have waited for long. What happens in a turn happens at its moment.
    fn look_at_clock(&mut self) {
        if self.turn.is_none() {
            self.common.look_at_clock();
        }
    }

    /// All there are, and perhaps some that are vacant.
    pub(super) fn indexes(&self) -> Range<usize> {
        0..self.entries.iter().next_back().map_or(0, |(last, _)| last + 1)
    }

    /// The time and the settings.
    pub const fn common(&self) -> &Common {
        &self.common
    }

    pub(super) fn insert(&mut self, driver: Driver<H::Stream>) -> io::Result<ConnectionId> {
        if self.entries.len() >= MOST_CONNECTIONS {
            return Err(io::Error::other("so many connections have no place on one loop"));
        }
        let vacant = self.entries.vacant_entry();
        let index = vacant.key();
        self.serial = self.serial.wrapping_add(1);
        let entry = Entry { driver, serial: self.serial, scheduled: Scheduled::NEVER, data: H::Data::default() };
        let entry = vacant.insert(entry);
        let id = entry.id(index);
        let interest = Driver::<H::Stream>::INTEREST;
        if let Err(error) = self.registry.register(entry.driver.stream_mut(), Token(FIRST_TOKEN + index), interest) {
            self.entries.remove(index);
            return Err(error);
        }
        self.schedule(index);
        Ok(id)
    }

    pub(super) fn remove(&mut self, index: usize) {
        let mut entry = self.entries.remove(index);
        // It is dropped with the stream anyway.
        let _ = self.registry.deregister(entry.driver.stream_mut());
        if self.entries.is_empty() {
            self.timers.clear();
        }
    }

    pub(super) fn id(&self, index: usize) -> ConnectionId {
        self.entries[index].id(index)
    }

    pub(super) fn schedule(&mut self, index: usize) {
        let Self { entries, timers, common, .. } = self;
        let entry = &mut entries[index];
        if let Some(due) = entry.driver.deadline(common) {
            timers.schedule(index, common.now(), due, &mut entry.scheduled);
        }
    }

    /// Forgets what was put and not written.
    pub(super) fn forget_output(&mut self) {
        self.common.clear();
        self.aside.clear();
    }

    pub(super) fn data_of_turn(&mut self, id: ConnectionId) -> &mut H::Data {
        &mut self.entries[id.index as usize].data
    }

    pub(super) fn stream_of_turn(&self, id: ConnectionId) -> &H::Stream {
        self.entries[id.index as usize].driver.stream()
    }

    fn entry(&self, id: ConnectionId) -> Option<&Entry<H>> {
        self.entries.get(id.index as usize).filter(|entry| entry.serial == id.serial)
    }

    fn entry_mut(&mut self, id: ConnectionId) -> Option<&mut Entry<H>> {
        self.entries.get_mut(id.index as usize).filter(|entry| entry.serial == id.serial)
    }

    /// Does something to a connection, in its turn or in somebody else's.
    #[inline]
    fn with<T>(&mut self, id: ConnectionId, work: impl FnOnce(&mut Driver<H::Stream>, &mut Common) -> T) -> Option<T> {
        let index = id.index as usize;
        let Self { entries, common, turn, .. } = self;
        let entry = entries.get_mut(index).filter(|entry| entry.serial == id.serial)?;
        if *turn == Some(index) { Some(work(&mut entry.driver, common)) } else { Some(self.aside(index, work)) }
    }

    #[inline(never)]
    fn aside<T>(&mut self, index: usize, work: impl FnOnce(&mut Driver<H::Stream>, &mut Common) -> T) -> T {
        let Self { entries, common, aside, touched, .. } = self;
        let driver = &mut entries[index].driver;
        mem::swap(&mut common.out, aside);
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let result = work(driver, common);
            driver.put_aside(common);
            result
        }));
        mem::swap(&mut common.out, aside);
        let result = result.unwrap_or_else(|panicked| {
            aside.clear();
            panic::resume_unwind(panicked)
        });
        touched.push(index);
        // A round may send to the same ones many times.
        if touched.len() >= MOST_TOUCHED.max(2 * entries.len()) {
            touched.sort_unstable();
            touched.dedup();
        }
        result
    }
}

impl<H: Handler> Entry<H> {
    pub(super) const fn id(&self, index: usize) -> ConnectionId {
        #[expect(clippy::cast_possible_truncation, reason = "an index has 24 bits")]
        ConnectionId { index: index as u32, serial: self.serial }
    }
}
