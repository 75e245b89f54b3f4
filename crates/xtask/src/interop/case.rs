//! A case: what both sides do, and what both are to have seen at the end.

use std::fmt;

use sansocket_std::Kind;
use sansocket_std::deflate::{Config, Policy};
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::ours::Act;
use super::peer::Peer;

/// The sizes of the messages, in bytes: the ends of the three forms of a frame's length, and large ones.
const SIZES: [usize; 8] = [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 16 << 20];

/// The sizes of the messages that come in fragments of [`FRAGMENT`] bytes, which cut characters. Peers take longer for each that
/// they compress.
const FRAGMENTED: [usize; 2] = [1000, 65_536];
const FRAGMENT: usize = 7;
const COMPRESSED_FRAGMENT: usize = 101;

/// The code and the reason of a Close that is looked at for its own sake.
const FAREWELL: (u16, &str) = (4001, "genug für heute");

/// One case.
#[derive(Clone, Copy)]
pub(super) struct Case<'p> {
    pub(super) other: Other<'p>,
    pub(super) role: Role,
    pub(super) face: Face,
    pub(super) tls: bool,
    pub(super) compression: Compression,
    pub(super) what: What,
}

/// The peer.
#[derive(Clone, Copy)]
pub(super) enum Other<'p> {
    Library(&'p Peer),
    /// `sansocket serve`.
    Serve(Adapter),
}

/// What plays our side.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Face {
    /// `sansocket serve`, or a client or server in this process.
    Adapter(Adapter),
    /// The browser's `WebSocket`, always a client.
    Object,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Adapter {
    Mio,
    Std,
    Tokio,
}

/// The peer's part in it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Client,
    Server,
}

/// Who is ready to compress, and what they agree on.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Compression {
    /// Nobody.
    None,
    /// The peer alone.
    Declined,
    /// We alone.
    Refused,
    /// Both: each message by itself.
    Messages,
    /// Both: messages refer to earlier ones.
    Takeover,
}

impl Compression {
    pub(super) const ALL: [Self; 5] = [Self::None, Self::Declined, Self::Refused, Self::Messages, Self::Takeover];

    /// How our side compresses.
    pub(super) fn config(self) -> Option<Config> {
        match self {
            Self::None | Self::Declined => None,
            Self::Refused | Self::Messages => Some(Config::DEFAULT),
            Self::Takeover => Some(Config { policy: Policy::TAKEOVER, ..Config::DEFAULT }),
        }
    }

    /// What tells it to `sansocket serve`.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::None | Self::Declined | Self::Refused => &[],
            Self::Messages => &["--deflate"],
            Self::Takeover => &["--deflate", "--takeover"],
        }
    }

    /// Whether the peer is ready.
    const fn peer_compresses(self) -> bool {
        !matches!(self, Self::None | Self::Refused)
    }

    /// What they agree on about references to earlier messages.
    const fn agreed(self) -> Option<&'static [&'static str]> {
        match self {
            Self::None | Self::Declined | Self::Refused => None,
            Self::Messages => Some(&["client_no_context_takeover", "server_no_context_takeover"]),
            Self::Takeover => Some(&[]),
        }
    }
}

/// What the case is about.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum What {
    /// One side sends messages of all sizes, the other echoes them, and the first closes.
    Messages(Kind, Sender),
    /// The peer sends messages in fragments, we echo them.
    Fragments(Kind),
    PingFromPeer,
    PingFromUs,
    CloseFromPeer,
    CloseFromUs,
    /// The client does not know who has signed the server's certificate.
    Stranger,
}

/// Whose messages they are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sender {
    Us,
    Peer,
}

impl What {
    /// What our side does.
    pub(super) const fn our_act(self) -> Act {
        match self {
            Self::Messages(_, Sender::Us) => Act::Send,
            Self::PingFromUs => Act::Ping,
            Self::CloseFromUs => Act::Close,
            _ => Act::Echo,
        }
    }
}

