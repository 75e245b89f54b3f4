//! What the peer can do wrong and what the caller can do wrong, as two types: the type says whom to blame.

use core::fmt;

use crate::CloseCode;

/// Builds [`ProtocolError`] and its methods from one table, so that no violation lacks a code, a clause or a text.
macro_rules! protocol_errors {
    ($($(#[doc = $doc:literal])+ $name:ident => $code:ident, $section:literal, $text:literal;)+) => {
        /// A violation by the peer, or a limit that it overran.
        ///
        /// Each has a close code, a section of an RFC and a sentence. The sentence also
        /// travels as the reason of the Close that answers the violation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProtocolError {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ProtocolError {
            /// Every violation, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code of the Close frame that answers this violation.
            pub const fn close_code(self) -> CloseCode {
                match self { $(Self::$name => CloseCode::$code,)+ }
            }

            /// The section of RFC 6455, or of the RFC that it names, that was violated, or that allows to refuse.
            pub const fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)+ }
            }

            /// The violation in one sentence of at most 123 bytes.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

protocol_errors! {
    /// A reserved bit is set that no negotiated extension gives a meaning.
    ReservedBits => PROTOCOL_ERROR, "5.2", "a reserved bit is set without an extension that defines it";
    /// An opcode of 3 to 7 or 11 to 15.
    ReservedOpcode => PROTOCOL_ERROR, "5.2", "the opcode is reserved";
    /// A client sent a frame without a mask.
    UnmaskedFrame => PROTOCOL_ERROR, "5.1", "a frame from a client must be masked";
    /// A server sent a frame with a mask.
    MaskedFrame => PROTOCOL_ERROR, "5.1", "a frame from a server must not be masked";
    /// A length in more bytes than it needs.
    NonMinimalLength => PROTOCOL_ERROR, "5.2", "the payload length is not in its shortest form";
    /// A 64-bit length of 2⁶³ or more.
    LengthTopBit => PROTOCOL_ERROR, "5.2", "the most significant bit of the payload length is set";
    /// A control frame without FIN.
    FragmentedControl => PROTOCOL_ERROR, "5.5", "a control frame must not be fragmented";
    /// A control frame with more than 125 bytes of payload.
    ControlTooLong => PROTOCOL_ERROR, "5.5", "a control frame carries at most 125 bytes";
    /// A continuation frame outside of a message.
    UnexpectedContinuation => PROTOCOL_ERROR, "5.4", "a continuation frame has no message to continue";
    /// A new message inside of an unfinished one.
    ExpectedContinuation => PROTOCOL_ERROR, "5.4", "a new message begins before the last one has ended";
    /// A Close frame with a body of a single byte.
    CloseBodyOfOneByte => PROTOCOL_ERROR, "5.5.1", "a close body is empty or begins with a code of two bytes";
    /// A Close frame with a code that must not travel.
    InvalidCloseCode => PROTOCOL_ERROR, "7.4", "the close code must not be sent";
    /// A Close frame with a reason that is not UTF-8.
    InvalidCloseReason => INVALID_PAYLOAD, "5.5.1", "the close reason is not UTF-8";
    /// A text message that is not UTF-8.
    InvalidUtf8 => INVALID_PAYLOAD, "8.1", "the text message is not UTF-8";
    /// A message of more bytes than [`Limits::message`](crate::Limits::message).
    MessageTooBig => MESSAGE_TOO_BIG, "10.4", "the message is longer than the limit";
    /// A message of more frames than [`Limits::fragments`](crate::Limits::fragments).
    TooManyFragments => POLICY_VIOLATION, "10.4", "the message has more fragments than the limit";
    /// The peer did not let anything be heard for too long, a ping notwithstanding. Raised by [`Deadlines`](crate::Deadlines).
    PongTimeout => POLICY_VIOLATION, "5.5.2", "no answer to a ping in time";
    /// More pings and pongs than a [`ControlRate`](crate::ControlRate) allows. Raised by [`ControlBucket`](crate::ControlBucket).
    TooManyControlFrames => POLICY_VIOLATION, "10.4", "more pings and pongs than allowed";
    /// More is queued for the peer than a limit allows, because it does not read. Raised by adapters that queue.
    QueueOverrun => POLICY_VIOLATION, "10.4", "the peer does not read what is sent to it";
    /// A compressed message that is not DEFLATE data, or ends inside of a block.
    InvalidCompression => INVALID_PAYLOAD, "7.2.2 of RFC 7692", "the compressed message cannot be inflated";
    /// More compressed messages are under way at once than a [`Pool`](crate::deflate) has decompressors for. Raised by the decompressor.
    TooManyCompressed => TRY_AGAIN_LATER, "10.4", "too many compressed messages are under way at once";
    /// There is no memory for the message. Raised by the layers above the connection.
    OutOfMemory => INTERNAL_ERROR, "10.4", "there is no memory for the message";
    /// The application could not go on: it has panicked, say. Raised by adapters that call it.
    ApplicationFailed => INTERNAL_ERROR, "7.4.1", "the application has failed";
    /// A rule of the application was broken. Raised by the layers above the connection.
    PolicyViolation => POLICY_VIOLATION, "7.4.1", "a policy of this endpoint was violated";
}

impl ProtocolError {
    /// The limit that was met, for whoever may lift it. The peer may not, and is told the text alone.
    const fn limit(self) -> Option<&'static str> {
        Some(match self {
            Self::MessageTooBig => "Limits::message",
            Self::TooManyFragments => "Limits::fragments",
            Self::PongTimeout => "Timeouts::pong",
            Self::TooManyControlFrames => "ControlRate",
            Self::TooManyCompressed => "PoolLimits::lent",
            _ => return None,
        })
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_section(f, self.text(), self.section())?;
        write_limit(f, self.limit())
    }
}

