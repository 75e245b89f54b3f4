//! A connection over a stream of tokio's with faults.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use sansocket_testkit::conversation::{Conversation, LAST, REQUEST, Story};
use sansocket_testkit::cuts;
use sansocket_testkit::faults::{Program, Transport};
use sansocket_testkit::{Message, Received, Side};
use sansocket_tokio::{
    AcceptOptions, CloseCode, ConnectOptions, Ending, Error, Kind, OriginPolicy, OwnedMessage, Reader, Timeouts,
    WebSocket, Writer,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tasks::run as run_tasks;

/// How a connection is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How long the buffer is that is read into.
    pub(crate) buffer: usize,
    pub(crate) how: How,
    /// Whether a write takes several slices.
    pub(crate) vectored: bool,
    /// Whether it closes first, behind the last message.
    pub(crate) closes: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Whole,
    Replies,
    Pieces,
    Halves,
}

impl Manner {
    const DEFAULT: Self = Self { buffer: 16 << 10, how: How::Whole, vectored: true, closes: false };
}

impl cuts::Manner for Manner {
    const COMPRESSES: bool = cfg!(feature = "deflate");
    const TELLS_CONTROLS: bool = false;
    const LOST: ErrorKind = ErrorKind::TimedOut;

    fn all() -> Vec<Self> {
        let short = Self { buffer: 130, vectored: false, ..Self::DEFAULT };
        vec![
            Self::DEFAULT,
            Self { how: How::Pieces, ..short },
            Self { how: How::Halves, ..short },
            Self { how: How::Replies, ..Self::DEFAULT },
            Self { closes: true, ..short },
        ]
    }

    fn closes(self) -> bool {
        self.closes
    }

    fn run(self, conversation: &Conversation, program: &Program) -> Story {
        run(conversation, program, self)
    }
}

#[derive(Clone)]
struct Faulty {
    transport: Arc<Mutex<Transport>>,
    vectored: bool,
}

impl Faulty {
    fn transport(&self) -> MutexGuard<'_, Transport> {
        self.transport.lock().unwrap()
    }

    /// Who is told that it would block is woken at once.
    fn polled<T>(result: Result<T, ErrorKind>, cx: &Context<'_>) -> Poll<io::Result<T>> {
        match result {
            Err(ErrorKind::WouldBlock) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            result => Poll::Ready(Ok(result?)),
        }
    }
}

impl AsyncRead for Faulty {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut bytes = vec![0; buffer.remaining()];
        let read = self.transport().read(&mut bytes);
        Self::polled(read.map(|count| buffer.put_slice(&bytes[..count])), cx)
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.transport().write(&[IoSlice::new(bytes)]);
        Self::polled(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.transport().write(slices);
        Self::polled(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.transport().flush();
        Self::polled(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.transport().shut();
        Self::polled(shut, cx)
    }
}

/// The two ways to hold a connection.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Held {
    Whole(WebSocket<Faulty>),
    Halves(Reader<Faulty>, Writer<Faulty>),
}

impl Held {
    /// Reads a message and sends it back. What can never be sent is told by a read.
    async fn echo(&mut self, how: How) -> Result<Option<OwnedMessage>, Error> {
        match self {
            Self::Whole(ws) => {
                if let How::Replies = how {
                    let Some((message, mut replies)) = ws.read_to_reply().await? else { return Ok(None) };
                    let _ = replies.queue(message);
                    return Ok(Some(message.to_owned()));
                }
                let message = match how {
                    How::Pieces => read_pieces(ws).await?,
                    _ => ws.read_owned().await?,
                };
                if let Some(message) = &message {
                    let _ = ws.queue(message).await;
                }
                Ok(message)
            }
            Self::Halves(reader, writer) => {
                let message = reader.read_owned().await?;
                if let Some(message) = &message {
                    let _ = writer.send(message).await;
                }
                Ok(message)
            }
        }
    }

    async fn start_close(&mut self) {
        let _ = match self {
            Self::Whole(ws) => ws.start_close(CloseCode::NORMAL, "").await,
            Self::Halves(_, writer) => writer.start_close(CloseCode::NORMAL, "").await,
        };
    }

