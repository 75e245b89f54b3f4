//! The example that everybody begins with, word for word as in MDN's pages.
//!
//! `cargo run -- serve --bind 127.0.0.1:8080`, and in another terminal `cargo run --package sansocket-whatwg --example hello`

use sansocket_whatwg::{Event, EventType, WebSocket};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Create WebSocket connection.
    let socket = WebSocket::new("ws://localhost:8080")?;

    // Connection opened
    socket.add_event_listener(EventType::Open, |socket, _event| {
        socket.send("Hello Server!").expect("it is open");
    });

    // Listen for messages
    socket.add_event_listener(EventType::Message, |_socket, event| {
        if let Event::Message(event) = event {
            println!("Message from server {}", event.data());
        }
    });

    // What JavaScript's event loop does by itself: until the connection is closed.
    socket.run();

    // What a browser would write to its console.
    socket.failure().map_or(Ok(()), |failure| Err(failure.to_string().into()))
}
