//! A server that does what its script says, byte by byte, over TCP; and verbs for the object at the other end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sansocket_testkit::{CLOSE, CONTINUATION, Frame, Side, split_frames};
use sansocket_whatwg::{Builder, CloseEvent, Data, Event, Pumped, WebSocket};
use sha1_smol::Sha1;

/// How long anything may take. Nothing is waited for that does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where objects connect to.
pub(crate) struct Listener {
    socket: TcpListener,
}

impl Listener {
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1").unwrap()
    }

    /// At another address of this machine, if it has that.
    pub(crate) fn at(address: &str) -> Option<Self> {
        TcpListener::bind((address, 0)).ok().map(|socket| Self { socket })
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port())
    }

    /// The next connection, behind whose request nothing was answered yet.
    pub(crate) fn accept(&self) -> Peer {
        let mut peer = self.accept_silently();
        peer.read_head();
        peer
    }

    /// The next connection, of which nothing was read.
    pub(crate) fn accept_silently(&self) -> Peer {
        let (stream, _) = self.socket.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, head: String::new(), received: Vec::new() }
    }

    /// Whether nobody has connected.
    pub(crate) fn is_idle(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let accepted = self.socket.accept();
        self.socket.set_nonblocking(false).unwrap();
        matches!(accepted, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    head: String,
    received: Vec<u8>,
}

impl Peer {
    /// Reads a head, up to its empty line.
    pub(crate) fn read_head(&mut self) {
        while !self.received.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(self.stream.read(&mut byte).unwrap(), 1, "the connection ended inside its head");
            self.received.push(byte[0]);
        }
        self.head = String::from_utf8(std::mem::take(&mut self.received)).unwrap();
    }

    /// The request's head.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// The values of all headers of that name.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The value of `Sec-WebSocket-Accept` that the request wants.
    pub(crate) fn accept_value(&self) -> String {
        accept_value(self.headers("Sec-WebSocket-Key")[0])
    }

    /// An answer that accepts, with further header lines.
    pub(crate) fn answer_of(&self, lines: &[&str]) -> String {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let accept = self.accept_value();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
        )
    }

    /// Accepts.
    pub(crate) fn answer(&mut self, lines: &[&str]) {
        let answer = self.answer_of(lines);
        self.send(answer.as_bytes());
    }

    /// Sends bytes in one write.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends bytes one by one.
    pub(crate) fn send_bytewise(&mut self, bytes: impl AsRef<[u8]>) {
        bytes.as_ref().iter().for_each(|&byte| self.send([byte]));
    }

    /// Sends a frame.
    pub(crate) fn frame(&mut self, frame: Frame) {
        self.send(frame.bytes());
    }

    /// Receives a frame, which has to be masked.
    pub(crate) fn receive(&mut self) -> Frame {
        let header = self.fill(2);
        let length = match header[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes(self.fill(4)[2..4].try_into().unwrap())) + 2,
            127 => u64::from_be_bytes(self.fill(10)[2..10].try_into().unwrap()) + 8,
            short => short.into(),
        };
        let whole = 2 + 4 + usize::try_from(length).unwrap();
        let bytes = self.fill(whole)[..whole].to_vec();
        self.received.drain(..whole);
        let mut frames = split_frames(Side::Client, &bytes);
        let frame = frames.pop().unwrap();
        assert!(frames.is_empty() && frame.key().is_some(), "a client's frame is masked");
        frame
    }

    /// Receives a whole message, pings and pongs aside: its opcode and payload.
    pub(crate) fn receive_message(&mut self) -> (u8, Vec<u8>) {
        let first = self.receive();
        let (opcode, mut payload, mut fin) = (first.opcode(), first.payload().to_vec(), first.is_fin());
        while !fin {
            let next = self.receive();
            assert_eq!(next.opcode(), CONTINUATION);
            payload.extend(next.payload());
            fin = next.is_fin();
        }
        (opcode, payload)
    }

    /// Receives a Close, and gives its body.
    pub(crate) fn receive_close(&mut self) -> Vec<u8> {
        let frame = self.receive();
        assert_eq!(frame.opcode(), CLOSE, "{frame:?}");
        frame.payload().to_vec()
    }

    /// Waits until the client has ended the connection, in order or not.
    pub(crate) fn receive_end(mut self) {
        assert!(self.received.is_empty(), "unread: {:?}", self.received);
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, [], "nothing may come before the end"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }

    /// Echoes a Close and ends the connection, as a server does.
    pub(crate) fn finish(mut self) {
        let body = self.receive_close();
        self.frame(Frame::new(CLOSE, body));
        self.shut_down();
    }

    /// Ends writing.
    pub(crate) fn shut_down(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    fn fill(&mut self, count: usize) -> &[u8] {
        let mut chunk = [0; 64 * 1024];
        while self.received.len() < count {
            let read = self.stream.read(&mut chunk).unwrap();
            assert!(read > 0, "the connection ended, and {count} bytes were to come");
            self.received.extend_from_slice(&chunk[..read]);
        }
        &self.received
    }
}

/// The value of `Sec-WebSocket-Accept` for a key.
pub(crate) fn accept_value(key: &str) -> String {
    let hash = Sha1::from(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    STANDARD.encode(hash.digest().bytes())
}

/// An open object and its peer: the open event was.
pub(crate) fn open() -> (WebSocket, Peer) {
    open_with(|builder| builder)
}

/// As `open`, with options.
pub(crate) fn open_with(options: impl FnOnce(Builder) -> Builder) -> (WebSocket, Peer) {
    let listener = Listener::new();
    let socket = options(WebSocket::builder(listener.url())).build().unwrap();
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert_eq!(next(&socket), Event::Open);
    (socket, peer)
}

/// Lets one task happen.
pub(crate) fn step(socket: &WebSocket) -> Pumped {
    assert!(socket.wait_timeout(PATIENCE), "nothing happens: {socket:?}");
    socket.pump()
}

/// The next event.
pub(crate) fn next(socket: &WebSocket) -> Event {
    loop {
        if let Pumped::Fired(event) = step(socket) {
            return event;
        }
    }
}

/// The next event, which is a message: what it consists of.
pub(crate) fn message(socket: &WebSocket) -> Data {
    match next(socket) {
        Event::Message(event) => event.into_data(),
        other => panic!("a message was to come: {other:?}"),
    }
}

/// The events of a connection that has failed.
pub(crate) fn failed() -> [Event; 2] {
    [Event::Error, lost()]
}

/// The event of a connection that has ended without a Close.
pub(crate) fn lost() -> Event {
    Event::Close(CloseEvent::new(false, 1006, ""))
}

/// The event of a connection that has ended in order.
pub(crate) fn clean(code: u16, reason: &str) -> Event {
    Event::Close(CloseEvent::new(true, code, reason))
}

/// All events until the close event.
pub(crate) fn rest(socket: &WebSocket) -> Vec<Event> {
    let mut events = vec![next(socket)];
    while !socket.is_over() {
        events.push(next(socket));
    }
    events
}
