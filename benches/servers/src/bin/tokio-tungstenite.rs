//! tokio-tungstenite. `tokio-tungstenite [READ_BUFFER_SIZE]`

use std::{env, error, future};

use futures_util::{StreamExt, TryStreamExt};
use sansocket_bench_servers::serve;
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut config = WebSocketConfig::default();
    if let Some(size) = env::args().nth(1) {
        config.read_buffer_size = size.parse()?;
    }
    Ok(serve(move |stream| echo(stream, config))?)
}

async fn echo(stream: TcpStream, config: WebSocketConfig) {
    let Ok(socket) = accept_async_with_config(stream, Some(config)).await else { return };
    let (sink, messages) = socket.split();
    let messages = messages.try_filter(|message| future::ready(message.is_text() || message.is_binary()));
    // It sends all that has come before it waits for more. A connection that ends, however it does, concerns nobody else.
    drop(messages.forward(sink).await);
}
