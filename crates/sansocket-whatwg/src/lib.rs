//! The `WebSocket` object that browsers have ([WHATWG WebSockets Standard](https://websockets.spec.whatwg.org)), as a Rust type.
//!
//! The example that everybody begins with, in JavaScript and here:
//!
//! ```js
//! // Create WebSocket connection.
//! const socket = new WebSocket("ws://localhost:8080");
//!
//! // Connection opened
//! socket.addEventListener("open", (event) => {
//!   socket.send("Hello Server!");
//! });
//!
//! // Listen for messages
//! socket.addEventListener("message", (event) => {
//!   console.log("Message from server ", event.data);
//! });
//! ```
//!
//! ```no_run
//! use sansocket_whatwg::{Event, EventType, WebSocket};
//!
//! // Create WebSocket connection.
//! let socket = WebSocket::new("ws://localhost:8080")?;
//!
//! // Connection opened
//! socket.add_event_listener(EventType::Open, |socket, _| {
//!     socket.send("Hello Server!").expect("it is open");
//! });
//!
//! // Listen for messages
//! socket.add_event_listener(EventType::Message, |_, event| {
//!     if let Event::Message(event) = event {
//!         println!("Message from server {}", event.data());
//!     }
//! });
//!
//! // JavaScript's event loop runs by itself. Here it is asked to, and returns when the connection is closed.
//! socket.run();
//! # Ok::<(), sansocket_whatwg::DomException>(())
//! ```
//!
//! The object does what the standard says, to the order of events and the moments at which something changes. Its network side lives on one thread for all
//! objects of a process, which is there while there are connections; names are resolved beside it.
//!
//! What is a browser's own policy is an option of [`WebSocket::builder`], with a browser's default: blocked ports, one connection at a time to an
//! address, time limits, compression. What a browser adds by itself, a program has to say: `Origin`, cookies, a proxy.
//!
//! [`machine::Machine`] is the object without a network, for loops with a network of their own; [`Location`] and [`Protocols`] have the
//! constructor's checks. A binding to another language takes [`WebSocket::pump`] and [`WebSocket::add_waker`].

mod builder;
mod event;
mod event_loop;
mod exception;
mod failure;
mod listeners;
mod location;
pub mod machine;
mod network;
mod object;
mod payload;
mod signal;
mod websocket;

pub use builder::{Builder, CookieJar, TimeLimits};
pub use bytes::Bytes;
pub use event::{BinaryType, CloseEvent, Data, Event, EventPhase, EventType, MessageEvent, UnknownBinaryType};
pub use event_loop::{EventLoop, Events};
pub use exception::{DomException, DomExceptionKind};
pub use failure::{Failure, ProxyError};
pub use listeners::{AbortSignal, Listener, ListenerId, ListenerOptions};
pub use location::{Location, Protocols};
pub use machine::{Pumped, ReadyState, clamp_code};
pub use payload::{Blob, Payload};
pub use sansocket::{CloseCode, Message, OwnedMessage, ProtocolError};
pub use sansocket_mio::OpenError;
pub use sansocket_tls::{TlsConnector, TlsError};
pub use url::Url;
pub use websocket::WebSocket;

const _: () = {
    const fn goes_everywhere<T: Send + Sync>() {}
    goes_everywhere::<WebSocket>();
    goes_everywhere::<EventLoop>();
    goes_everywhere::<Event>();
};
