//! Compressors and decompressors that connections share: who needs one borrows it for the length of a message.

use std::boxed::Box;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

use zlib_rs::{Deflate, DeflateConfig, Inflate};

use super::WindowBits;

/// How many codecs a [`Pool`] lends and keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// How many decompressors, and how many compressors, may be lent at once; default 1,024 each.
    ///
    /// Whose compressed message comes when all decompressors are lent fails with
    /// [`TooManyCompressed`](crate::ProtocolError::TooManyCompressed), 1013. A message that is to be sent when all compressors are lent goes
    /// uncompressed.
    pub lent: usize,
    /// How many of each are kept for the next message while nobody needs them; default 4.
    pub kept: usize,
}

impl PoolLimits {
    /// The defaults: 1,024 and 4.
    pub const DEFAULT: Self = Self { lent: 1024, kept: 4 };
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Compressors and decompressors for all connections of a thread, or of several. A clone is the same pool.
///
/// Only connections that have agreed on no references to earlier messages need it: they hold nothing between messages. Others keep
/// what they need for themselves, and that counts to no limit.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    limits: PoolLimits,
    /// Held for as long as it takes to move a pointer.
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    inflaters: Shelf<Inflate>,
    deflaters: Shelf<Deflater>,
}

/// Codecs of one sort.
struct Shelf<C> {
    kept: Vec<Box<C>>,
    lent: usize,
}

impl<C> Default for Shelf<C> {
    fn default() -> Self {
        Self { kept: Vec::new(), lent: 0 }
    }
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Self {
        Self(Arc::new(Shared { limits, shelves: Mutex::default() }))
    }

    /// How many decompressors and compressors are lent now.
    pub fn lent(&self) -> (usize, usize) {
        self.with(|shelves| (shelves.inflaters.lent, shelves.deflaters.lent))
    }

    /// A codec that behaves as if it were new. `None`: so many are lent already.
    pub(super) fn lend<C: Codec>(&self, settings: &C::Settings) -> Option<Held<C>> {
        let kept = self.with(|shelves| {
            let shelf = C::shelf(shelves);
            if shelf.lent >= self.0.limits.lent {
                return None;
            }
            shelf.lent += 1;
            let fit = shelf.kept.iter().rposition(|codec| codec.has(settings));
            Some(fit.map(|at| shelf.kept.swap_remove(at)))
        })?;
        // What had to be made or cleared has no need of the lock.
        let mut held = Held { codec: None, lender: Some(self.clone()) };
        held.codec = Some(match kept {
            Some(mut codec) => {
                codec.reset();
                codec
            }
            // If there is no memory for it, that is a panic, and it does not count as lent.
            None => Box::new(C::new(settings)),
        });
        Some(held)
    }

    fn give_back<C: Codec>(&self, codec: Option<Box<C>>) {
        let superfluous = self.with(|shelves| {
            let shelf = C::shelf(shelves);
            shelf.lent -= 1;
            let codec = codec?;
            let is_full = shelf.kept.len() >= self.0.limits.kept;
            // The newest is kept: settings that nobody uses any more go first.
            let oldest = (is_full && !shelf.kept.is_empty()).then(|| shelf.kept.remove(0));
            if self.0.limits.kept > 0 {
                shelf.kept.push(codec);
                oldest
            } else {
                Some(codec)
            }
        });
        drop(superfluous);
    }

    /// A thread that panicked has left nothing half done.
    fn with<T>(&self, with: impl FnOnce(&mut Shelves) -> T) -> T {
        with(&mut self.0.shelves.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(PoolLimits::DEFAULT)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("limits", &self.0.limits).field("lent", &self.lent()).finish()
    }
}

/// A codec in use: of its holder's own, or lent by a pool, to which it goes back when this is dropped.
pub(super) struct Held<C: Codec> {
    /// `None`: it is on its way back.
    codec: Option<Box<C>>,
    lender: Option<Pool>,
}

impl<C: Codec> Held<C> {
    /// One that is nobody else's.
    pub(super) fn own(settings: &C::Settings) -> Self {
        Self { codec: Some(Box::new(C::new(settings))), lender: None }
    }
}

impl<C: Codec> Deref for Held<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.codec.as_deref().expect("it is held until it is dropped")
    }
}

impl<C: Codec> DerefMut for Held<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.codec.as_deref_mut().expect("it is held until it is dropped")
    }
}

impl<C: Codec> Drop for Held<C> {
    fn drop(&mut self) {
        if let Some(lender) = &self.lender {
            lender.give_back(self.codec.take());
        }
    }
}

impl<C: Codec> fmt::Debug for Held<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("is_lent", &self.lender.is_some()).finish()
    }
}

/// What a pool can hold.
pub(super) trait Codec: Sized {
    /// What makes two of them differ.
    type Settings;

    fn new(settings: &Self::Settings) -> Self;
    fn reset(&mut self);
    fn has(&self, settings: &Self::Settings) -> bool;
    #[expect(private_interfaces, reason = "nobody else makes codecs")]
    fn shelf(shelves: &mut Shelves) -> &mut Shelf<Self>;
}

impl Codec for Inflate {
    /// The codec takes 32 KiB for its window whatever it is told, so it is told 15 bits always, and any of them does for any peer.
    type Settings = ();

    fn new((): &()) -> Self {
        Self::new(false, WindowBits::MAX.get())
    }

    fn reset(&mut self) {
        Self::reset(self, false);
    }

    fn has(&self, (): &()) -> bool {
        true
    }

    #[expect(private_interfaces, reason = "nobody else makes codecs")]
    fn shelf(shelves: &mut Shelves) -> &mut Shelf<Self> {
        &mut shelves.inflaters
    }
}

/// The most bytes of a compressed frame's payload.
pub(super) const SCRATCH: usize = 16 * 1024;

/// A compressor, and room for what it makes.
pub(super) struct Deflater {
    settings: DeflaterSettings,
    pub(super) codec: Deflate,
    pub(super) scratch: Box<[u8]>,
    /// The last bytes that were made, which may be the tail that is not sent.
    pub(super) carried: Option<[u8; 4]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeflaterSettings {
    /// Not 8: the codec does not know it.
    pub(super) window_bits: WindowBits,
    /// 0 to 9.
    pub(super) level: u8,
    /// 1 to 9.
    pub(super) memory_level: u8,
}

impl Codec for Deflater {
    type Settings = DeflaterSettings;

    fn new(settings: &DeflaterSettings) -> Self {
        let config = DeflateConfig {
            level: settings.level.into(),
            // Negative: no header and no checksum around the data.
            window_bits: -i32::from(settings.window_bits.get()),
            mem_level: settings.memory_level.into(),
            ..DeflateConfig::default()
        };
        Self {
            settings: *settings,
            codec: Deflate::new_with_config(config),
            scratch: std::vec![0; SCRATCH].into_boxed_slice(),
            carried: None,
        }
    }

    fn reset(&mut self) {
        self.codec.reset();
        self.carried = None;
    }

    fn has(&self, settings: &DeflaterSettings) -> bool {
        self.settings == *settings
    }

    #[expect(private_interfaces, reason = "nobody else makes codecs")]
    fn shelf(shelves: &mut Shelves) -> &mut Shelf<Self> {
        &mut shelves.deflaters
    }
}
