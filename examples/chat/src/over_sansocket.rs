//! The chat over sansocket-tokio.

use std::error::Error;
use std::io;
use std::time::Duration;

use sansocket_tokio::{CloseCode, Message, Reader, SharedMessage, Writer, accept};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::{select, task, time};

/// What everybody hears. Who has more than [`crate::BACKLOG`] of it still to hear is too slow.
type Hall = broadcast::Sender<News>;

#[derive(Clone)]
enum News {
    Said(task::Id, SharedMessage),
    Stop,
}

async fn say(hall: &Hall, text: String) {
    // It is no error that nobody hears it.
    let _ = hall.send(News::Said(task::id(), text.into()));
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
    let (mut reader, mut writer) = accept(stream).await?.split();
    writer.send("what is your name?").await?;

    let mut name = None;
    let farewell = select! {
        farewell = hear(&mut reader, hall, &mut name) => farewell,
        farewell = tell(&mut writer, &mut news) => farewell,
    };
    if let Some(name) = name {
        say(hall, format!("* {name} has gone")).await;
    }
    if let Some((code, reason)) = farewell? {
        reader.reunite(writer)?.close(code, reason).await?;
    }
    Ok(())
}

/// Hears what a guest says, until it goes.
async fn hear(
    reader: &mut Reader<TcpStream>,
    hall: &Hall,
    name: &mut Option<String>,
) -> Result<Option<(CloseCode, &'static str)>, sansocket_tokio::Error> {
    while let Some(message) = reader.read().await? {
        let Message::Text(text) = message else { continue };
        match name {
            _ if text == "/quit" => return Ok(Some((CloseCode::NORMAL, "bye"))),
            Some(name) => say(hall, format!("{name}: {text}")).await,
            None => {
                *name = Some(text.to_owned());
                say(hall, format!("* {text} has come")).await;
            }
        }
    }
    Ok(None)
}

/// Tells a guest what others say, until it has to go.
async fn tell(
    writer: &mut Writer<TcpStream>,
    news: &mut broadcast::Receiver<News>,
) -> Result<Option<(CloseCode, &'static str)>, sansocket_tokio::Error> {
    let too_slow = (CloseCode::TRY_AGAIN_LATER, "too slow");
    loop {
        match news.recv().await {
            Ok(News::Said(by, _)) if by == task::id() => {}
            Ok(News::Said(_, message)) => match time::timeout(crate::PATIENCE, writer.send(&message)).await {
                Ok(sent) => sent?,
                Err(_) => return Ok(Some(too_slow)),
            },
            Err(RecvError::Lagged(_)) => return Ok(Some(too_slow)),
            Ok(News::Stop) | Err(RecvError::Closed) => {
                return Ok(Some((CloseCode::GOING_AWAY, "closing time")));
            }
        }
    }
}
