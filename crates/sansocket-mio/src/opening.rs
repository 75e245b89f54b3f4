//! A connection before it is open.

use std::io;

use sansocket::Time;
use sansocket::handshake::{
    ClientHandshake, OriginPolicy, PendingAnswer, Request, RequestError, RequestProgress, Response, ResponseProgress,
    ServerHandshake,
};

use crate::event::OpenError;
use crate::settings::Settings;

/// The opening handshake of one connection. Lives as long as that lasts.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) start: Time,
    side: Side,
    /// What has come of a head that is not whole; behind a request, the first frames.
    pub(crate) received: Vec<u8>,
    pub(crate) stage: Stage,
}

#[derive(Debug)]
enum Side {
    Server(ServerHandshake<'static>),
    Client(ClientHandshake<'static>),
}

/// What an opening handshake waits for.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The socket, to be connected.
    Connecting,
    /// The peer's head.
    Head,
    /// The answer to a request that was just given out.
    Answer,
    /// The answer to a request, which will come later.
    LateAnswer(PendingAnswer),
}

/// What the bytes of a head have come to.
pub(crate) enum Progress<'b> {
    Incomplete,
    Request(Request<'b>),
    Response(Response<'b>),
    Failed(OpenError),
}

impl Opening {
    pub(crate) fn server(settings: &Settings, start: Time) -> Self {
        // The handler decides about origins: what it allows may depend on the request.
        let handshake = ServerHandshake::new().origins(OriginPolicy::Any).limits(settings.head_limits);
        Self { start, side: Side::Server(handshake), received: Vec::new(), stage: Stage::Head }
    }

    pub(crate) const fn client(handshake: ClientHandshake<'static>, start: Time) -> Self {
        Self { start, side: Side::Client(handshake), received: Vec::new(), stage: Stage::Connecting }
    }

    /// Looks at all that was received so far.
    pub(crate) fn examine<'b>(&mut self, bytes: &'b [u8], out: &mut Vec<u8>) -> Progress<'b> {
        match &mut self.side {
            Side::Server(handshake) => match handshake.receive(bytes, out) {
                RequestProgress::Incomplete => Progress::Incomplete,
                RequestProgress::Request(request) => Progress::Request(request),
                RequestProgress::Refused(error) => Progress::Failed(OpenError::Request(error)),
            },
            Side::Client(handshake) => match handshake.receive(bytes) {
                ResponseProgress::Incomplete => Progress::Incomplete,
                ResponseProgress::Accepted(response) => Progress::Response(response),
                ResponseProgress::Refused(response) => Progress::Failed(OpenError::Refused(response.status())),
                ResponseProgress::Failed(error) => Progress::Failed(OpenError::Response(error)),
            },
        }
    }

    /// The transport has ended. Whoever has only shut down writing inside a request can still read an answer.
    pub(crate) fn end(&mut self, error: io::Error, out: &mut Vec<u8>) -> OpenError {
        match &mut self.side {
            Side::Server(handshake) if !self.received.is_empty() => OpenError::Request(handshake.receive_eof(out)),
            _ => OpenError::Io(error),
        }
    }

    /// It has taken too long.
    pub(crate) fn time_out(&mut self, out: &mut Vec<u8>) -> OpenError {
        if let Side::Server(handshake) = &mut self.side {
            handshake.refuse(RequestError::TimedOut, out);
        }
        OpenError::TimedOut
    }
}
