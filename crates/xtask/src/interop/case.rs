//! A case: what both sides do, and what both are to have seen at the end.

use std::fmt;

use sansocket_std::Kind;
use sansocket_std::deflate::Config;
use serde_json::{Value, json};

use super::certificates::Certificates;
pub(super) use super::compression::Compression;
use super::library::Library;
use super::ours::Act;
use super::proxies::Via;

/// The kinds of the messages of each case.
pub(super) const KINDS: [Kind; 2] = [Kind::Text, Kind::Binary];

/// The sizes of the messages, in bytes: the ends of the three forms of a frame's length, and a large one.
const SIZES: &[usize] = &[0, 1, 125, 126, 65_535, 65_536, 1 << 20];

/// Those of the largest, in bytes.
const LARGE: &[usize] = &[16 << 20];

/// In how many fragments messages come, if they do and have the bytes for it; in two at least, of which the first may be empty. It makes
/// them end within characters.
const FRAGMENTS: usize = 41;

/// The code and the reason of a Close, whoever sends it.
const FAREWELL: (u16, &str) = (4001, "genug für heute");

/// Those of a `sansocket serve` that is told to stop.
const STOPPED: (u16, &str) = (1001, "the server shuts down");

/// One case.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) other: Other,
    pub(super) role: Role,
    pub(super) face: Face,
    pub(super) via: Via,
    pub(super) tls: bool,
    pub(super) compression: Compression,
    pub(super) what: What,
}

/// The peer.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Other {
    Library(Library),
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

/// One of the two sides.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Us,
    Peer,
}

/// What the case is about.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum What {
    /// One side sends messages of both kinds and of all sizes, the other echoes them, and behind the last one, one of them closes.
    Messages {
        form: Form,
        sender: Side,
        closer: Side,
    },
    PingFromPeer,
    PingFromUs,
    /// The client does not know who has signed the server's certificate.
    Stranger,
}

/// The form of the messages.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// A frame each.
    Whole,
    /// Several frames each, from all who can.
    Fragments,
    /// A frame each, of 16 MiB.
    Large,
}

