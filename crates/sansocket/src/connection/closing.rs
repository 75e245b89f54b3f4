//! How a connection ends (RFC 6455, section 7), as a table.
//!
//! 1. `Closing` changes only in [`Closing::on`].
//! 2. This file knows neither roles nor bytes.

use core::fmt;

use crate::ProtocolError;

/// Where a connection is between open and gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Messages go both ways.
    Open,
    /// Our Close is out, the peer's has not come. The peer may still send messages.
    CloseSent,
    /// Both Closes have passed: the closing handshake is done, the transport is still there.
    Done(Initiator),
    /// The peer violated the protocol. What it sends is discarded.
    Failed(ProtocolError),
    /// The transport is gone.
    Ended(Outcome),
}

/// Which side's Close came first. Where both crossed on the way, each side takes itself for the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Initiator {
    Local,
    Peer,
}

/// What the transport's end found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Clean(Initiator),
    Failed(ProtocolError),
    Lost(Place),
}

/// What can happen to a closing connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// The caller closes. Allowed while `Open` only.
    LocalClose,
    /// A well-formed Close has come.
    PeerClose,
    /// The peer has violated the protocol, or a layer above says so.
    Violation(ProtocolError),
    /// The transport has ended, in order or by a reset, at this place of the peer's stream.
    TransportEnd(Place),
}

/// What has to be written because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Nothing,
    /// The Close that the caller asked for.
    Close,
    /// The peer's code, sent back.
    Echo,
    /// The violation's code and text.
    Fail(ProtocolError),
}

impl Closing {
    /// Takes note of `happening` and says what has to be written.
    pub(crate) fn on(&mut self, happening: Happening) -> Reply {
        let (next, reply) = match (*self, happening) {
            (Self::Open, Happening::LocalClose) => (Self::CloseSent, Reply::Close),
            // 5.5.1: "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send
            // a Close frame in response."
            (Self::Open, Happening::PeerClose) => (Self::Done(Initiator::Peer), Reply::Echo),
            (Self::CloseSent, Happening::PeerClose) => (Self::Done(Initiator::Local), Reply::Nothing),
            // 7.1.7: "the endpoint SHOULD send a Close frame with an appropriate status code".
            (Self::Open, Happening::Violation(error)) => (Self::Failed(error), Reply::Fail(error)),
            (Self::CloseSent, Happening::Violation(error)) => (Self::Failed(error), Reply::Nothing),
            (Self::Open | Self::CloseSent, Happening::TransportEnd(place)) => {
                (Self::Ended(Outcome::Lost(place)), Reply::Nothing)
            }
            (Self::Done(by), Happening::TransportEnd(_)) => (Self::Ended(Outcome::Clean(by)), Reply::Nothing),
            (Self::Failed(error), Happening::TransportEnd(_)) => (Self::Ended(Outcome::Failed(error)), Reply::Nothing),
            // 7.1.7: an endpoint that has failed the connection "MUST NOT continue to attempt to process data".
            (unchanged, _) => (unchanged, Reply::Nothing),
        };
        *self = next;
        reply
    }

    /// Whether data frames may be sent: 5.5.1 forbids them behind a Close.
    #[inline]
    pub(crate) const fn may_send(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether frames of the peer still count.
    #[inline]
    pub(crate) const fn may_receive(self) -> bool {
        matches!(self, Self::Open | Self::CloseSent)
    }

    /// The violation that ended the connection.
    pub(crate) const fn failure(self) -> Option<ProtocolError> {
        match self {
            Self::Failed(error) | Self::Ended(Outcome::Failed(error)) => Some(error),
            _ => None,
        }
    }

    /// What the end is to be called, once nothing more will be received.
    pub(crate) const fn ended_by(self) -> Option<EndedBy> {
        Some(match self {
            Self::Open | Self::CloseSent => return None,
            Self::Done(Initiator::Local) | Self::Ended(Outcome::Clean(Initiator::Local)) => EndedBy::Local,
            Self::Done(Initiator::Peer) | Self::Ended(Outcome::Clean(Initiator::Peer)) => EndedBy::Peer,
            Self::Failed(error) | Self::Ended(Outcome::Failed(error)) => EndedBy::Failure(error),
            Self::Ended(Outcome::Lost(place)) => EndedBy::Loss(place),
        })
    }
}

/// What to do with the transport now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextStep {
    /// Read, write, go on.
    Open,
    /// Write out the output, then close the transport. The server's end of a closing handshake (RFC 6455, 7.1.1).
    CloseAfterFlush,
    /// Write out the output, then read until the transport ends, for a limited time, and close it. The client's end of a closing
    /// handshake: the server is to close first (RFC 6455, 7.1.1).
    AwaitEof,
    /// Write out the output, shut down writing, read and discard until the transport ends, limited in time and bytes, then close it.
    ///
    /// A socket closed with unread input resets the connection and takes back what was sent, the Close that explains the failure
    /// too.
    DrainAfterFlush,
    /// The transport has ended: drop it.
    Closed,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub(crate) by: EndedBy,
    pub(crate) code: u16,
}

