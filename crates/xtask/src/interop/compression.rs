//! Who is ready to compress.

use sansocket_std::deflate::{Config, Policy};

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
    pub(super) const fn peer_compresses(self) -> bool {
        !matches!(self, Self::None | Self::Refused)
    }

    /// What they agree on about references to earlier messages.
    pub(super) const fn agreed(self) -> Option<&'static [&'static str]> {
        match self {
            Self::None | Self::Declined | Self::Refused => None,
            Self::Messages => Some(&["client_no_context_takeover", "server_no_context_takeover"]),
            Self::Takeover => Some(&[]),
        }
    }

    /// As they end a case's name.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Declined => ", compression declined",
            Self::Refused => ", compression refused",
            Self::Messages => ", compressed",
            Self::Takeover => ", compressed with takeover",
        }
    }
}
