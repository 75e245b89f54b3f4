//! One connection: its socket, what the socket has not taken, and what has to come.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rand::rngs::Xoshiro256PlusPlus;
use sansocket::deflate::Policy;
use sansocket::handshake::{ClientHandshake, ClientRequest, ResponseProgress, Uri};
use socket2::SockRef;

use super::session::{Session, Shared};

/// How much a client that reads slowly reads at a time, in bytes.
const SIP: usize = 16 << 10;

/// How many bytes its socket holds. Of much less, the system tells the server only now and then that there is room.
const HELD: usize = 64 << 10;

pub(super) struct Link {
    stream: TcpStream,
    /// What is to be written, and how much of it is.
    pub(super) out: Vec<u8>,
    written: usize,
    /// How many bytes are written at a time, at most.
    pub(super) most: usize,
    /// What is done when all is written.
    pub(super) then: Option<Then>,
    pub(super) stage: Stage,
    /// Whether what comes is left where it is, until [`sip`](Self::sip).
    pub(super) is_paused: bool,
    /// When something of a message came, or the connection was begun. Pings do not count: a server that only asks gives nothing.
    pub(super) heard: Instant,
}

pub(super) enum Stage {
    /// The answer to the request is to come.
    Opening {
        handshake: Box<ClientHandshake<'static>>,
        head: Vec<u8>,
        connection: u32,
    },
    Open(Box<Session>),
    /// A refusal is to come, and then the end of the stream.
    Refused {
        status: u16,
        head: Vec<u8>,
    },
    /// The end of the stream is to come, and what comes before it does not matter.
    Ending,
}

/// How a connection dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// RST.
    Reset,
    /// FIN; what comes is read. The status that has to, if one has to.
    Finish(Option<u16>),
    /// FIN, or RST if something is unread, or comes.
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Something has to come.
    Waits,
    /// Nothing has to come, and something can be sent.
    Ready,
    /// It has come to its end as it should.
    Over,
}

impl Link {
    /// Connects, to send `out`, which is to be refused with `status`.
    pub(super) fn raw(address: SocketAddr, out: Vec<u8>, status: u16) -> Result<Self, String> {
        Self::new(address, out, Stage::Refused { status, head: Vec::new() })
    }

    /// Connects, to open a WebSocket.
    pub(super) fn websocket(
        address: SocketAddr,
        offers: &[Policy],
        connection: u32,
        nonce: [u8; 16],
    ) -> Result<Self, String> {
        let url = format!("ws://{address}/");
        let uri = Uri::parse(&url).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let handshake = ClientRequest::new(&uri).compression(offers).start(nonce, &mut out);
        let handshake = Box::new(handshake.map_err(|error| error.to_string())?.into_owned());
        Self::new(address, out, Stage::Opening { handshake, head: Vec::new(), connection })
    }

    fn new(address: SocketAddr, out: Vec<u8>, stage: Stage) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("cannot connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| format!("no TCP_NODELAY: {error}"))?;
        Ok(Self {
            stream,
            out,
            written: 0,
            most: usize::MAX,
            then: None,
            stage,
            is_paused: false,
            heard: Instant::now(),
        })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> Result<(), String> {
        let registered = registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE);
        registered.map_err(|error| format!("cannot be registered: {error}"))
    }

    /// Lets the socket hold little, so that the server notices who reads slowly.
    pub(super) fn hold_little(&self) -> Result<(), String> {
        SockRef::from(&self.stream).set_recv_buffer_size(HELD).map_err(|error| format!("no SO_RCVBUF: {error}"))
    }

    /// What has to come, in words.
    pub(super) fn awaited(&self) -> String {
        let awaited = match &self.stage {
            Stage::Opening { .. } => "the answer to the handshake".into(),
            Stage::Open(session) => session.awaited(),
            Stage::Refused { status, .. } => format!("status {status} and the end of the stream"),
            Stage::Ending => "the end of the stream".into(),
        };
        match self.out.len() - self.written {
            0 => awaited,
            unsent => format!("{awaited}; {unsent} bytes are not sent"),
        }
    }

    /// Reads and writes all that can be.
    pub(super) fn turn(
        &mut self,
        buffer: &mut [u8],
        random: &mut Xoshiro256PlusPlus,
        shared: &mut Shared,
    ) -> Result<Progress, String> {
        // In this order: whoever has closed must not be written to.
        while !self.is_paused {
            match self.read(buffer, random, shared)? {
                Some(0) => return Ok(Progress::Over),
                Some(_) => {}
                None => break,
            }
        }
        self.write()
    }

