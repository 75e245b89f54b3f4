//! A message of 2 GiB and one byte, streamed through the adapter in each direction, in less than 1 MiB of heap on either side.
//!
//! ```sh
//! cargo run --release --package sansocket-std --example two_gib
//! ```

use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use allocation_counter::measure;
use sansocket_std::{AcceptOptions, ConnectOptions, Error, Kind, Limits, Stream, WebSocket};

const LENGTH: u64 = (2 << 30) + 1;
const PART: usize = 64 * 1024;
const HEAP: u64 = 1 << 20;

fn main() -> ExitCode {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        count("server", || {
            let stream = listener.accept().expect("a client").0;
            let mut ws = AcceptOptions::new().limits(Limits::UNLIMITED).accept(stream).expect("an opening handshake");
            receive(&mut ws).and_then(|()| send(&mut ws)).and_then(|()| ws.read().map(drop))
        })
    });
    let client = count("client", || {
        let stream = TcpStream::connect(address).expect("a server");
        let options = ConnectOptions::new().limits(Limits::UNLIMITED);
        let mut ws = options.open(stream, "ws://localhost/").expect("an opening handshake");
        send(&mut ws).and_then(|()| receive(&mut ws)).and_then(|()| ws.close(None, ""))
    });
    if client & server.join().expect("the server") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one side and tells the most heap that it held at a time. Whether that was little enough.
fn count(side: &str, run: impl FnOnce() -> Result<(), Error>) -> bool {
    let start = Instant::now();
    let mut result = Ok(());
    let heap = measure(|| result = run());
    println!("{side}: {result:?}, at most {} bytes of heap, {:.1} s", heap.bytes_max, start.elapsed().as_secs_f64());
    result.is_ok() && heap.bytes_max < HEAP
}

/// The byte at that place of the message.
fn byte_at(place: u64) -> u8 {
    (place % 251).to_le_bytes()[0]
}

fn send<S: Stream>(ws: &mut WebSocket<S>) -> Result<(), Error> {
    let mut part = vec![0; PART];
    let mut sent = 0;
    while sent < LENGTH {
        let len = (LENGTH - sent).min(PART as u64);
        let part = &mut part[..usize::try_from(len).expect("at most a part")];
        part.iter_mut().zip(sent..).for_each(|(byte, place)| *byte = byte_at(place));
        sent += len;
        ws.send_part(Kind::Binary, part, sent == LENGTH)?;
    }
    Ok(())
}

fn receive<S: Stream>(ws: &mut WebSocket<S>) -> Result<(), Error> {
    let mut received = 0;
    while let Some(piece) = ws.read_piece()? {
        let right = piece.as_bytes().iter().zip(received..).all(|(byte, place)| *byte == byte_at(place));
        assert!(right, "not what was sent, from byte {received} on");
        received += piece.as_bytes().len() as u64;
        if piece.is_last() {
            break;
        }
    }
    assert_eq!(received, LENGTH);
    Ok(())
}
