//! The example that everybody begins with, word for word as in MDN's pages.
//!
//! ```sh
//! cargo run -p sansocket-cli -- serve --port 8080 &
//! cargo run -p sansocket-whatwg --example hello
//! ```

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
    Ok(())
}
