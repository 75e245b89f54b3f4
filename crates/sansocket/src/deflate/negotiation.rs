//! What both sides agree on in the opening handshake (RFC 7692, sections 5 and 7.1).

use core::fmt;

use crate::handshake::{Extension, ParamValue};

/// The extension's name (RFC 7692, section 7).
pub(crate) const NAME: &str = "permessage-deflate";

/// The base-2 logarithm of the size of a compressor's window in bytes: 8 to 15 (RFC 7692, section 7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 256 bytes. Our compressor cannot work with so few: where the peer demands it, messages go out uncompressed.
    pub const MIN: Self = Self(8);

    /// 32 KiB, as much as DEFLATE knows.
    pub const MAX: Self = Self(15);

    /// From 8 to 15; else `None`.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 { Some(Self(bits)) } else { None }
    }

    /// The number, 8 to 15.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// RFC 7692, 7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
    fn parse(value: ParamValue<'_>) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).map(Self).find(|bits| value == *bits.text())
    }

    const fn text(self) -> &'static str {
        match self.0 {
            8 => "8",
            9 => "9",
            10 => "10",
            11 => "11",
            12 => "12",
            13 => "13",
            14 => "14",
            _ => "15",
        }
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// What one side of a connection offers and accepts of permessage-deflate.
///
/// A server takes the first of a client's offers that its policy lets it take, and goes without compression where there is none.
/// A client sends one offer for each of its policies, in order of preference, and fails the connection if the answer fits none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether our compressor may refer to earlier messages, if the peer does not forbid it; default `false`.
    ///
    /// Messages that resemble each other get much smaller by it. It costs a compressor for as long as the connection lives.
    pub takeover: bool,
    /// The largest window of our compressor; default 15 bits. The peer may demand a smaller one.
    pub window_bits: WindowBits,
    /// Whether the peer's compressor may refer to earlier messages; default `false`. It costs us a decompressor for as long as the
    /// connection lives.
    pub peer_takeover: bool,
    /// The largest window of the peer's compressor; default 15 bits. A smaller one saves us no memory, since our decompressor always has
    /// room for 15. A server does not accept a client's offer that lets it demand no less.
    pub peer_window_bits: WindowBits,
}

impl Policy {
    /// The default: no references to earlier messages in either direction, windows of 15 bits. So an idle connection needs no memory for
    /// compression, which suits a server that everybody can reach.
    pub const DEFAULT: Self =
        Self { takeover: false, window_bits: WindowBits::MAX, peer_takeover: false, peer_window_bits: WindowBits::MAX };

    /// References to earlier messages in both directions: the smallest messages, for a few hundred kilobytes a connection. What
    /// browsers offer.
    pub const TAKEOVER: Self = Self { takeover: true, peer_takeover: true, ..Self::DEFAULT };

    /// The offer that a client makes of this.
    const fn offer(&self) -> Element {
        let bits = self.window_bits;
        Element {
            server_no_context_takeover: !self.peer_takeover,
            // RFC 7692, 7.1.1.2: the client's own intention, of which the server hears early.
            client_no_context_takeover: !self.takeover,
            server_max_window_bits: less_than_all(self.peer_window_bits),
            // RFC 7692, 7.1.2.2: without this parameter, the server must not limit our window.
            client_max_window_bits: Some(less_than_all(bits)),
        }
    }

    /// What a server answers to an offer, and agrees to by that. `None`: it declines.
    fn answer(&self, offer: &Element) -> Option<Agreement> {
        let server_bits = offer.server_max_window_bits.unwrap_or(WindowBits::MAX).min(self.window_bits);
        let hint = offer.client_max_window_bits.flatten().unwrap_or(WindowBits::MAX);
        let client_bits = hint.min(self.peer_window_bits);
        let limits_client = self.peer_window_bits < WindowBits::MAX;
        // RFC 7692, 7.1.2.2: such an offer must be declined by a server that has to limit the client's window.
        if limits_client && offer.client_max_window_bits.is_none() {
            return None;
        }
        let answer = Element {
            // RFC 7692, 7.1.1.1: repeated where it was offered; "a server MAY include" it unasked.
            server_no_context_takeover: offer.server_no_context_takeover || !self.takeover,
            client_no_context_takeover: offer.client_no_context_takeover || !self.peer_takeover,
            // RFC 7692, 7.1.2.1: repeated with the same or a smaller value where it was offered; may be there unasked.
            server_max_window_bits: (offer.server_max_window_bits.is_some() || server_bits < WindowBits::MAX)
                .then_some(server_bits),
            // A hint that asks for nothing stays unanswered; the client does not go beyond it anyway.
            client_max_window_bits: limits_client.then_some(Some(client_bits)),
        };
        let parameters = Parameters {
            server: Window { bits: server_bits, takeover: !answer.server_no_context_takeover },
            client: Window { bits: client_bits, takeover: !answer.client_no_context_takeover },
        };
        Some(Agreement { answer, parameters })
    }

