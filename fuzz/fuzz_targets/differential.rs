//! Us and tungstenite, the same bytes. What must hold is in `sansocket_fuzz::differential`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::differential::{Case, check};

fuzz_target!(|case: Case| check(&case));
