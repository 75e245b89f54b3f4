//! tokio-websockets, with its default configuration. Its stream is always ready, so its futures are polled once.

use std::hint::black_box;

use futures::executor::block_on;
use futures::{SinkExt, StreamExt};
use tokio_websockets::{ClientBuilder, Limits, Message, ServerBuilder, WebSocketStream};

use crate::wire::{Payload, Side, Sink, Wire};
use crate::{Receive, Refused, Send};

fn socket<S>(side: Side, stream: S) -> WebSocketStream<S>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    match side {
        Side::Server => ServerBuilder::new().limits(Limits::unlimited()).serve(stream),
        Side::Client => ClientBuilder::new().limits(Limits::unlimited()).take_over(stream),
    }
}

pub(crate) struct Receiver(WebSocketStream<Wire>);

impl Receiver {
    pub(crate) fn new(side: Side, wire: Wire) -> Self {
        Self(socket(side, wire))
    }
}

impl Receive for Receiver {
    fn receive(&mut self, count: u64, mut each: impl FnMut(&[u8])) -> Result<(), Refused> {
        block_on(async {
            for _ in 0..count {
                let message = self.0.next().await.ok_or(Refused)?.map_err(|_| Refused)?;
                assert!(message.is_text() || message.is_binary());
                each(message.as_payload());
            }
            Ok(())
        })
    }
}

pub(crate) struct Sender(WebSocketStream<Sink>);

impl Sender {
    pub(crate) fn new(side: Side) -> Self {
        Self(socket(side, Sink::new()))
    }
}

impl Send for Sender {
    fn send(&mut self, payload: Payload, count: u64) {
        block_on(async {
            for _ in 0..count {
                let message = match black_box(payload) {
                    Payload::Binary(bytes) => Message::binary(bytes),
                    Payload::Text(text) => Message::text(text),
                };
                self.0.feed(message).await.expect("the connection is open");
            }
        });
    }

    fn written(&mut self) -> Vec<u8> {
        block_on(self.0.flush()).expect("memory can be written");
        self.0.get_mut().kept()
    }
}
