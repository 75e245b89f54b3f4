//! One compressor, any program. What must hold is in `sansocket_fuzz::deflate`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::deflate::{Case, check};

fuzz_target!(|case: Case| check(&case));
