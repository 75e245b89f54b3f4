//! Subprotocols and extensions, offered and chosen. What must hold is in `sansocket_fuzz::lists`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::lists::{Case, check};

fuzz_target!(|case: Case| check(&case));
