//! Connections over TCP on loopback.

mod closing;
mod common;
#[cfg(feature = "deflate")]
mod compression;
mod flood;
mod halves;
mod messages;
mod opening;
mod panics;
#[cfg(feature = "tls")]
mod tls;
