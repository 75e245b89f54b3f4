//! tungstenite, driven as its documentation says.

use std::hint::black_box;

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Message, Utf8Bytes, WebSocket};

use crate::wire::{Payload, Side, Sink, Wire};
use crate::{Receive, Refused, Send};

/// What is measured: the defaults, which read and write 128 KiB at a time, and buffers of 8 KiB.
pub(crate) fn configs() -> [(&'static str, WebSocketConfig); 2] {
    let default = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    [("tungstenite", default), ("tungstenite, 8 KiB", default.read_buffer_size(8 << 10).write_buffer_size(8 << 10))]
}

fn role(side: Side) -> Role {
    match side {
        Side::Server => Role::Server,
        Side::Client => Role::Client,
    }
}

pub(crate) struct Receiver(WebSocket<Wire>);

impl Receiver {
    pub(crate) fn new(side: Side, wire: Wire, config: WebSocketConfig) -> Self {
        Self(WebSocket::from_raw_socket(wire, role(side), Some(config)))
    }
}

impl Receive for Receiver {
    fn receive(&mut self, count: u64, mut each: impl FnMut(&[u8])) -> Result<(), Refused> {
        for _ in 0..count {
            match self.0.read().map_err(|_| Refused)? {
                Message::Binary(bytes) => each(&bytes),
                Message::Text(text) => each(text.as_str().as_bytes()),
                other => unreachable!("{other:?}"),
            }
        }
        Ok(())
    }
}

pub(crate) struct Sender(WebSocket<Sink>);

impl Sender {
    pub(crate) fn new(side: Side, config: WebSocketConfig) -> Self {
        Self(WebSocket::from_raw_socket(Sink::new(), role(side), Some(config)))
    }
}

impl Send for Sender {
    fn send(&mut self, payload: Payload, count: u64) {
        for _ in 0..count {
            let message = match black_box(payload) {
                Payload::Binary(bytes) => Message::Binary(Bytes::from_static(bytes)),
                Payload::Text(text) => Message::Text(Utf8Bytes::from_static(text)),
            };
            self.0.write(message).expect("the connection is open");
        }
    }

    fn written(&mut self) -> Vec<u8> {
        self.0.flush().expect("memory can be written");
        self.0.get_mut().kept()
    }
}
