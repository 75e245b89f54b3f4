//! Whom we meet, what each of them can do, and why it cannot do more.

use clap::ValueEnum;

use super::case::{Compression, Role};

/// Another implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Library {
    /// Python's `websockets`.
    Websockets,
    /// Python's `wsproto`, over sockets.
    Wsproto,
    /// Node's `ws`.
    Ws,
    /// Node's `undici`, which is the `WebSocket` that Node has built in.
    Undici,
    /// libcurl, by PycURL.
    Curl,
    /// A page in Chromium.
    Chromium,
}

impl Library {
    pub(super) const ALL: [Self; 6] =
        [Self::Websockets, Self::Wsproto, Self::Ws, Self::Undici, Self::Curl, Self::Chromium];

    /// As cases call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Websockets => "websockets",
            Self::Wsproto => "wsproto",
            Self::Ws => "ws",
            Self::Undici => "undici",
            Self::Curl => "curl",
            Self::Chromium => "chromium",
        }
    }

    /// As the page calls it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Websockets => "Python `websockets`",
            Self::Wsproto => "Python `wsproto`",
            Self::Ws => "Node `ws`",
            Self::Undici => "Node `undici`",
            Self::Curl => "libcurl",
            Self::Chromium => "Chromium",
        }
    }

    /// Why it has nothing to do in this role with messages that are compressed, or with those that are not.
    pub(super) const fn gap(self, role: Role, compressed: bool) -> Option<&'static str> {
        match (self, role) {
            (Self::Undici | Self::Curl | Self::Chromium, Role::Server) => Some("It is a client only."),
            (Self::Curl, Role::Client) if compressed => Some("libcurl knows no extension."),
            _ => None,
        }
    }

    /// What else is to be known of its messages.
    pub(super) const fn remark(self) -> Option<&'static str> {
        match self {
            Self::Undici | Self::Chromium => Some(
                "Its API sends no fragments. It gets them, from a server of `sansocket-std`, and a server that does not \
                 compress declines what it always offers.",
            ),
            Self::Curl => Some(
                "By PycURL, whose wheel brings its own libcurl: that of Debian 12 (7.88.1) is built without WebSockets, so \
                 `curl --version` has no `ws` among its protocols.",
            ),
            _ => None,
        }
    }

    /// Whether it can be made to send messages in fragments.
    pub(super) const fn fragments(self) -> bool {
        !matches!(self, Self::Undici | Self::Chromium)
    }

    /// How messages are agreed not to be compressed.
    pub(super) const fn plain(self) -> Compression {
        match self {
            Self::Undici | Self::Chromium => Compression::Declined,
            _ => Compression::None,
        }
    }

    /// Whether it tells enough of itself for all that there is besides messages.
    pub(super) const fn tells_all(self) -> bool {
        matches!(self, Self::Websockets | Self::Ws)
    }

    /// What it does not tell.
    pub(super) const fn blind(self) -> &'static [&'static str] {
        match self {
            Self::Websockets | Self::Wsproto | Self::Ws => &[],
            Self::Undici | Self::Chromium => &["pings", "offered", "compressed"],
            Self::Curl => &["pings", "offered", "compressed", "agreed"],
        }
    }
}
