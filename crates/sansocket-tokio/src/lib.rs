//! WebSocket over tokio.
//!
//! The protocol is the [`sansocket`] engine's; this crate moves its bytes. A client:
//!
//! ```no_run
//! # async fn client() -> Result<(), Box<dyn std::error::Error>> {
//! use sansocket_tokio::{CloseCode, connect};
//!
//! let mut ws = connect("ws://127.0.0.1:9001/chat").await?;
//! ws.send("hello").await?;
//! if let Some(message) = ws.read().await? {
//!     println!("{message:?}");
//! }
//! ws.close(CloseCode::NORMAL, "bye").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A server that echoes, one task a connection:
//!
//! ```no_run
//! # async fn serve() -> std::io::Result<()> {
//! use tokio::net::TcpListener;
//!
//! let listener = TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     tokio::spawn(async move {
//!         let mut ws = sansocket_tokio::accept(stream).await?;
//!         while let Some((message, mut replies)) = ws.read_to_reply().await? {
//!             replies.queue(message)?; // leaves before the next read waits, together with what else is queued
//!         }
//!         Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//! }
//! # }
//! ```
//!
//! # What happens by itself
//!
//! Pings are answered and the peer's Close is echoed while one reads. A violation is answered with its Close, and the stream is
//! shut down and drained so that the peer gets to see it. Everything queued leaves before a read waits, in one write.
//!
//! | call | appends | writes | dropped before it is done |
//! |---|---|---|---|
//! | `queue`, `queue_with`, `queue_prepared` | yes, in its first poll | a long message, or a queue of 64 KiB | the message is queued as a whole |
//! | `send`, `send_with`, `send_part`, `send_part_with`, `ping` | yes, in its first poll | yes | what is sent is queued as a whole, and leaves with the next write |
//! | `flush` | | yes | the next one goes on |
//! | `read`, `read_owned`, `read_piece`, `read_to_reply` | replies | before they wait | nothing is lost; the next one goes on |
//! | `start_close` | a Close, in its first poll | yes | the Close is queued |
//! | `close` | a Close, in its first poll | yes, and reads until the peer has answered | the next one goes on, or reading until `None` |
//!
//! So any of them may stand in a `select!`. To know whether a message is on its way, call `queue` outside of it, and `flush` in it.
//!
//! # How a connection ends
//!
//! `Ok(None)` from a read: by a closing handshake; [`WebSocket::ending`] and [`WebSocket::peer_close`] say whose and why.
//! [`Error::Violation`]: the peer broke the protocol or overran a limit. [`Error::Lost`]: the stream ended without a Close, as happens
//! whenever a browser's tab is closed on a bad network.
//!
//! # Two tasks
//!
//! [`WebSocket::split`] gives a half that reads and a half that writes. Neither waits for the other: they share a lock that is held within a poll
//! and never across one, and replies leave with whichever of the two is polled. Time limits are kept by the half that reads.
//!
//! A [`WebSocket`] and its halves are also a `Stream` and a `Sink` of [`SharedMessage`]s.
//!
//! # Memory
//!
//! A connection that waits for its peer holds no buffer: those lie with the thread, and are lent to whoever has something to read or to write.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `deflate` | no | permessage-deflate: `compression` of the options, `send_with` |
//! | `http` | no | module `upgrade`: what adapters to HTTP libraries are made of |
//! | `simd` | no | masking with the processor's best vectors, found at run time |
//! | `tls` | no | `wss://`, `connect_tls`, `accept_tls`, by rustls |
//!
//! The runtime has to have its I/O enabled for sockets, and its time for time limits and for `connect`; a server with [`Timeouts::NONE`] needs no time.

mod client;
mod combinators;
mod eyeballs;
mod head;
mod link;
mod message;
#[cfg(test)]
mod orders;
mod outbox;
mod receiver;
mod replies;
mod sending;
mod server;
mod settings;
mod socket;
mod split;
mod sync;
mod timing;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "http")]
pub mod upgrade;
mod waiters;
mod websocket;

pub use client::{ConnectOptions, connect};
pub use message::SharedMessage;
pub use replies::Replies;
pub use sansocket;
#[cfg(feature = "deflate")]
pub use sansocket::deflate;
pub use sansocket::handshake::{Accept, HeadLimits, OriginPolicy, Reject};
pub use sansocket::{
    CloseCode, EndedBy, Ending, Kind, Limits, Message, Negotiated, OwnedMessage, Piece, Prepared, ProtocolError,
    SendError, Timeouts,
};
pub use sansocket_stream::{AcceptError, ConnectError, Error, ResponseHead};
#[cfg(feature = "tls")]
pub use sansocket_tls::{TlsAcceptor, TlsConnector, TlsError, rustls};
pub use server::{AcceptOptions, PendingRequest, accept};
pub use socket::Socket;
pub use split::{Reader, ReuniteError, Writer};
#[cfg(feature = "tls")]
pub use tls::{accept_tls, connect_tls};
pub use websocket::WebSocket;
