//! Whether a server that nobody is connected to holds what it has held before.

use super::server::Usage;
use crate::report::size;

/// How many live allocations there may be more: those that a pool keeps, which has met at once more messages under way than in the warm-up.
/// It keeps 4 codecs for each direction at most (`PoolLimits::kept`), of a handful of allocations each; the rest is room for growing tables.
const ALLOCATIONS: u64 = 64;

/// How many bytes they may have more: those codecs, at most 320 KiB each, and a few buffers that are kept up to 128 KiB.
const ALLOCATED: u64 = 4 << 20;

/// How many bytes may be resident that were not: holes between what lives longer, which the allocator cannot give back, and code that was not needed before.
/// What leaks is told by the live allocations, far more exactly; this is for what is not allocated through them.
const RESIDENT: u64 = 16 << 20;

/// What is allowed to a server that has held `fresh` when it was new, and `before` behind the warm-up.
pub(super) fn allowed(fresh: &Usage, before: &Usage) -> Usage {
    Usage {
        resident: before.resident + RESIDENT,
        allocations: before.allocations + ALLOCATIONS,
        allocated: before.allocated + ALLOCATED,
        // A descriptor or a thread that stays is a connection that does, be it one of the warm-up's.
        descriptors: fresh.descriptors,
        threads: fresh.threads,
    }
}

/// What is beyond that, in words.
pub(super) fn excess(after: &Usage, allowed: &Usage) -> Vec<String> {
    let held = [
        ("bytes resident", after.resident, allowed.resident),
        ("live allocations", after.allocations, allowed.allocations),
        ("bytes allocated", after.allocated, allowed.allocated),
        ("descriptors", after.descriptors, allowed.descriptors),
        ("threads", after.threads, allowed.threads),
    ];
    let beyond = held.into_iter().filter(|(_, held, allowed)| held > allowed);
    beyond
        .map(|(what, held, allowed)| {
            format!("without connections, the server holds {held} {what}, and {allowed} are allowed")
        })
        .collect()
}

/// The tolerance, for the report.
pub(super) fn in_words() -> String {
    format!(
        "Allowed are {ALLOCATIONS} live allocations and {} more than before: the codecs that a pool keeps (4 for each direction) and buffers that \
        are kept up to 128 KiB; {} more of resident memory: holes in the heap, which the allocator cannot give back; \
        not a single descriptor or thread more than the new server had.",
        size(ALLOCATED),
        size(RESIDENT),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Usage = Usage { resident: 4 << 20, allocations: 50, allocated: 1 << 18, descriptors: 9, threads: 2 };
    const BEFORE: Usage =
        Usage { resident: 50 << 20, allocations: 100, allocated: 1 << 20, descriptors: 11, threads: 3 };

    #[test]
    fn what_was_held_before_and_the_tolerance_are_allowed() {
        let allowed = allowed(&FRESH, &BEFORE);
        assert_eq!(excess(&allowed, &allowed), [""; 0]);
        assert_eq!((allowed.resident, allowed.descriptors, allowed.threads), (66 << 20, 9, 2));
    }

    #[test]
    fn what_the_warm_up_has_left_behind_is_named() {
        let excess = excess(&BEFORE, &allowed(&FRESH, &BEFORE));
        let named = |what| excess.iter().any(|excess| excess.contains(what));
        assert!(excess.len() == 2 && named("11 descriptors") && named("3 threads"), "{excess:?}");
    }

    #[test]
    fn each_thing_that_is_one_too_many_is_named() {
        let allowed = allowed(&FRESH, &BEFORE);
        let Usage { resident, allocations, allocated, descriptors, threads } = allowed;
        let one_more = [
            ("69206017 bytes resident", Usage { resident: resident + 1, ..allowed }),
            ("165 live allocations", Usage { allocations: allocations + 1, ..allowed }),
            ("5242881 bytes allocated", Usage { allocated: allocated + 1, ..allowed }),
            ("10 descriptors", Usage { descriptors: descriptors + 1, ..allowed }),
            ("3 threads", Usage { threads: threads + 1, ..allowed }),
        ];
        for (named, after) in one_more {
            let excess = excess(&after, &allowed);
            assert!(excess.len() == 1 && excess[0].contains(named), "{named}: {excess:?}");
        }
    }
}