    /// A client that reads slowly reads a little, so many times.
    pub(super) fn sip(
        &mut self,
        count: u128,
        buffer: &mut [u8],
        random: &mut Xoshiro256PlusPlus,
        shared: &mut Shared,
    ) -> Result<Progress, String> {
        for _ in 0..count {
            match self.read(&mut buffer[..SIP], random, shared)? {
                Some(0) => return Ok(Progress::Over),
                Some(_) => {}
                None => break,
            }
        }
        self.write()
    }

    /// How many bytes were read; none, if there were none.
    fn read(
        &mut self,
        buffer: &mut [u8],
        random: &mut Xoshiro256PlusPlus,
        shared: &mut Shared,
    ) -> Result<Option<usize>, String> {
        match self.stream.read(buffer) {
            Ok(0) => self.end().map(|()| Some(0)),
            Ok(count) => {
                let before = shared.tally.bytes;
                self.receive(&mut buffer[..count], random, shared)?;
                if before < shared.tally.bytes {
                    self.heard = Instant::now();
                }
                Ok(Some(count))
            }
            Err(error) if is_not_yet(error.kind()) => Ok(None),
            Err(error) => Err(format!("read: {error}, and awaited were {}", self.awaited())),
        }
    }

    /// Writes what the socket takes, and dies if that was to follow.
    pub(super) fn write(&mut self) -> Result<Progress, String> {
        while self.written < self.out.len() {
            let rest = &self.out[self.written..];
            match self.stream.write(&rest[..rest.len().min(self.most)]) {
                Ok(count) => self.written += count,
                Err(error) if is_not_yet(error.kind()) => return Ok(Progress::Waits),
                Err(error) => return Err(format!("write: {error}, and awaited were {}", self.awaited())),
            }
        }
        // Thousands wait at a time, and few of them have sent anything lately.
        (self.out, self.written) = (Vec::new(), 0);
        let cannot = |error| format!("cannot die: {error}");
        match self.then.take() {
            None => {}
            Some(Then::Drop) => return Ok(Progress::Over),
            Some(Then::Reset) => {
                SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).map_err(cannot)?;
                return Ok(Progress::Over);
            }
            Some(Then::Finish(status)) => {
                self.stream.shutdown(Shutdown::Write).map_err(cannot)?;
                self.stage = match status {
                    Some(status) => Stage::Refused { status, head: Vec::new() },
                    None => Stage::Ending,
                };
            }
        }
        Ok(match &self.stage {
            Stage::Open(session) if !session.awaits() => Progress::Ready,
            _ => Progress::Waits,
        })
    }

    fn receive(
        &mut self,
        input: &mut [u8],
        random: &mut Xoshiro256PlusPlus,
        shared: &mut Shared,
    ) -> Result<(), String> {
        match &mut self.stage {
            Stage::Open(session) => session.receive(input, shared, &mut self.out),
            Stage::Refused { head, .. } => {
                head.extend_from_slice(input);
                Ok(())
            }
            Stage::Ending => Ok(()),
            Stage::Opening { handshake, head, connection } => {
                head.extend_from_slice(input);
                let (negotiated, head_len) = match handshake.receive(head) {
                    ResponseProgress::Incomplete => return Ok(()),
                    ResponseProgress::Accepted(response) => (response.negotiated(), response.head_len()),
                    other => return Err(format!("the handshake came to {other:?}")),
                };
                let mut session = Box::new(Session::new(negotiated, *connection, random, &shared.pool));
                shared.tally.opened += 1;
                let received = session.receive(&mut head[head_len..], shared, &mut self.out);
                self.stage = Stage::Open(session);
                received
            }
        }
    }

    /// The stream has ended.
    fn end(&self) -> Result<(), String> {
        match &self.stage {
            Stage::Ending => Ok(()),
            Stage::Open(session) if session.is_closed() => Ok(()),
            Stage::Refused { status, head } if head.starts_with(format!("HTTP/1.1 {status} ").as_bytes()) => Ok(()),
            Stage::Refused { head, .. } => {
                let came = head[..head.len().min(40)].escape_ascii();
                Err(format!("the stream ended behind \"{came}\", and awaited were {}", self.awaited()))
            }
            _ => Err(format!("the stream ended, and awaited were {}", self.awaited())),
        }
    }
}

/// Whether a call can be repeated later: a connection that is being made cannot be used, either.
fn is_not_yet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}
