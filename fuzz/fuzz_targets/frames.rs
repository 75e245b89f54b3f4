//! Headers of frames, any fields, any bytes. What must hold is in `sansocket_fuzz::frames`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::frames::{Case, check};

fuzz_target!(|case: Case| check(&case));