    /// What a client agrees to by an answer to its offer. `None`: that is no answer to it.
    fn agree(&self, answer: &Element) -> Option<Parameters> {
        let server_bits = answer.server_max_window_bits.unwrap_or(WindowBits::MAX);
        // RFC 7692, 7.1.1.1 and 7.1.2.1: what was asked of the server must be in its answer.
        let fits = (self.peer_takeover || answer.server_no_context_takeover) && server_bits <= self.peer_window_bits;
        // RFC 7692, 7.1.2.2: a larger value than our own hint lets us do what we meant to.
        let client_bits = answer.client_max_window_bits.flatten().unwrap_or(WindowBits::MAX).min(self.window_bits);
        fits.then_some(Parameters {
            server: Window { bits: server_bits, takeover: !answer.server_no_context_takeover },
            // RFC 7692, 7.1.1.2: a client must obey, also where it has not offered this.
            client: Window { bits: client_bits, takeover: self.takeover && !answer.client_no_context_takeover },
        })
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const fn less_than_all(bits: WindowBits) -> Option<WindowBits> {
    if bits.0 < WindowBits::MAX.0 { Some(bits) } else { None }
}

/// How one side compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How far a compressed message refers back at most.
    pub bits: WindowBits,
    /// Whether it may refer to earlier messages.
    pub takeover: bool,
}

/// What both sides have agreed on (RFC 7692, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// How the server compresses.
    pub server: Window,
    /// How the client compresses.
    pub client: Window,
}

impl Parameters {
    /// How a side compresses.
    pub const fn of(&self, is_server: bool) -> Window {
        if is_server { self.server } else { self.client }
    }
}

/// A server's answer, and what it agrees to by that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreement {
    answer: Element,
    pub(crate) parameters: Parameters,
}

impl Agreement {
    /// The value of the response's header.
    pub(crate) const fn header(&self) -> HeaderValue {
        self.answer.text()
    }
}

/// One element of the header: an offer, or the answer to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowBits>,
    /// In an offer it may have no value.
    client_max_window_bits: Option<Option<WindowBits>>,
}

/// An element with a parameter that is unknown, doubled, or malformed.
#[derive(Debug)]
pub(crate) struct InvalidElement;

impl Element {
    /// RFC 7692, 7: parameters that this extension does not know, invalid values and doubles make an element invalid.
    fn parse(element: &Extension<'_>) -> Result<Self, InvalidElement> {
        let mut parsed = Self::default();
        for (name, value) in element.params() {
            let bits = value.map(|value| WindowBits::parse(value).ok_or(InvalidElement)).transpose();
            let is_double = match (name, value) {
                ("server_no_context_takeover", None) => {
                    core::mem::replace(&mut parsed.server_no_context_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    core::mem::replace(&mut parsed.client_no_context_takeover, true)
                }
                ("server_max_window_bits", Some(_)) => {
                    parsed.server_max_window_bits.replace(bits?.ok_or(InvalidElement)?).is_some()
                }
                ("client_max_window_bits", _) => parsed.client_max_window_bits.replace(bits?).is_some(),
                _ => return Err(InvalidElement),
            };
            if is_double {
                return Err(InvalidElement);
            }
        }
        Ok(parsed)
    }

    const fn text(&self) -> HeaderValue {
        let mut text = HeaderValue { bytes: [0; LONGEST], len: 0 };
        text.push(NAME);
        if self.server_no_context_takeover {
            text.push("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            text.push("; client_no_context_takeover");
        }
        if let Some(bits) = self.server_max_window_bits {
            text.push("; server_max_window_bits=");
            text.push(bits.text());
        }
        if let Some(bits) = self.client_max_window_bits {
            text.push("; client_max_window_bits");
            if let Some(bits) = bits {
                text.push("=");
                text.push(bits.text());
            }
        }
        text
    }
}

/// The length of an element with all parameters.
const LONGEST: usize = 128;

/// An element as it stands in a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderValue {
    bytes: [u8; LONGEST],
    len: usize,
}

impl HeaderValue {
    const fn push(&mut self, text: &str) {
        let (_, room) = self.bytes.split_at_mut(self.len);
        let (room, _) = room.split_at_mut(text.len());
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
    }

    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// The header that a client sends: one element for each policy.
pub(crate) fn offers(policies: &[Policy]) -> impl Iterator<Item = HeaderValue> {
    policies.iter().map(|policy| policy.offer().text())
}

/// The offers of a request that can be answered, in order of preference.
///
/// RFC 7692, 7: "A server MUST decline an extension negotiation offer for this extension" if it is invalid; others may follow.
pub(crate) fn valid_offers<'b>(extensions: impl Iterator<Item = Extension<'b>>) -> impl Iterator<Item = Element> {
    extensions.filter(|extension| extension.name() == NAME).filter_map(|extension| Element::parse(&extension).ok())
}

/// A server's choice out of the offers.
pub(crate) fn choose(policy: Policy, mut offers: impl Iterator<Item = Element>) -> Option<Agreement> {
    offers.find_map(|offer| policy.answer(&offer))
}

/// What a client that has offered `policies` agrees to by a server's answer. `Err`: it is none to that.
pub(crate) fn agree(policies: &[Policy], answer: &Extension<'_>) -> Result<Parameters, InvalidElement> {
    let answer = Element::parse(answer)?;
    // RFC 7692, 7.1.2.2: in an answer, the parameter has a value.
    if answer.client_max_window_bits == Some(None) {
        return Err(InvalidElement);
    }
    // Which of the offers was meant cannot be told where several fit: what all of them allow is right.
    let fits = policies.iter().filter_map(|policy| policy.agree(&answer));
    let agreed = fits.reduce(|a, b| {
        let bits = a.client.bits.min(b.client.bits);
        Parameters { client: Window { bits, takeover: a.client.takeover && b.client.takeover }, ..a }
    });
    agreed.ok_or(InvalidElement)
}
