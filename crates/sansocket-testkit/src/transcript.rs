//! What one side has received, in a form in which two of them can be compared.

use sansocket::{Connection, EndedBy, Ending, Event, Kind, Place, ProtocolError, Role};

/// Everything that a side has received, in the order in which it was complete, and how it went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// Messages, pings and pongs.
    pub received: Vec<Received>,
    /// What was given of a message that has not ended, if it was more than nothing. Always `None` behind a failure: how much was
    /// given before it depends on how the bytes were cut.
    pub unfinished: Option<Message>,
    /// How it went on.
    pub end: End,
}

/// Something whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message),
    /// A ping and its payload.
    Ping(Vec<u8>),
    /// A pong and its payload.
    Pong(Vec<u8>),
}

/// A message, whole or as much of it as was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Text or binary.
    pub kind: Kind,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Where a side's receiving stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It goes on, or its transport has ended, there.
    Open(Place),
    /// The peer's Close has come.
    Closed {
        /// Its code.
        code: Option<u16>,
        /// Its reason.
        reason: String,
    },
    /// The peer has violated the protocol.
    Failed(ProtocolError),
}

impl Transcript {
    /// The messages alone.
    pub fn messages(&self) -> Vec<&Message> {
        self.received
            .iter()
            .filter_map(|received| match received {
                Received::Message(message) => Some(message),
                _ => None,
            })
            .collect()
    }

    /// The pings and pongs alone.
    pub fn controls(&self) -> Vec<&Received> {
        self.received.iter().filter(|received| !matches!(received, Received::Message(_))).collect()
    }

    /// The violation that it ended with.
    pub fn failure(&self) -> Option<ProtocolError> {
        match self.end {
            End::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl Message {
    /// A text message.
    pub fn text(text: &str) -> Self {
        Self { kind: Kind::Text, bytes: text.into() }
    }

    /// A binary message.
    pub fn binary(bytes: &[u8]) -> Self {
        Self { kind: Kind::Binary, bytes: bytes.into() }
    }
}

/// Joins a connection's events to a [`Transcript`], and holds each event against what its docs promise.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    received: Vec<Received>,
    under_way: Option<Message>,
    end: Option<End>,
}

impl Recorder {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the event that `connection` has just given.
    ///
    /// # Panics
    ///
    /// If the event breaks a promise of the engine.
    #[track_caller]
    pub fn record<R: Role>(&mut self, connection: &Connection<R>, event: Event<'_>) {
        assert!(self.end.is_none(), "{event:?} behind the end {:?}", self.end);
        match event {
            Event::Text(text) => {
                assert_eq!(text.as_bytes(), text.as_str().as_bytes());
                assert!(text.into_str().is_none_or(|str| str == text.as_str()));
                assert_eq!(text.is_whole(), text.is_first() && text.is_last());
                self.piece(Kind::Text, text.as_bytes(), text.is_first(), text.is_last());
            }
            Event::Binary(binary) => {
                assert_eq!(binary.is_whole(), binary.is_first() && binary.is_last());
                self.piece(Kind::Binary, binary.as_bytes(), binary.is_first(), binary.is_last());
            }
            Event::Ping => self.received.push(Received::Ping(connection.control().to_vec())),
            Event::Pong => self.received.push(Received::Pong(connection.control().to_vec())),
            Event::Close => {
                let close = connection.peer_close().expect("a Close has come");
                let code = close.code().map(u16::from);
                self.end = Some(End::Closed { code, reason: close.reason().into() });
            }
            Event::Failed(error) => {
                assert_eq!(connection.failure(), Some(error));
                self.end = Some(End::Failed(error));
            }
            event => panic!("an event that was not asked for: {event:?}"),
        }
        assert_eq!(connection.peer_close().is_some(), matches!(self.end, Some(End::Closed { .. })));
    }

    #[track_caller]
    fn piece(&mut self, kind: Kind, bytes: &[u8], first: bool, last: bool) {
        assert_eq!(first, self.under_way.is_none(), "is_first of {bytes:?} behind {self:?}");
        let mut message = self.under_way.take().unwrap_or(Message { kind, bytes: Vec::new() });
        assert_eq!(message.kind, kind, "a piece of another message");
        message.bytes.extend(bytes);
        match last {
            true => self.received.push(Received::Message(message)),
            false => self.under_way = Some(message),
        }
    }

    /// What was received and not taken, in order.
    pub fn received(&mut self) -> &mut Vec<Received> {
        &mut self.received
    }

    /// The peer's Close or violation, once it has come.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The transcript of a stream that has ended like this.
    ///
    /// # Panics
    ///
    /// If the ending says something else than the events did.
    #[track_caller]
    pub fn finish(self, ending: Ending) -> Transcript {
        let end = match (self.end, ending.by()) {
            (None, EndedBy::Loss(place)) => End::Open(place),
            // Found by a layer above, so there was no event.
            (None, EndedBy::Failure(error)) => End::Failed(error),
            (Some(End::Failed(told)), EndedBy::Failure(error)) if told == error => End::Failed(error),
            (Some(end @ End::Closed { .. }), EndedBy::Local | EndedBy::Peer) => end,
            (end, by) => panic!("the events say {end:?}, the ending says {by:?}"),
        };
        let failed = matches!(end, End::Failed(_));
        let unfinished = self.under_way.filter(|message| !failed && !message.bytes.is_empty());
        Transcript { received: self.received, unfinished, end }
    }
}
