//! The adapter on real sockets, against peers that behave, and peers that do not.

mod backpressure;
mod broadcast;
mod child;
mod churn;
mod client;
mod closing;
mod common;
mod control;
mod descriptors;
mod ends;
mod harness;
mod late;
mod limits;
mod messages;
mod opening;
mod sending;
mod timing;
