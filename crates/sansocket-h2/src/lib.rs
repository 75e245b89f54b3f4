//! WebSocket over HTTP/2 (RFC 8441), straight over the crate [`h2`].
//!
//! In HTTP/2 a WebSocket is one stream of a connection that has others, opened by an extended CONNECT. The handshake is checked by the
//! [`sansocket`](sansocket_tokio::sansocket) engine; behind it, [`H2Stream`] takes the place of a socket, and the WebSocket is one of
//! [`sansocket_tokio`], masking and all.
//!
//! A server has to say that it takes such requests. It had better give the connection a larger window than its streams have, or one stream that
//! is not read stops the others; and limit what h2 does not: how many streams there are at once, and how long the client's part of the
//! handshake may take.
//!
//! h2 ends a connection, with all of its streams, if too many small DATA frames lie in it unread: it bears 133 of 10 bytes where the connection's
//! window is of 64 KiB, and 2,131 where it is of 1 MiB. Who may be busy for a while, and has clients that send many short messages, asks for
//! more by [`data_frame_budget`](h2::server::Builder::data_frame_budget).
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::{Method, Response};
//! use sansocket_h2::{AcceptOptions, H2Stream, WebSocket, accept};
//! use tokio::net::TcpStream;
//! use tokio::time::timeout;
//!
//! /// One connection of a client that speaks HTTP/2: TLS has agreed on it by ALPN, or the client knew.
//! async fn serve(stream: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut builder = h2::server::Builder::new();
//!     builder.enable_connect_protocol().initial_connection_window_size(1024 * 1024).max_concurrent_streams(100);
//!     let mut connection = timeout(Duration::from_secs(10), builder.handshake(stream)).await??;
//!     while let Some(request) = connection.accept().await {
//!         let (request, mut respond) = request?;
//!         if request.method() != Method::CONNECT {
//!             respond.send_response(Response::new(()), true)?; // a page, perhaps
//!             continue;
//!         }
//!         match accept(&AcceptOptions::new(), request, respond) {
//!             Ok(ws) => drop(tokio::spawn(echo(ws))),
//!             Err(error) => eprintln!("{error}"), // a bad request is answered
//!         }
//!     }
//!     Ok(())
//! }
//!
//! async fn echo(mut ws: WebSocket<H2Stream>) -> Result<(), sansocket_tokio::Error> {
//!     while let Some(message) = ws.read_owned().await? {
//!         ws.send(&message).await?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Whoever accepts connections drives them: its streams stand still while nobody polls [`accept`](h2::server::Connection::accept).
//! How a WebSocket's end and a stream's go together is told at [`H2Stream`].
//!
//! A client:
//!
//! ```no_run
//! use sansocket_h2::{ConnectOptions, connect, handshake};
//! use tokio::net::TcpStream;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = ConnectOptions::new();
//! let mut client = handshake(&options, TcpStream::connect("127.0.0.1:9001").await?).await?;
//! let (mut ws, _) = connect(&options, "ws://127.0.0.1:9001/", &mut client).await?;
//! ws.send("hello").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `deflate` | no | permessage-deflate: `compression` of the options |
//! | `simd` | no | masking with the processor's best vectors, found at run time |

mod client;
mod error;
mod server;
mod stream;

pub use client::{connect, handshake};
pub use error::{AcceptError, ConnectError};
pub use h2;
pub use sansocket_tokio::{
    self, Accept, AcceptOptions, CloseCode, ConnectOptions, Error, Limits, Message, OriginPolicy, OwnedMessage, Reader,
    SharedMessage, Timeouts, WebSocket, Writer,
};
pub use server::{accept, accept_with, head};
pub use stream::H2Stream;
