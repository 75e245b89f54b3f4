//! An echo server on axum: `cargo run --package sansocket-axum --example axum_echo -- 127.0.0.1:9001`.

use std::io;

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use sansocket_axum::{Error, WebSocket, WebSocketUpgrade};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:9001"));
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    serve(listener).await
}

/// Serves all who come.
pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("{error}");
        }
    });
    axum::serve(listener, Router::new().route("/", any(answer))).await
}

async fn answer(ws: WebSocketUpgrade) -> Response {
    #[cfg(feature = "deflate")]
    let ws = ws.compression(Default::default());
    ws.on_failed_upgrade(|error| eprintln!("{error}")).on_upgrade(async |ws| {
        if let Err(error) = echo(ws).await {
            eprintln!("{error}");
        }
    })
}

async fn echo(mut ws: WebSocket) -> Result<(), Error> {
    while let Some(message) = ws.read_owned().await? {
        ws.send(&message).await?;
    }
    Ok(())
}