impl Case<'_> {
    /// The sizes of the messages.
    pub(super) fn sizes(&self) -> &'static [usize] {
        if let What::Fragments(_) = self.what { &FRAGMENTED } else { &SIZES }
    }

    /// The size of the fragments that the peer sends, if it does.
    fn fragment(&self) -> Option<usize> {
        match (self.what, self.compression) {
            (What::Fragments(_), Compression::None) => Some(FRAGMENT),
            (What::Fragments(_), _) => Some(COMPRESSED_FRAGMENT),
            _ => None,
        }
    }

    /// What the peer is told: its script's argument. A client gets a URL.
    pub(super) fn told(&self, url: &str, certificates: &Certificates) -> Value {
        let (code, reason) = self.farewell();
        let ca = if self.what == What::Stranger { &certificates.stranger } else { &certificates.ca };
        json!({
            "role": self.role.to_string(),
            "act": self.peer_act(),
            "kind": if self.kind() == Kind::Text { "text" } else { "binary" },
            "sizes": self.sizes(),
            "fragment": self.fragment(),
            "deflate": self.compression.peer_compresses(),
            // The object leaves that to the server.
            "takeover": self.face != Face::Object || self.compression != Compression::Messages,
            "code": code,
            "reason": reason,
            "url": url,
            "ca": self.tls.then_some(ca),
            "certificate": self.tls.then_some(&certificates.certificate),
            "key": self.tls.then_some(&certificates.key),
        })
    }

    /// The messages' kind.
    pub(super) fn kind(&self) -> Kind {
        match self.what {
            What::Messages(kind, _) | What::Fragments(kind) => kind,
            _ => Kind::Text,
        }
    }

    /// The code and the reason of the Close, whoever sends it.
    pub(super) fn farewell(&self) -> (u16, &'static str) {
        if matches!(self.what, What::CloseFromPeer | What::CloseFromUs) { FAREWELL } else { (1000, "") }
    }

    /// What the peer is to see. An answer to a Close has its code, and from us no reason.
    pub(super) fn their_view(&self) -> Value {
        let (code, reason) = self.farewell();
        if let Other::Serve(_) = self.other {
            return closed_by_peer(code, reason).into();
        }
        let offers = match self.compression {
            Compression::None => false,
            Compression::Declined => self.role == Role::Client,
            Compression::Refused | Compression::Messages | Compression::Takeover => true,
        };
        let agreed = self.compression.agreed();
        // The peer compresses all of its messages, we those that are not too short; earlier ones make up for that.
        let least = Config::DEFAULT.threshold / if self.compression == Compression::Takeover { 8 } else { 1 };
        let long = self.sizes().iter().filter(|&&size| size >= least).count();
        let (received, sent) = if agreed.is_some() { (long, self.sizes().len()) } else { (0, 0) };
        json!({
            "code": code,
            "reason": if self.peer_closes() { "" } else { reason },
            "clean": true,
            // The first, which has a payload, and two of our keepalive: it sends none before the last was answered.
            "pings": if self.what == What::PingFromUs { &["from us", "", ""][..] } else { &[] },
            "error": null,
            "offered": offers,
            "agreed": agreed,
            "compressed": { "received": received, "sent": sent },
        })
    }

    /// What our side is to see.
    pub(super) fn our_view(&self) -> String {
        let (code, reason) = self.farewell();
        match (self.face, self.other) {
            // Libraries answer with the reason, too.
            (Face::Object, Other::Serve(_)) => close_event(self.compression.agreed(), code, ""),
            (Face::Object, Other::Library(_)) => close_event(self.compression.agreed(), code, reason),
            (Face::Adapter(_), _) if self.peer_closes() => closed_by_peer(code, reason),
            (Face::Adapter(_), _) => closed_by_us(code),
        }
    }

    fn peer_closes(&self) -> bool {
        self.peer_act() != "echo"
    }

    /// What the peer does before it closes; an echo does not.
    fn peer_act(&self) -> &'static str {
        match self.what {
            What::Messages(_, Sender::Peer) | What::Fragments(_) => "send",
            What::Messages(_, Sender::Us) | What::CloseFromUs => "echo",
            What::PingFromPeer => "ping",
            What::PingFromUs => "await pings",
            What::CloseFromPeer | What::Stranger => "close",
        }
    }

    /// The scheme of the server's URL.
    pub(super) const fn scheme(&self) -> &'static str {
        if self.tls { "wss" } else { "ws" }
    }

    /// A name for the case's files.
    pub(super) fn file_name(&self) -> String {
        let words = self.to_string();
        let words: Vec<_> = words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        words.join("-")
    }
}

/// How our side calls an end that the peer began.
pub(super) fn closed_by_peer(code: u16, reason: &str) -> String {
    format!("closed by the peer: {code} {reason:?}")
}

/// How our side calls an end that it began itself.
pub(super) fn closed_by_us(code: u16) -> String {
    format!("closed by us, answered with {code}")
}

/// What the object tells at its end: what was agreed on, and what was in the peer's Close.
pub(super) fn close_event(agreed: Option<&[&str]>, code: u16, reason: &str) -> String {
    format!("close event {code} {reason:?}, extension: {agreed:?}")
}

/// The peer, its role, the scheme, what it is about and what plays our side, in columns.
impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = match self.other {
            Other::Library(peer) => peer.name,
            Other::Serve(adapter) => adapter.name(),
        };
        let face = match self.face {
            Face::Adapter(adapter) => adapter.name(),
            Face::Object => "object",
        };
        let what = self.what.to_string() + self.compression.words();
        write!(f, "{other:<6}  {:<6}  {:<3}  {what:<62}  {face:<6}", self.role.to_string(), self.scheme())
    }
}

impl Adapter {
    /// As `sansocket serve` calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mio => "mio",
            Self::Std => "std",
            Self::Tokio => "tokio",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

impl Compression {
    /// As they end a case's name.
    fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Declined => ", compression declined",
            Self::Refused => ", compression refused",
            Self::Messages => ", compressed",
            Self::Takeover => ", compressed with takeover",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |kind: &Kind| if *kind == Kind::Text { "text" } else { "binary" };
        match self {
            Self::Messages(of, Sender::Us) => write!(f, "{} of all sizes from us", kind(of)),
            Self::Messages(of, Sender::Peer) => write!(f, "{} of all sizes from the peer", kind(of)),
            Self::Fragments(of) => write!(f, "{} in fragments from the peer", kind(of)),
            Self::PingFromPeer => f.write_str("ping from the peer"),
            Self::PingFromUs => f.write_str("pings from us"),
            Self::CloseFromPeer => f.write_str("close from the peer, code and reason"),
            Self::CloseFromUs => f.write_str("close from us, code and reason"),
            Self::Stranger => f.write_str("certificate of an unknown issuer refused"),
        }
    }
}
