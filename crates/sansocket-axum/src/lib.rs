//! WebSocket inside [`axum`], on the [`sansocket`](sansocket_tokio::sansocket) engine.
//!
//! ```
//! use axum::Router;
//! use axum::response::Response;
//! use axum::routing::any;
//! use sansocket_axum::{WebSocket, WebSocketUpgrade};
//!
//! let app: Router = Router::new().route("/ws", any(handler));
//!
//! async fn handler(ws: WebSocketUpgrade) -> Response {
//!     ws.on_upgrade(echo)
//! }
//!
//! async fn echo(mut ws: WebSocket) {
//!     while let Ok(Some(message)) = ws.read_owned().await {
//!         if ws.send(&message).await.is_err() {
//!             return; // the client is gone
//!         }
//!     }
//! }
//! ```
//!
//! The route has to be one of `any`, or of `get` if there is only HTTP/1.1: in HTTP/2 (feature `http2`), WebSockets come as CONNECT (RFC 8441).
//!
//! # Coming from axum's own `ws`
//!
//! The extractor has the same name and is used in the same way. What differs:
//!
//! | | `axum::extract::ws` | here |
//! |---|---|---|
//! | pages of other origins | are let in | are answered with 403, unless [`origins`](WebSocketUpgrade::origins) lets them in |
//! | a bad request | 400, 405 or 426 | the engine's status, headers and text: 426 names the version, say |
//! | receiving | `recv`, a message with pings and closes among them | [`read`](WebSocket::read), [`read_owned`](WebSocket::read_owned), or a `Stream`; pings and closes are answered by themselves |
//! | the end | `None`, or an error | `Ok(None)`: a closing handshake; an error: a lost connection, or a violation |
//! | sending | `send` | [`send`](WebSocket::send), or [`queue`](WebSocket::queue) and later writes |
//! | reading and writing at once | `StreamExt::split` | [`split`](WebSocket::split) |
//! | limits | `max_message_size`, … | [`limits`](WebSocketUpgrade::limits) |
//! | keepalive, time limits | none | pings after 30 seconds of silence; [`timeouts`](WebSocketUpgrade::timeouts) |
//! | compression | none | `compression`, with feature `deflate` |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `deflate` | no | permessage-deflate: `compression` of the extractor |
//! | `http2` | no | WebSockets over HTTP/2 |
//! | `simd` | no | masking with the processor's best vectors, found at run time |

mod rejection;
mod upgrade;

pub use rejection::WebSocketUpgradeRejection;
pub use sansocket_hyper::sansocket_tokio;
pub use upgrade::WebSocketUpgrade;

use sansocket_hyper::{TokioIo, Upgraded};

/// An open connection. Not a type of its own: all of it is at [`sansocket_tokio::WebSocket`].
pub type WebSocket = sansocket_tokio::WebSocket<TokioIo<Upgraded>>;