/// Which limit it was, if it was one.
pub(crate) fn write_limit(f: &mut fmt::Formatter<'_>, limit: Option<&str>) -> fmt::Result {
    limit.map_or(Ok(()), |limit| write!(f, "; the limit is `{limit}`"))
}

/// A text, and the section that it stands on: of RFC 6455, if it names no other.
pub(crate) fn write_with_section(f: &mut fmt::Formatter<'_>, text: &str, section: &str) -> fmt::Result {
    if section.contains("RFC") {
        write!(f, "{text} (section {section})")
    } else {
        write!(f, "{text} (RFC 6455, section {section})")
    }
}

impl core::error::Error for ProtocolError {}

/// A call that could not be carried out. Nothing was written and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// A Close was sent or received, or the connection was lost: nothing more may be sent (RFC 6455, 5.5.1).
    Closing,
    /// The output has less room than the frame needs. Empty it and call again.
    NoRoom,
    /// A part of a text message, or its end, is not UTF-8 (RFC 6455, 5.6).
    InvalidUtf8,
    /// A message is being sent in parts: its last part must go out before another message begins (RFC 6455, 5.4).
    MessageUnderWay,
    /// A header without its payload, on a client, which has to mask payloads (RFC 6455, 5.1).
    MustMask,
    /// A compressed message on a connection whose handshake has not agreed on compression (RFC 6455, 5.2).
    NotNegotiated,
    /// A ping or pong of more than 125 bytes (RFC 6455, 5.5).
    ControlTooLong,
    /// A close reason of more than 123 bytes (RFC 6455, 5.5).
    ReasonTooLong,
    /// A close reason without a code in front of it (RFC 6455, 5.5.1).
    ReasonWithoutCode,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closing => "the connection is closing or closed, nothing more may be sent",
            Self::NoRoom => "the output has no room for the frame",
            Self::InvalidUtf8 => "the text is not UTF-8",
            Self::MessageUnderWay => "another message is being sent in parts and has not ended",
            Self::MustMask => "a client must mask its payloads and cannot send a header alone",
            Self::NotNegotiated => "the opening handshake has not agreed on compression",
            Self::ControlTooLong => "a ping or pong carries at most 125 bytes",
            Self::ReasonTooLong => "a close reason has at most 123 bytes",
            Self::ReasonWithoutCode => "a close reason needs a close code",
        })
    }
}

impl core::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close::MAX_REASON;

    #[test]
    fn every_violation_has_a_code_that_may_travel_and_a_text_that_fits_a_close() {
        for error in ProtocolError::ALL {
            assert!(CloseCode::new(error.close_code().get()).is_some(), "{error:?}");
            assert!(error.text().len() <= MAX_REASON, "{error:?}");
        }
    }
}
