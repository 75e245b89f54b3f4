//! The same conversations with each server: what its guests see must not tell which it is.

use std::io;
use std::pin::Pin;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sansocket_example_chat::{over_axum, over_sansocket, over_sansocket_axum, over_tungstenite};
use sansocket_tokio::{CloseCode, ConnectOptions, OwnedMessage, WebSocket};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{self, JoinHandle};
use tokio::time;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite;

struct Server {
    address: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start<F>(serve: impl FnOnce(TcpListener, Pin<Box<dyn Future<Output = ()> + Send>>) -> F) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, Box::pin(async { stopped.await.unwrap() })));
        Self { address, stop, served }
    }

    async fn all() -> [Self; 4] {
        [
            Self::start(over_tungstenite::serve).await,
            Self::start(over_sansocket::serve).await,
            Self::start(over_axum::serve).await,
            Self::start(over_sansocket_axum::serve).await,
        ]
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

struct Guest(WebSocket<TcpStream>);

impl Guest {
    /// A guest that has been asked for its name.
    async fn nameless(server: &Server) -> Self {
        // A small buffer, which who does not read has soon filled.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = socket.connect(server.address.parse().unwrap()).await.unwrap();
        let url = format!("ws://{}/", server.address);
        let mut guest = Self(ConnectOptions::new().open(stream, &url).await.unwrap());
        assert_eq!(guest.hears().await, "what is your name?");
        guest
    }

    async fn named(server: &Server, name: &str) -> Self {
        let mut guest = Self::nameless(server).await;
        guest.says(name).await;
        guest
    }

    /// Two who have heard of each other.
    async fn ann_and_bob(server: &Server) -> (Self, Self) {
        let mut ann = Self::nameless(server).await;
        let mut bob = Self::nameless(server).await;
        ann.says("Ann").await;
        assert_eq!(bob.hears().await, "* Ann has come");
        bob.says("Bob").await;
        assert_eq!(ann.hears().await, "* Bob has come");
        (ann, bob)
    }

    async fn says(&mut self, text: &str) {
        self.0.send(text).await.unwrap();
    }

    /// More than fits into the buffers of who does not read.
    async fn says_too_much(&mut self) {
        let long = "a".repeat(64 * 1024);
        for _ in 0..300 {
            self.says(&long).await;
        }
    }

    /// The next message, or how the server closed.
    async fn hears(&mut self) -> String {
        match self.0.read_owned().await.unwrap() {
            Some(OwnedMessage::Text(text)) => text,
            Some(OwnedMessage::Binary(_)) => panic!("nobody says anything binary"),
            None => {
                let close = self.0.peer_close().unwrap();
                format!("{:?} {}", close.code().map(u16::from), close.reason())
            }
        }
    }
}

#[tokio::test]
async fn what_one_says_all_others_hear_and_nobody_else() {
    for server in Server::all().await {
        let mut ann = Guest::nameless(&server).await;
        let mut bob = Guest::nameless(&server).await;
        let mut cid = Guest::nameless(&server).await;
        ann.says("Ann").await;
        assert_eq!(bob.hears().await, "* Ann has come");
        assert_eq!(cid.hears().await, "* Ann has come");
        bob.says("Bob").await;
        assert_eq!(ann.hears().await, "* Bob has come");
        assert_eq!(cid.hears().await, "* Bob has come");
        cid.says("Cid").await;
        assert_eq!(ann.hears().await, "* Cid has come");
        assert_eq!(bob.hears().await, "* Cid has come");

        ann.says("good evening").await;
        assert_eq!(bob.hears().await, "Ann: good evening");
        assert_eq!(cid.hears().await, "Ann: good evening");
        bob.0.send(&[0, 255]).await.unwrap();
        bob.says("größer als €").await;
        assert_eq!(ann.hears().await, "Bob: größer als €");
        assert_eq!(cid.hears().await, "Bob: größer als €");
        drop((ann, bob, cid));
        server.stop().await;
    }
}

#[tokio::test]
async fn who_quits_closes_or_is_lost_has_gone() {
    for server in Server::all().await {
        let (mut ann, mut bob) = Guest::ann_and_bob(&server).await;
        bob.says("/quit").await;
        assert_eq!(ann.hears().await, "* Bob has gone");
        assert_eq!(bob.hears().await, "Some(1000) bye");

        let mut cid = Guest::named(&server, "Cid").await;
        assert_eq!(ann.hears().await, "* Cid has come");
        cid.0.close(CloseCode::new(4321), "").await.unwrap();
        assert_eq!(cid.hears().await, "Some(4321) ");
        assert_eq!(ann.hears().await, "* Cid has gone");

        let dan = Guest::named(&server, "Dan").await;
        assert_eq!(ann.hears().await, "* Dan has come");
        drop(dan);
        assert_eq!(ann.hears().await, "* Dan has gone");

        // Who has no name leaves unseen.
        Guest::nameless(&server).await.0.close(None, "").await.unwrap();
        let _eve = Guest::named(&server, "Eve").await;
        assert_eq!(ann.hears().await, "* Eve has come");
        drop(ann);
    }
}

#[tokio::test]
async fn pings_are_answered() {
    for server in Server::all().await {
        let stream = TcpStream::connect(&server.address).await.unwrap();
        let (mut ws, _) = client_async(format!("ws://{}/", server.address), stream).await.unwrap();
        ws.send(tungstenite::Message::Ping("are you there?".into())).await.unwrap();
        assert_eq!(ws.next().await.unwrap().unwrap(), tungstenite::Message::text("what is your name?"));
        assert_eq!(ws.next().await.unwrap().unwrap(), tungstenite::Message::Pong("are you there?".into()));
    }
}

#[tokio::test]
async fn who_falls_behind_is_sent_away_and_nobody_waits_for_that() {
    for server in Server::all().await {
        let (mut ann, mut bob) = Guest::ann_and_bob(&server).await;
        ann.says_too_much().await;
        ann.says("/quit").await;
        assert_eq!(ann.hears().await, "Some(1000) bye");

        let end = loop {
            match bob.hears().await {
                message if message.starts_with("Ann: aaa") => {}
                end => break end,
            }
        };
        assert_eq!(end, "Some(1013) too slow");
    }
}

#[tokio::test]
async fn who_never_reads_is_let_go_though_it_goes_on_talking() {
    for server in Server::all().await {
        let (mut ann, mut bob) = Guest::ann_and_bob(&server).await;
        ann.says_too_much().await;

        time::pause();
        // While somebody is at work, the clock moves only by `advance`: it does not leap where a socket is waited for.
        let (at_work, work) = mpsc::channel::<()>();
        task::spawn_blocking(move || work.recv());
        let mut heard = 0;
        loop {
            bob.says("do you hear me?").await;
            match ann.hears().await.as_str() {
                "Bob: do you hear me?" => heard += 1,
                "* Bob has gone" => break,
                other => panic!("heard {other}"),
            }
            assert!(heard < 20, "Bob is still there");
            time::advance(Duration::from_secs(1)).await;
        }

        // Bob does not take the Close either, and is not waited for without an end.
        drop((ann, at_work));
        server.stop().await;
        drop(bob);
        time::resume();
    }
}

#[tokio::test]
async fn who_is_there_when_the_server_stops_is_told() {
    for server in Server::all().await {
        let (mut ann, mut bob) = Guest::ann_and_bob(&server).await;
        let mut cid = Guest::nameless(&server).await;
        let stopped = tokio::spawn(server.stop());
        for guest in [&mut ann, &mut bob, &mut cid] {
            assert_eq!(guest.hears().await, "Some(1001) closing time");
        }
        stopped.await.unwrap();
    }
}
