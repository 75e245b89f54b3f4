//! Feature `allocations`: how much memory is allocated, for whoever looks for what is never given back.

use std::alloc::System;
use std::io;
use std::thread;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// From now on, each line of the standard input is answered with one: how many allocations are alive, a space, and how many bytes they have.
pub(super) fn tell_when_asked() -> io::Result<()> {
    let tell = || {
        for _ in io::stdin().lines().map_while(Result::ok) {
            let stats = ALLOCATOR.stats();
            // Taken one after the other while others allocate: alive may look like a little less than nothing, never at rest.
            let allocations = stats.allocations.saturating_sub(stats.deallocations);
            let bytes = stats.bytes_allocated.saturating_sub(stats.bytes_deallocated);
            println!("{allocations} {bytes}");
        }
    };
    thread::Builder::new().name("allocations".into()).spawn(tell)?;
    Ok(())
}
