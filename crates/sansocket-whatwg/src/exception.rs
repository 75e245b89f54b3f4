//! What the object's calls throw.

use std::fmt;

/// Why a call was refused: the exceptions that the `WebSocket` of browsers throws, by their names.
///
/// Nothing but the constructor, [`send`](crate::WebSocket::send) and [`close_with`](crate::WebSocket::close_with) can be refused. That a
/// connection cannot be made, or fails, is no exception but an [`error` event](crate::EventType::Error).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomException {
    kind: DomExceptionKind,
    message: String,
}

/// Which exception it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DomExceptionKind {
    /// The URL, a subprotocol or a reason is no good.
    Syntax,
    /// The URL is not secure, and has to be.
    Security,
    /// The close code is not for the owner to use.
    InvalidAccess,
    /// The object is not in a state for this.
    InvalidState,
}

impl DomException {
    pub(crate) fn new(kind: DomExceptionKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self::new(DomExceptionKind::Syntax, message)
    }

    /// Which exception it is.
    pub const fn kind(&self) -> DomExceptionKind {
        self.kind
    }

    /// The exception's name: `SyntaxError`, say.
    pub const fn name(&self) -> &'static str {
        match self.kind {
            DomExceptionKind::Syntax => "SyntaxError",
            DomExceptionKind::Security => "SecurityError",
            DomExceptionKind::InvalidAccess => "InvalidAccessError",
            DomExceptionKind::InvalidState => "InvalidStateError",
        }
    }

    /// The number that exceptions had before they had names, and still have: 12 was `SYNTAX_ERR`, 18 `SECURITY_ERR`, 15 `INVALID_ACCESS_ERR`, 11
    /// `INVALID_STATE_ERR`.
    pub const fn legacy_code(&self) -> u16 {
        match self.kind {
            DomExceptionKind::Syntax => 12,
            DomExceptionKind::Security => 18,
            DomExceptionKind::InvalidAccess => 15,
            DomExceptionKind::InvalidState => 11,
        }
    }

    /// What was wrong, in words.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for DomException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.message)
    }
}

impl std::error::Error for DomException {}
