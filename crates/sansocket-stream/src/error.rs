//! What can go wrong, told apart.
//!
//! Each error's text is whole: what the socket or the engine said is part of it, and so is not given as a `source` once more.

use std::fmt;
use std::io;

use sansocket::handshake::{AnswerError, ClientRequestError, RequestError, Response, ResponseError, UriError};
use sansocket::{Ending, ProtocolError, SendError};

/// Why a call on an open connection failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer violated the protocol or overran a limit. It was told; the connection has ended.
    Violation(ProtocolError),
    /// The connection ended without a closing handshake.
    Lost {
        /// How it ended: by whom, and where in the peer's stream.
        ending: Ending,
        /// What the socket said, if it was more than the end of the stream.
        source: Option<io::Error>,
    },
    /// The call cannot be carried out. Nothing was sent (of a long message, perhaps its first frames, if the connection was closed in
    /// the meantime); reading goes on as before.
    Send(SendError),
    /// The stream failed, and a read tells how the connection ended. With blocking sockets, the call may be repeated behind `WouldBlock` and
    /// `TimedOut`, and nothing is lost: what was not written is queued.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(error) => write!(f, "the peer violated the protocol: {error}"),
            Self::Lost { ending, source: None } => write!(f, "{ending}: the stream ended without a Close"),
            Self::Lost { ending, source: Some(source) } => write!(f, "{ending}: {source}"),
            Self::Send(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why a connection could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI is not one.
    Uri(UriError),
    /// The URI is a `wss://` one, and this build has no TLS: it lacks feature `tls`.
    TlsUnsupported,
    /// TLS failed: the server's certificate, say.
    #[cfg(feature = "tls")]
    Tls(sansocket_tls::TlsError),
    /// The request cannot be sent as asked for.
    Request(ClientRequestError),
    /// The host's name could not be resolved, or none of its addresses answers.
    Connect {
        /// Host and port.
        to: String,
        /// What the socket said.
        source: io::Error,
    },
    /// The socket failed, or ended, before the response was whole.
    Io(io::Error),
    /// The server has answered with another status than 101.
    Refused {
        /// The answer's head.
        response: Box<ResponseHead>,
        /// The start of its body, up to 4 KiB.
        body: Vec<u8>,
    },
    /// The server's answer is not one to a WebSocket handshake.
    Response(ResponseError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(error) => error.fmt(f),
            Self::TlsUnsupported => f.write_str("wss:// needs TLS, which this build does not have"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Connect { to, source } => write!(f, "cannot connect to {to}: {source}"),
            Self::Io(error) => write!(f, "the opening handshake broke off: {error}"),
            Self::Refused { response, body } => {
                write!(f, "the server refused: {} {}", response.status, response.reason.escape_debug())?;
                // Escaped: what a server says must not get at a terminal.
                match String::from_utf8_lossy(body).trim() {
                    "" => Ok(()),
                    body => write!(f, ": {}", body.escape_debug()),
                }
            }
            Self::Response(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

#[cfg(feature = "tls")]
impl From<sansocket_tls::TlsError> for ConnectError {
    fn from(error: sansocket_tls::TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<UriError> for ConnectError {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

impl From<ClientRequestError> for ConnectError {
    fn from(error: ClientRequestError) -> Self {
        Self::Request(error)
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The head of a server's response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    status: u16,
    reason: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl ResponseHead {
    /// Copies a head.
    pub fn new(response: &Response<'_>) -> Self {
        Self {
            status: response.status(),
            reason: response.reason().to_owned(),
            headers: response.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// The status: 101 if the server has accepted.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, which may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// All headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Why a connection could not be accepted.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The request is bad. It was answered with the error's status, and the socket was drained.
    Refused(RequestError),
    /// The answer cannot be given as asked for. Nothing was written.
    Answer(AnswerError),
    /// The socket failed, or ended, before the request was whole.
    Io(io::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::Answer(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the opening handshake broke off: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {}

impl From<AnswerError> for AcceptError {
    fn from(error: AnswerError) -> Self {
        Self::Answer(error)
    }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