impl Case {
    /// The sizes of the messages; none: it is about something else.
    pub(super) fn sizes(&self) -> &'static [usize] {
        match self.what {
            What::Messages { form: Form::Large, .. } => LARGE,
            What::Messages { .. } => SIZES,
            _ => &[],
        }
    }

    /// How many messages are echoed.
    pub(super) fn messages(&self) -> usize {
        self.sizes().len() * KINDS.len()
    }

    /// In how many fragments both sides send, if they can.
    pub(super) fn fragments(&self) -> Option<usize> {
        matches!(self.what, What::Messages { form: Form::Fragments, .. }).then_some(FRAGMENTS)
    }

    /// What our side does.
    pub(super) fn our_act(&self) -> Act {
        match self.what {
            What::Messages { sender: Side::Us, .. } => Act::Send,
            What::PingFromUs => Act::Ping,
            _ => Act::Echo,
        }
    }

    /// Whether `sansocket serve` plays our side.
    pub(super) fn is_served(&self) -> bool {
        let peer_fragments = matches!(self.other, Other::Library(library) if library.fragments());
        self.role == Role::Client && self.our_act() == Act::Echo && (peer_fragments || self.fragments().is_none())
    }

    /// Who begins the end.
    pub(super) fn closer(&self) -> Side {
        if let What::Messages { closer, .. } = self.what { closer } else { Side::Peer }
    }

    /// Whether the peer sends messages, says that they have come back, and waits for our Close.
    pub(super) fn peer_waits(&self) -> bool {
        matches!(self.what, What::Messages { sender: Side::Peer, closer: Side::Us, .. })
    }

    /// What the peer is told: its script's argument. A client gets a URL.
    pub(super) fn told(&self, url: &str, certificates: &Certificates) -> Value {
        let (code, reason) = FAREWELL;
        let ca = if self.what == What::Stranger { &certificates.stranger } else { &certificates.ca };
        let act = match self.what {
            What::Messages { sender: Side::Peer, .. } => "send",
            What::Messages { sender: Side::Us, .. } => "echo",
            What::PingFromPeer => "ping",
            What::PingFromUs => "await pings",
            What::Stranger => "close",
        };
        json!({
            "role": self.role.to_string(),
            "act": act,
            "kinds": KINDS.map(kind_name),
            "sizes": self.sizes(),
            "fragments": self.fragments(),
            "deflate": self.compression.peer_compresses(),
            // The object leaves that to the server.
            "takeover": self.face != Face::Object || self.compression != Compression::Messages,
            "closes": self.closer() == Side::Peer,
            "code": code,
            "reason": reason,
            "url": url,
            "ca": self.tls.then_some(ca),
            "certificate": self.tls.then_some(&certificates.certificate),
            "key": self.tls.then_some(&certificates.key),
        })
    }

    /// The code and the reason of the first Close.
    pub(super) fn farewell(&self) -> (u16, &'static str) {
        if self.is_served() && self.closer() == Side::Us { STOPPED } else { FAREWELL }
    }

    /// What the peer is to see. An answer to a Close has its code, and from us no reason.
    pub(super) fn their_view(&self) -> Value {
        let (code, reason) = self.farewell();
        let Other::Library(library) = self.other else { return closed_by_peer(code, reason).into() };
        let offers = match self.compression {
            Compression::None => false,
            Compression::Declined => self.role == Role::Client,
            Compression::Refused | Compression::Messages | Compression::Takeover => true,
        };
        let agreed = self.compression.agreed();
        let compressed = self.sizes().iter().filter(|&&size| self.we_compress(size)).count() * KINDS.len();
        let (received, sent) = if agreed.is_some() { (compressed, self.messages()) } else { (0, 0) };
        let mut view = json!({
            "code": code,
            "reason": if self.closer() == Side::Peer { "" } else { reason },
            "clean": true,
            // The first, which has a payload, and two of our keepalive: it sends none before the last was answered.
            "pings": if self.what == What::PingFromUs { &["from us", "", ""][..] } else { &[] },
            "error": null,
            "offered": offers,
            "agreed": agreed,
            "compressed": { "received": received, "sent": sent },
        });
        for what in library.blind() {
            view.as_object_mut().expect("made as one").remove(*what);
        }
        view
    }

    /// Whether we compress a message of this size, as a peer all of its messages. Earlier ones make up for a short one, and of one that
    /// is sent in parts nobody knows at its first that it is short.
    fn we_compress(&self, size: usize) -> bool {
        let least = Config::DEFAULT.threshold / if self.compression == Compression::Takeover { 8 } else { 1 };
        let in_parts = self.fragments().is_some() && !self.is_served() && self.face != Face::Object;
        size >= least || in_parts
    }

    /// What our side is to see.
    pub(super) fn our_view(&self) -> String {
        let (code, reason) = self.farewell();
        match (self.face, self.closer()) {
            // Libraries answer with the reason, too.
            (Face::Object, Side::Us) if matches!(self.other, Other::Serve(_)) => {
                close_event(self.compression.agreed(), code, "")
            }
            (Face::Object, _) => close_event(self.compression.agreed(), code, reason),
            (Face::Adapter(_), Side::Peer) => closed_by_peer(code, reason),
            (Face::Adapter(_), Side::Us) if self.is_served() => "closed by us".to_owned(),
            (Face::Adapter(_), Side::Us) => closed_by_us(code),
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

/// As the scripts of the peers call it.
fn kind_name(kind: Kind) -> &'static str {
    if kind == Kind::Text { "text" } else { "binary" }
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

/// The peer, its role, how they are connected, what it is about and what plays our side, in columns.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = match self.other {
            Other::Library(library) => library.name(),
            Other::Serve(adapter) => adapter.name(),
        };
        let face = match self.face {
            Face::Adapter(adapter) => adapter.name(),
            Face::Object => "object",
        };
        let what = self.what.to_string() + self.compression.words();
        let (role, via, scheme) = (self.role.to_string(), self.via.name(), self.scheme());
        write!(f, "{other:<10}  {role:<6}  {via:<7}  {scheme:<3}  {what:<74}  {face:<6}")
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

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Us => "us",
            Self::Peer => "the peer",
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages { form, sender, closer } => {
                let form = match form {
                    Form::Whole => "messages",
                    Form::Fragments => "fragments",
                    Form::Large => "large messages",
                };
                write!(f, "{form} from {sender}, close from {closer}")
            }
            Self::PingFromPeer => f.write_str("ping from the peer"),
            Self::PingFromUs => f.write_str("pings from us"),
            Self::Stranger => f.write_str("certificate of an unknown issuer refused"),
        }
    }
}
