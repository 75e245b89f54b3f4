//! Ours.

use std::io;

use sansocket_bench_servers::serve;
use tokio::net::TcpStream;

fn main() -> io::Result<()> {
    serve(echo)
}

async fn echo(stream: TcpStream) {
    let Ok(mut ws) = sansocket_tokio::accept(stream).await else { return };
    // What is queued leaves before the next read waits. A connection that ends, however it does, concerns nobody else.
    while let Ok(Some((message, mut replies))) = ws.read_to_reply().await {
        if replies.queue(message).is_err() {
            return;
        }
    }
}
