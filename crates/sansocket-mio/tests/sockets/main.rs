//! The adapter on real sockets, against peers that behave, and peers that do not.

mod assertions;
mod backpressure;
mod broadcast;
mod child;
mod churn;
mod client;
mod closing;
mod common;
#[cfg(feature = "deflate")]
mod compression;
mod control;
mod descriptors;
mod ends;
mod harness;
mod late;
mod limits;
mod messages;
mod opening;
mod panics;
#[cfg(feature = "deflate")]
#[path = "../peer/mod.rs"]
mod peer;
mod sending;
mod timing;
