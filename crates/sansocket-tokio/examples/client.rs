//! Sends lines, and prints what comes: `cargo run --package sansocket-tokio --example client -- ws://127.0.0.1:9001/`

use std::env;
use std::error::Error;

use sansocket_tokio::{CloseCode, Message, connect};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("which server? ws://127.0.0.1:9001/, say")?;
    let mut ws = connect(&url).await?;
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        // Whichever of the two is dropped has lost nothing.
        tokio::select! {
            message = ws.read() => match message? {
                Some(message) => print(message),
                None => break,
            },
            line = lines.next_line() => match line? {
                Some(line) => ws.send(&line).await?,
                None => {
                    ws.start_close(CloseCode::NORMAL, "").await?;
                    break;
                }
            },
        }
    }
    // What the server still sends before it closes, too.
    while let Some(message) = ws.read().await? {
        print(message);
    }
    Ok(())
}

fn print(message: Message<'_>) {
    match message {
        Message::Text(text) => println!("{text}"),
        Message::Binary(bytes) => println!("{} bytes", bytes.len()),
    }
}
