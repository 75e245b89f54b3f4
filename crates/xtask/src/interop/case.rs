//! The cases: what both sides do, and what both are to have seen at the end.

use std::fmt;

use sansocket_std::Kind;
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::ours::Act;
use super::peer::Peer;

/// The sizes of the messages, in bytes: the ends of the three forms of a frame's length, and large ones.
pub(super) const SIZES: [usize; 8] = [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 16 << 20];

/// The sizes of the messages that come in fragments of [`FRAGMENT`] bytes, which cut characters.
const FRAGMENTED: [usize; 2] = [1000, 65_536];
const FRAGMENT: usize = 7;

/// The code and the reason of a Close that is looked at for its own sake.
const FAREWELL: (u16, &str) = (4001, "genug für heute");

/// One case.
#[derive(Clone, Copy)]
pub(super) struct Case<'p> {
    pub(super) peer: &'p Peer,
    pub(super) role: Role,
    pub(super) tls: bool,
    pub(super) what: What,
}

/// The peer's part in it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Client,
    Server,
}

/// What the case is about.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum What {
    /// The client sends messages of all sizes, the server echoes them.
    Messages(Kind),
    /// As `Messages` of texts, and the peer is ready to compress.
    Compression,
    /// The peer sends messages in fragments, we echo them.
    Fragments(Kind),
    PingFromPeer,
    PingFromUs,
    CloseFromPeer,
    CloseFromUs,
    /// The client does not know who has signed the server's certificate.
    Stranger,
}

impl<'p> Case<'p> {
    /// All cases with the peer.
    pub(super) fn all(peer: &'p Peer) -> impl Iterator<Item = Self> {
        use What::*;
        let whats = [
            Messages(Kind::Text),
            Messages(Kind::Binary),
            Compression,
            Fragments(Kind::Text),
            Fragments(Kind::Binary),
            PingFromPeer,
            PingFromUs,
            CloseFromPeer,
            CloseFromUs,
            Stranger,
        ];
        let connections = [Role::Client, Role::Server].into_iter().flat_map(|role| [(role, false), (role, true)]);
        let cases = connections.flat_map(move |(role, tls)| whats.map(|what| Self { peer, role, tls, what }));
        cases.filter(|case| case.tls || case.what != Stranger)
    }

    /// What the peer is told: its script's argument. A client gets a URL.
    pub(super) fn told(&self, url: &str, certificates: &Certificates) -> Value {
        let (code, reason) = self.farewell();
        let ca = if self.what == What::Stranger { &certificates.stranger } else { &certificates.ca };
        let fragments = matches!(self.what, What::Fragments(_));
        json!({
            "role": self.role.to_string(),
            "act": self.peer_act(),
            "kind": if self.kind() == Kind::Text { "text" } else { "binary" },
            "sizes": if fragments { &FRAGMENTED[..] } else { &SIZES },
            "fragment": fragments.then_some(FRAGMENT),
            "deflate": self.what == What::Compression,
            "code": code,
            "reason": reason,
            "url": url,
            "ca": self.tls.then_some(ca),
            "certificate": self.tls.then_some(&certificates.certificate),
            "key": self.tls.then_some(&certificates.key),
        })
    }

    /// What our side does.
    pub(super) fn our_act(&self) -> Act {
        match self.what {
            What::Messages(_) | What::Compression if self.role == Role::Server => Act::Send,
            What::PingFromUs => Act::Ping,
            What::CloseFromUs => Act::Close,
            _ => Act::Echo,
        }
    }

    /// The messages' kind.
    pub(super) fn kind(&self) -> Kind {
        match self.what {
            What::Messages(kind) | What::Fragments(kind) => kind,
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
        json!({
            "code": code,
            "reason": if self.peer_closes() { "" } else { reason },
            "clean": true,
            // The first, which has a payload, and two of our keepalive: it sends none before the last was answered.
            "pings": if self.what == What::PingFromUs { &["from us", "", ""][..] } else { &[] },
            "error": null,
            "offered": self.what == What::Compression && self.role == Role::Client,
            "accepted": false,
        })
    }

    /// What our side is to see.
    pub(super) fn our_view(&self) -> String {
        let (code, reason) = self.farewell();
        if self.peer_closes() { closed_by_peer(code, reason) } else { closed_by_us(code) }
    }

    fn peer_closes(&self) -> bool {
        self.peer_act() != "echo"
    }

    /// What the peer does before it closes; an echo does not.
    fn peer_act(&self) -> &'static str {
        match self.what {
            What::Messages(_) | What::Compression if self.role == Role::Client => "send",
            What::Messages(_) | What::Compression | What::CloseFromUs => "echo",
            What::Fragments(_) => "send",
            What::PingFromPeer => "ping",
            What::PingFromUs => "await pings",
            What::CloseFromPeer | What::Stranger => "close",
        }
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

/// The peer, its role, the scheme and what it is about, in columns.
impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{:<6}  {:<6}  {scheme:<3}  {:<44}", self.peer.name, self.role.to_string(), self.what.to_string())
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

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Messages(Kind::Text) => "text of 0 bytes to 16 MiB",
            Self::Messages(Kind::Binary) => "binary of 0 bytes to 16 MiB",
            Self::Compression => "text, the peer ready for permessage-deflate",
            Self::Fragments(Kind::Text) => "text in fragments from the peer",
            Self::Fragments(Kind::Binary) => "binary in fragments from the peer",
            Self::PingFromPeer => "ping from the peer",
            Self::PingFromUs => "pings from us",
            Self::CloseFromPeer => "close from the peer, code and reason",
            Self::CloseFromUs => "close from us, code and reason",
            Self::Stranger => "certificate of an unknown issuer refused",
        })
    }
}
