//! An application that says what it is told to, and looks at what comes back.

use sansocket::{CloseCode, Connection, Event, Kind, Output, ProtocolError, Role, SliceOutput};
use sansocket_example_smoltcp::Application;

/// The longest frame's header, masking key included.
const HEADER: usize = 14;

/// Something to say.
#[derive(Clone, Copy, Debug)]
pub enum Say {
    /// A message of so many bytes.
    Message(Kind, u64),
    Ping(&'static [u8]),
    /// A Close, once all messages have come back.
    Close,
    /// A violation that a layer above has found.
    Fail,
}

/// Says one thing after the other. Long messages never lie in memory: their bytes are made as there is room for them, and checked as they come.
#[derive(Debug, Default)]
pub struct Talker {
    to_say: Vec<Say>,
    said: usize,
    /// Bytes of the message that is being sent.
    written: u64,
    /// Bytes of the message that is being received.
    received: u64,
    pub messages: Vec<(Kind, u64)>,
    pub pongs: Vec<Vec<u8>>,
}

impl Talker {
    pub fn new(to_say: &[Say]) -> Self {
        Self { to_say: to_say.to_vec(), ..Self::default() }
    }

    /// The messages that it says, in order.
    pub fn to_come(&self) -> Vec<(Kind, u64)> {
        let message = |say: &Say| if let Say::Message(kind, len) = *say { Some((kind, len)) } else { None };
        self.to_say.iter().filter_map(message).collect()
    }
}

impl<R: Role> Application<R> for Talker {
    fn received(&mut self, event: Event<'_>, connection: &mut Connection<R>, _out: &mut SliceOutput<'_>) {
        match event {
            Event::Pong => self.pongs.push(connection.control().to_vec()),
            _ => {
                let Some(piece) = event.piece() else { return };
                for &byte in piece.as_bytes() {
                    assert_eq!(byte, payload(piece.kind(), self.received), "byte {} of the message", self.received);
                    self.received += 1;
                }
                if piece.is_last() {
                    self.messages.push((piece.kind(), self.received));
                    self.received = 0;
                }
            }
        }
    }

    fn send(&mut self, connection: &mut Connection<R>, out: &mut SliceOutput<'_>) {
        let Some(say) = self.to_say.get(self.said) else { return };
        let done = match *say {
            Say::Ping(payload) => connection.ping(payload, out).is_ok(),
            Say::Close if self.messages.len() < self.to_come().len() => false,
            Say::Close => connection.close(Some(CloseCode::NORMAL), "bye", out).is_ok(),
            Say::Fail => {
                connection.fail(ProtocolError::PolicyViolation, out);
                true
            }
            // One part for what room there is. Where a ring ends there may be too little.
            Say::Message(..) if out.room() <= HEADER => false,
            Say::Message(kind, len) => {
                let mut part = [0; 512];
                let room = part.len().min(out.room() - HEADER);
                let count = room.min(usize::try_from(len - self.written).unwrap_or(usize::MAX));
                for byte in &mut part[..count] {
                    *byte = payload(kind, self.written);
                    self.written += 1;
                }
                let last = self.written == len;
                connection.send_part(kind, &part[..count], last, out).expect("there is room");
                if last {
                    self.written = 0;
                }
                last
            }
        };
        self.said += usize::from(done);
    }
}

/// What a message has at `position`. Texts have a multiple of eight bytes.
fn payload(kind: Kind, position: u64) -> u8 {
    match kind {
        Kind::Text => "grüße ".as_bytes()[(position % 8) as usize],
        Kind::Binary => (position % 251) as u8,
    }
}
