//! A driver over a transport with faults, and a loop that wakes it only where something has changed.

use std::cell::{RefCell, RefMut};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::rc::Rc;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use sansocket_mio::{
    Answer, ClientRequest, CloseCode, Common, Driver, Event, OpenError, Settings, Stream, Timeouts, Uri,
};
use sansocket_testkit::conversation::{Conversation, LAST, REQUEST, Story};
use sansocket_testkit::cuts;
use sansocket_testkit::faults::{Program, Transport};
use sansocket_testkit::{Message, Received, Side};

/// How a driver is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How long the buffer is that is read into.
    pub(crate) buffer: usize,
    /// Whether a read fills several slices.
    pub(crate) vectored: bool,
    /// Whether messages above so many bytes come in parts.
    pub(crate) whole: usize,
    /// Whether it closes first, behind the last message.
    pub(crate) closes: bool,
}

impl Manner {
    const DEFAULT: Self = Self { buffer: 700, vectored: true, whole: usize::MAX, closes: false };
}

impl cuts::Manner for Manner {
    const COMPRESSES: bool = cfg!(feature = "deflate");
    const TELLS_CONTROLS: bool = true;
    const LOST: ErrorKind = ErrorKind::TimedOut;

    fn all() -> Vec<Self> {
        let bytewise = Self { buffer: 430, vectored: false, ..Self::DEFAULT };
        vec![Self::DEFAULT, bytewise, Self { whole: 150, ..bytewise }, Self { closes: true, ..Self::DEFAULT }]
    }

    fn closes(self) -> bool {
        self.closes
    }

    fn run(self, conversation: &Conversation, program: &Program) -> Story {
        run(conversation, program, self)
    }
}

/// What the system and a driver have in common of a stream.
struct Socket {
    transport: Transport,
    vectored: bool,
    /// Whether somebody was told that there is nothing to read, or no room to write, and is to be woken.
    read_edge: bool,
    write_edge: bool,
}

impl Socket {
    /// What the system says next: readable, and whether behind the last bytes; writable.
    fn event(&mut self) -> Option<(bool, bool, bool)> {
        let readable = self.read_edge && !self.transport.is_waiting();
        let writable = self.write_edge;
        self.read_edge &= !readable;
        self.write_edge = false;
        (readable || writable).then(|| (readable, readable && self.transport.is_at_end(), writable))
    }

    fn take(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let given: usize = slices.iter().map(|slice| slice.len()).sum();
        let result = self.transport.write(slices);
        self.write_edge |= match result {
            Ok(count) => count < given,
            Err(kind) => kind == ErrorKind::WouldBlock,
        };
        Ok(result?)
    }

    /// Notes who is to be woken once there is room.
    fn done(&mut self, result: Result<(), ErrorKind>) -> io::Result<()> {
        self.write_edge |= result == Err(ErrorKind::WouldBlock);
        Ok(result?)
    }
}

/// One handle of it, for a driver or for what lies between.
#[derive(Clone)]
pub(crate) struct Faulty(Rc<RefCell<Socket>>);

impl Faulty {
    pub(crate) fn new(transport: Transport, manner: Manner) -> Self {
        let socket = Socket { transport, vectored: manner.vectored, read_edge: true, write_edge: true };
        Self(Rc::new(RefCell::new(socket)))
    }

    fn socket(&self) -> RefMut<'_, Socket> {
        self.0.borrow_mut()
    }
}

impl Read for Faulty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket();
        let result = socket.transport.read(buffer);
        // A short read says that there is no more, and what comes next is an event. One that fits exactly does not.
        socket.read_edge |= match result {
            Ok(count) => count < buffer.len(),
            Err(kind) => kind == ErrorKind::WouldBlock,
        };
        Ok(result?)
    }

    fn read_vectored(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut all = vec![0; slices.iter().map(|slice| slice.len()).sum()];
        let count = self.read(&mut all)?;
        let mut rest = &all[..count];
        for slice in slices {
            let (here, behind) = rest.split_at(rest.len().min(slice.len()));
            slice[..here.len()].copy_from_slice(here);
            rest = behind;
        }
        Ok(count)
    }
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket().take(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket().take(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut socket = self.socket();
        let flushed = socket.transport.flush();
        socket.done(flushed)
    }
}

