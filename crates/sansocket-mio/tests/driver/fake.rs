//! A stream in memory whose reads and writes follow a script, and a loop around a driver that wakes it as a [`Poll`](mio::Poll) would:
//! only where something has changed.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use sansocket_mio::{Answer, Common, Driver, Event, Kind, Message, OpenError, Settings, Stream};

/// What the peer sends, and what the socket says to it.
#[derive(Clone, Debug)]
pub(crate) enum Coming {
    /// These bytes, behind which there is nothing for a while.
    Bytes(Vec<u8>),
    Interrupted,
    /// An event, and then nothing.
    Nothing,
    Error(ErrorKind),
}

/// What the socket says to a write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Going {
    /// It takes up to so many bytes, and if that is less than it was given, no more for a while.
    Takes(usize),
    Interrupted,
    Error(ErrorKind),
}

/// The stream. When its script is at its end, it takes everything, and there is nothing to be read, or the end.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) coming: VecDeque<Coming>,
    pub(crate) ends: bool,
    pub(crate) going: VecDeque<Going>,
    pub(crate) written: Vec<u8>,
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    pub(crate) flushes: usize,
    /// Reads that have said that there is nothing.
    pub(crate) empty_reads: usize,
    pub(crate) is_shut: bool,
    /// How much of the first bytes to come was read.
    taken: usize,
    /// Whether somebody was told that there is nothing to read, or no room to write, and has to be woken when there is.
    read_edge: bool,
    write_edge: bool,
    /// Whether a read of the end was seen.
    pub(crate) saw_end: bool,
}

impl Fake {
    pub(crate) fn new(coming: impl IntoIterator<Item = Coming>) -> Self {
        // A socket that is registered is writable at once; what is there to be read is an event, too.
        Self { coming: coming.into_iter().collect(), read_edge: true, write_edge: true, ..Self::default() }
    }

    /// What has come, and then the end.
    pub(crate) fn ending(mut self) -> Self {
        self.ends = true;
        self
    }

    pub(crate) fn with_going(mut self, going: impl IntoIterator<Item = Going>) -> Self {
        self.going = going.into_iter().collect();
        self
    }

    /// Something comes later, as an event.
    pub(crate) fn push(&mut self, coming: Coming) {
        self.coming.push_back(coming);
        self.read_edge = true;
    }

    /// Whether nothing more comes behind what is there now: the end, if it comes, is seen in the same event.
    fn is_last(&self) -> bool {
        self.ends && self.coming.len() <= 1
    }

    /// The next event: readable, and whether behind the last bytes; writable.
    fn event(&mut self) -> Option<(bool, bool, bool)> {
        let readable = self.read_edge && (!self.coming.is_empty() || (self.ends && !self.saw_end));
        let writable = self.write_edge;
        self.read_edge &= !readable;
        self.write_edge = false;
        (readable || writable).then(|| (readable, readable && self.is_last(), writable))
    }

    fn take(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writes += 1;
        assert!(!self.is_shut, "written behind the end");
        let given: usize = slices.iter().map(|slice| slice.len()).sum();
        let most = match self.going.pop_front() {
            None => usize::MAX,
            Some(Going::Takes(most)) => most,
            Some(Going::Interrupted) => return Err(ErrorKind::Interrupted.into()),
            Some(Going::Error(kind)) => return Err(kind.into()),
        };
        let count = given.min(most);
        self.write_edge |= count < given;
        if count == 0 && given > 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut left = count;
        for slice in slices {
            let len = slice.len().min(left);
            self.written.extend_from_slice(&slice[..len]);
            left -= len;
        }
        Ok(count)
    }
}

impl Read for Fake {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        match self.coming.front() {
            None if self.ends => {
                self.saw_end = true;
                Ok(0)
            }
            None | Some(Coming::Nothing) => {
                self.coming.pop_front();
                self.read_edge = true;
                self.empty_reads += 1;
                Err(ErrorKind::WouldBlock.into())
            }
            Some(Coming::Interrupted) => {
                self.coming.pop_front();
                Err(ErrorKind::Interrupted.into())
            }
            Some(&Coming::Error(kind)) => Err(kind.into()),
            Some(Coming::Bytes(bytes)) => {
                let rest = &bytes[self.taken..];
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                self.taken += count;
                // A short read says that there is no more, and what comes next is an event. One that fits exactly does not.
                self.read_edge |= count < buffer.len();
                if self.taken == bytes.len() {
                    self.taken = 0;
                    self.coming.pop_front();
                }
                Ok(count)
            }
        }
    }
}

impl Write for Fake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.take(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        Ok(())
    }
}

impl Source for Fake {
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

impl Stream for Fake {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.is_shut = true;
        Ok(())
    }
}

/// What an application hears.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Request(String),
    Response(u16),
    NotOpened(String),
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    End(sansocket_mio::Ending),
}

/// A driver, and what a loop has besides.
pub(crate) struct Rig {
    pub(crate) driver: Driver<Fake>,
    pub(crate) common: Common,
    pub(crate) buffer: Vec<u8>,
    pub(crate) heard: Vec<Heard>,
    /// The message that comes in parts.
    parts: Vec<u8>,
    /// Whether messages are sent back.
    pub(crate) echoes: bool,
    /// Whether they are compressed.
    #[cfg(feature = "deflate")]
    pub(crate) choice: sansocket_mio::deflate::Compress,
    /// The most bytes that waited for the stream behind a turn.
    pub(crate) most_queued: usize,
}

