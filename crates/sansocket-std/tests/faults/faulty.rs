//! A connection over a blocking transport with faults.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sansocket_std::{
    AcceptOptions, CloneStream, CloseCode, ConnectOptions, Ending, Error, Kind, Layer, OriginPolicy, OwnedMessage,
    Reader, SplitStream, Stream, Timeouts, WebSocket, Writer,
};
use sansocket_testkit::conversation::{Conversation, LAST, REQUEST, Story};
use sansocket_testkit::cuts;
use sansocket_testkit::faults::{Program, Transport};
use sansocket_testkit::{Message, Received, Side};

/// How a connection is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How long the buffer is that is read into.
    pub(crate) buffer: usize,
    pub(crate) how: How,
    /// Whether it closes first, behind the last message.
    pub(crate) closes: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Whole,
    Pieces,
    Halves,
}

impl Manner {
    const DEFAULT: Self = Self { buffer: 16 << 10, how: How::Whole, closes: false };
}

impl cuts::Manner for Manner {
    const COMPRESSES: bool = cfg!(feature = "deflate");
    const TELLS_CONTROLS: bool = false;
    // `TimedOut` is a time limit here.
    const LOST: ErrorKind = ErrorKind::HostUnreachable;

    fn all() -> Vec<Self> {
        let short = Self { buffer: 130, ..Self::DEFAULT };
        vec![
            Self::DEFAULT,
            Self { how: How::Pieces, ..short },
            Self { how: How::Halves, ..Self::DEFAULT },
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

/// A stream that blocks unless it has a time limit: then it says so at once, and has waited for nothing.
#[derive(Clone)]
pub(crate) struct Faulty {
    transport: Arc<Mutex<Transport>>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Faulty {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport: Arc::new(Mutex::new(transport)), read_timeout: None, write_timeout: None }
    }

    pub(crate) fn transport(&self) -> MutexGuard<'_, Transport> {
        self.transport.lock().unwrap()
    }

    /// The transport for a call with that time limit.
    fn within(&self, timeout: Option<Duration>) -> MutexGuard<'_, Transport> {
        let mut transport = self.transport();
        transport.set_prompt(timeout.is_none_or(|timeout| timeout > SHORT));
        transport
    }
}

impl Read for Faulty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.within(self.read_timeout).read(buffer)?)
    }
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.within(self.write_timeout).write(&[IoSlice::new(bytes)])?)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.within(self.write_timeout).write(slices)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.within(self.write_timeout).flush()?)
    }
}

impl Stream for Faulty {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(self.within(self.write_timeout).shut()?)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_timeout = timeout;
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.write_timeout = timeout;
        Ok(())
    }

    fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.write_timeout)
    }
}

impl CloneStream for Faulty {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl SplitStream for Faulty {
    type Raw = Self;

    fn into_raw(self) -> (Self, Layer) {
        (self, Layer::default())
    }
}

/// The two ways to hold a connection.
enum Held<S> {
    Whole(Box<WebSocket<S>>),
    Halves(Box<Reader<Faulty>>, Writer<Faulty>),
}

impl<S: Stream> Held<S> {
    fn read(&mut self, in_pieces: bool) -> Result<Option<OwnedMessage>, Error> {
        match self {
            Self::Whole(ws) => {
                if in_pieces {
                    read_pieces(ws)
                } else {
                    ws.read_owned()
                }
            }
            Self::Halves(reader, _) => reader.read_owned(),
        }
    }

    fn send(&mut self, message: &OwnedMessage) -> Result<(), Error> {
        match self {
            Self::Whole(ws) => ws.queue(message),
            Self::Halves(_, writer) => writer.queue(message),
        }
    }

    fn start_close(&mut self) -> Result<(), Error> {
        match self {
            Self::Whole(ws) => ws.start_close(CloseCode::NORMAL, ""),
            Self::Halves(_, writer) => writer.start_close(CloseCode::NORMAL, ""),
        }
    }

