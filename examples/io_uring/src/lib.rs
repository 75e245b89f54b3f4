//! WebSocket over io_uring, by the runtime compio: an echo server, and a client.
//!
//! io_uring turns a read round. A program does not ask whether there is something and then fetch it: it gives the kernel a buffer, and gets it
//! back filled. While the kernel has the buffer nobody else may touch it, so a runtime that is safe takes it by value and returns it
//! with the result. An engine with a buffer of its own inside could not take part in that, short of copying every byte. This one owns none:
//!
//! - **In**: the buffer that the kernel has filled is the engine's input. It is unmasked there, lent to the [`Application`] there, and given to the
//!   kernel again.
//! - **Out**: what the engine appends is a plain `Vec<u8>`. Everything that one read has caused is given to the kernel as one write. What is
//!   said meanwhile goes into a second one; the two change places when the write is done.
//!
//! [`Session::run`] is the loop. Up to three things are under way in it, each at most once: a read, a write, a wait for the next deadline.
//!
//! A read that is under way is never dropped to do something else first. It may have taken bytes from the socket already, and they would be
//! gone. That is why the deadline is awaited beside it, and not around it.

mod client;
mod ring;
mod server;
mod session;
mod wait;

pub use client::connect;
pub use ring::{Refused, runtime};
pub use server::accept;
pub use session::{Application, Echo, Session};
