//! What all threads share: what is to be done, and where it is told what goes wrong.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sansocket_mio::deflate;

use super::errors::{Errors, Fault};
use super::pace::Pace;
use super::payload::Payload;

#[derive(Debug)]
pub(super) struct Task {
    pub(super) payload: Payload,
    /// Of all threads.
    pub(super) connections: usize,
    pub(super) threads: usize,
    /// `None`: a message leaves as soon as there is room for it among those on the way.
    pub(super) pace: Option<Pace>,
    /// How many messages may be on their way on each connection.
    pub(super) in_flight: usize,
    /// How long messages are sent.
    pub(super) duration: Duration,
    /// What is offered to the server.
    pub(super) compression: Option<deflate::Config>,
    pub(super) errors: Mutex<Errors>,
}

impl Task {
    /// Tells about errors of a kind.
    pub(super) fn tell(&self, fault: Fault, count: u64, what: fmt::Arguments<'_>) {
        self.errors().tell(fault, count, what);
    }

    pub(super) fn errors(&self) -> MutexGuard<'_, Errors> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All errors, when all is done.
    pub(super) fn into_errors(self) -> Errors {
        self.errors.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
