//! A server whose handler tells what it hears: on a thread of its own, or stepped by the test.

mod local;
mod net;
mod probe;
mod running;

pub(crate) use local::Local;
pub(crate) use net::Net;
pub(crate) use probe::{Heard, Probe};
pub(crate) use running::Running;
