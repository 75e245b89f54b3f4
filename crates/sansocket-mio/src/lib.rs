//! WebSocket over [mio](https://docs.rs/mio), on the [`sansocket`] engine: many connections on one thread, and little memory for each.
//!
//! Two ways in:
//!
//! - a [`Server`] is a whole loop: it accepts, connects, keeps time, and tells a [`Handler`] what happens;
//! - a [`Driver`] is one connection for a loop of your own.
//!
//! # A server
//!
//! ```
//! use mio::net::{TcpListener, TcpStream};
//! use sansocket_mio::{Context, Handler, Message, Prepared, Server, Settings};
//!
//! /// Whatever one says, all others hear.
//! struct Chat;
//!
//! impl Handler for Chat {
//!     type Stream = TcpStream;
//!     type Data = ();
//!
//!     fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
//!         let speaker = cx.id();
//!         cx.connections().broadcast(&Prepared::new(message), Some(speaker));
//!     }
//! }
//!
//! let mut server = Server::new(Chat, Settings::default())?;
//! server.listen(TcpListener::bind("127.0.0.1:0".parse()?)?)?;
//! let handle = server.handle(); // for other threads, and for Ctrl-C
//! # handle.shut_down(std::time::Duration::ZERO);
//! server.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/chat.rs` is the long version.
//!
//! # A loop of your own
//!
//! A [`Driver`] owns its stream and little else. What is read lies in a buffer of yours, one for all connections; what is to be
//! written is collected in [`Common`] while a connection has its [`Turn`], and written in one system call at the turn's end. `examples/driver.rs`
//! is a whole loop.
//!
//! # Buffers and back pressure
//!
//! An idle connection holds no buffer. What a socket does not take is queued for its connection in blocks, which are given back as they
//! go. While more than [`Settings::high_mark`] is queued for a client, nothing is read from it, so one that floods and does not read is stopped by
//! its own full pipe. While more than [`Settings::queue`] is queued, a message is refused, and its connection fails: nothing is dropped
//! silently. Replies that the protocol demands are never refused: they are bounded by what is read.
//!
//! # What is not here
//!
//! It is written for epoll and kqueue, and tested on Linux; on Windows nobody has run it.
//!
//! Names are not resolved: give [`Connections::connect`] a stream that is being connected to an address. Blocking sockets are in
//! `sansocket-std`.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `deflate` | no | permessage-deflate: `Settings::compression`, `send_with` |
//! | `simd` | no | masking with the processor's best vectors, found at run time |
//! | `tls` | no | `TlsStream` and `TlsListener`, by rustls |

mod answer;
mod driver;
mod event;
mod queue;
mod server;
mod settings;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod turn;

pub use answer::Answer;
pub use driver::{Driver, Sent};
pub use event::{Event, OpenError, Part, Received};
pub use server::{Closed, ConnectionId, Connections, Context, Handle, Handler, Listen, Server};
pub use settings::{Common, Settings};
pub use stream::Stream;
#[cfg(feature = "tls")]
pub use tls::{TlsListener, TlsStream};
pub use turn::Turn;

#[cfg(feature = "deflate")]
pub use sansocket::deflate;
pub use sansocket::handshake::{ClientRequest, HeadLimits, OriginPolicy, Request, Response, Uri};
pub use sansocket::{
    CloseCode, CloseFrame, EndedBy, Ending, Kind, Limits, Message, OwnedMessage, Prepared, ProtocolError, SendError,
    Time, Timeouts,
};
#[cfg(feature = "tls")]
pub use sansocket_tls::{TlsAcceptor, TlsConnector, TlsError};
