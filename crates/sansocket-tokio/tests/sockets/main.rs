//! Connections over TCP on loopback.

mod closing;
mod common;
mod flood;
mod halves;
mod messages;
