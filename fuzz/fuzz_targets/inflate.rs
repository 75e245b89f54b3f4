//! One connection that inflates, any bytes, any chunks. What must hold is in `sansocket_fuzz::inflate`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::inflate::{Case, check};

fuzz_target!(|case: Case| check(&case));
