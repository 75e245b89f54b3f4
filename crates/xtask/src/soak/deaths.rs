//! How connections end that are not closed.

use super::link::Then;

pub(super) struct Death {
    pub(super) name: &'static str,
    /// What was sent before.
    pub(super) before: Before,
    pub(super) then: Then,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Before {
    /// A part of the request, or nothing; whoever still reads is told what was wrong with it.
    Handshake,
    Nothing,
    HalfAFrame,
    HalfAMessage,
    /// Some whose echoes are not waited for.
    Messages,
}

const fn death(name: &'static str, before: Before, then: Then) -> Death {
    Death { name, before, then }
}

/// All ways.
pub(super) const ALL: &[Death] = &[
    death("RST in the handshake", Before::Handshake, Then::Reset),
    death("FIN in the handshake", Before::Handshake, Then::Finish(None)),
    death("closed in the handshake", Before::Handshake, Then::Drop),
    death("RST while open", Before::Nothing, Then::Reset),
    death("FIN while open", Before::Nothing, Then::Finish(None)),
    death("RST within a frame", Before::HalfAFrame, Then::Reset),
    death("FIN within a frame", Before::HalfAFrame, Then::Finish(None)),
    death("RST within a message", Before::HalfAMessage, Then::Reset),
    death("FIN within a message", Before::HalfAMessage, Then::Finish(None)),
    death("RST before the echoes", Before::Messages, Then::Reset),
    death("closed before the echoes", Before::Messages, Then::Drop),
];
