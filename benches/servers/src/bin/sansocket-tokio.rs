//! Ours. Deadlines are kept for every connection, but none comes while others have their turns.

use std::io;
use std::time::Duration;

use sansocket_bench_servers::serve;
use sansocket_tokio::{AcceptOptions, Timeouts};
use tokio::net::TcpStream;

const TIMEOUTS: Timeouts = Timeouts { ping: Some(Duration::from_secs(3600)), ..Timeouts::DEFAULT };

fn main() -> io::Result<()> {
    serve(echo)
}

async fn echo(stream: TcpStream) {
    let Ok(mut ws) = AcceptOptions::new().timeouts(TIMEOUTS).accept(stream).await else { return };
    // What is queued leaves before the next read waits. A connection that ends, however it does, concerns nobody else.
    while let Ok(Some((message, mut replies))) = ws.read_to_reply().await {
        if replies.queue(message).is_err() {
            return;
        }
    }
}
