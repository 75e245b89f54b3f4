//! The object against a server that does what its script says. Tests are named after the rows of `docs/websocket-object.md`.

mod answer;
mod breaches;
mod buffered;
mod closing;
mod connecting;
mod construct;
mod ending;
mod fairness;
mod flow;
mod leaving;
mod listeners;
mod loops;
mod opening;
mod order;
mod peer;
mod protocols;
mod proxy;
mod receiving;
mod reentrancy;
mod removal;
mod request;
mod rows;
mod secure;
mod sending;
mod threads;
mod ways;
