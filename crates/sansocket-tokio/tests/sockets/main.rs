//! Connections over TCP on loopback.

mod common;
mod messages;
