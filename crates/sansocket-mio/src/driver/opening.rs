//! A connection before it is open.

use std::io;
use std::mem;

use sansocket::handshake::{
    ClientHandshake, OriginPolicy, PendingAnswer, Request, RequestError, RequestProgress, Response, ResponseError,
    ResponseProgress, ServerHandshake,
};

use sansocket::{Client, Connection, Deadlines, Either, RandomKeys, Time};

use super::{Driver, Engine, NotOpened, State};
use crate::answer::{Answer, Decision, Owed};
use crate::event::{Event, OpenError};
use crate::settings::{Common, Settings};
use crate::stream::Stream;

impl<S: Stream> Driver<S> {
    pub(super) fn open(&mut self, engine: Engine, common: &Common) {
        self.state = State::Open(engine);
        self.deadlines = Deadlines::new(common.now);
    }

    /// Answers a request that `next` has just given, or that was to be answered later.
    pub(crate) fn answer(&mut self, request: Option<&Request<'_>>, answer: &Answer, common: &mut Common) {
        let State::Opening(opening) = &mut self.state else { return };
        let late: PendingAnswer;
        let owed: &dyn Owed = match (request, mem::replace(&mut opening.stage, Stage::Answer)) {
            (Some(request), _) if matches!(answer.decision, Decision::Later) => {
                opening.stage = Stage::LateAnswer(request.defer());
                return;
            }
            (Some(request), _) => request,
            (None, Stage::LateAnswer(pending)) if !matches!(answer.decision, Decision::Later) => {
                late = pending;
                &late
            }
            (None, stage) => {
                opening.stage = stage;
                return;
            }
        };
        let unread = mem::take(&mut opening.received);
        let error = match answer.write(owed, common.settings.policy(), &mut common.out) {
            Ok(Some(negotiated)) => {
                self.open(Connection::new(Either::Server, negotiated, common.settings.limits), common);
                if !unread.is_empty() {
                    self.rare().unread = unread;
                    self.on_readable(false);
                }
                return;
            }
            Ok(None) => OpenError::Rejected(answer.status()),
            Err(error) => {
                let refused = Answer::reject(500).write(owed, None, &mut common.out);
                debug_assert!(matches!(refused, Ok(None)));
                OpenError::Answer(error)
            }
        };
        self.not_opened(error, common);
    }

    pub(super) fn read_head(&mut self, buffer: &mut [u8], common: &mut Common) -> usize {
        let State::Opening(opening) = &mut self.state else { return 0 };
        let before = opening.received.len();
        let room = buffer.len().saturating_sub(before);
        if room == 0 {
            let error = opening.overrun(&mut common.out);
            self.not_opened(error, common);
            return 0;
        }
        let count = match Self::receive(&mut self.reading, &mut self.stream, &mut buffer[..room]) {
            None => return 0,
            Some(Ok(0)) => {
                self.lose(io::ErrorKind::UnexpectedEof.into(), common);
                return 0;
            }
            Some(Err(error)) => {
                self.lose(error, common);
                return 0;
            }
            Some(Ok(count)) => count,
        };
        if before == 0 {
            return count;
        }
        // Looked at where it is kept, so that a head that comes byte by byte is not copied with each of them.
        opening.received.extend_from_slice(&buffer[..count]);
        let received = mem::take(&mut opening.received);
        if let Progress::Incomplete = opening.examine(&received, &mut common.out) {
            opening.received = received;
            return 0;
        }
        buffer[..received.len()].copy_from_slice(&received);
        received.len()
    }

    pub(super) fn next_head<'b>(&mut self, input: &mut &'b mut [u8], common: &mut Common) -> Option<Event<'b>> {
        let State::Opening(opening) = &mut self.state else { return None };
        if input.is_empty() {
            return None;
        }
        if !matches!(opening.stage, Stage::Head) {
            opening.received.extend_from_slice(input);
            *input = &mut [];
            return None;
        }
        let len = match opening.examine(input, &mut common.out) {
            Progress::Incomplete => {
                opening.received.extend_from_slice(input);
                *input = &mut [];
                return None;
            }
            Progress::Failed(error) => {
                self.not_opened(error, common);
                return self.next(input, common);
            }
            Progress::Request(request) => request.head_len(),
            Progress::Response(response) => response.head_len(),
        };
        let (head, rest) = mem::take(input).split_at_mut(len);
        *input = rest;
        match opening.examine(head, &mut common.out) {
            Progress::Request(request) => {
                opening.stage = Stage::Answer;
                Some(Event::Request(Box::new(request)))
            }
            Progress::Response(response) => {
                let role = Either::Client(Client::new(RandomKeys));
                self.open(Connection::new(role, response.negotiated(), common.settings.limits), common);
                Some(Event::Open(Box::new(response)))
            }
            Progress::Incomplete | Progress::Failed(_) => None,
        }
    }

    /// The socket has ended inside the opening handshake.
    pub(super) fn lose(&mut self, error: io::Error, common: &mut Common) {
        if let State::Opening(opening) = &mut self.state {
            let error = opening.end(error, &mut common.out);
            self.not_opened(error, common);
            if let State::NotOpened(not_opened) = &mut self.state {
                not_opened.has_ended = true;
            }
        }
    }

    pub(super) fn not_opened(&mut self, error: OpenError, common: &Common) {
        let (error, is_over) = (Some(error), common.out.is_empty());
        self.state = State::NotOpened(Box::new(NotOpened { since: common.now, error, has_ended: false, is_over }));
    }
}

/// The opening handshake of one connection. Lives as long as that lasts.
#[derive(Debug)]
pub(super) struct Opening {
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
pub(super) enum Stage {
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
pub(super) enum Progress<'b> {
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
            Side::Server(handshake) if !self.received.is_empty() && error.kind() == io::ErrorKind::UnexpectedEof => {
                OpenError::Request(handshake.receive_eof(out))
            }
            _ => OpenError::Io(error),
        }
    }

    /// The head does not fit the buffer that is read into.
    pub(crate) fn overrun(&mut self, out: &mut Vec<u8>) -> OpenError {
        match &mut self.side {
            Side::Server(handshake) => OpenError::Request(handshake.refuse(RequestError::HeadTooLarge, out)),
            Side::Client(_) => OpenError::Response(ResponseError::HeadTooLarge),
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
