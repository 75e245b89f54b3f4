//! What holds of every call of the engine, whatever it is given: it works no more than what comes in and goes out is worth, keeps nothing, and
//! borrows little.

use allocation_counter::measure;
use sansocket::steps;

/// Steps that a call may take whatever it is given: a cut header is joined, a row of subprotocols is looked through.
const CALL: u64 = 64;

/// How often a byte of a head may be passed over: once for each header that is looked for, and for what is made of them.
pub(crate) const HEAD: u64 = 48;

/// The most bytes of an answer that is written into a head, but for what it takes from the request.
pub(crate) const MAX_ANSWER: usize = 512;

/// How often a byte of a frame may be passed over: unmasked, validated, kept where it was cut.
pub(crate) const FRAME: u64 = 4;

/// The engine's work since this was made.
pub(crate) struct Work(u64);

impl Work {
    /// Begins to count.
    pub(crate) fn begin() -> Self {
        Self(steps::taken())
    }

    /// Holds the engine to at most `factor` steps for each byte that came in or went out in so many calls.
    pub(crate) fn check(&self, factor: u64, bytes: usize, calls: usize) {
        let taken = steps::taken() - self.0;
        let most = factor * bytes as u64 + CALL * calls as u64;
        assert!(taken <= most, "{taken} steps for {bytes} bytes in {calls} calls");
    }
}

/// Makes one call over so many bytes, and holds it to at most `factor` steps for each of them.
pub(crate) fn is_linear<R>(factor: u64, bytes: usize, act: impl FnOnce() -> R) -> R {
    let work = Work::begin();
    let result = act();
    work.check(factor, bytes, 1);
    result
}

/// Calls `act` and holds it to at most `most` bytes of memory on the way, and none behind it.
pub(crate) fn borrows_at_most<R>(most: usize, act: impl FnOnce() -> R) -> R {
    let mut result = None;
    let memory = measure(|| result = Some(act()));
    assert_eq!(memory.bytes_current, 0, "memory was kept");
    assert!(memory.bytes_max <= most as u64, "{} bytes of memory, at most {most}", memory.bytes_max);
    result.expect("it was just called")
}

/// The pieces of `bytes` between the cuts.
pub(crate) fn ends(cuts: &[usize], len: usize) -> Vec<usize> {
    let mut ends: Vec<_> = cuts.iter().map(|&cut| cut.min(len)).collect();
    ends.sort_unstable();
    ends.push(len);
    ends
}
