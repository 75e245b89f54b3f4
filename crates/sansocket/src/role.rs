//! Which side of a connection one is: it decides who masks and who closes the transport.

#[cfg(feature = "rand")]
use core::cell::RefCell;
use core::fmt;
#[cfg(feature = "rand")]
use core::mem;

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

/// Keys from the thread's cryptographic generator, seeded by the operating system. Each thread draws 64 of them at once and holds them in 264 bytes; a
/// connection takes no memory for them. Behind a `fork`, both processes would use up the same ones: fork before there are connections.
#[cfg(feature = "rand")]
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomKeys;

#[cfg(feature = "rand")]
impl RandomKeys {
    /// RFC 6455, 5.3: "the masking key MUST be derived from a strong source of entropy".
    #[inline]
    fn generator() -> impl rand::CryptoRng {
        rand::rng()
    }
}

#[cfg(feature = "rand")]
impl MaskKeys for RandomKeys {
    #[inline]
    fn next_key(&mut self) -> [u8; 4] {
        KEYS.with_borrow_mut(|keys| {
            keys.left = match keys.left.checked_sub(1) {
                Some(left) => left,
                None => {
                    keys.refill();
                    BLOCK - 1
                }
            };
            // What was used is not kept.
            mem::take(&mut keys.block[keys.left])
        })
    }
}

/// How many keys a thread draws at once. Drawn one by one, they make a message of 16 bytes an eighth slower.
#[cfg(feature = "rand")]
const BLOCK: usize = 64;

#[cfg(feature = "rand")]
struct Keys {
    block: [[u8; 4]; BLOCK],
    left: usize,
}

#[cfg(feature = "rand")]
impl Keys {
    #[cold]
    fn refill(&mut self) {
        rand::Rng::fill_bytes(&mut RandomKeys::generator(), self.block.as_flattened_mut());
    }
}

#[cfg(feature = "rand")]
std::thread_local! {
    static KEYS: RefCell<Keys> = const { RefCell::new(Keys { block: [[0; 4]; BLOCK], left: 0 }) };
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

#[cfg(all(test, feature = "rand"))]
mod tests {
    extern crate std;

    use std::collections::HashSet;
    use std::thread;
    use std::vec::Vec;

    use super::{MaskKeys, RandomKeys};

    /// How many keys each thread draws, and how many all of them do.
    const EACH: usize = 1 << 14;
    const ALL: usize = 4 * EACH;

    /// Asserts that `words` look drawn at random. The bounds together fail good ones less than once in 10¹² runs.
    fn assert_random(what: &str, words: &[u32]) {
        // Of 2¹⁶ words of 32 bits, half a pair is the same on average. More than 16 of them: once in 10¹⁹ runs.
        let distinct: HashSet<_> = words.iter().collect();
        assert!(words.len() - distinct.len() <= 16, "{what}: {} of {}", distinct.len(), words.len());
        // A bit is set in half of them, with a deviation of 128. More than 8 of those, at one of 32 bits: once in 10¹³ runs.
        for bit in 0..32 {
            let set = words.iter().filter(|word| *word >> bit & 1 == 1).count();
            assert!(set.abs_diff(words.len() / 2) <= 8 * 128, "{what}: bit {bit} is set in {set} of {}", words.len());
        }
    }

    #[test]
    fn rfc6455_5_3_keys_come_from_a_generator_for_cryptography() {
        /// Nothing but a generator whose output nobody can foresee from what it has put out before can be given to this.
        fn is_unforeseeable(_: &impl rand::CryptoRng) {}

        is_unforeseeable(&RandomKeys::generator());
        is_unforeseeable(&rand::rng());
    }

    #[test]
    fn rfc6455_5_3_keys_of_all_threads_differ_and_do_not_follow_from_each_other() {
        let threads: Vec<_> = (0..ALL / EACH)
            .map(|_| thread::spawn(|| (0..EACH).map(|_| u32::from_ne_bytes(RandomKeys.next_key())).collect::<Vec<_>>()))
            .collect();
        let drawn: Vec<Vec<u32>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_random("keys", &drawn.concat());
        // Behind a counter or a fixed mask, what lies between neighbours would be the same again and again.
        let between = |with: fn(u32, u32) -> u32| -> Vec<u32> {
            drawn.iter().flat_map(|keys| keys.windows(2)).map(|pair| with(pair[0], pair[1])).collect()
        };
        assert_random("differences", &between(|a, b| b.wrapping_sub(a)));
        assert_random("changed bits", &between(|a, b| a ^ b));
    }
}
