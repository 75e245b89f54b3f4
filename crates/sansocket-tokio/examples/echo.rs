//! A server that echoes: `cargo run --package sansocket-tokio --example echo -- 127.0.0.1:9001`

use std::env;
use std::error::Error;

use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:9001"));
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = echo(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn echo(stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut ws = sansocket_tokio::accept(stream).await?;
    while let Some((message, mut replies)) = ws.read_to_reply().await? {
        replies.queue(message)?;
    }
    Ok(())
}
