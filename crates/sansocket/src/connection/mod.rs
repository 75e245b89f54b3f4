//! The state machine of one connection. Bytes come in by `receive.rs`, most of them by the short ways of `whole.rs`, and go out by `send.rs`; `ahead.rs` looks at what
//! is to come, `closing.rs` is how it ends.

mod ahead;
mod closing;
mod receive;
mod send;
mod whole;

pub use closing::{EndedBy, Ending, NextStep, Place};
#[cfg(feature = "deflate")]
pub(crate) use send::check_text;

use closing::{Closing, Happening, Reply};

use crate::event::Kind;
use crate::frame::MAX_CONTROL_PAYLOAD;
use crate::role::{Role, Server};
use crate::utf8::CutChar;
use crate::{CloseFrame, Limits, Negotiated, ProtocolError};

/// One WebSocket connection behind its opening handshake: frames in, events out, and back.
///
/// It owns no buffer, no socket and no clock. The verbs:
///
/// - `receive*` takes in what the transport gave;
/// - `send*`, `ping`, `pong`, `close` and `fail` append to an [`Output`](crate::Output);
/// - the rest looks, or sets limits.
///
/// # Example
///
/// A server that gets a masked "Hello" (the example of RFC 6455, section 5.7) and echoes it:
///
/// ```
/// use sansocket::{Connection, Event, Limits, Negotiated, Server};
///
/// let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
/// let mut received = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let mut out = Vec::new();
///
/// let mut input = &mut received[..];
/// while let Some(event) = connection.receive(&mut input, &mut out) {
///     if let Event::Text(text) = event {
///         assert_eq!(text.as_str(), "Hello");
///         connection.send_text(text.as_str(), &mut out)?;
///     }
/// }
/// assert_eq!(out, b"\x81\x05Hello");
/// # Ok::<(), sansocket::SendError>(())
/// ```
#[derive(Debug)]
pub struct Connection<R> {
    role: R,
    negotiated: Negotiated,
    limits: Limits,
    closing: Closing,

    /// What the next byte of input belongs to.
    phase: Phase,
    /// The message that the peer has begun and not ended.
    incoming: Option<Incoming>,
    /// The peer's frame whose payload is under way, field by field, as that is shorter.
    payload_left: u64,
    key: [u8; 4],
    fin: bool,
    /// The character that the last chunk of text cut.
    cut: CutChar,

    /// The control frame under way, or the last; while no control frame is under way, bytes of a header that a read has cut.
    small: [u8; MAX_CONTROL_PAYLOAD],
    /// Bytes in `small` that are the last control frame's payload.
    control_len: u8,
    /// Bytes in `small` that belong to the unfinished header or control frame.
    held: u8,
    control: Control,

    /// The message that this side has begun in parts and not ended.
    outgoing: Option<Outgoing>,
    /// The character that the last part sent has cut.
    outgoing_cut: CutChar,
}

/// What the next byte of input belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A new message's first header, or that of a control frame; nothing of it has come. Nearly all messages begin here, and for most of
    /// them it is all that has to be known.
    BetweenMessages,
    /// A frame's header of which a part is held, or one between fragments.
    Header,
    /// A data frame's payload.
    Data,
    /// A control frame's payload.
    Control,
    /// Nothing: it does not count any more.
    Over,
}

/// A message on its way in.
#[derive(Clone, Copy, Debug)]
struct Incoming {
    kind: Kind,
    compressed: bool,
    /// Whether a piece of it was handed out.
    begun: bool,
    /// Frames so far.
    fragments: u32,
    /// Bytes so far, the frame under way included.
    bytes: u64,
}

/// A message on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outgoing {
    kind: Kind,
    compressed: bool,
}

/// Which control frame the bytes in `small` belong to.
#[derive(Clone, Copy, Debug)]
enum Control {
    Close,
    Ping,
    Pong,
}

const _: () = assert!(size_of::<Connection<Server>>() <= 192, "an idle connection is small");

impl<R: Role> Connection<R> {
    /// A connection right behind its opening handshake, with what that has negotiated.
    pub const fn new(role: R, negotiated: Negotiated, limits: Limits) -> Self {
        Self {
            role,
            negotiated,
            limits,
            closing: Closing::Open,
            phase: Phase::BetweenMessages,
            incoming: None,
            payload_left: 0,
            key: [0; 4],
            fin: false,
            cut: CutChar::EMPTY,
            small: [0; MAX_CONTROL_PAYLOAD],
            control_len: 0,
            held: 0,
            control: Control::Pong,
            outgoing: None,
            outgoing_cut: CutChar::EMPTY,
        }
    }

