//! Close codes and the body of a Close frame (RFC 6455, sections 5.5.1 and 7.4).

use core::fmt;

use crate::ProtocolError;

/// Longest reason in bytes: a control frame's 125 less the code's two.
pub const MAX_REASON: usize = 123;

/// A close code that may travel in a Close frame (RFC 6455, section 7.4).
///
/// 1005, 1006 and 1015 stand for the absence of a code and never travel; [`Ending::code`](crate::Ending::code) reports them as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away, a server down or a page left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer violated the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that this endpoint does not accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a policy was violated, and no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the server did not negotiate an extension that this client needs. Sent by clients only.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: something unexpected keeps this endpoint from going on.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (registered with IANA after the RFC).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later (registered with IANA after the RFC).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got a bad answer from upstream (registered with IANA after the RFC).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if an endpoint may send it: 1000 to 1003, 1007 to 1014 and 3000 to 4999.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            // 7.4.1: 1004 is reserved; 1005, 1006 and 1015 must not be set in a Close frame.
            // 7.4.2: 0 to 999 are not used; 1016 to 2999 wait for a revision of the protocol; 5000 and more are undefined.
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// As [`new`](Self::new), and codes that nobody has defined: all but 1005, 1006 and 1015, which stand for what does not travel.
    const fn new_or_undefined(code: u16) -> Option<Self> {
        match code {
            1005 | 1006 | 1015 => None,
            _ => Some(Self(code)),
        }
    }

    /// The code as a number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

/// The body of a Close frame: no code and no reason, or a code and a reason that may be empty (RFC 6455, section 5.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseFrame<'a> {
    code: Option<CloseCode>,
    reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// The code, if the frame had one.
    pub const fn code(&self) -> Option<CloseCode> {
        self.code
    }

    /// The reason: at most [`MAX_REASON`] bytes, empty if the frame had none.
    pub const fn reason(&self) -> &'a str {
        self.reason
    }

    /// Reads the unmasked body of a Close frame. `undefined_codes` lets codes pass that nobody has defined.
    pub(crate) fn parse(body: &'a [u8], undefined_codes: bool) -> Result<Self, ProtocolError> {
        match body {
            [] => Ok(Self { code: None, reason: "" }),
            // 5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
            [_] => Err(ProtocolError::CloseBodyOfOneByte),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                let known = if undefined_codes { CloseCode::new_or_undefined(code) } else { CloseCode::new(code) };
                Ok(Self {
                    code: Some(known.ok_or(ProtocolError::InvalidCloseCode)?),
                    // 5.5.1: what follows the code is "UTF-8-encoded data".
                    reason: core::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_7_4_codes_that_may_travel() {
        let may = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            assert_eq!(CloseCode::new(code).map(CloseCode::get), may(code).then_some(code));
            let body = code.to_be_bytes();
            assert_eq!(CloseFrame::parse(&body, false).is_ok(), may(code), "{code}");
            let undefined = matches!(code, 0..=999 | 1004 | 1016..=2999 | 5000..);
            assert_eq!(CloseFrame::parse(&body, true).is_ok(), may(code) || undefined, "{code}");
        }
    }

    #[test]
    fn a_code_is_written_as_its_number() {
        extern crate std;
        assert_eq!(std::format!("{}", CloseCode::NORMAL), "1000");
        assert_eq!(std::format!("{:>6}", CloseCode::BAD_GATEWAY), "  1014");
    }

    #[test]
    fn rfc6455_5_5_1_a_close_body_is_a_code_and_a_reason_in_utf8() {
        assert_eq!(CloseFrame::parse(&[], false), Ok(CloseFrame { code: None, reason: "" }));
        assert_eq!(CloseFrame::parse(&[3], false), Err(ProtocolError::CloseBodyOfOneByte));
        let whole = CloseFrame::parse("\u{3}\u{e8}größer".as_bytes(), false);
        // "è" is two bytes in UTF-8, so the code above is 0x03c3, which may not travel.
        assert_eq!(whole, Err(ProtocolError::InvalidCloseCode));
        let frame = CloseFrame::parse(b"\x03\xe8gr\xc3\xb6\xc3\x9fer", false).unwrap();
        assert_eq!((frame.code(), frame.reason()), (Some(CloseCode::NORMAL), "größer"));
        assert_eq!(CloseFrame::parse(b"\x03\xe8\xc3", false), Err(ProtocolError::InvalidCloseReason));
    }
}
