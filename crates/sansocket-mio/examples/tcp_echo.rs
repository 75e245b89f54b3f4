//! A TCP echo without WebSocket: what the sockets cost alone, to compare servers with.
//!
//! One buffer for all connections, one read and one write for each wake-up. `tcp_echo [ADDRESS]`

use std::collections::HashMap;
use std::env;
use std::io::{self, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);

/// A socket, and what it has not taken.
struct Connection {
    stream: TcpStream,
    queue: Vec<u8>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:9002"));
    let mut listener = TcpListener::bind(address.parse()?)?;
    println!("listening on {}", listener.local_addr()?);

    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 * 1024];
    let mut connections = HashMap::new();
    let mut next = 0;
    // Those that may have more to be read.
    let mut full = Vec::new();
    loop {
        let wait = (!full.is_empty()).then_some(std::time::Duration::ZERO);
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        let mut turns: Vec<usize> = std::mem::take(&mut full);
        for event in &events {
            if event.token() != LISTENER {
                turns.push(event.token().0);
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                stream.set_nodelay(true)?;
                poll.registry().register(&mut stream, Token(next), Interest::READABLE | Interest::WRITABLE)?;
                connections.insert(next, Connection { stream, queue: Vec::new() });
                next += 1;
            }
        }
        for index in turns {
            let Some(connection) = connections.get_mut(&index) else { continue };
            match turn(connection, &mut buffer) {
                Ok(Some(count)) if count == buffer.len() => full.push(index),
                Ok(Some(0)) | Err(_) => _ = connections.remove(&index),
                Ok(_) => {}
            }
        }
    }
}

/// Reads once and writes it back. `None`: nothing was there, or something is still queued.
fn turn(Connection { stream, queue }: &mut Connection, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    while !queue.is_empty() {
        match stream.write(queue) {
            Ok(count) => drop(queue.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let count = match stream.read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        result => result?,
    };
    match stream.write(&buffer[..count]) {
        Ok(written) => queue.extend_from_slice(&buffer[written..count]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => queue.extend_from_slice(&buffer[..count]),
        Err(error) => return Err(error),
    }
    Ok(Some(count))
}
