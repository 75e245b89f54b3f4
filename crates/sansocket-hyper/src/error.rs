//! Why there is no connection.

use std::fmt;

use http::header::{CONNECTION, HeaderValue};
use http::{Response, StatusCode, Version};
use hyper::body::Incoming;
use sansocket_tokio::sansocket::handshake::{AnswerError, ClientRequestError, RequestError, ResponseError, UriError};
use sansocket_tokio::upgrade::refusal;

/// Why a request is not accepted, and the response that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    version: Version,
}

/// What [`Refusal`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The request is no good: an ordinary one, perhaps, or from a page of another origin.
    Request(RequestError),
    /// The request is good, but hyper cannot upgrade its connection. Something between hyper and here has taken what it needs, or it was not
    /// hyper that has received it.
    NotUpgradable,
    /// The request cannot be accepted in the way that was asked for.
    Answer(AnswerError),
}

impl Refusal {
    /// A refusal of a request of this version.
    pub fn new(reason: impl Into<Reason>, version: Version) -> Self {
        Self { reason: reason.into(), version }
    }

    /// What was wrong.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The response that tells it: the engine's status, headers and text for a bad request, else 500.
    pub fn response<B: From<&'static str>>(&self) -> Response<B> {
        if let Reason::Request(error) = self.reason {
            return refusal(error, self.version);
        }
        let mut response = Response::new(B::from("the server cannot open WebSockets here"));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        if self.version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Request(error) => error.fmt(f),
            Reason::NotUpgradable => f.write_str("hyper cannot upgrade this connection"),
            Reason::Answer(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<RequestError> for Reason {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<AnswerError> for Reason {
    fn from(error: AnswerError) -> Self {
        Self::Answer(error)
    }
}

/// Why a connection could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI is not one.
    Uri(UriError),
    /// The URI is not one by the rules of the crate http, which are narrower in parts.
    Http(http::Error),
    /// The request cannot be sent as asked for.
    Request(ClientRequestError),
    /// hyper or the stream failed.
    Hyper(hyper::Error),
    /// The server did not answer in [`Timeouts::open`](sansocket_tokio::Timeouts::open).
    TimedOut,
    /// The server has answered with another status than 101: a redirection, say, or a demand for credentials.
    Refused(Box<Response<Incoming>>),
    /// The server's answer is not one to a WebSocket handshake.
    Response(ResponseError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Hyper(error) => write!(f, "the opening handshake broke off: {error}"),
            Self::TimedOut => f.write_str("the opening handshake took too long"),
            Self::Refused(response) => write!(f, "the server refused: {}", response.status()),
            Self::Response(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<UriError> for ConnectError {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

impl From<http::Error> for ConnectError {
    fn from(error: http::Error) -> Self {
        Self::Http(error)
    }
}

impl From<ClientRequestError> for ConnectError {
    fn from(error: ClientRequestError) -> Self {
        Self::Request(error)
    }
}

impl From<hyper::Error> for ConnectError {
    fn from(error: hyper::Error) -> Self {
        Self::Hyper(error)
    }
}
