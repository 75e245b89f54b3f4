//! A client for a chat: what is typed is sent, what the others say is printed. Ctrl-D leaves.
//!
//! `cargo run --package sansocket-mio --example chat`, and then in two other terminals
//! `cargo run --package sansocket-whatwg --example chat_client ws://127.0.0.1:9003/`

use std::io::{self, BufRead};
use std::thread;

use sansocket_whatwg::WebSocket;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| String::from("ws://127.0.0.1:9003/"));
    let socket = WebSocket::new(&url)?;

    socket.set_onopen(|socket, _| {
        eprintln!("connected to {}", socket.url());
        // Reading the terminal waits, so it has a thread of its own. Handles may go everywhere.
        let socket = socket.clone();
        thread::spawn(move || type_to(&socket));
    });
    socket.set_onmessage(|_, event| println!("{}", event.data()));
    socket.set_onclose(|socket, event| match socket.failure() {
        Some(failure) => eprintln!("{failure}"),
        None => eprintln!("closed: {} {:?}", event.code(), event.reason()),
    });
    socket.run();
    Ok(())
}

fn type_to(socket: &WebSocket) {
    for line in io::stdin().lock().lines() {
        match line {
            // Behind the end, nothing is sent, and nothing goes wrong.
            Ok(line) => socket.send(line).expect("it is open, or was"),
            Err(_) => break,
        }
    }
    socket.close_with(1000, "bye").expect("code and reason are good");
}
