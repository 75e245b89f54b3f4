//! The adapter on real sockets.

mod closing;
mod common;
mod messages;
mod opening;
mod timing;
#[cfg(feature = "tls")]
mod tls;
