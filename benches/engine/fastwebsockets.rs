//! fastwebsockets, with its default configuration. Its stream is always ready, so its futures are polled once.

use std::hint::black_box;

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload as Bytes, Role, WebSocket};
use futures::executor::block_on;

use crate::wire::{Payload, Side, Sink, Wire};
use crate::{Receive, Refused, Send};

fn socket<S>(side: Side, stream: S) -> WebSocket<S>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let role = match side {
        Side::Server => Role::Server,
        Side::Client => Role::Client,
    };
    let mut socket = WebSocket::after_handshake(stream, role);
    socket.set_max_message_size(usize::MAX);
    socket
}

pub(crate) struct Receiver(FragmentCollector<Wire>);

impl Receiver {
    pub(crate) fn new(side: Side, wire: Wire) -> Self {
        Self(FragmentCollector::new(socket(side, wire)))
    }
}

impl Receive for Receiver {
    fn receive(&mut self, count: u64, mut each: impl FnMut(&[u8])) -> Result<(), Refused> {
        block_on(async {
            for _ in 0..count {
                let frame = self.0.read_frame().await.map_err(|_| Refused)?;
                assert!(matches!(frame.opcode, OpCode::Binary | OpCode::Text));
                each(&frame.payload);
            }
            Ok(())
        })
    }
}

pub(crate) struct Sender {
    side: Side,
    socket: WebSocket<Sink>,
}

impl Sender {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, socket: socket(side, Sink::new()) }
    }
}

impl Send for Sender {
    fn send(&mut self, payload: Payload, count: u64) {
        block_on(async {
            for _ in 0..count {
                let frame = match black_box(payload) {
                    Payload::Binary(bytes) => Frame::binary(Bytes::Borrowed(bytes)),
                    Payload::Text(text) => Frame::text(Bytes::Borrowed(text.as_bytes())),
                };
                self.socket.write_frame(frame).await.expect("the connection is open");
            }
        });
    }

    fn written(&mut self) -> Vec<u8> {
        // Nothing waits in it, and it lends its stream to nobody: it goes on with another one.
        let mut sink = Sink::new();
        sink.kept();
        std::mem::replace(&mut self.socket, socket(self.side, sink)).into_inner().kept()
    }
}
