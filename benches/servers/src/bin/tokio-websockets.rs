//! tokio-websockets, set up as its own example for benchmarks is.

use std::io;

use futures_util::{SinkExt, StreamExt};
use sansocket_bench_servers::serve;
use tokio::net::TcpStream;
use tokio_websockets::{Config, Limits, ServerBuilder};

fn main() -> io::Result<()> {
    serve(echo)
}

async fn echo(stream: TcpStream) {
    let builder = ServerBuilder::new().config(Config::default().frame_size(usize::MAX)).limits(Limits::unlimited());
    let Ok((_, mut socket)) = builder.accept(stream).await else { return };
    // To collect what is sent would gain nothing: it writes before it reads on.
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}
