//! A handler that tells what it hears.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{Receiver, Sender, channel};

use sansocket::Place;
use sansocket_mio::{
    Answer, Closed, ConnectionId, Context, EndedBy, Handler, Message, OpenError, Part, ProtocolError, Request,
    Response, Stream,
};

/// What a handler was told about one connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// A server's answer with this status; what follows concerns a client.
    Response(u16),
    Open,
    /// A message of so many bytes.
    Message(usize),
    /// A part of so many bytes, which ends its message or not.
    Part(usize, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Drained,
    Close {
        by: EndedBy,
        code: u16,
        reason: String,
        error: Option<ErrorKind>,
    },
    NotOpened(String),
    /// The server holds nothing of it any more. Always the last.
    Gone,
}

impl Heard {
    /// An end without a reason and an error.
    pub(crate) fn closed(by: EndedBy, code: u16) -> Self {
        Self::Close { by, code, reason: String::new(), error: None }
    }

    pub(crate) fn failed(error: ProtocolError) -> Self {
        Self::closed(EndedBy::Failure(error), 1006)
    }

    pub(crate) fn lost(place: Place) -> Self {
        Self::closed(EndedBy::Loss(place), 1006)
    }

    pub(crate) fn reset(place: Place) -> Self {
        let error = Some(ErrorKind::ConnectionReset);
        Self::Close { by: EndedBy::Loss(place), code: 1006, reason: String::new(), error }
    }

    pub(crate) fn not_opened(error: &str) -> Self {
        Self::NotOpened(error.to_owned())
    }
}

/// What is kept for a connection: a word of the test's, and who is to be told when it goes.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) note: String,
    told: Option<(ConnectionId, Sender<(ConnectionId, Heard)>)>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some((id, told)) = self.told.take() {
            // The test may be over.
            let _ = told.send((id, Heard::Gone));
        }
    }
}

/// A handler that tells what it hears, and does what the test says.
#[expect(clippy::type_complexity, reason = "what a test does is a closure of its own")]
pub(crate) struct Probe<S: Stream + 'static> {
    told: Sender<(ConnectionId, Heard)>,
    pub(super) heard: Option<Receiver<(ConnectionId, Heard)>>,
    on_request: Box<dyn FnMut(&mut Context<'_, Self>, &Request<'_>) -> Answer + Send>,
    on_open: Box<dyn FnMut(&mut Context<'_, Self>) + Send>,
    on_message: Box<dyn FnMut(&mut Context<'_, Self>, Message<'_>) + Send>,
    on_part: Box<dyn FnMut(&mut Context<'_, Self>, &Part<'_>) + Send>,
    on_ping: Box<dyn FnMut(&mut Context<'_, Self>) + Send>,
    on_drained: Box<dyn FnMut(&mut Context<'_, Self>) + Send>,
    on_close: Box<dyn FnMut(&mut Context<'_, Self>) + Send>,
}

impl<S: Stream + 'static> Probe<S> {
    /// Lets everybody in and echoes messages, whole and in parts.
    pub(crate) fn echo() -> Self {
        let (told, heard) = channel();
        Self {
            told,
            heard: Some(heard),
            on_request: Box::new(|_, _| Answer::accept()),
            on_open: Box::new(|_| {}),
            on_message: Box::new(|cx, message| _ = cx.send(message)),
            on_part: Box::new(|cx, part| _ = cx.send_part(part.kind(), part.as_bytes(), part.is_last())),
            on_ping: Box::new(|_| {}),
            on_drained: Box::new(|_| {}),
            on_close: Box::new(|_| {}),
        }
    }

    pub(crate) fn on_request(
        mut self,
        work: impl FnMut(&mut Context<'_, Self>, &Request<'_>) -> Answer + Send + 'static,
    ) -> Self {
        self.on_request = Box::new(work);
        self
    }

    pub(crate) fn on_open(mut self, work: impl FnMut(&mut Context<'_, Self>) + Send + 'static) -> Self {
        self.on_open = Box::new(work);
        self
    }

    pub(crate) fn on_message(mut self, work: impl FnMut(&mut Context<'_, Self>, Message<'_>) + Send + 'static) -> Self {
        self.on_message = Box::new(work);
        self
    }

    pub(crate) fn on_part(mut self, work: impl FnMut(&mut Context<'_, Self>, &Part<'_>) + Send + 'static) -> Self {
        self.on_part = Box::new(work);
        self
    }

    pub(crate) fn on_ping(mut self, work: impl FnMut(&mut Context<'_, Self>) + Send + 'static) -> Self {
        self.on_ping = Box::new(work);
        self
    }

    pub(crate) fn on_drained(mut self, work: impl FnMut(&mut Context<'_, Self>) + Send + 'static) -> Self {
        self.on_drained = Box::new(work);
        self
    }

    pub(crate) fn on_close(mut self, work: impl FnMut(&mut Context<'_, Self>) + Send + 'static) -> Self {
        self.on_close = Box::new(work);
        self
    }

    fn tell(&self, cx: &mut Context<'_, Self>, heard: Heard) {
        let id = cx.id();
        let _ = self.told.send((id, heard));
        cx.data().told.get_or_insert_with(|| (id, self.told.clone()));
    }
}

impl<S: Stream + 'static> Handler for Probe<S> {
    type Stream = S;
    type Data = Kept;

    fn request(&mut self, cx: &mut Context<'_, Self>, request: &Request<'_>) -> Answer {
        (self.on_request)(cx, request)
    }

    fn response(&mut self, cx: &mut Context<'_, Self>, response: &Response<'_>) {
        self.tell(cx, Heard::Response(response.status()));
    }

    fn open(&mut self, cx: &mut Context<'_, Self>) {
        self.tell(cx, Heard::Open);
        (self.on_open)(cx);
    }

    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
        self.tell(cx, Heard::Message(message.as_bytes().len()));
        (self.on_message)(cx, message);
    }

    fn part(&mut self, cx: &mut Context<'_, Self>, part: &Part<'_>) {
        self.tell(cx, Heard::Part(part.as_bytes().len(), part.is_last()));
        (self.on_part)(cx, part);
    }

    fn ping(&mut self, cx: &mut Context<'_, Self>, payload: &[u8]) {
        self.tell(cx, Heard::Ping(payload.to_vec()));
        (self.on_ping)(cx);
    }

    fn pong(&mut self, cx: &mut Context<'_, Self>, payload: &[u8]) {
        self.tell(cx, Heard::Pong(payload.to_vec()));
    }

    fn drained(&mut self, cx: &mut Context<'_, Self>) {
        self.tell(cx, Heard::Drained);
        (self.on_drained)(cx);
    }

    fn close(&mut self, cx: &mut Context<'_, Self>, closed: &Closed<'_>) {
        let Closed { ending, reason, error } = *closed;
        let (by, code, reason) = (ending.by(), ending.code(), reason.to_owned());
        self.tell(cx, Heard::Close { by, code, reason, error: error.map(io::Error::kind) });
        (self.on_close)(cx);
    }

    fn not_opened(&mut self, cx: &mut Context<'_, Self>, error: OpenError) {
        let error = match error {
            OpenError::Io(error) => format!("Io({:?})", error.kind()),
            error => format!("{error:?}"),
        };
        self.tell(cx, Heard::NotOpened(error));
    }
}
