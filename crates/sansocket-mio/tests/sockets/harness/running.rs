//! A server on a thread of its own.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use sansocket_mio::{ConnectionId, Connections, Handle, Server, Settings};
use sansocket_testkit::PanicWatch;

use super::net::prepare_tcp;
use super::probe::{Heard, Probe};
use crate::common::{LIMIT, read_head, request};

/// A server on a thread of its own, which ends with this value.
pub(crate) struct Running {
    address: SocketAddr,
    handle: Handle<Probe<TcpStream>>,
    heard: Receiver<(ConnectionId, Heard)>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn new(probe: Probe<TcpStream>, settings: Settings) -> Self {
        Self::prepared(probe, settings, |_| {})
    }

    /// As `new`, with a server to which the test has done something before it runs.
    pub(crate) fn prepared(
        mut probe: Probe<TcpStream>,
        settings: Settings,
        prepare: impl FnOnce(&mut Server<Probe<TcpStream>>) + Send + 'static,
    ) -> Self {
        let heard = probe.heard.take().unwrap();
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || {
            // The server catches what a handler panics with.
            let _watch = PanicWatch::new();
            let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = listener.local_addr().unwrap();
            let mut server = Server::new(probe, settings).unwrap();
            prepare(&mut server);
            server.listen(listener).unwrap();
            sender.send((address, server.handle())).unwrap();
            server.run().unwrap();
        });
        let (address, handle) = receiver.recv_timeout(LIMIT).unwrap();
        Self { address, handle, heard, thread: Some(thread) }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) const fn handle(&self) -> &Handle<Probe<TcpStream>> {
        &self.handle
    }

    /// A peer that has said nothing.
    pub(crate) fn connect(&self) -> std::net::TcpStream {
        let peer = std::net::TcpStream::connect(self.address).unwrap();
        prepare_tcp(&peer);
        peer
    }

    /// A peer behind a good handshake.
    pub(crate) fn open(&self) -> std::net::TcpStream {
        let mut peer = self.connect();
        peer.write_all(&request(&[])).unwrap();
        let head = read_head(&mut peer);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        peer
    }

    /// As `open`, and waits until the handler has heard of it: of no other connection meanwhile.
    pub(crate) fn open_heard(&self) -> (ConnectionId, std::net::TcpStream) {
        let peer = self.open();
        let (id, heard) = self.hear();
        assert_eq!(heard, Heard::Open);
        (id, peer)
    }

    /// Does something on the server's thread.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Connections<Probe<TcpStream>>) -> T + Send + 'static,
    ) -> T {
        let (sender, receiver) = channel();
        self.handle.run(move |_, connections| _ = sender.send(question(connections)));
        receiver.recv_timeout(LIMIT).expect("the loop answers")
    }

    /// What the handler hears next.
    pub(crate) fn hear(&self) -> (ConnectionId, Heard) {
        self.heard.recv_timeout(LIMIT).expect("the handler is told something")
    }

    /// Everything that the handler hears of a connection until that is gone.
    pub(crate) fn story(&self, id: ConnectionId) -> Vec<Heard> {
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
    pub(crate) fn next_story(&self) -> Vec<Heard> {
        let (id, first) = self.hear();
        let mut story = vec![first];
        story.extend(self.story(id));
        story
    }

    /// What the handler has heard and nobody has asked for.
    pub(crate) fn heard_so_far(&self) -> Vec<Heard> {
        self.heard.try_iter().map(|(_, heard)| heard).collect()
    }

    /// Waits for the loop's own end.
    pub(crate) fn join(mut self) -> Vec<Heard> {
        let deadline = Instant::now() + LIMIT;
        let mut story = Vec::new();
        // The channel ends with the server.
        loop {
            match self.heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((_, heard)) => story.push(heard),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the loop does not end"),
            }
        }
        self.thread.take().unwrap().join().unwrap();
        story
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shut_down(Duration::ZERO);
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(result.is_ok() || thread::panicking(), "the server's thread has panicked");
        }
    }
}
