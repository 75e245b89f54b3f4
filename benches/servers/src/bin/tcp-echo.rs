//! What the servers on tokio are measured by: sends back what it reads, without WebSocket. One buffer for all connections, one read and one write for
//! each wake-up.

use std::cell::RefCell;
use std::io;

use sansocket_bench_servers::serve_connections;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

fn main() -> io::Result<()> {
    // Without a scheme, so that nobody speaks WebSocket to it.
    serve_connections(|stream| async { drop(echo(stream).await) }, |address| println!("listening on {address}"))
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    loop {
        stream.readable().await?;
        match turn(&stream) {
            Ok(None) => return Ok(()),
            Ok(Some(rest)) => stream.write_all(&rest).await?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads once and writes it back. Gives what the socket does not take; `None`: it has ended.
fn turn(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    BUFFER.with_borrow_mut(|buffer| {
        let count = stream.try_read(buffer)?;
        if count == 0 {
            return Ok(None);
        }
        let written = match stream.try_write(&buffer[..count]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            written => written?,
        };
        Ok(Some(buffer[written..count].to_vec()))
    })
}
