//! The adapter on real sockets.

mod closing;
mod common;
#[cfg(feature = "deflate")]
mod compression;
#[cfg(feature = "deflate")]
mod compression_bounds;
mod flushing;
mod held;
mod long;
mod messages;
mod opening;
mod panics;
mod peak;
mod reading;
mod script;
mod timing;
#[cfg(feature = "tls")]
mod tls;
