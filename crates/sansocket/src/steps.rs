//! How many bytes the engine has passed over, for the fuzz targets and the tests of work: they hold it to work that grows no faster than what
//! comes in and goes out. Without the feature `steps` nothing is counted and no code made.

#[cfg(feature = "steps")]
pub use counted::taken;

#[cfg(feature = "steps")]
mod counted {
    use core::cell::Cell;

    std::thread_local! {
        static TAKEN: Cell<u64> = const { Cell::new(0) };
    }

    /// How many bytes were passed over by this thread so far. A byte that is passed over twice counts twice.
    pub fn taken() -> u64 {
        TAKEN.get()
    }

    pub(super) fn count(bytes: usize) {
        TAKEN.set(TAKEN.get() + bytes as u64);
    }
}

/// Counts bytes that are passed over: read, compared, copied, unmasked, validated or inflated.
#[inline(always)]
pub(crate) fn count(bytes: usize) {
    #[cfg(feature = "steps")]
    counted::count(bytes);
    #[cfg(not(feature = "steps"))]
    let _ = bytes;
}
