//! yawc, over a stream in memory that is always ready.
//!
//! Same codec, level and window as ours; the memory level cannot be chosen and is 8, as is ours. Its buffers are as large as ours
//! (default: 8 KiB), it looks whether text is UTF-8 (default: not), with the same crate, and without takeover it borrows its codecs from a
//! pool.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::SinkExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};
use yawc::{CompressionLevel, DeflatePool, Frame, Options, Role, WebSocket};

use crate::wire::{Sink, Stream, Wire};
use crate::{Echo, Setting};

const BUFFER: usize = 64 << 10;

pub(crate) struct Yawc {
    websocket: WebSocket<Pipe>,
    runtime: Runtime,
}

impl Yawc {
    pub(crate) fn new(setting: Setting, stream: &Stream, sink: Sink) -> Self {
        let extensions = if setting.takeover {
            "permessage-deflate"
        } else {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        };
        let options = Options::default()
            .with_compression_level(CompressionLevel::new(setting.level.into()))
            .with_deflate_pool(DeflatePool::new(4))
            .with_read_buffer_capacity(BUFFER)
            .with_write_buffer_capacity(BUFFER)
            .with_max_payload_read(64 << 20)
            .with_utf8();
        let pipe = Pipe { wire: stream.wire(), sink };
        let websocket = WebSocket::from_stream_with_extensions(pipe, Role::Server, Some(extensions), options);
        Self {
            websocket: websocket.expect("the extension is known"),
            runtime: Builder::new_current_thread().build().expect("a runtime needs nothing"),
        }
    }
}

impl Echo for Yawc {
    fn echo(&mut self, count: usize, mut each: impl FnMut(&[u8])) {
        self.runtime.block_on(async {
            for _ in 0..count {
                let frame = self.websocket.next_frame().await.expect("the wire carries messages");
                let message = frame.into_payload();
                each(&message);
                self.websocket.send(Frame::text(message)).await.expect("the connection is open");
            }
        });
    }
}

struct Pipe {
    wire: Wire,
    sink: Sink,
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buffer.put_slice(self.get_mut().wire.next(buffer.remaining()));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().sink.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
