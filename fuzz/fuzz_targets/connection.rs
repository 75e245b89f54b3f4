//! One connection, any bytes, any chunks. What must hold is in `sansocket_fuzz::connection`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::connection::{Case, check};

fuzz_target!(|case: Case| check(&case));
