//! Why a connection has failed, for people. Programs in browsers never learn it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sansocket::ProtocolError;
use sansocket_mio::OpenError;
use sansocket_tls::TlsError;

/// Why a connection has failed or was lost: what a browser writes to its console. The events do not tell ([`Event::Error`](crate::Event::Error) and code
/// 1006 are all there is), as the standard demands. Its text is whole: what the system or TLS said is part of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The URL's port is for other protocols.
    BlockedPort(u16),
    /// The host's name has no address.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: Arc<io::Error>,
    },
    /// None of the host's addresses can be reached.
    Connect {
        /// The address that was tried last.
        to: SocketAddr,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The proxy did not make a tunnel.
    Proxy(ProxyError),
    /// The TLS session could not begin.
    Tls(Arc<TlsError>),
    /// The opening handshake has failed: the server refused, say.
    Open(Arc<OpenError>),
    /// The opening has taken longer than its limit.
    TimedOut(Duration),
    /// The object was closed before it was open.
    Aborted,
    /// More was to be sent than the object's limit allows to wait.
    BufferFull,
    /// The server has violated the protocol, or overran a limit.
    Protocol(ProtocolError),
    /// The server did not answer the Close in time.
    NoClose(Duration),
    /// The connection was lost, and this is what the system said.
    Lost(Arc<io::Error>),
    /// The system gives nothing to work with: no thread, no file descriptor.
    System(Arc<io::Error>),
}

/// What a proxy has to say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// It refused, with this status; 407: it wants a password.
    Refused(u16),
    /// Its answer is not HTTP, or too long.
    Malformed,
    /// The connection to it broke off.
    Io(Arc<io::Error>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockedPort(port) => write!(f, "port {port} is for other protocols, and is not connected to"),
            Self::Resolve { host, source } => write!(f, "cannot resolve {host}: {source}"),
            Self::Connect { to, source } => write!(f, "cannot connect to {to}: {source}"),
            Self::Proxy(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Open(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "the connection was not open within {limit:?}"),
            Self::Aborted => f.write_str("closed before the connection was open"),
            Self::BufferFull => f.write_str("more was to be sent than the buffer's limit allows to wait"),
            Self::Protocol(error) => write!(f, "the server violated the protocol: {error}"),
            Self::NoClose(limit) => write!(f, "the server did not answer the Close within {limit:?}"),
            Self::Lost(error) => write!(f, "the connection was lost: {error}"),
            Self::System(error) => write!(f, "cannot work: {error}"),
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "the proxy refused with status {status}"),
            Self::Malformed => f.write_str("the proxy's answer is not one to CONNECT"),
            Self::Io(error) => write!(f, "the connection to the proxy broke off: {error}"),
        }
    }
}

impl std::error::Error for Failure {}
impl std::error::Error for ProxyError {}
