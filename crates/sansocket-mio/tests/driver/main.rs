//! The bare driver over a stream that does what a script says.

mod allocations;
#[cfg(feature = "deflate")]
mod compressed_limits;
#[cfg(feature = "deflate")]
mod compressed_memory;
#[cfg(feature = "deflate")]
mod compressed_parts;
#[cfg(feature = "deflate")]
mod compressed_properties;
#[cfg(feature = "deflate")]
mod compression;
mod counts;
mod fake;
mod page;
#[cfg(feature = "deflate")]
#[path = "../peer/mod.rs"]
mod peer;
mod properties;
mod scripts;
