//! WebSocket (RFC 6455) as a pure state machine: no I/O, `no_std`, no `unsafe`, no copy of what can be read in place.
//!
//! ```text
//!            bytes read                                     events, borrowing the bytes read
//! transport ────────────► your buffer ──► Connection::receive ─────────────────────────────► you
//!     ▲                                          │ pong, close echo,                          │
//!     │                                          ▼ close on a violation                       │
//!     └──────────────────── your output ◄────────┴──────────── Connection::send…, close ◄─────┘
//! ```
//!
//! A connection begins with a [`handshake`], goes on as a [`Connection`], and ends as [`Connection::next_step`] says. A server over
//! blocking sockets, whole:
//!
//! ```no_run
//! use std::io::{self, Read, Write};
//! use std::net::{Shutdown, TcpListener, TcpStream};
//!
//! use sansocket::handshake::{Accept, RequestProgress, ServerHandshake};
//! use sansocket::{Connection, Event, Kind, Limits, NextStep, Server};
//!
//! fn serve(mut socket: TcpStream) -> io::Result<()> {
//!     let (mut out, mut head) = (Vec::new(), Vec::new());
//!     let mut buffer = vec![0; 16 * 1024];
//!
//!     // The opening handshake, over all that was received so far.
//!     let mut handshake = ServerHandshake::new();
//!     let (mut connection, mut first_frames) = loop {
//!         let count = socket.read(&mut buffer)?;
//!         if count == 0 {
//!             return Ok(());
//!         }
//!         head.extend_from_slice(&buffer[..count]);
//!         match handshake.receive(&head, &mut out) {
//!             RequestProgress::Incomplete => {}
//!             RequestProgress::Refused(_) => {
//!                 socket.write_all(&out)?; // the refusal
//!                 return socket.shutdown(Shutdown::Write);
//!             }
//!             RequestProgress::Request(request) => {
//!                 let negotiated = request.accept(&Accept::new(), &mut out).map_err(io::Error::other)?;
//!                 let connection = Connection::new(Server, negotiated, Limits::default());
//!                 break (connection, head.split_off(request.head_len()));
//!             }
//!         }
//!     };
//!
//!     // Frames. What came along with the head goes first.
//!     let mut input = &mut first_frames[..];
//!     loop {
//!         while let Some(event) = connection.receive(&mut input, &mut out) {
//!             let _ = match event {
//!                 Event::Text(text) => connection.send_part(Kind::Text, text.as_bytes(), text.is_last(), &mut out),
//!                 Event::Binary(data) => connection.send_part(Kind::Binary, data.as_bytes(), data.is_last(), &mut out),
//!                 _ => Ok(()), // pings, closes and violations are answered in `out` already
//!             };
//!         }
//!         socket.write_all(&out)?;
//!         out.clear();
//!         if connection.next_step() != NextStep::Open {
//!             return socket.shutdown(Shutdown::Write); // and drain it, where `next_step` says so
//!         }
//!         match socket.read(&mut buffer)? {
//!             0 => return Ok(()),
//!             count => input = &mut buffer[..count],
//!         }
//!     }
//! }
//! # let _ = (TcpListener::bind("127.0.0.1:0"), serve);
//! ```
//!
//! # What is not here
//!
//! Sockets, TLS, names, threads, timers, buffers, clocks and random numbers: adapters such as `sansocket-std` have them. So has whoever
//! embeds the engine.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | `alloc`; UTF-8 validation that picks the processor's vector instructions at run time |
//! | `alloc` | yes | `Vec<u8>` as an [`Output`], `Messages`, `Prepared`, requests that are answered later |
//! | `deflate` | no | [`deflate`]'s compressor and decompressor, by zlib-rs; needs `std` |
//! | `rand` | no | `RandomKeys`, masking keys for clients; needs `std` |
//! | `simd` | no | masking that picks the processor's vector instructions at run time, by fearless_simd; needs `std`. A build for x86-64-v3 or newer has them without it |

#![no_std]
#![deny(clippy::cast_possible_truncation)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod close;
mod connection;
mod copy;
mod deadlines;
pub mod deflate;
mod error;
mod event;
mod frame;
pub mod handshake;
mod limits;
mod mask;
mod message;
#[cfg(feature = "alloc")]
mod messages;
mod negotiated;
mod output;
#[cfg(feature = "alloc")]
mod prepared;
mod role;
#[cfg(not(feature = "steps"))]
mod steps;
#[cfg(feature = "steps")]
#[doc(hidden)]
pub mod steps;
mod utf8;

pub use close::{CloseCode, CloseFrame, MAX_REASON};
pub use connection::{Connection, EndedBy, Ending, NextStep, Place};
pub use deadlines::{ControlBucket, ControlRate, Deadlines, Expired, Time, Timeouts};
pub use error::{ProtocolError, SendError};
pub use event::{Binary, Compressed, Event, Kind, Text};
pub use frame::{FrameHeader, MAX_CONTROL_PAYLOAD, MAX_HEADER, Opcode};
pub use limits::Limits;
pub use mask::apply_mask;
#[cfg(feature = "alloc")]
pub use message::OwnedMessage;
pub use message::{Message, Piece};
#[cfg(feature = "alloc")]
pub use messages::Messages;
pub use negotiated::Negotiated;
#[cfg(feature = "alloc")]
pub use output::BoundedOutput;
pub use output::{MAX_REPLY, Output, SliceOutput};
#[cfg(feature = "alloc")]
pub use prepared::Prepared;
#[cfg(feature = "rand")]
pub use role::RandomKeys;
pub use role::{Client, Either, MaskKeys, Role, Server};
