//! What holds of every call of the engine, whatever it is given: it works no more than what comes in and goes out is worth, keeps nothing, and
//! borrows little.

use allocation_counter::measure;
use sansocket::handshake::HeadLimits;
use sansocket::{MAX_HEADER, steps};

/// Steps that a call may take to join a frame's header that was cut, and to read it. Where heads are read, calls are worth nothing.
const CALL: u64 = 2 * MAX_HEADER as u64;

/// How often a byte of a head may be passed over: fifteen times as it comes and for the headers that are looked for, and as often again in a
/// row of a hundred short subprotocols, each of which is held against those in front.
pub(crate) const HEAD: u64 = 30;

/// Bytes of memory for each header line, while a head is looked at: two slices.
const FOR_A_LINE: usize = 4 * size_of::<usize>();

/// How often a byte of a frame may be passed over: unmasked, validated, kept where it was cut.
pub(crate) const FRAME: u64 = 3;

/// The same where the testkit asks before each call what is ahead: twice it joins a header and reads it, for two bytes or more.
pub(crate) const ASKED: u64 = FRAME + CALL;

/// The engine's work since this was made.
pub(crate) struct Work(u64);

impl Work {
    /// Begins to count.
    pub(crate) fn begin() -> Self {
        Self(steps::taken())
    }

    /// Holds the engine to at most `factor` steps for each byte that came in or went out, and [`CALL`] for each call.
    pub(crate) fn check(&self, factor: u64, bytes: usize, calls: usize) {
        let taken = steps::taken() - self.0;
        let most = factor * bytes as u64 + CALL * calls as u64;
        assert!(taken <= most, "{taken} steps for {bytes} bytes in {calls} calls");
    }
}

/// Makes one call over so many bytes, and holds it to at most `factor` steps for each of them and none besides.
pub(crate) fn is_linear<R>(factor: u64, bytes: usize, act: impl FnOnce() -> R) -> R {
    let work = Work::begin();
    let result = act();
    work.check(factor, bytes, 0);
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

/// The most memory that may be borrowed to look at a head.
pub(crate) fn head_memory(head: &[u8], limits: HeadLimits) -> usize {
    FOR_A_LINE * head.iter().filter(|&&byte| byte == b'\n').count().min(limits.headers)
}

/// The pieces of `bytes` between the cuts.
pub(crate) fn ends(cuts: &[usize], len: usize) -> Vec<usize> {
    let mut ends: Vec<_> = cuts.iter().map(|&cut| cut.min(len)).collect();
    ends.sort_unstable();
    ends.push(len);
    ends
}
