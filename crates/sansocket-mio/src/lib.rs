//! draft

mod answer;
mod driver;
mod event;
mod opening;
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
#[cfg(feature = "tls")]
pub use sansocket_tls::{TlsAcceptor, TlsConnector, TlsError};
pub use server::{Closed, ConnectionId, Connections, Context, Handle, Handler, Listen, Server};
pub use settings::{Common, Settings};
pub use stream::Stream;
#[cfg(feature = "tls")]
pub use tls::{TlsListener, TlsStream};
pub use turn::Turn;

pub use sansocket::handshake::{ClientRequest, OriginPolicy, Request, Response, Uri};
pub use sansocket::{
    CloseCode, CloseFrame, EndedBy, Ending, Kind, Limits, Message, OwnedMessage, Prepared, ProtocolError, SendError,
    Time, Timeouts,
};