    /// Whether this side is the server: it does not mask, and it is the first to close the transport.
    pub fn is_server(&self) -> bool {
        self.role.is_server()
    }

    /// The limits in force.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes the limits, from the next frame on: raise them behind a login, say.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// What the opening handshake has negotiated.
    pub const fn negotiated(&self) -> Negotiated {
        self.negotiated
    }

    /// The payload of the last [`Ping`](crate::Event::Ping) or [`Pong`](crate::Event::Pong), until the next call of `receive`.
    pub fn control(&self) -> &[u8] {
        match self.control {
            Control::Ping | Control::Pong => &self.small[..usize::from(self.control_len)],
            Control::Close => &[],
        }
    }

    /// The body of the peer's Close, once it has come.
    pub fn peer_close(&self) -> Option<CloseFrame<'_>> {
        match self.closing.ended_by()? {
            // Undefined codes were let through or refused when the frame came.
            EndedBy::Local | EndedBy::Peer => {
                CloseFrame::parse(&self.small[..usize::from(self.control_len)], true).ok()
            }
            EndedBy::Failure(_) | EndedBy::Loss(_) => None,
        }
    }

    /// How many bytes of the data frame under way are still to come. An adapter may read them straight into a message's memory, so of a
    /// compressed message it is 0.
    pub fn payload_left(&self) -> u64 {
        match (self.phase, self.incoming) {
            (Phase::Data, Some(incoming)) if !incoming.compressed => self.payload_left,
            _ => 0,
        }
    }

    /// What to do with the transport, at any time, once the output is written.
    pub fn next_step(&self) -> NextStep {
        match self.closing {
            Closing::Open | Closing::CloseSent => NextStep::Open,
            // 5.5.1: "The server MUST close the underlying TCP connection immediately; the client SHOULD wait for the server to
            // close the connection".
            Closing::Done(_) if self.role.is_server() => NextStep::CloseAfterFlush,
            Closing::Done(_) => NextStep::AwaitEof,
            Closing::Failed(_) => NextStep::DrainAfterFlush,
            Closing::Ended(_) => NextStep::Closed,
        }
    }

    /// Whether a message is being sent in parts and has not ended.
    pub const fn is_sending(&self) -> bool {
        self.outgoing.is_some()
    }

    /// Whether this side may still send messages, pings and a Close.
    pub const fn may_send(&self) -> bool {
        self.closing.may_send()
    }

    /// Whether what the peer sends still counts.
    #[cfg(feature = "alloc")]
    pub(crate) const fn may_receive(&self) -> bool {
        self.closing.may_receive()
    }

    /// The violation that has ended the connection, from then on.
    pub const fn failure(&self) -> Option<ProtocolError> {
        self.closing.failure()
    }

    /// How the connection ended, as soon as nothing more will be received.
    pub fn ending(&self) -> Option<Ending> {
        let by = self.closing.ended_by()?;
        // 7.1.5: the code of the first Close received, 1005 if it had none, 1006 if there was none.
        let code = match self.peer_close() {
            Some(close) => close.code().map_or(1005, u16::from),
            None => 1006,
        };
        Some(Ending { by, code })
    }

    /// The transport has ended: a read gave no more bytes, or it was reset.
    ///
    /// Which of the two does not matter: whether a connection ended clean is decided by its closing handshake alone
    /// (RFC 6455, section 7.1.4).
    pub fn receive_eof(&mut self) {
        let place = match self.phase {
            Phase::Data | Phase::Control => Place::InPayload,
            Phase::Header if self.held > 0 => Place::InHeader,
            Phase::Header => Place::BetweenFragments,
            Phase::BetweenMessages | Phase::Over => Place::BetweenMessages,
        };
        self.on(Happening::TransportEnd(place));
    }

    /// Takes note of what concerns the end, and says what has to be written.
    fn on(&mut self, happening: Happening) -> Reply {
        let reply = self.closing.on(happening);
        // 7.1.7: a failed connection's input is not processed; 5.5.1: nor is what follows a Close.
        if !self.closing.may_receive() {
            self.phase = Phase::Over;
        }
        reply
    }
}
