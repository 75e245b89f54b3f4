//! Seeds of the target `pair`.

use super::Seed;

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    vec![]
}
