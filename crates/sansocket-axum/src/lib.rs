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
//! Over HTTP/2, one WebSocket that is not read stops the others of its connection, and a client that is given up may keep its stream:
//! [`sansocket_hyper`] tells more. [`axum::serve()`] has no settings for that; `hyper_util::server::conn::auto::Builder` has.
//!
//! # Coming from axum's own `ws`
//!
//! The extractor has the same name and is used in the same way. What differs:
//!
//! | | `axum::extract::ws` | here |
//! |---|---|---|
//! | pages of other origins | are let in | are answered with 403, unless [`origins`](WebSocketUpgrade::origins) lets them in |
//! | where they are refused | | in [`on_upgrade`](WebSocketUpgrade::on_upgrade): the handler has run so far, and `on_failed_upgrade` is not called |
//! | a bad request | 400, 405 or 426 | the engine's status, headers and text: 426 names the version, say |
//! | a good request whose connection cannot be upgraded | 426 | 500: the client has asked for the upgrade, and would ask again |
//! | receiving | `recv`, a message with pings, pongs and closes among them | [`read`](WebSocket::read), [`read_owned`](WebSocket::read_owned), or a `Stream`; pings and closes are answered by themselves, pongs are not seen |
//! | the end | `None`, or an error | `Ok(None)`: a closing handshake; an error: a lost connection, or a violation |
//! | the client's Close | a message | [`peer_close`](WebSocket::peer_close), behind `Ok(None)` |
//! | errors | `axum::Error` | [`Error`]; `axum::Error` for `on_failed_upgrade` alone |
//! | sending | `send(Message::Text(s.into()))` | [`send(&s)`](WebSocket::send), or [`queue(&s)`](WebSocket::queue) and later writes |
//! | reading and writing at once | `StreamExt::split`: `(sink, stream)` | [`split`](WebSocket::split): `(reader, writer)` |
//! | `protocol`, `requested_protocols`, `selected_protocol` | `HeaderValue`s | `&str`s |
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
pub use sansocket_hyper::{
    self, CloseCode, Error, Limits, Message, OriginPolicy, OwnedMessage, Reason, Refusal, SharedMessage, Timeouts,
    sansocket_tokio,
};
pub use upgrade::WebSocketUpgrade;

use sansocket_hyper::{TokioIo, Upgraded};

/// An open connection. Not a type of its own: all of it is at [`sansocket_tokio::WebSocket`].
pub type WebSocket = sansocket_tokio::WebSocket<TokioIo<Upgraded>>;

/// The half of a [`WebSocket`] that reads.
pub type Reader = sansocket_tokio::Reader<TokioIo<Upgraded>>;

/// The half of a [`WebSocket`] that writes.
pub type Writer = sansocket_tokio::Writer<TokioIo<Upgraded>>;
