//! Heads that somebody else has parsed, and the same in bytes. What must hold is in `sansocket_fuzz::heads`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::heads::{Case, check};

fuzz_target!(|case: Case| check(&case));
