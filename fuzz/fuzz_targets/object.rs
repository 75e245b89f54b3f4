//! One object, any program. What must hold is in `sansocket_fuzz::object`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::object::{Case, check};

fuzz_target!(|case: Case| check(&case));
