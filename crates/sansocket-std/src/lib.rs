//! WebSocket over the standard library's blocking sockets.
//!
//! The protocol is the [`sansocket`] engine's; this crate moves its bytes. A client:
//!
//! ```no_run
//! use sansocket_std::{CloseCode, connect};
//!
//! let mut ws = connect("ws://127.0.0.1:9001/chat")?;
//! ws.send("hello")?;
//! if let Some(message) = ws.read()? {
//!     println!("{message:?}");
//! }
//! ws.close(CloseCode::NORMAL, "bye")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A server that echoes, one thread a connection:
//!
//! ```no_run
//! use std::net::TcpListener;
//! use std::thread;
//!
//! for stream in TcpListener::bind("127.0.0.1:9001")?.incoming() {
//!     let stream = stream?;
//!     thread::spawn(move || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!         let mut ws = sansocket_std::accept(stream)?;
//!         while let Some(message) = ws.read_owned()? {
//!             ws.queue(&message)?; // leaves before the next read blocks, together with what else is queued
//!         }
//!         Ok(())
//!     });
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What happens by itself
//!
//! Pings are answered and the peer's Close is echoed while one reads. A violation is answered with its Close, and the socket is
//! shut down and drained so that the peer gets to see it. Everything queued leaves before a read blocks.
//!
//! | call | appends | writes |
//! |---|---|---|
//! | `queue`, `queue_with`, `queue_prepared` | yes | a long message, or a queue of 64 KiB |
//! | `send`, `send_with`, `send_part`, `send_part_with`, `ping` | yes | yes |
//! | `flush` | | yes |
//! | `read`, `read_owned`, `read_piece` | replies | before they block |
//! | `start_close` | a Close | yes |
//! | `close` | a Close | yes, and reads until the peer has answered |
//!
//! # How a connection ends
//!
//! `Ok(None)` from a read: by a closing handshake; [`WebSocket::ending`] and [`WebSocket::peer_close`] say whose and why.
//! [`Error::Violation`]: the peer broke the protocol or overran a limit. [`Error::Lost`]: the socket ended without a Close, as happens
//! whenever a browser's tab is closed on a bad network.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `deflate` | no | permessage-deflate: `compression` of the options, `send_with` |
//! | `simd` | no | masking with the processor's best vectors, found at run time |
//! | `tls` | no | `wss://`, `TlsStream`, by rustls |

mod client;
mod eyeballs;
mod layer;
mod outbox;
mod receiver;
mod server;
mod shared;
mod split;
mod stream;
mod timing;
#[cfg(feature = "tls")]
mod tls;
mod websocket;
mod write_limit;

pub use client::{ConnectOptions, connect};
pub use layer::Layer;
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
pub use split::{Direction, Reader, Writer};
pub use stream::{CloneStream, Socket, SplitStream, Stream};
#[cfg(feature = "tls")]
pub use tls::TlsStream;
pub use websocket::WebSocket;

use std::io;

/// Reads once, behind what was received of a handshake. The end of the stream is an error, and so is the end of the time.
fn receive_more(stream: &mut impl Stream, received: &mut Vec<u8>, limit: timing::Limit) -> io::Result<()> {
    let mut chunk = [0; 2048];
    match timing::read_within(stream, limit, &mut chunk)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended inside the opening handshake")),
        count => {
            received.extend_from_slice(&chunk[..count]);
            Ok(())
        }
    }
}

/// Writes what a handshake has to say, within the time for it.
fn write_head(stream: &mut impl Stream, outbox: &mut outbox::Outbox, limit: timing::Limit) -> io::Result<()> {
    outbox
        .flush(stream, limit)
        .map_err(|error| if timing::is_timeout(&error) { io::Error::from(io::ErrorKind::TimedOut) } else { error })
}

/// The examples of the README and of the docs are tests.
#[cfg(doctest)]
mod docs {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[cfg(feature = "deflate")]
    #[doc = include_str!("../../../docs/compression.md")]
    struct Compression;
    #[doc = include_str!("../../../docs/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../../../docs/faq.md")]
    struct Faq;
    #[doc = include_str!("../../../docs/faq/tokio.md")]
    struct FaqTokio;
    #[doc = include_str!("../../../docs/from-tungstenite.md")]
    struct FromTungstenite;
}
