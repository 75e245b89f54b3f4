//! RFC 6455 as a pure state machine.

#![no_std]
#![deny(clippy::cast_possible_truncation)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod close;
mod connection;
mod error;
mod event;
mod frame;
pub mod handshake;
mod limits;
mod mask;
mod message;
mod negotiated;
mod output;
mod role;
mod utf8;

pub use close::{CloseCode, CloseFrame, MAX_REASON};
pub use connection::{Connection, EndedBy, Ending, NextStep, Place};
pub use error::{ProtocolError, SendError};
pub use event::{Binary, Compressed, Event, Kind, Text};
pub use frame::{FrameHeader, MAX_CONTROL_PAYLOAD, MAX_HEADER, Opcode};
pub use limits::Limits;
pub use mask::apply_mask;
pub use message::{Message, Piece};
#[cfg(feature = "alloc")]
pub use message::{Messages, OwnedMessage};
pub use negotiated::Negotiated;
#[cfg(feature = "alloc")]
pub use output::BoundedOutput;
pub use output::{MAX_REPLY, Output, SliceOutput};
#[cfg(feature = "rand")]
pub use role::RandomKeys;
pub use role::{Client, Either, MaskKeys, Role, Server};
