//! What goes wrong: the first errors are told, and all are counted by their kind.

use std::fmt;

/// How many errors are told one by one.
const TOLD: u64 = 10;

/// A kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotOpened,
    ClosedByServer,
    ProtocolViolation,
    Lost,
    WrongEcho,
    Unasked,
    NoEcho,
}

impl Fault {
    pub(super) const ALL: [Self; 7] = [
        Self::NotOpened,
        Self::ClosedByServer,
        Self::ProtocolViolation,
        Self::Lost,
        Self::WrongEcho,
        Self::Unasked,
        Self::NoEcho,
    ];

    /// Its names, for people and for programs.
    pub(super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::NotOpened => ("connections that were not opened", "not_opened"),
            Self::ClosedByServer => ("connections that the server has closed", "closed_by_server"),
            Self::ProtocolViolation => ("connections on which the server violated the protocol", "protocol_violation"),
            Self::Lost => ("connections that were lost", "connection_lost"),
            Self::WrongEcho => ("messages that came back as others", "wrong_echo"),
            Self::Unasked => ("messages that came and are no echo", "unasked_message"),
            Self::NoEcho => ("messages without an echo", "no_echo"),
        }
    }
}

/// All errors so far.
#[derive(Debug, Default)]
pub(super) struct Errors {
    counts: [u64; Fault::ALL.len()],
    lines: u64,
    /// What the lines stand for that were told.
    told: u64,
}

impl Errors {
    /// Counts `count` of them, and tells about them unless enough was told.
    pub(super) fn tell(&mut self, fault: Fault, count: u64, what: fmt::Arguments<'_>) {
        self.counts[fault as usize] += count;
        if self.lines < TOLD {
            self.lines += 1;
            self.told += count;
            eprintln!("sansocket: {what}");
        }
    }

    /// Says how many there are that were not told.
    pub(super) fn tell_rest(&self) {
        let count = self.count();
        if count > self.told {
            eprintln!("sansocket: and {} more errors", count - self.told);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many of each kind there are.
    pub(super) fn by_kind(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().map(|fault| (fault, self.counts[fault as usize]))
    }
}
