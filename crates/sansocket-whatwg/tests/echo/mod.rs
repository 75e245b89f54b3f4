//! A server that sends every message back, and remembers how its connections have ended.

use std::mem;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use sansocket_mio::{
    Answer, CloseCode, Closed, Context, EndedBy, Handle, Handler, Message, OpenError, OriginPolicy, Request, Server,
    Settings,
};

/// How long anything may take. Nothing is waited for that does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A message that is not sent back: the server closes with 3001 and a reason.
pub(crate) const CLOSE_PLEASE: &str = "close, please";

/// How connections have ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The codes of the clients' Closes, of those that have closed first.
    pub(crate) closed: Vec<u16>,
    /// How many were closed by the server first.
    pub(crate) closed_by_server: usize,
    /// What was wrong with others that were open.
    pub(crate) lost: Vec<String>,
    /// How many were given up before they were open.
    pub(crate) not_opened: usize,
}

struct Echo {
    tally: Tally,
    ends: Sender<()>,
}

impl Handler for Echo {
    type Stream = TcpStream;
    type Data = ();

    fn request(&mut self, _: &mut Context<'_, Self>, request: &Request<'_>) -> Answer {
        let answer = Answer::accept_from(request, OriginPolicy::Any);
        if request.protocols().any(|protocol| protocol == "echo") { answer.protocol("echo") } else { answer }
    }

    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
        // The client may have closed in between.
        let _ = match message {
            Message::Text(CLOSE_PLEASE) => cx.close(CloseCode::new(3001), "as you wish"),
            message => cx.send(message).map(|_| ()),
        };
    }

    fn close(&mut self, _: &mut Context<'_, Self>, closed: &Closed<'_>) {
        match closed.ending.by() {
            EndedBy::Peer => self.tally.closed.push(closed.ending.code()),
            EndedBy::Local => self.tally.closed_by_server += 1,
            _ => self.tally.lost.push(format!("{:?}: {:?}", closed.ending, closed.error)),
        }
        let _ = self.ends.send(());
    }

    fn not_opened(&mut self, _: &mut Context<'_, Self>, _: OpenError) {
        self.tally.not_opened += 1;
        let _ = self.ends.send(());
    }
}

/// The server, on a thread of its own.
pub(crate) struct EchoServer {
    url: String,
    handle: Handle<Echo>,
    thread: JoinHandle<Tally>,
    ends: Receiver<()>,
}

impl EchoServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let (sender, ends) = mpsc::channel();
        let mut server = Server::new(Echo { tally: Tally::default(), ends: sender }, Settings::DEFAULT).unwrap();
        server.listen(listener).unwrap();
        let handle = server.handle();
        let run = move || {
            server.run().unwrap();
            mem::take(&mut server.handler().tally)
        };
        let thread = thread::Builder::new().name(String::from("echo")).spawn(run).unwrap();
        Self { url, handle, thread, ends }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until so many connections have ended, and stops.
    pub(crate) fn stop_behind(self, connections: usize) -> Tally {
        for number in 0..connections {
            self.ends.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only {number} of {connections} have ended"));
        }
        self.handle.shut_down(Duration::ZERO);
        self.thread.join().unwrap()
    }
}
