//! A message encoded once for many connections.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

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
}

impl Prepared {
    /// Encodes a message.
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        let message = message.into();
        let opcode = match message.kind() {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        };
        let payload = message.as_bytes();
        let header = FrameHeader::new(opcode, true, payload.len() as u64, None);
        let mut frame = Vec::with_capacity(header.encoded_len() + payload.len());
        frame.extend_from_slice(header.encode(&mut [0; MAX_HEADER]));
        frame.extend_from_slice(payload);
        Self { kind: message.kind(), frame: frame.into() }
    }

    /// What the message is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The whole frame, header and payload.
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("kind", &self.kind).field("len", &self.frame.len()).finish()
    }
}
