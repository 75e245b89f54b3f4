//! A WebSocket server without std and without an allocator: a fixed buffer in each direction, and nothing else.
//!
//! Building this crate is a test of the engine with `default-features = false`:
//!
//! ```sh
//! cargo build --release --manifest-path crates/sansocket/no_std/Cargo.toml
//! ```
//!
//! - It has a panic handler of its own. If anything in its tree links `std`, there are two, and rustc refuses: `found duplicate lang
//!   item panic_impl`.
//! - It has no global allocator. If anything in its tree links `alloc`, rustc refuses: `no global memory allocator found`.
//! - It is built as an archive, since rustc asks for an allocator only where something is linked.
//!
//! `./check` does that build, and then looks into the archive: the engine's code must be in it, reached from [`serve`], and no object
//! of `std` or `alloc`. `cargo test --lib` runs the server below, with `std` around it and not inside.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use sansocket::handshake::{Accept, HeadLimits, MAX_REFUSAL, RequestProgress, ServerHandshake};
use sansocket::{Connection, Event, Kind, Limits, NextStep, SendError, Server, SliceOutput};

/// The longest head that is taken.
const HEAD: usize = 1024;

/// What is written at most for one call: the answer to a request, or a message of [`HEAD`] bytes and some replies.
const OUT: usize = HEAD + MAX_REFUSAL;

/// What a transport has: a serial line, a TCP stack without an operating system.
pub trait Transport {
    /// Waits for bytes and puts them into `buffer`. Zero: there are no more.
    fn read(&mut self, buffer: &mut [u8]) -> usize;

    /// Takes all of `bytes`.
    fn write(&mut self, bytes: &[u8]);

    /// Says that nothing more will be written.
    fn shutdown_write(&mut self);
}

/// Serves one client: sends every message back.
pub fn serve(transport: &mut dyn Transport) {
    let (mut memory, mut buffer) = ([0; OUT], [0; HEAD]);
    let mut out = SliceOutput::new(&mut memory);
    let Some((mut connection, first_frames)) = open(transport, &mut buffer, &mut out) else {
        transport.write(out.bytes());
        return end(transport, NextStep::DrainAfterFlush);
    };
    let (mut start, mut end_of_read) = first_frames;
    loop {
        let mut input = &mut buffer[start..end_of_read];
        // Without room for a reply `receive` pauses: the output is written, and it goes on.
        loop {
            while let Some(event) = connection.receive(&mut input, &mut out) {
                let sent = match event {
                    Event::Text(text) => connection.send_part(Kind::Text, text.as_bytes(), text.is_last(), &mut out),
                    Event::Binary(data) => {
                        connection.send_part(Kind::Binary, data.as_bytes(), data.is_last(), &mut out)
                    }
                    _ => Ok(()),
                };
                // Parts are as small as the buffer and written one by one, so there is room. Behind a Close nothing is sent.
                debug_assert!(matches!(sent, Ok(()) | Err(SendError::Closing)));
                transport.write(out.bytes());
                out.clear();
            }
            transport.write(out.bytes());
            out.clear();
            if input.is_empty() {
                break;
            }
        }
        if connection.next_step() != NextStep::Open {
            return end(transport, connection.next_step());
        }
        match transport.read(&mut buffer) {
            0 => return connection.receive_eof(),
            len => (start, end_of_read) = (0, len),
        }
    }
}

/// The opening handshake. Gives the connection, and where in `buffer` the first frames lie.
fn open(
    transport: &mut dyn Transport,
    buffer: &mut [u8; HEAD],
    out: &mut SliceOutput<'_>,
) -> Option<(Connection<Server>, (usize, usize))> {
    let mut handshake = ServerHandshake::new().limits(HeadLimits { bytes: HEAD, headers: 32 });
    let mut len = 0;
    loop {
        let count = transport.read(&mut buffer[len..]);
        if count == 0 {
            handshake.receive_eof(out);
            return None;
        }
        len += count;
        match handshake.receive(&buffer[..len], out) {
            RequestProgress::Incomplete => {}
            RequestProgress::Refused(_) => return None,
            RequestProgress::Request(request) => {
                // The answer fits `OUT`, so nothing can be wrong with it.
                let negotiated = request.accept(&Accept::new(), out).ok()?;
                return Some((Connection::new(Server, negotiated, Limits::default()), (request.head_len(), len)));
            }
        }
    }
}

/// Ends the transport, as `step` says.
fn end(transport: &mut dyn Transport, step: NextStep) {
    transport.shutdown_write();
    if step == NextStep::DrainAfterFlush {
        let mut scrap = [0; 64];
        while transport.read(&mut scrap) > 0 {}
    }
}

/// Nobody is there to be told.
#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// A transport whose peer sends these bytes, so many at once.
    struct Fake<'a> {
        incoming: &'a [u8],
        step: usize,
        written: Vec<u8>,
        shut: bool,
    }

    impl Transport for Fake<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> usize {
            let count = self.incoming.len().min(self.step).min(buffer.len());
            let (now, later) = self.incoming.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.incoming = later;
            count
        }

        fn write(&mut self, bytes: &[u8]) {
            self.written.extend_from_slice(bytes);
        }

        fn shutdown_write(&mut self) {
            self.shut = true;
        }
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    fn serve_bytes(incoming: &[u8], step: usize) -> (Vec<u8>, bool) {
        let mut fake = Fake { incoming, step, written: Vec::new(), shut: false };
        serve(&mut fake);
        (fake.written, fake.shut)
    }

    #[test]
    fn a_message_comes_back_and_a_close_is_answered() {
        let mut incoming = REQUEST.to_vec();
        incoming.extend_from_slice(b"\x81\x82\0\0\0\0hi\x88\x82\0\0\0\0\x03\xe8");
        for step in [1, 7, 4096] {
            let (written, shut) = serve_bytes(&incoming, step);
            assert!(written.starts_with(b"HTTP/1.1 101 "), "{step}");
            assert!(written.ends_with(b"\x88\x02\x03\xe8") && shut, "{step}");
        }
        let (written, _) = serve_bytes(&incoming, 4096);
        assert!(written.ends_with(b"\x81\x02hi\x88\x02\x03\xe8"));
    }

    #[test]
    fn a_flood_of_pings_does_not_need_more_room() {
        let mut incoming = REQUEST.to_vec();
        for _ in 0..100 {
            incoming.extend_from_slice(&[0x89, 0x80, 0, 0, 0, 0]);
        }
        let (written, _) = serve_bytes(&incoming, 4096);
        assert!(written.ends_with(&[0x8A, 0].repeat(100)));
    }

    #[test]
    fn a_violation_and_a_bad_request_are_told() {
        let mut incoming = REQUEST.to_vec();
        incoming.extend_from_slice(b"\x81\x02hi");
        let (written, shut) = serve_bytes(&incoming, 4096);
        assert!(written.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1002_u16.to_be_bytes()) && shut);
        let (written, shut) = serve_bytes(b"POST / HTTP/1.1\r\n\r\n", 4096);
        assert!(written.starts_with(b"HTTP/1.1 4") && shut);
    }
}