/// What began the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// This side's Close, which the peer has answered. Where both closed at once, each side takes itself for the first.
    Local,
    /// The peer's Close.
    Peer,
    /// A violation by the peer, or a failure that a layer above has found.
    Failure(ProtocolError),
    /// The transport ended before a closing handshake was done, at this place of the peer's stream.
    Loss(Place),
}

/// Where in the peer's stream of frames a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Behind a whole message.
    BetweenMessages,
    /// Behind a whole frame of an unfinished message.
    BetweenFragments,
    /// Inside a frame's header.
    InHeader,
    /// Inside a frame's payload.
    InPayload,
}

impl Ending {
    /// What began the end.
    pub const fn by(&self) -> EndedBy {
        self.by
    }

    /// The code of the peer's Close, 1005 if that had none, 1006 if no Close came (RFC 6455, section 7.1.5). Behind a failure that is
    /// 1006; the code that this side has sent is [`ProtocolError::close_code`].
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Whether the closing handshake was done (RFC 6455, section 7.1.4).
    pub const fn is_clean(&self) -> bool {
        matches!(self.by, EndedBy::Local | EndedBy::Peer)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            EndedBy::Local => write!(f, "closed by this side, answered with code {}", self.code),
            EndedBy::Peer => write!(f, "closed by the peer with code {}", self.code),
            EndedBy::Failure(error) => write!(f, "failed: {error}"),
            EndedBy::Loss(place) => write!(f, "connection lost {place}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BetweenMessages => "between messages",
            Self::BetweenFragments => "between the fragments of a message",
            Self::InHeader => "inside a frame's header",
            Self::InPayload => "inside a frame's payload",
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::String;

    use super::*;

    const ERROR: ProtocolError = ProtocolError::ReservedBits;
    const PLACE: Place = Place::BetweenMessages;

    /// The table as the docs print it: a row a state, a column a happening, a cell "state, reply".
    fn table() -> String {
        let states = [
            Closing::Open,
            Closing::CloseSent,
            Closing::Done(Initiator::Local),
            Closing::Done(Initiator::Peer),
            Closing::Failed(ERROR),
            Closing::Ended(Outcome::Clean(Initiator::Peer)),
            Closing::Ended(Outcome::Failed(ERROR)),
            Closing::Ended(Outcome::Lost(PLACE)),
        ];
        let happenings =
            [Happening::LocalClose, Happening::PeerClose, Happening::Violation(ERROR), Happening::TransportEnd(PLACE)];
        let mut table =
            String::from("| state | LocalClose | PeerClose | Violation | TransportEnd |\n|---|---|---|---|---|\n");
        for state in states {
            table.push_str(&format!("| {state:?} |"));
            for happening in happenings {
                let mut next = state;
                let reply = next.on(happening);
                let cell = match (next == state, reply) {
                    (true, Reply::Nothing) => String::from("–"),
                    (_, Reply::Nothing) => format!("{next:?}"),
                    (_, reply) => format!("{next:?}, {reply:?}"),
                };
                table.push_str(&format!(" {cell} |"));
            }
            table.push('\n');
        }
        table.replace("(ReservedBits)", "(e)").replace("(BetweenMessages)", "(place)")
    }

    #[test]
    fn an_ending_says_who_ended_it_and_why() {
        let say = |by, code| format!("{}", Ending { by, code });
        let local = say(EndedBy::Local, 4001);
        assert!(local.contains("this side") && local.contains("4001"), "{local}");
        let peer = say(EndedBy::Peer, 1005);
        assert!(peer.contains("the peer") && peer.contains("1005"), "{peer}");
        let failure = say(EndedBy::Failure(ERROR), 1006);
        assert!(failure.contains(ERROR.text()), "{failure}");
        for (place, words) in [
            (Place::BetweenMessages, "between messages"),
            (Place::BetweenFragments, "fragments"),
            (Place::InHeader, "header"),
            (Place::InPayload, "payload"),
        ] {
            let loss = say(EndedBy::Loss(place), 1006);
            assert!(loss.contains("lost") && loss.contains(words), "{loss}");
        }
    }

    #[test]
    fn rfc6455_7_the_table_in_the_docs_is_the_one_that_runs() {
        let docs = include_str!("../../../../docs/architecture.md");
        let table = table();
        assert!(docs.contains(&table), "docs/architecture.md lacks this table:\n{table}");
    }
}
