//! A stream of HTTP/2 in the place of a socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream, StreamId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;

/// The most that is asked of the windows at once, in bytes: a frame of the size that all peers take. What a stream was granted is nobody
/// else's until it is used, and who has stopped to write is not to keep all of a connection's window.
const CHUNK: usize = 16 * 1024;

/// The bytes in both directions of one HTTP/2 stream, which behave like those of a TCP connection.
///
/// The peer's window opens as bytes are read, so that who reads slowly makes the peer wait; a write waits for the windows of the stream and of
/// the connection. Dropping a read or a write that has not come to its end loses nothing.
///
/// | end (RFC 8441, section 5) | here | on the wire |
/// |---|---|---|
/// | orderly | `shutdown`, or the drop | `END_STREAM`, behind all that was written |
/// | abrupt | [`reset`](Self::reset) | `RST_STREAM` with `CANCEL` |
/// | the peer's orderly one | a read of no bytes | `END_STREAM` |
/// | the peer's abrupt one | `ConnectionReset`, from reads and writes | `RST_STREAM` with any code, `GOAWAY` |
///
/// Somebody has to drive the connection that the stream is on: [`h2::server::Connection::accept`] or [`h2::client::Connection`].
///
/// h2 cancels a client's stream that nobody holds any more, and discards what it has not sent yet. So the drop of a client's stream leaves the
/// rest to a task, which discards what still comes until the server has ended its direction, too, or the time for that is over. Outside
/// of a runtime there is no such task: `shutdown`, and a read to the end, have to come before the drop there.
#[derive(Debug)]
pub struct H2Stream {
    send: SendStream<Bytes>,
    /// Taken by the drop alone.
    receive: Option<RecvStream>,
    /// Received, and not yet read.
    unread: Bytes,
    /// Nothing more will be sent.
    is_shut: bool,
    side: Side,
}

/// Who has opened the stream.
#[derive(Clone, Copy, Debug)]
enum Side {
    Server,
    /// With the time that the server has to end its direction behind the drop.
    Client(Option<Duration>),
}

impl H2Stream {
    /// A server's stream, once the heads have been exchanged.
    pub fn accepted(send: SendStream<Bytes>, receive: RecvStream) -> Self {
        Self::new(send, receive, Side::Server)
    }

    /// A client's stream, once the heads have been exchanged. `end` is the time that the server has to end its direction behind the drop;
    /// without it, the server has as long as the connection lasts.
    pub fn opened(send: SendStream<Bytes>, receive: RecvStream, end: Option<Duration>) -> Self {
        Self::new(send, receive, Side::Client(end))
    }

    fn new(send: SendStream<Bytes>, receive: RecvStream, side: Side) -> Self {
        Self { send, receive: Some(receive), unread: Bytes::new(), is_shut: false, side }
    }

    /// The stream's number.
    pub fn id(&self) -> StreamId {
        self.send.stream_id()
    }

    /// Ends both directions at once, as the reset of a TCP connection does: what was not sent yet is lost.
    pub fn reset(&mut self) {
        self.is_shut = true;
        self.send.send_reset(Reason::CANCEL);
    }

    fn shut(&mut self) {
        if !self.is_shut {
            self.is_shut = true;
            // Who was reset has nothing left to end.
            let _ = self.send.send_data(Bytes::new(), true);
        }
    }

    /// Why nothing can be sent.
    fn broken(&mut self, cx: &mut Context<'_>) -> io::Error {
        match self.send.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => io_error(reason.into()),
            Poll::Ready(Err(error)) => io_error(error),
            Poll::Pending => io::ErrorKind::BrokenPipe.into(),
        }
    }
}

impl AsyncRead for H2Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let Self { receive: Some(receive), unread, .. } = &mut *self else { return Poll::Ready(Ok(())) };
        while unread.is_empty() {
            match ready!(receive.poll_data(cx)) {
                Some(Ok(data)) => *unread = data,
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = buffer.remaining().min(unread.len());
        buffer.put_slice(&unread[..count]);
        unread.advance(count);
        release(receive, count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = slices.iter().map(|slice| slice.len()).sum::<usize>().min(CHUNK);
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        if self.is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.send.reserve_capacity(wanted);
        let capacity = match self.send.capacity() {
            // It tells of what was granted since it was last asked, and nothing of what was there before.
            0 => match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(capacity)) => capacity,
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
                None => return Poll::Ready(Err(self.broken(cx))),
            },
            capacity => capacity,
        };
        let count = wanted.min(capacity);
        let mut data = Vec::with_capacity(count);
        for slice in slices {
            let part = slice.len().min(count - data.len());
            data.extend_from_slice(&slice[..part]);
        }
        match self.send.send_data(data.into(), false) {
            Ok(()) => Poll::Ready(Ok(count)),
            Err(_) => Poll::Ready(Err(self.broken(cx))),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is the connection's, which sends it as soon as it is driven.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut();
        Poll::Ready(Ok(()))
    }
}

impl Drop for H2Stream {
    /// As that of a socket.
    fn drop(&mut self) {
        self.shut();
        let (Side::Client(end), Some(mut receive)) = (self.side, self.receive.take()) else { return };
        if let (false, Ok(runtime)) = (receive.is_end_stream(), Handle::try_current()) {
            release(&mut receive, self.unread.len());
            runtime.spawn(async move {
                let drained = drain(receive);
                match end {
                    Some(end) => drop(tokio::time::timeout(end, drained).await),
                    None => drained.await,
                }
            });
        }
    }
}

/// Discards what comes until the peer's end, or the connection's.
async fn drain(mut receive: RecvStream) {
    while let Some(Ok(data)) = receive.data().await {
        release(&mut receive, data.len());
    }
}

/// Opens the windows by as much as was received and is done with. Those of a connection that has ended stay as they are.
fn release(receive: &mut RecvStream, count: usize) {
    let _ = receive.flow_control().release_capacity(count);
}

fn io_error(error: h2::Error) -> io::Error {
    let kind = error.get_io().map_or(io::ErrorKind::ConnectionReset, io::Error::kind);
    io::Error::new(kind, error)
}
