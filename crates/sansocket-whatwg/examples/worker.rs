//! An object that lives on a worker thread, as a page's does in a Web Worker: the thread has its loop, and the program goes on.
//!
//! `cargo run -- serve`, and in another terminal `cargo run --package sansocket-whatwg --example worker`

use std::sync::mpsc;
use std::thread;

use sansocket_whatwg::{BinaryType, Data, Event, WebSocket};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| String::from("ws://127.0.0.1:9001/"));
    // What is wrong with a URL is known here and now.
    let socket = WebSocket::new(&url)?;
    socket.set_binary_type(BinaryType::ArrayBuffer);

    // The worker gets the object, and posts results.
    let (post, results) = mpsc::channel();
    let worker = thread::spawn(move || {
        for event in socket.events() {
            match event {
                Event::Open => (1..=3).for_each(|number| socket.send([number; 8]).expect("it is open")),
                Event::Message(message) => {
                    if let Data::ArrayBuffer(bytes) = message.into_data() {
                        let is_last = bytes[0] == 3;
                        // The other end is gone if nobody wants results any more.
                        if post.send(bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>()).is_err() || is_last {
                            socket.close();
                        }
                    }
                }
                Event::Error => eprintln!("{}", socket.failure().map_or(String::new(), |failure| failure.to_string())),
                Event::Close(close) => eprintln!("closed: {}", close.code()),
            }
        }
    });

    for result in results {
        println!("the worker says {result}");
    }
    worker.join().map_err(|_| "the worker has panicked".into())
}