    fn ending(&self) -> Option<Ending> {
        match self {
            Self::Whole(ws) => ws.ending(),
            Self::Halves(reader, _) => reader.ending(),
        }
    }
}

fn may_be_repeated(error: &Error) -> bool {
    matches!(error, Error::Io(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn read_pieces(ws: &mut WebSocket<impl Stream>) -> Result<Option<OwnedMessage>, Error> {
    let mut bytes = Vec::new();
    let mut tries = 0;
    loop {
        let piece = match ws.read_piece() {
            Err(error) if may_be_repeated(&error) && tries < TRIES => {
                tries += 1;
                continue;
            }
            piece => piece?,
        };
        let Some(piece) = piece else { return Ok(None) };
        bytes.extend_from_slice(piece.as_bytes());
        if piece.is_last() {
            return Ok(Some(match piece.kind() {
                Kind::Text => OwnedMessage::Text(String::from_utf8(bytes).unwrap()),
                Kind::Binary => OwnedMessage::Binary(bytes),
            }));
        }
    }
}

/// The caller's own time limit, for reads and for writes.
const SHORT: Duration = Duration::from_millis(1);

/// What the peer has at the end. Never waited for.
const TIMEOUTS: Timeouts = Timeouts { end: Some(Duration::from_secs(3600)), ..Timeouts::NONE };

/// More than any program puts off.
const TRIES: usize = 1_000_000;

fn open<S: Stream>(conversation: &Conversation, stream: S, manner: Manner) -> Result<WebSocket<S>, String> {
    match conversation.side() {
        Side::Server => {
            let options = AcceptOptions::new().origins(OriginPolicy::Any).timeouts(TIMEOUTS);
            #[cfg(feature = "deflate")]
            let options = options.compression(sansocket_std::deflate::Config::DEFAULT);
            options.read_buffer(manner.buffer).accept(stream).map_err(|error| error.to_string())
        }
        Side::Client => {
            let options = ConnectOptions::new().timeouts(TIMEOUTS);
            #[cfg(feature = "deflate")]
            let options = options.compression(sansocket_std::deflate::Config::DEFAULT);
            options.read_buffer(manner.buffer).open(stream, "ws://localhost/chat").map_err(|error| error.to_string())
        }
    }
}

/// Has the conversation over a transport with these faults.
fn run(conversation: &Conversation, program: &Program, manner: Manner) -> Story {
    let stream = Faulty::new(Transport::new(conversation.side(), REQUEST, conversation.frames(), program.clone()));
    tell(conversation, &stream, stream.clone(), manner)
}

/// Has it over `stream`, below which `faulty` lies.
pub(crate) fn tell<S>(conversation: &Conversation, faulty: &Faulty, stream: S, manner: Manner) -> Story
where
    S: SplitStream<Raw = Faulty>,
{
    let opened = open(conversation, stream, manner);
    let (mut received, mut endings, mut error, mut not_opened) = (Vec::new(), Vec::new(), None, Vec::new());
    let mut is_finished = true;
    match opened {
        Err(error) => not_opened.push(error),
        Ok(mut ws) => {
            ws.set_read_timeout(Some(SHORT));
            ws.set_write_timeout(Some(SHORT)).unwrap();
            let mut held = match manner.how {
                How::Halves => {
                    let (reader, writer) = ws.split().unwrap();
                    Held::Halves(Box::new(reader), writer)
                }
                _ => Held::Whole(Box::new(ws)),
            };
            let in_pieces = matches!(manner.how, How::Pieces);
            let mut tries = 0;
            loop {
                match held.read(in_pieces) {
                    Ok(Some(message)) => {
                        let lent = message.as_message();
                        received
                            .push(Received::Message(Message { kind: lent.kind(), bytes: lent.as_bytes().to_vec() }));
                        // What cannot be written now is queued; what can never be is told by a read.
                        let _ = held.send(&message);
                        if manner.closes && lent.as_bytes() == LAST.as_bytes() {
                            let _ = held.start_close();
                        }
                    }
                    Err(error) if may_be_repeated(&error) && tries < TRIES => tries += 1,
                    Ok(None) => {
                        endings.push(held.ending().unwrap());
                        break;
                    }
                    Err(Error::Lost { ending, source }) => {
                        endings.push(ending);
                        error = source.map(|source| source.kind());
                        break;
                    }
                    Err(other) => {
                        is_finished = false;
                        error = Some(ErrorKind::Other);
                        eprintln!("{other:?}");
                        break;
                    }
                }
            }
            // Told again, it is the same, and the transport is left alone.
            let calls = faulty.transport().calls_behind_end();
            for _ in 0..3 {
                match held.read(in_pieces) {
                    Ok(None) => assert!(endings[0].is_clean()),
                    Err(Error::Lost { ending, .. }) => assert_eq!(ending, endings[0]),
                    other => assert!(!is_finished, "{other:?}"),
                }
            }
            assert!(
                !is_finished || faulty.transport().calls_behind_end() == calls,
                "an end that was told is no matter of the stream's"
            );
        }
    }
    let transport = faulty.transport().clone();
    Story { not_opened, received, endings, error, is_finished, transport }
}