impl Source for Faulty {
    fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Faulty {
    fn shutdown_write(&mut self) -> io::Result<()> {
        let mut socket = self.socket();
        let shut = socket.transport.shut();
        socket.done(shut)
    }

    fn reads_vectored(&self) -> bool {
        self.socket().vectored
    }
}

fn settings(manner: Manner) -> Settings {
    Settings {
        timeouts: Timeouts::NONE,
        whole: manner.whole,
        #[cfg(feature = "deflate")]
        compression: Some(sansocket_mio::deflate::Config::DEFAULT),
        ..Settings::DEFAULT
    }
}

/// Lets a driver have the conversation over a transport with these faults.
fn run(conversation: &Conversation, program: &Program, manner: Manner) -> Story {
    let transport = Transport::new(conversation.side(), REQUEST, conversation.frames(), program.clone());
    let faulty = Faulty::new(transport, manner);
    tell(conversation, &faulty, faulty.clone(), manner)
}

/// Lets a driver have it over `stream`, below which `faulty` lies.
pub(crate) fn tell(conversation: &Conversation, faulty: &Faulty, stream: impl Stream, manner: Manner) -> Story {
    let mut common = Common::new(settings(manner));
    let mut driver = match conversation.side() {
        Side::Server => Driver::server(stream, &common),
        Side::Client => {
            let uri = Uri::parse("ws://localhost/chat").unwrap();
            Driver::client(stream, &ClientRequest::new(&uri), &common).unwrap()
        }
    };
    let mut buffer = vec![0; manner.buffer];
    let mut listener = Listener { closes: manner.closes, ..Listener::default() };
    for turn in 0.. {
        assert!(turn < 1_000_000, "the driver spins");
        let told = faulty.socket().event();
        let event = match told {
            _ if driver.is_finished() => break,
            Some(event) => event,
            None if driver.wants_turn() => (false, false, false),
            None => break,
        };
        listener.turn(&mut driver, &mut common, &mut buffer, event);
    }
    let is_finished = driver.is_finished();
    // Whoever takes one more turn does no harm.
    listener.turn(&mut driver, &mut common, &mut buffer, (false, false, false));
    let Listener { not_opened, received, endings, error, .. } = listener;
    let transport = faulty.socket().transport.clone();
    Story { not_opened, received, endings, error, is_finished, transport }
}

#[derive(Default)]
struct Listener {
    closes: bool,
    not_opened: Vec<String>,
    received: Vec<Received>,
    endings: Vec<sansocket_mio::Ending>,
    error: Option<ErrorKind>,
    part: Vec<u8>,
}

impl Listener {
    fn turn(
        &mut self,
        driver: &mut Driver<impl Stream>,
        common: &mut Common,
        buffer: &mut [u8],
        (readable, read_closed, writable): (bool, bool, bool),
    ) {
        let mut has_ended = false;
        let mut turn = driver.turn(common);
        if writable {
            turn.on_writable();
        }
        if readable {
            turn.on_readable(read_closed);
        }
        let mut input = turn.read(buffer);
        while let Some(event) = turn.next(&mut input) {
            match event {
                Event::Request(request) => turn.answer(Some(&request), &Answer::accept()),
                Event::Open(_) | Event::Drained => {}
                Event::NotOpened(OpenError::Io(error)) => self.not_opened.push(format!("{:?}", error.kind())),
                Event::NotOpened(error) => self.not_opened.push(format!("{error:?}")),
                Event::Message(message) => {
                    let lent = message.as_message();
                    let (kind, bytes) = (lent.kind(), lent.as_bytes().to_vec());
                    let is_last = bytes == LAST.as_bytes();
                    self.received.push(Received::Message(Message { kind, bytes }));
                    let _ = turn.send(lent);
                    if is_last && self.closes {
                        turn.close(Some(CloseCode::NORMAL), "").unwrap();
                    }
                }
                Event::Part(part) => {
                    self.part.extend_from_slice(part.as_bytes());
                    if part.is_last() {
                        let bytes = std::mem::take(&mut self.part);
                        let _ = turn.send(&bytes);
                        self.received.push(Received::Message(Message { kind: part.kind(), bytes }));
                    }
                }
                Event::Ping => self.received.push(Received::Ping(turn.control().to_vec())),
                Event::Pong => self.received.push(Received::Pong(turn.control().to_vec())),
                Event::End(ending) => {
                    self.endings.push(ending);
                    has_ended = true;
                }
                _ => unreachable!("an event that this test does not know"),
            }
        }
        drop(turn);
        if has_ended {
            self.error = driver.error().map(io::Error::kind);
        }
    }
}
