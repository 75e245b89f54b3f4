//! A server's answer to a request.

use std::borrow::Cow;

use sansocket::Negotiated;
use sansocket::deflate::Policy;
use sansocket::handshake::{Accept, AnswerError, OriginPolicy, PendingAnswer, Reject, Request};

/// What a server answers to a request.
///
/// ```
/// use sansocket_mio::Answer;
///
/// let accept = Answer::accept().protocol("chat").header("Set-Cookie", "a=b");
/// let reject = Answer::reject(401).header("WWW-Authenticate", "Basic").body("who are you?");
/// # let _ = (accept, reject);
/// ```
#[derive(Clone, Debug)]
#[must_use = "an answer that is not given leaves the client waiting"]
pub struct Answer {
    pub(crate) decision: Decision,
    headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Decision {
    Accept { protocol: Option<Cow<'static, str>>, compression: bool },
    Reject { status: u16, body: Cow<'static, [u8]> },
    Later,
}

impl Answer {
    /// Opens the connection.
    pub const fn accept() -> Self {
        Self { decision: Decision::Accept { protocol: None, compression: true }, headers: Vec::new() }
    }

    /// Refuses with a status of 300 to 599.
    pub const fn reject(status: u16) -> Self {
        Self { decision: Decision::Reject { status, body: Cow::Borrowed(&[]) }, headers: Vec::new() }
    }

    /// Neither yet: something has to be asked elsewhere first. The time limit for opening goes on.
    pub const fn later() -> Self {
        Self { decision: Decision::Later, headers: Vec::new() }
    }

    /// Accepts who comes from these origins, or from no page at all, and refuses everybody else with 403.
    pub fn accept_from(request: &Request<'_>, origins: OriginPolicy<'_>) -> Self {
        if request.is_from(origins) { Self::accept() } else { Self::reject(403).body("the origin is not allowed") }
    }

    /// Chooses a subprotocol out of those that the client offers. Of no meaning to a refusal.
    pub fn protocol(mut self, chosen: impl Into<Cow<'static, str>>) -> Self {
        if let Decision::Accept { protocol, .. } = &mut self.decision {
            *protocol = Some(chosen.into());
        }
        self
    }

    /// Declines what the client offers of compression, whatever [`Settings::compression`](crate::Settings::compression) says. Of no meaning to
    /// a refusal.
    #[cfg(feature = "deflate")]
    pub const fn uncompressed(mut self) -> Self {
        if let Decision::Accept { compression, .. } = &mut self.decision {
            *compression = false;
        }
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a body. Of no meaning to an acceptance.
    pub fn body(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        if let Decision::Reject { body, .. } = &mut self.decision {
            *body = match text.into() {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            };
        }
        self
    }

    /// The status of a refusal.
    pub(crate) const fn status(&self) -> u16 {
        match self.decision {
            Decision::Reject { status, .. } => status,
            Decision::Accept { .. } | Decision::Later => 0,
        }
    }

    /// Writes it. `None`: it is a refusal, or none yet.
    pub(crate) fn write(
        &self,
        owed: &dyn Owed,
        policy: Option<Policy>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Negotiated>, AnswerError> {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        match &self.decision {
            Decision::Accept { protocol, compression } => {
                let accept = Accept::new().headers(&headers);
                let accept = match policy.filter(|_| *compression) {
                    Some(policy) => accept.compression(policy),
                    None => accept,
                };
                let accept = protocol.as_deref().map_or(accept, |protocol| accept.protocol(protocol));
                owed.accept(&accept, out).map(Some)
            }
            Decision::Reject { status, body } => {
                owed.reject(&Reject::new(*status).headers(&headers).body(body), out).map(|()| None)
            }
            Decision::Later => Ok(None),
        }
    }
}

/// A request that waits for its answer.
pub(crate) trait Owed {
    fn accept(&self, accept: &Accept<'_>, out: &mut Vec<u8>) -> Result<Negotiated, AnswerError>;
    fn reject(&self, reject: &Reject<'_>, out: &mut Vec<u8>) -> Result<(), AnswerError>;
}

impl Owed for Request<'_> {
    fn accept(&self, accept: &Accept<'_>, out: &mut Vec<u8>) -> Result<Negotiated, AnswerError> {
        Request::accept(self, accept, out)
    }

    fn reject(&self, reject: &Reject<'_>, out: &mut Vec<u8>) -> Result<(), AnswerError> {
        Request::reject(self, reject, out)
    }
}

impl Owed for PendingAnswer {
    fn accept(&self, accept: &Accept<'_>, out: &mut Vec<u8>) -> Result<Negotiated, AnswerError> {
        PendingAnswer::accept(self, accept, out)
    }

    fn reject(&self, reject: &Reject<'_>, out: &mut Vec<u8>) -> Result<(), AnswerError> {
        PendingAnswer::reject(self, reject, out)
    }
}
