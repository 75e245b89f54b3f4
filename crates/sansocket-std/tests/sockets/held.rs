//! A thread that writes, and is held up behind its write while the connection ends.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use sansocket_std::{CloneStream, CloseCode, EndedBy, Layer, SplitStream, Stream, Timeouts};

use crate::common::{LIMIT, masked, open_to_all, raw_client, read_to_end, sockets};

/// A socket whose flushes wait to be let go, and whose reads are told.
struct Held {
    socket: TcpStream,
    hold: Arc<Mutex<Option<Hold>>>,
}

struct Hold {
    reads: Sender<()>,
    gate: Option<Receiver<()>>,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(hold) = &*self.hold.lock().unwrap() {
            let _ = hold.reads.send(());
        }
        self.socket.read(buffer)
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        let gate = self.hold.lock().unwrap().as_mut().and_then(|hold| hold.gate.take());
        if let Some(gate) = gate {
            gate.recv_timeout(LIMIT).expect("the gate is opened");
        }
        Ok(())
    }
}

impl Stream for Held {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.socket.shutdown_write()
    }
}

impl CloneStream for Held {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, hold: Arc::clone(&self.hold) })
    }
}

impl SplitStream for Held {
    type Raw = Self;

    fn into_raw(self) -> (Self, Layer) {
        (self, Layer::default())
    }
}

#[test]
fn an_answer_that_comes_before_the_writer_of_the_close_is_done_ends_both_sides_all_the_same() {
    let (client, socket) = sockets();
    socket.set_read_timeout(None).unwrap();
    let hold = Arc::default();
    let server = Held { socket, hold: Arc::clone(&hold) };
    // Nothing else is to end the stream.
    let timeouts = Timeouts { end: None, ..Timeouts::DEFAULT };
    let server = thread::spawn(move || open_to_all().timeouts(timeouts).accept(server).unwrap());
    let mut client = raw_client(client);
    let (mut reader, writer) = server.join().unwrap().split().unwrap();
    let (reads, told) = channel();
    let (open, gate) = channel();
    *hold.lock().unwrap() = Some(Hold { reads, gate: Some(gate) });

    let writing = thread::spawn(move || writer.start_close(CloseCode::GOING_AWAY, ""));
    let mut close = [0; 4];
    client.read_exact(&mut close).unwrap();
    assert_eq!(close, [0x88, 2, 3, 233]);
    let reading = thread::spawn(move || {
        let is_end = reader.read().unwrap().is_none();
        (is_end, reader.ending().unwrap().by())
    });
    client.write_all(&masked(0x88, &[3, 233])).unwrap();
    told.recv_timeout(LIMIT).expect("the reader reads");
    // Time to find the writer at work. A reader that has not come so far by then has an easier task.
    for _ in 0..1000 {
        thread::yield_now();
    }
    open.send(()).unwrap();

    assert_eq!(read_to_end(&mut client), b"");
    // The client's own end of the stream is nothing that a server waits for.
    assert_eq!(reading.join().unwrap(), (true, EndedBy::Local));
    drop(client);
    writing.join().unwrap().unwrap();
}
