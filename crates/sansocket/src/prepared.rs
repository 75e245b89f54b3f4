//! A message encoded once for many connections.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::deflate::{Parameters, WindowBits};
use crate::event::Kind;
use crate::frame::{FrameHeader, MAX_HEADER, Opcode};
use crate::message::Message;

/// A message as a server's frame, encoded once and sent to any number of clients. A clone costs a reference count.
///
/// Only servers can send one: a client masks each frame with a key of its own.
///
/// ```
/// use sansocket::{Connection, Limits, Negotiated, Prepared, Server};
///
/// let prepared = Prepared::new("news");
/// let mut outs = [Vec::new(), Vec::new()];
/// for out in &mut outs {
///     let mut connection = Connection::new(Server, Negotiated::default(), Limits::default());
///     connection.send_prepared(&prepared, out)?;
/// }
/// assert_eq!(outs, [b"\x81\x04news", b"\x81\x04news"]);
/// # Ok::<(), sansocket::SendError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Prepared {
    kind: Kind,
    frame: Arc<[u8]>,
    compressed: Option<CompressedFrame>,
}

/// The message as a compressed frame, and the window that it takes.
#[derive(Clone, PartialEq, Eq)]
struct CompressedFrame {
    frame: Arc<[u8]>,
    bits: WindowBits,
}

impl Prepared {
    /// Encodes a message.
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        let message = message.into();
        let kind = message.kind();
        let header = |len: usize| FrameHeader::new(opcode(kind), true, len as u64, None);
        Self { kind, frame: encode(header(message.as_bytes().len()), message.as_bytes()), compressed: None }
    }

    /// Encodes a message and compresses it, once for all clients: for those whose handshake has agreed that this server's messages do not
    /// refer to earlier ones, and on a window of at least [`Policy::window_bits`](crate::deflate::Policy::window_bits). All others get it
    /// as it is.
    #[cfg(feature = "deflate")]
    pub fn compressed<'m>(
        message: impl Into<Message<'m>>,
        choice: crate::deflate::Compress,
        config: &crate::deflate::Config,
        pool: &crate::deflate::Pool,
    ) -> Self {
        use crate::deflate::{Compress, Compressor, Window};

        let message = message.into();
        let bits = config.policy.window_bits;
        let window = Window { bits, takeover: false };
        let mut compressor = Compressor::new(Parameters { server: window, client: window }, true, config, pool);
        let mut part = message.as_bytes();
        let (mut payload, mut is_compressed) = (Vec::new(), false);
        if compressor.takes(choice, part.len() >= config.threshold) {
            while let Some(fragment) = compressor.compress(&mut part, true) {
                is_compressed = fragment.is_compressed();
                payload.extend_from_slice(fragment.as_bytes());
            }
        }
        is_compressed &= choice != Compress::Auto || payload.len() < message.as_bytes().len();
        let header = FrameHeader::new(opcode(message.kind()), true, payload.len() as u64, None).with_rsv1();
        let compressed = is_compressed.then(|| CompressedFrame { frame: encode(header, &payload), bits });
        Self { compressed, ..Self::new(message) }
    }

    /// What the message is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The whole frame as it is without compression, header and payload.
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// The frame for a client with whom a server has agreed on this.
    pub(crate) fn frame_for(&self, negotiated: Option<Parameters>) -> &Arc<[u8]> {
        match (&self.compressed, negotiated) {
            // What refers to nothing earlier would be understood by all, but a compressor that does not know of it could not go on.
            (Some(compressed), Some(Parameters { server, .. }))
                if !server.takeover && server.bits >= compressed.bits =>
            {
                &compressed.frame
            }
            _ => &self.frame,
        }
    }
}

const fn opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}

fn encode(header: FrameHeader, payload: &[u8]) -> Arc<[u8]> {
    let mut frame = Vec::with_capacity(header.encoded_len() + payload.len());
    frame.extend_from_slice(header.encode(&mut [0; MAX_HEADER]));
    frame.extend_from_slice(payload);
    frame.into()
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("kind", &self.kind).field("len", &self.frame.len()).finish()
    }
}