impl Rig {
    pub(crate) fn server(stream: Fake, settings: Settings, buffer: usize) -> Self {
        let common = Common::new(settings);
        Self::new(Driver::server(stream, &common), common, buffer)
    }

    pub(crate) fn new(driver: Driver<Fake>, common: Common, buffer: usize) -> Self {
        Self {
            driver,
            common,
            buffer: vec![0; buffer],
            heard: Vec::new(),
            parts: Vec::new(),
            echoes: true,
            #[cfg(feature = "deflate")]
            choice: sansocket_mio::deflate::Compress::Auto,
            most_queued: 0,
        }
    }

    /// One turn: readable, behind it the end, writable; or none of it, if there may be more to be read. Gives whether a queue has drained.
    pub(crate) fn turn(&mut self, (readable, read_closed, writable): (bool, bool, bool)) -> bool {
        let Self { driver, common, buffer, heard, parts, echoes, .. } = self;
        #[cfg(feature = "deflate")]
        let choice = self.choice;
        common.look_at_clock();
        let mut turn = driver.turn(common);
        if writable {
            turn.on_writable();
        }
        let mut drained = false;
        if readable {
            turn.on_readable(read_closed);
        }
        let mut input = turn.read(buffer);
        while let Some(event) = turn.next(&mut input) {
            match event {
                Event::Request(request) => {
                    heard.push(Heard::Request(request.target().to_owned()));
                    turn.answer(Some(&request), &Answer::accept());
                }
                Event::Open(response) => heard.push(Heard::Response(response.status())),
                Event::NotOpened(error) => heard.push(Heard::NotOpened(match error {
                    OpenError::Io(error) => format!("Io({:?})", error.kind()),
                    error => format!("{error:?}"),
                })),
                Event::Message(message) => {
                    let lent = message.as_message();
                    heard.push(Heard::Message(lent.kind(), lent.as_bytes().to_vec()));
                    if *echoes {
                        #[cfg(feature = "deflate")]
                        let _ = turn.send_with(lent, choice);
                        #[cfg(not(feature = "deflate"))]
                        let _ = turn.send(lent);
                    }
                }
                Event::Part(part) => {
                    parts.extend_from_slice(part.as_bytes());
                    if *echoes {
                        #[cfg(feature = "deflate")]
                        let _ = turn.send_part_with(part.kind(), part.as_bytes(), part.is_last(), choice);
                        #[cfg(not(feature = "deflate"))]
                        let _ = turn.send_part(part.kind(), part.as_bytes(), part.is_last());
                    }
                    if part.is_last() {
                        heard.push(Heard::Message(part.kind(), std::mem::take(parts)));
                    }
                }
                Event::Ping => heard.push(Heard::Ping(turn.control().to_vec())),
                Event::Pong => heard.push(Heard::Pong(turn.control().to_vec())),
                Event::Drained => drained = true,
                Event::End(ending) => heard.push(Heard::End(ending)),
                _ => unreachable!("an event that this test does not know"),
            }
        }
        drop(turn);
        self.most_queued = self.most_queued.max(self.driver.queued());
        drained
    }

    /// Wakes the driver as long as there is a reason to.
    pub(crate) fn run(&mut self) {
        for _ in 0..1_000_000 {
            if self.driver.is_finished() {
                return;
            }
            match self.driver.stream_mut().event() {
                Some(event) => _ = self.turn(event),
                None if self.driver.wants_turn() => _ = self.turn((false, false, false)),
                None => return,
            }
        }
        panic!("the driver spins");
    }

    /// That nothing waits for an event that will not come.
    #[track_caller]
    pub(crate) fn expect_done(&self) {
        assert_eq!(self.stuck(), None);
    }

    /// What waits for an event that will not come, if something does.
    pub(crate) fn stuck(&self) -> Option<String> {
        let (queued, coming) = (self.driver.queued(), self.driver.stream().coming.len());
        let is_stuck = !self.driver.is_finished() && queued + coming > 0;
        is_stuck.then(|| format!("{queued} bytes are queued, {coming} times something is there to be read"))
    }

    pub(crate) fn stream(&mut self) -> &mut Fake {
        self.driver.stream_mut()
    }

    /// What the stream was asked to read and write since the last call.
    pub(crate) fn calls(&mut self) -> (usize, usize) {
        let stream = self.stream();
        (std::mem::take(&mut stream.reads), std::mem::take(&mut stream.writes))
    }
}

/// A good request.
pub(crate) const REQUEST: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A server's driver behind a good handshake, over a stream that has nothing to say.
pub(crate) fn open(settings: Settings, buffer: usize) -> Rig {
    let mut rig = Rig::server(Fake::new([Coming::Bytes(REQUEST.to_vec())]), settings, buffer);
    rig.run();
    assert_eq!(rig.heard, [Heard::Request(String::from("/chat"))]);
    assert!(rig.stream().written.starts_with(b"HTTP/1.1 101 "));
    rig.stream().written.clear();
    rig.heard.clear();
    rig.calls();
    rig
}

/// A client's frame.
pub(crate) fn masked(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    sansocket_testkit::Frame::new(opcode, payload).masked([0x37, 0xFA, 0x21, 0x3D]).bytes()
}

/// A server's frame.
pub(crate) fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    sansocket_testkit::Frame::new(opcode, payload).bytes()
}

/// Bytes that do not repeat soon.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 31 + at / 251 * 7) % 256).unwrap()).collect()
}

/// That a message is what it should be, and its bytes.
pub(crate) fn message(message: Message<'_>) -> Heard {
    Heard::Message(message.kind(), message.as_bytes().to_vec())
}
