//! The adapter on real sockets.

mod closing;
mod common;
#[cfg(feature = "deflate")]
mod compression;
#[cfg(feature = "deflate")]
mod compression_bounds;
mod messages;
mod opening;
mod reading;
mod timing;
#[cfg(feature = "tls")]
mod tls;
