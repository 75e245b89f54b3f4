//! A socket that delays, splits, interrupts and breaks as a program says, and that wakes where something has changed.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use sansocket_mio::Stream;
use sansocket_testkit::faults::Transport;
use url::Host;

use super::Plan;
use crate::builder::TimeLimits;
use crate::location::Protocols;

pub(super) const URL: &str = "ws://localhost/chat";

/// To connect there, and nothing special.
pub(super) fn plan(compresses: bool) -> Plan {
    Plan {
        uri: URL.to_owned(),
        host: Host::Domain("localhost".to_owned()),
        port: 80,
        blocked_port: None,
        protocols: Protocols::default(),
        origin: None,
        headers: Vec::new(),
        tls: None,
        proxy: None,
        time_limits: TimeLimits::DEFAULT,
        message_limit: u64::MAX,
        compresses,
        waits_for_turn: false,
    }
}

pub(super) struct Faulty {
    pub(super) transport: Transport,
    /// How much the peer sends as long as it waits for something.
    pub(super) held_at: Option<usize>,
    /// Whether somebody was told that there is nothing to read, or no room to write, and is to be woken.
    read_edge: bool,
    write_edge: bool,
}

impl Faulty {
    pub(super) const fn new(transport: Transport) -> Self {
        Self { transport, held_at: None, read_edge: true, write_edge: true }
    }

    /// What the system says next: readable, and whether behind the last bytes; writable.
    pub(super) fn event(&mut self) -> Option<(bool, bool, bool)> {
        let readable = self.read_edge && !self.transport.is_waiting() && self.not_held() > 0;
        let writable = self.write_edge;
        self.read_edge &= !readable;
        self.write_edge = false;
        (readable || writable).then(|| (readable, readable && self.transport.is_at_end(), writable))
    }

    fn not_held(&self) -> usize {
        self.held_at.map_or(usize::MAX, |at| at.saturating_sub(self.transport.received()))
    }

    /// What a call has come to. Who waits does so no longer than the other side is there.
    fn outcome<T>(&mut self, result: Result<T, ErrorKind>) -> io::Result<T> {
        if matches!(result, Err(kind) if kind != ErrorKind::WouldBlock && kind != ErrorKind::Interrupted) {
            self.held_at = None;
        }
        Ok(result?)
    }
}

impl Read for Faulty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.not_held().min(buffer.len());
        let result = if most == 0 { Err(ErrorKind::WouldBlock) } else { self.transport.read(&mut buffer[..most]) };
        // A short read says that there is no more, and what comes next is an event. One that fits exactly does not.
        self.read_edge |= match result {
            Ok(count) => count < buffer.len(),
            Err(kind) => kind == ErrorKind::WouldBlock,
        };
        self.outcome(result)
    }
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let given: usize = slices.iter().map(|slice| slice.len()).sum();
        let result = self.transport.write(slices);
        self.write_edge |= match result {
            Ok(count) => count < given,
            Err(kind) => kind == ErrorKind::WouldBlock,
        };
        self.outcome(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.transport.flush();
        self.write_edge |= result == Err(ErrorKind::WouldBlock);
        self.outcome(result)
    }
}

impl Source for Faulty {
    fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Faulty {
    fn shutdown_write(&mut self) -> io::Result<()> {
        let result = self.transport.shut();
        self.outcome(result)
    }
}
