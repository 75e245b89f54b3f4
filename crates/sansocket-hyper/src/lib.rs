//! WebSocket inside HTTP servers and clients of [`hyper`].
//!
//! hyper speaks HTTP; the handshake is checked by the [`sansocket`](sansocket_tokio::sansocket) engine, and the connection behind it is one of
//! [`sansocket_tokio`]. A service that echoes:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use hyper::body::Incoming;
//! use hyper::{Request, Response};
//! use sansocket_hyper::{AcceptOptions, accept};
//!
//! async fn serve(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     let (response, upgrading) = match accept(&AcceptOptions::new(), &mut request) {
//!         Ok(accepted) => accepted,
//!         Err(refusal) => return Ok(refusal.response()),
//!     };
//!     tokio::spawn(async move {
//!         let mut ws = upgrading.await?; // once hyper has sent the response
//!         while let Some(message) = ws.read_owned().await? {
//!             ws.send(&message).await?;
//!         }
//!         Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//!     Ok(response)
//! }
//! ```
//!
//! The connection has to be served with hyper's `with_upgrades`. What the response is to hold besides (a cookie, say) is put into it before it is
//! returned; who wants to look at the request first has it in hand, and [`head`] with [`AcceptOptions::check`] says what it offers.
//!
//! A client, over a stream that is connected, through TLS perhaps: [`connect`]; over a connection of hyper's: [`connect_over`].
//!
//! # Over HTTP/2
//!
//! With feature `http2`, a server whose builder has been told to `enable_connect_protocol` takes WebSockets over HTTP/2, too (RFC 8441).
//!
//! - hyper gives a connection the window that it gives each stream, 1 MiB. So one WebSocket that is not read stops the others of its connection,
//!   unless the builder's `initial_connection_window_size` is larger, or `initial_stream_window_size` smaller.
//! - The end of a [`WebSocket`], and its drop, is `END_STREAM` behind all that was sent: hyper has no reset to offer. A peer that takes nothing and
//!   is given up gets neither, and keeps its stream until it takes more, or the connection ends. The builder's `max_concurrent_streams`, 200
//!   without it, says how many there may be.
//! - A peer that resets its stream is a lost connection, whatever the code: hyper gives `CANCEL` and `NO_ERROR` as the end of the stream, others as
//!   an error.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `deflate` | no | permessage-deflate: `compression` of the options |
//! | `http2` | no | servers: WebSockets [over HTTP/2](#over-http2) |
//! | `simd` | no | masking with the processor's best vectors, found at run time |

mod client;
mod error;
mod server;

pub use client::{connect, connect_over};
pub use error::{ConnectError, Reason, Refusal};
pub use hyper;
pub use hyper::upgrade::Upgraded;
pub use hyper_util::rt::TokioIo;
pub use sansocket_tokio::{
    self, Accept, AcceptOptions, CloseCode, ConnectOptions, Error, Limits, Message, OriginPolicy, OwnedMessage, Reader,
    SharedMessage, Timeouts, WebSocket, Writer,
};
pub use server::{Upgrading, accept, accept_with, head};
