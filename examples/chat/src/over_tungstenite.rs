//! The chat over tokio-tungstenite.

use std::error::Error;
use std::io;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::{select, task, time};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, accept_async};

/// What everybody hears. Who has more than [`crate::BACKLOG`] of it still to hear is too slow.
type Hall = broadcast::Sender<News>;

#[derive(Clone)]
enum News {
    Said(task::Id, Message),
    Stop,
}

async fn say(hall: &Hall, text: String) {
    // It is no error that nobody hears it.
    let _ = hall.send(News::Said(task::id(), Message::text(text)));
    // Lets the others hear it before this one goes on.
    task::yield_now().await;
}

/// Serves until `stop`, and then until everybody has gone.
pub async fn serve(listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let hall = Hall::new(crate::BACKLOG);
    let accept = async {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // There may be no descriptor left: those who go give theirs back.
                    eprintln!("{error}");
                    time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let hall = hall.clone();
            tokio::spawn(async move {
                if let Err(error) = chat(stream, &hall).await {
                    eprintln!("{error}");
                }
            });
        }
    };
    select! {
        () = accept => {}
        () = stop => {}
    }
    let _ = hall.send(News::Stop);
    hall.closed().await;
    Ok(())
}

async fn chat(stream: TcpStream, hall: &Hall) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut news = hall.subscribe();
    let (mut sink, mut stream) = accept_async(stream).await?.split();
    sink.send(Message::text("what is your name?")).await?;

    let mut name = None;
    let farewell = select! {
        farewell = hear(&mut stream, hall, &mut name) => farewell,
        farewell = tell(&mut sink, &mut news) => farewell,
    };
    if let Some(name) = name {
        say(hall, format!("* {name} has gone")).await;
    }
    let close = async {
        if let Some(close) = farewell? {
            sink.send(Message::Close(Some(close))).await?;
        }
        // Writes the answer to the peer's Close, or awaits the peer's.
        while stream.next().await.transpose()?.is_some() {}
        Ok(())
    };
    time::timeout(Duration::from_secs(10), close).await?
}

/// Hears what a guest says, until it goes.
async fn hear(
    stream: &mut SplitStream<WebSocketStream<TcpStream>>,
    hall: &Hall,
    name: &mut Option<String>,
) -> Result<Option<CloseFrame>, tungstenite::Error> {
    while let Some(message) = stream.next().await {
        let text = match message? {
            Message::Text(text) => text,
            Message::Close(_) => break,
            _ => continue,
        };
        match name {
            _ if text == "/quit" => return Ok(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() })),
            Some(name) => say(hall, format!("{name}: {text}")).await,
            None => {
                *name = Some(text.to_string());
                say(hall, format!("* {text} has come")).await;
            }
        }
    }
    Ok(None)
}

/// Tells a guest what others say, until it has to go.
async fn tell(
    sink: &mut SplitSink<WebSocketStream<TcpStream>, Message>,
    news: &mut broadcast::Receiver<News>,
) -> Result<Option<CloseFrame>, tungstenite::Error> {
    let too_slow = CloseFrame { code: CloseCode::Again, reason: "too slow".into() };
    loop {
        match news.recv().await {
            Ok(News::Said(by, _)) if by == task::id() => {}
            Ok(News::Said(_, message)) => match time::timeout(crate::PATIENCE, sink.send(message)).await {
                Ok(sent) => sent?,
                Err(_) => return Ok(Some(too_slow)),
            },
            Err(RecvError::Lagged(_)) => return Ok(Some(too_slow)),
            Ok(News::Stop) | Err(RecvError::Closed) => {
                return Ok(Some(CloseFrame { code: CloseCode::Away, reason: "closing time".into() }));
            }
        }
    }
}
