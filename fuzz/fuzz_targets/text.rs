//! A text message, any bytes, any frames, any chunks. What must hold is in `sansocket_fuzz::text`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::text::{Case, check};

fuzz_target!(|case: Case| check(&case));
