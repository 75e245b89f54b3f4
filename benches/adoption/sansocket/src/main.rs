//! Sends back messages, a thread for each connection.

use std::error::Error;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || drop(echo(stream)));
    }
    Ok(())
}

fn echo(stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut socket = sansocket_std::accept(stream)?;
    while let Some(message) = socket.read_owned()? {
        socket.send(&message)?;
    }
    Ok(())
}
