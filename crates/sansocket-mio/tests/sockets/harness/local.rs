//! A server that the test steps.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use sansocket_mio::{ConnectionId, Listen, Server, Settings, Stream};
use sansocket_testkit::PanicWatch;

use super::net::Net;
use super::probe::{Heard, Probe};
use crate::common::{LIMIT, read_head, request};

/// A server that runs when the test lets it: what has come by then is seen at once.
pub(crate) struct Local<S: Net> {
    pub(crate) server: Server<Probe<S>>,
    heard: Receiver<(ConnectionId, Heard)>,
    /// The server catches what a handler panics with.
    _watch: PanicWatch,
}

impl<S: Net + Send> Local<S> {
    pub(crate) fn new(mut probe: Probe<S>, settings: Settings) -> Self {
        let heard = probe.heard.take().unwrap();
        Self { server: Server::new(probe, settings).unwrap(), heard, _watch: PanicWatch::new() }
    }

    /// A peer that has said nothing, and that the server has accepted.
    pub(crate) fn connect(&mut self) -> S::Peer {
        let (end, peer) = S::pair();
        self.server.listen(One(Some(end))).unwrap();
        let before = self.server.connections().len();
        self.turn();
        assert_eq!(self.server.connections().len(), before + 1);
        // The socket is writable at once, which is an event.
        self.turn();
        peer
    }

    /// A peer behind a good handshake.
    pub(crate) fn open(&mut self) -> (ConnectionId, S::Peer) {
        let mut peer = self.connect();
        peer.write_all(&request(&[])).unwrap();
        let (id, heard) = self.hear();
        assert_eq!(heard, Heard::Open);
        let head = read_head(&mut peer);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (id, peer)
    }

    /// Waits for something to happen, and lets the server do what is to be done then.
    pub(crate) fn turn(&mut self) {
        let start = Instant::now();
        self.server.run_once(Some(LIMIT)).unwrap();
        assert!(start.elapsed() < LIMIT, "nothing happens");
    }

    /// Lets the server run until a peer on another thread is done.
    pub(crate) fn serve<T>(&mut self, peer: JoinHandle<T>) -> T {
        while !peer.is_finished() {
            self.server.run_once(Some(Duration::from_millis(10))).unwrap();
        }
        peer.join().unwrap()
    }

    /// What the handler hears next.
    pub(crate) fn hear(&mut self) -> (ConnectionId, Heard) {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.heard.try_recv() {
                Ok(heard) => return heard,
                Err(TryRecvError::Empty) => self.turn(),
                Err(TryRecvError::Disconnected) => unreachable!("the handler lives"),
            }
            assert!(Instant::now() < deadline, "the handler is told nothing");
        }
    }

    /// Everything that the handler hears of a connection until that is gone.
    pub(crate) fn story(&mut self, id: ConnectionId) -> Vec<Heard> {
        let mut story = Vec::new();
        loop {
            match self.hear() {
                (of, Heard::Gone) if of == id => return story,
                (of, heard) if of == id => story.push(heard),
                _ => {}
            }
        }
    }

    /// Everything that the handler hears of the next connection it hears of, until that is gone.
    pub(crate) fn next_story(&mut self) -> Vec<Heard> {
        let (id, first) = self.hear();
        let mut story = vec![first];
        story.extend(self.story(id));
        story
    }
}

/// Accepts one connection, which is there already.
struct One<S>(Option<S>);

impl<S: Stream> Listen for One<S> {
    type Stream = S;

    fn accept(&mut self) -> io::Result<S> {
        self.0.take().ok_or(ErrorKind::WouldBlock.into())
    }
}

impl<S> Source for One<S> {
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
