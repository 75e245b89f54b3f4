//! What the opening handshake has agreed on and the frames depend on.

/// The extensions in force on a connection; none by default.
///
/// Made by a handshake. An extension is in force only if one side has offered it and the other has accepted (RFC 6455, section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    compression: bool,
}

impl Negotiated {
    /// Whether messages may be compressed (RFC 7692).
    pub const fn compression(self) -> bool {
        self.compression
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Negotiated;

    /// As if a handshake had agreed on permessage-deflate.
    pub(crate) const COMPRESSED: Negotiated = Negotiated { compression: true };
}
