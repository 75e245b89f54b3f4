//! What a peer may make us hold or do.

/// Limits of one connection. `u64::MAX` and `u32::MAX` lift them.
///
/// They hold for what the peer sends; [`Connection::set_limits`](crate::Connection::set_limits) changes them at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message over all of its frames; default 64 MiB.
    ///
    /// Checked against a frame's declared length as soon as its header is there: [`MessageTooBig`](crate::ProtocolError::MessageTooBig), 1009.
    /// Of a compressed message, it is what the message has once it is inflated; on the wire it may have an eighth, 1 KiB, and 8 bytes for each
    /// frame more, since what cannot be compressed gets longer.
    pub message: u64,
    /// Frames of one message, empty ones included; default 131,072, at least one.
    ///
    /// One frame more is [`TooManyFragments`](crate::ProtocolError::TooManyFragments), 1008.
    pub fragments: u32,
    /// Whether close codes that nobody has defined (0 to 999, 1004, 1016 to 2999, 5000 and more) are passed on and not refused, as browsers
    /// do; default `false`.
    pub undefined_close_codes: bool,
}

impl Limits {
    /// The defaults: 64 MiB and 131,072 frames a message.
    pub const DEFAULT: Self = Self { message: 64 << 20, fragments: 1 << 17, undefined_close_codes: false };

    /// Bytes that a compressed message may have on the wire, in so many frames. A sender may flush its compressor at the end of each.
    pub(crate) fn compressed_message(&self, frames: u32) -> u64 {
        let flushes = 8 * u64::from(frames);
        self.message.saturating_add(self.message / 8).saturating_add(1024 + flushes)
    }

    /// No limit on a message's bytes and frames: for peers one trusts, or for layers that count by themselves.
    pub const UNLIMITED: Self = Self { message: u64::MAX, fragments: u32::MAX, ..Self::DEFAULT };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
