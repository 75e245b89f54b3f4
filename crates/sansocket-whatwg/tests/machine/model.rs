//! The object once more, as naively as it can be said: it keeps lists of all that has happened, and counts them anew for every question.

use sansocket::{CloseCode, OwnedMessage};
use sansocket_whatwg::machine::Command;
use sansocket_whatwg::{BinaryType, Blob, CloseEvent, Data, Event, Failure, MessageEvent, Payload, Pumped, ReadyState};

use super::program::{News, Outcome, Seen, Step, failure, message, payload};

/// What is expected of the object.
#[derive(Debug)]
pub(crate) struct Model {
    limit: u64,
    ready_state: ReadyState,
    binary_type: BinaryType,
    /// Which of the network's openings was the one.
    opened: Option<usize>,
    /// What the owner has not heard of yet, with its number.
    news: Vec<(usize, News)>,
    sent: Vec<u64>,
    /// What the network has taken: as far as the owner knows, and beyond that.
    known: Vec<u64>,
    unknown: Vec<u64>,
    /// What the owner has done, if the end is a failure by that.
    doom: Option<Failure>,
    failure: Option<String>,
    /// What has to come next.
    due: Option<CloseEvent>,
    is_over: bool,
}

impl Model {
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            limit,
            ready_state: ReadyState::Connecting,
            binary_type: BinaryType::Blob,
            opened: None,
            news: Vec::new(),
            sent: Vec::new(),
            known: Vec::new(),
            unknown: Vec::new(),
            doom: None,
            failure: None,
            due: None,
            is_over: false,
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        let opened = |what: &str| self.opened.map_or(String::new(), |number| format!("{what}-{number}"));
        Seen {
            ready_state: self.ready_state,
            buffered_amount: self.sent.iter().sum::<u64>() - self.known.iter().sum::<u64>(),
            protocol: opened("protocol"),
            extensions: opened("extension"),
            binary_type: self.binary_type,
            failure: self.failure.clone(),
            is_over: self.is_over,
        }
    }

    pub(crate) fn unread(&self) -> u64 {
        let lengths = self.news.iter().map(|(_, news)| if let News::Message(_, len) = news { *len as u64 } else { 0 });
        lengths.sum()
    }

    pub(crate) fn has_tasks(&self) -> bool {
        let may_work = self.ready_state != ReadyState::Closed;
        self.due.is_some() || (may_work && (!self.news.is_empty() || self.unknown.iter().any(|&bytes| bytes > 0)))
    }

    /// Takes the step of that number.
    pub(crate) fn take(&mut self, number: usize, step: &Step, bytes: u64) -> Outcome {
        match *step {
            Step::Send(is_text, len) => return self.send(payload(is_text, len)),
            Step::Close(Some(code), _) if code != 1000 && !(3000..5000).contains(&code) => {
                return Outcome::Threw("InvalidAccessError");
            }
            Step::Close(_, 124..) => return Outcome::Threw("SyntaxError"),
            Step::Close(None, 0) => return self.close(None, 0),
            Step::Close(None, len) => return self.close(Some(1000), len),
            Step::Close(code, len) => return self.close(code, len),
            Step::GoAway(has_code) => return self.close(has_code.then_some(1001), 0),
            Step::Pump => return Outcome::Pumped(self.pump()),
            Step::SetBinaryType(binary_type) => self.binary_type = binary_type,
            Step::HandOver(_) => self.unknown.push(bytes),
            Step::Queue(ref news) => {
                let is_too_late = match news {
                    News::Message(..) => matches!(self.ready_state, ReadyState::Closing | ReadyState::Closed),
                    _ => self.ready_state == ReadyState::Closed,
                };
                if !is_too_late {
                    self.news.push((number, news.clone()));
                }
            }
        }
        Outcome::Nothing
    }

    fn send(&mut self, payload: Payload) -> Outcome {
        if self.ready_state == ReadyState::Connecting {
            return Outcome::Threw("InvalidStateError");
        }
        self.sent.push(payload.len() as u64);
        if self.ready_state != ReadyState::Open || self.doom.is_some() {
            Outcome::Ordered(None)
        } else if self.seen().buffered_amount > self.limit {
            self.doom = Some(Failure::BufferFull);
            Outcome::Ordered(Some(Command::Fail))
        } else {
            Outcome::Ordered(Some(Command::Send(payload)))
        }
    }

    fn close(&mut self, code: Option<u16>, len: usize) -> Outcome {
        let command = match self.ready_state {
            ReadyState::Connecting => {
                self.doom = Some(Failure::Aborted);
                Some(Command::Fail)
            }
            ReadyState::Open if self.doom.is_none() => {
                Some(Command::Close { code: code.and_then(CloseCode::new), reason: "r".repeat(len) })
            }
            _ => None,
        };
        if matches!(self.ready_state, ReadyState::Connecting | ReadyState::Open) {
            self.ready_state = ReadyState::Closing;
            self.news.retain(|(_, news)| !matches!(news, News::Message(..)));
        }
        Outcome::Ordered(command)
    }

    fn pump(&mut self) -> Pumped {
        if let Some(close) = self.due.take() {
            self.is_over = true;
            return Pumped::Fired(Event::Close(close));
        }
        if !self.has_tasks() {
            return Pumped::Idle;
        }
        self.known.append(&mut self.unknown);
        if self.news.is_empty() {
            return Pumped::Quiet;
        }
        let (number, news) = self.news.remove(0);
        let clean = |code| CloseEvent::new(true, code, format!("reason {number}"));
        let unclean = CloseEvent::new(false, 1006, "");
        match (self.ready_state, news) {
            (ReadyState::Connecting, News::Open) => {
                self.ready_state = ReadyState::Open;
                self.opened = Some(number);
                Pumped::Fired(Event::Open)
            }
            (ReadyState::Open, News::Message(is_text, len)) => {
                let data = match (message(is_text, len, number), self.binary_type) {
                    (OwnedMessage::Text(text), _) => Data::Text(text),
                    (OwnedMessage::Binary(bytes), BinaryType::Blob) => Data::Blob(Blob::new(bytes)),
                    (OwnedMessage::Binary(bytes), BinaryType::ArrayBuffer) => Data::ArrayBuffer(bytes),
                };
                Pumped::Fired(Event::Message(MessageEvent::new(data, "wss://example.com")))
            }
            (ReadyState::Open, News::Closing) => {
                self.ready_state = ReadyState::Closing;
                Pumped::Quiet
            }
            (_, News::Open | News::Message(..) | News::Closing) => Pumped::Quiet,
            (_, end) => {
                self.ready_state = ReadyState::Closed;
                self.news.clear();
                if let Some(doom) = self.doom.take() {
                    return self.fail(doom.to_string(), unclean);
                }
                let close = match end {
                    News::Failed => return self.fail(failure(number).to_string(), unclean),
                    News::Clean(code) => clean(code),
                    News::Lost(is_known) => {
                        self.failure = is_known.then(|| failure(number).to_string());
                        unclean
                    }
                    News::Open | News::Message(..) | News::Closing => unreachable!("these are no ends"),
                };
                self.is_over = true;
                Pumped::Fired(Event::Close(close))
            }
        }
    }

    fn fail(&mut self, why: String, close: CloseEvent) -> Pumped {
        self.failure = Some(why);
        self.due = Some(close);
        Pumped::Fired(Event::Error)
    }
}