    fn ending(&self) -> Option<Ending> {
        match self {
            Self::Whole(ws) => ws.ending(),
            Self::Halves(reader, _) => reader.ending(),
        }
    }
}

async fn read_pieces(ws: &mut WebSocket<Faulty>) -> Result<Option<OwnedMessage>, Error> {
    let mut bytes = Vec::new();
    loop {
        let Some(piece) = ws.read_piece().await? else { return Ok(None) };
        bytes.extend_from_slice(piece.as_bytes());
        if piece.is_last() {
            return Ok(Some(match piece.kind() {
                Kind::Text => OwnedMessage::Text(String::from_utf8(bytes).unwrap()),
                Kind::Binary => OwnedMessage::Binary(bytes),
            }));
        }
    }
}

async fn open(conversation: &Conversation, stream: Faulty, manner: Manner) -> Result<WebSocket<Faulty>, String> {
    match conversation.side() {
        Side::Server => {
            let options = AcceptOptions::new().origins(OriginPolicy::Any).timeouts(Timeouts::NONE);
            #[cfg(feature = "deflate")]
            let options = options.compression(sansocket_tokio::deflate::Config::DEFAULT);
            options.read_buffer(manner.buffer).accept_over(stream).await.map_err(|error| error.to_string())
        }
        Side::Client => {
            let options = ConnectOptions::new().timeouts(Timeouts::NONE);
            #[cfg(feature = "deflate")]
            let options = options.compression(sansocket_tokio::deflate::Config::DEFAULT);
            let options = options.read_buffer(manner.buffer);
            options.open(stream, "ws://localhost/chat").await.map_err(|error| error.to_string())
        }
    }
}

/// Has the conversation over a transport with these faults.
fn run(conversation: &Conversation, program: &Program, manner: Manner) -> Story {
    let transport = Transport::new(conversation.side(), REQUEST, conversation.frames(), program.clone());
    let stream = Faulty { transport: Arc::new(Mutex::new(transport)), vectored: manner.vectored };
    let mut story = None;
    run_tasks(vec![Box::pin(async { story = Some(tell(conversation, stream, manner).await) })]);
    story.unwrap()
}

async fn tell(conversation: &Conversation, stream: Faulty, manner: Manner) -> Story {
    let mut story = Story {
        not_opened: Vec::new(),
        received: Vec::new(),
        endings: Vec::new(),
        error: None,
        is_finished: true,
        transport: stream.transport().clone(),
    };
    match open(conversation, stream.clone(), manner).await {
        Err(error) => story.not_opened.push(error),
        Ok(ws) => {
            let mut held = match manner.how {
                How::Halves => {
                    let (reader, writer) = ws.split();
                    Held::Halves(reader, writer)
                }
                _ => Held::Whole(ws),
            };
            loop {
                match held.echo(manner.how).await {
                    Ok(Some(message)) => {
                        let lent = message.as_message();
                        let (kind, bytes) = (lent.kind(), lent.as_bytes().to_vec());
                        story.received.push(Received::Message(Message { kind, bytes }));
                        if manner.closes && lent.as_bytes() == LAST.as_bytes() {
                            held.start_close().await;
                        }
                    }
                    Ok(None) => {
                        story.endings.push(held.ending().unwrap());
                        break;
                    }
                    Err(Error::Lost { ending, source }) => {
                        story.endings.push(ending);
                        story.error = source.map(|source| source.kind());
                        break;
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            // Told again, it is the same, and the transport is left alone.
            let calls = stream.transport().calls_behind_end();
            for _ in 0..3 {
                match held.echo(manner.how).await {
                    Ok(None) => assert!(story.endings[0].is_clean()),
                    Err(Error::Lost { ending, .. }) => assert_eq!(ending, story.endings[0]),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(
                stream.transport().calls_behind_end(),
                calls,
                "an end that was told is no matter of the stream's"
            );
        }
    }
    story.transport = stream.transport().clone();
    story
}
