//! What the servers on tokio are measured by: sends back what it reads, without WebSocket.

use std::io;

use sansocket_bench_servers::serve_connections;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn main() -> io::Result<()> {
    // Without a scheme, so that nobody speaks WebSocket to it.
    serve_connections(|stream| async { drop(echo(stream).await) }, |address| println!("listening on {address}"))
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}
