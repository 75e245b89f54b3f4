//! What all connections of a loop have in common.

use std::time::Instant;

#[cfg(feature = "deflate")]
use sansocket::deflate;
use sansocket::handshake::HeadLimits;
use sansocket::{Limits, OwnedMessage, Time, Timeouts};
#[cfg(feature = "deflate")]
use sansocket::{Message, Prepared};

/// The most bytes that are kept for the output, from one turn to the next, and for joined messages, from one to the next.
const KEPT: usize = 128 * 1024;

/// How connections are treated. [`Settings::default`] suits a public server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The limits of what a peer sends, unless a connection gets others.
    pub limits: Limits,
    /// How long a peer may take for what.
    pub timeouts: Timeouts,
    /// The limits of a handshake's head. A head is parsed in the buffer that is read into, so it is refused if it is longer than that: a server's
    /// buffer has room for up to 1 MiB of head, unless it is [made larger](crate::Server::set_read_buffer).
    pub head_limits: HeadLimits,
    /// Messages of up to so many bytes are given whole. A longer one is given in parts as they come, unless it lies whole in what was read;
    /// default `usize::MAX`: never.
    pub whole: usize,
    /// While more bytes than this are queued for a client, a server reads nothing from it; default 256 KiB.
    pub high_mark: usize,
    /// Once no more bytes than this are queued again, the peer is read from, and the handler hears of it; default 64 KiB.
    pub low_mark: usize,
    /// While more bytes than this are queued, messages are refused, and the connection fails with
    /// [`QueueOverrun`](sansocket::ProtocolError::QueueOverrun); default 16 MiB. So at most this and one message are queued, and the replies that the protocol demands.
    pub queue: usize,
    /// How messages are compressed, where the peer agrees on it: servers accept it, clients offer it; default `None`, not at all.
    #[cfg(feature = "deflate")]
    pub compression: Option<deflate::Config>,
}

impl Settings {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        limits: Limits::DEFAULT,
        timeouts: Timeouts::DEFAULT,
        head_limits: HeadLimits::DEFAULT,
        whole: usize::MAX,
        high_mark: 256 * 1024,
        low_mark: 64 * 1024,
        queue: 16 * 1024 * 1024,
        #[cfg(feature = "deflate")]
        compression: None,
    };
}

impl Settings {
    /// What a server accepts of compression.
    #[cfg(feature = "deflate")]
    pub(crate) fn policy(&self) -> Option<deflate::Policy> {
        self.compression.map(|config| config.policy)
    }

    /// What nobody here could inflate is not accepted.
    #[cfg(not(feature = "deflate"))]
    pub(crate) const fn policy(&self) -> Option<sansocket::deflate::Policy> {
        None
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What all connections of a loop share: settings, the time, and the output, in which a connection's turn collects what is to be written.
#[derive(Debug)]
pub struct Common {
    pub(crate) settings: Settings,
    start: Instant,
    pub(crate) now: Time,
    /// Empty between turns.
    pub(crate) out: Vec<u8>,
    /// Whether there is more to be taken behind what was taken last.
    pub(crate) has_more: bool,
    /// The memory of the last message that was joined, for the next one, if it is not too much to be kept.
    pub(crate) spare: Option<Vec<u8>>,
    #[cfg(feature = "deflate")]
    pub(crate) codecs: Codecs,
}

/// What is needed to compress and to inflate, one connection after another.
#[cfg(feature = "deflate")]
#[derive(Debug, Default)]
pub(crate) struct Codecs {
    pub(crate) pool: deflate::Pool,
    /// Where pieces of messages are inflated to, before they are joined. Empty until the first one comes.
    pub(crate) scratch: Box<[u8]>,
    /// How many bytes were inflated in the turn under way.
    pub(crate) inflated: usize,
}

/// How much is inflated at once, in bytes.
#[cfg(feature = "deflate")]
const SCRATCH: usize = 16 * 1024;

#[cfg(feature = "deflate")]
impl Codecs {
    /// Takes the scratch, to be put back.
    pub(crate) fn take_scratch(&mut self) -> Box<[u8]> {
        if self.scratch.is_empty() { vec![0; SCRATCH].into() } else { std::mem::take(&mut self.scratch) }
    }
}

impl Common {
    /// Nothing queued, at the beginning of time.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            start: Instant::now(),
            now: Time::default(),
            out: Vec::new(),
            has_more: false,
            spare: None,
            #[cfg(feature = "deflate")]
            codecs: Codecs::default(),
        }
    }

    /// Sets the pool that connections borrow compressors and decompressors from: one of several loops, or one with other limits. To be called before
    /// there are connections. Without it, a loop has its own, with [`PoolLimits::DEFAULT`](deflate::PoolLimits::DEFAULT).
    #[cfg(feature = "deflate")]
    pub fn set_pool(&mut self, pool: deflate::Pool) {
        self.codecs.pool = pool;
    }

    /// Encodes a message once for many clients, and if it is worth it, compresses it once for all of them that have agreed on what the settings
    /// say.
    #[cfg(feature = "deflate")]
    pub fn prepare<'m>(&self, message: impl Into<Message<'m>>, compress: deflate::Compress) -> Prepared {
        match &self.settings.compression {
            Some(config) => Prepared::compressed(message, compress, config, &self.codecs.pool),
            None => Prepared::new(message),
        }
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The time as it was looked up last: since this was made.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Looks up the time. To be called after each wait: everything that is done until the next one happens at this moment.
    pub fn look_at_clock(&mut self) {
        self.now = Time::from_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    /// Moves the clock forward, as where the machine has slept.
    #[cfg(test)]
    pub(crate) fn jump(&mut self, by: std::time::Duration) {
        self.start = self.start.checked_sub(by).expect("the clock goes back that far");
    }

    /// Keeps the memory of a message that nobody needs any more.
    pub(crate) fn keep(&mut self, message: OwnedMessage) {
        let mut memory = match message {
            OwnedMessage::Text(text) => text.into_bytes(),
            OwnedMessage::Binary(binary) => binary,
        };
        if memory.capacity() <= KEPT {
            self.spare = Some(memory);
            return;
        }
        // Made small before it is freed: glibc takes the size of what is freed for what it had better keep from then on, and would hold
        // as much as the longest message again, twice, for good.
        memory.clear();
        memory.shrink_to(1);
    }

    /// Forgets what was put, and gives back memory that a long turn has taken.
    pub(crate) fn clear(&mut self) {
        if self.out.capacity() > KEPT { self.out = Vec::new() } else { self.out.clear() }
    }
}
