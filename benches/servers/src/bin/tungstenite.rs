//! tungstenite, with a thread for each connection. `tungstenite [READ_BUFFER_SIZE]`

use std::net::{TcpListener, TcpStream};
use std::{env, error, thread};

use sansocket_bench_servers::{ADDRESS, say_where};
use tungstenite::protocol::WebSocketConfig;

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut config = WebSocketConfig::default();
    if let Some(size) = env::args().nth(1) {
        config.read_buffer_size = size.parse()?;
    }
    let listener = TcpListener::bind(ADDRESS)?;
    say_where(listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        // A connection that ends, however it does, concerns nobody else.
        thread::spawn(move || drop(echo(stream, config)));
    }
    Ok(())
}

fn echo(stream: TcpStream, config: WebSocketConfig) -> Result<(), Box<dyn error::Error>> {
    let mut socket = tungstenite::accept_with_config(stream, Some(config))?;
    loop {
        let message = socket.read()?;
        if message.is_text() || message.is_binary() {
            socket.send(message)?;
        }
    }
}
