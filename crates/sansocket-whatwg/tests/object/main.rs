//! The object against a server that does what its script says. Tests are named after the rows of `docs/websocket-object.md`.

mod closing;
mod connecting;
mod construct;
mod listeners;
mod order;
mod peer;
mod protocols;
mod receiving;
mod reentrancy;
mod sending;
