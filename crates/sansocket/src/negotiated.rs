//! What the opening handshake has agreed on and the frames depend on.

use crate::deflate::Parameters;

/// The extensions in force on a connection; none by default.
///
/// Made by a handshake. An extension is in force only if one side has offered it and the other has accepted (RFC 6455, section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    compression: Option<Parameters>,
}

impl Negotiated {
    /// What a handshake has agreed on that somebody else has performed.
    pub const fn new(compression: Option<Parameters>) -> Self {
        Self { compression }
    }

    /// How messages may be compressed (RFC 7692). `None`: they may not.
    pub const fn compression(self) -> Option<Parameters> {
        self.compression
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Negotiated;
    use crate::deflate::{Parameters, Window, WindowBits};

    const WINDOW: Window = Window { bits: WindowBits::MAX, takeover: false };

    /// As if a handshake had agreed on permessage-deflate.
    pub(crate) const COMPRESSED: Negotiated = Negotiated::new(Some(Parameters { server: WINDOW, client: WINDOW }));
}
