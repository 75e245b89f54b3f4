//! Which side of a connection one is: it decides who masks and who closes the transport.

use core::fmt;

/// A side of a connection: [`Server`], [`Client`] or, where it is only known at run time, [`Either`].
pub trait Role: sealed::Role {}

/// The side that accepts connections. It never masks, and it demands masked frames (RFC 6455, section 5.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Server;

/// The side that opens connections. It masks every frame with a key of its own (RFC 6455, sections 5.1 and 5.3).
pub struct Client<K>(K);

impl<K: MaskKeys> Client<K> {
    /// A client that masks with `keys`.
    pub const fn new(keys: K) -> Self {
        Self(keys)
    }
}

impl<K> fmt::Debug for Client<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys to come are a secret of this side.
        f.write_str("Client")
    }
}

/// A side that is chosen at run time.
#[derive(Debug)]
pub enum Either<K> {
    /// The side that accepts connections.
    Server,
    /// The side that opens connections.
    Client(Client<K>),
}

/// Where masking keys come from. Any `FnMut() -> [u8; 4]` is one; with feature `rand`, so is `RandomKeys`.
///
/// A key must come "from a strong source of entropy" (RFC 6455, section 5.3) and must not be foreseen by whoever chooses the payload
/// (section 10.3). The connection draws one key per frame, when the frame's payload is fixed.
pub trait MaskKeys {
    /// The next key.
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4]> MaskKeys for F {
    #[inline]
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}

/// Keys from the thread's cryptographic generator, seeded by the operating system. Takes no memory of its own.
#[cfg(feature = "rand")]
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomKeys;

#[cfg(feature = "rand")]
impl MaskKeys for RandomKeys {
    #[inline]
    fn next_key(&mut self) -> [u8; 4] {
        // As four bytes, the generator would be asked four times.
        rand::random::<u32>().to_ne_bytes()
    }
}

impl Role for Server {}
impl<K: MaskKeys> Role for Client<K> {}
impl<K: MaskKeys> Role for Either<K> {}

mod sealed {
    #[expect(unnameable_types, reason = "sealed: nobody else may be a role")]
    pub trait Role {
        /// Whether this side is the server.
        fn is_server(&self) -> bool;

        /// The key for the next frame to be sent, if this side masks.
        fn next_key(&mut self) -> Option<[u8; 4]>;
    }
}

impl sealed::Role for Server {
    #[inline]
    fn is_server(&self) -> bool {
        true
    }

    #[inline]
    fn next_key(&mut self) -> Option<[u8; 4]> {
        None
    }
}

impl<K: MaskKeys> sealed::Role for Client<K> {
    #[inline]
    fn is_server(&self) -> bool {
        false
    }

    #[inline]
    fn next_key(&mut self) -> Option<[u8; 4]> {
        Some(self.0.next_key())
    }
}

impl<K: MaskKeys> sealed::Role for Either<K> {
    #[inline]
    fn is_server(&self) -> bool {
        matches!(self, Self::Server)
    }

    #[inline]
    fn next_key(&mut self) -> Option<[u8; 4]> {
        match self {
            Self::Server => None,
            Self::Client(client) => client.next_key(),
        }
    }
}
