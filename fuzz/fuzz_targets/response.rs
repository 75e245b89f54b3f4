//! A client's handshake, any bytes, any chunks. What must hold is in `sansocket_fuzz::response`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket_fuzz::response::{Case, check};

fuzz_target!(|case: Case| check(&case));
