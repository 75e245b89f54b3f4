//! A WebSocket server without std and without an allocator: a loop over a byte pipe, a fixed buffer in each direction, and nothing else.
//!
//! [`serve`] is the loop. The pipe may be a serial line, the socket of a TCP stack, a radio: [`Transport`] is all that is asked of it. It may take
//! fewer bytes than it is given and give fewer than it is asked for, at any time. Each turn of the loop does four things:
//!
//! 1. It looks at the time, which may put a ping or a Close into the output, or end it all.
//! 2. It writes as much of the output as the pipe takes.
//! 3. If that was all, it does what [`Connection::next_step`] says, and reads. What was read is taken in as a whole, since an empty output
//!    has room for all that it can cause. So a peer that does not read is not read from, and nothing needs to grow.
//! 4. If nothing has come, it sleeps until something does or is due. If not all was written, it sleeps until there is room to write.
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

use sansocket::handshake::{Accept, HeadLimits, MAX_REFUSAL, RequestError, RequestProgress, ServerHandshake};
use sansocket::{
    Connection, Deadlines, Ending, Expired, Limits, MAX_REPLY, NextStep, SendError, Server, SliceOutput, Time, Timeouts,
};

/// What is read at most at once. The handshake's head has to fit too.
const IN: usize = 1024;

/// What that can cause at most: the answer to a request, or the echo of a read. Each piece of a message goes back with as many bytes as
/// it came with, but where the read cuts a frame or a character, both parts get a header; and a reply must have room ahead of that.
const OUT: usize = IN + 2 * MAX_REPLY;

const _: () = assert!(OUT >= MAX_REFUSAL, "a refusal is told");

const TIMEOUTS: Timeouts = Timeouts::DEFAULT;

/// A byte pipe and a clock. Only [`wait`](Self::wait) takes time.
pub trait Transport {
    /// Puts bytes that have come into `buffer`. `Some(0)`: there are none now. `None`: there will be no more.
    fn read(&mut self, buffer: &mut [u8]) -> Option<usize>;

    /// Takes as many of `bytes` as there is room for now, from the front, and says how many.
    fn write(&mut self, bytes: &[u8]) -> usize;

    /// Says that nothing more will be written. A pipe that knows no such thing does nothing.
    fn shutdown_write(&mut self);

    /// The time since an epoch of the machine's.
    fn now(&self) -> Time;

    /// Sleeps until a byte has come or, if something is `to_write`, until there is room for one instead; but not beyond `until`. It may
    /// return earlier: an interrupt of any kind is a good reason.
    fn wait(&mut self, until: Option<Time>, to_write: bool);
}

/// Serves one client: sends every message back. How it has ended; `None` if the opening handshake has failed.
pub fn serve(transport: &mut dyn Transport) -> Option<Ending> {
    let (mut memory, mut buffer) = ([0; OUT], [0; IN]);
    let mut queue = Queue { out: SliceOutput::new(&mut memory), written: 0 };
    let Some((mut connection, first_frames)) = open(transport, &mut buffer, &mut queue.out) else {
        drain(transport, &mut buffer, &mut queue);
        return None;
    };
    let mut deadlines = Deadlines::new(transport.now());
    let mut shut_down = false;
    // The response is in the output already, but it is shorter than the request, so there is room all the same.
    receive(&mut connection, first_frames, &mut queue.out);
    loop {
        let now = transport.now();
        if deadlines.expire(now, &TIMEOUTS, &mut connection, &mut queue.out) == Expired::Transport {
            break;
        }
        if queue.flush(transport) {
            match connection.next_step() {
                NextStep::Open | NextStep::AwaitEof => {}
                // What still comes is read, and the engine discards it. The deadlines bound how long, and so the line's rate how much.
                NextStep::DrainAfterFlush if !shut_down => {
                    transport.shutdown_write();
                    shut_down = true;
                }
                NextStep::DrainAfterFlush => {}
                _ => break,
            }
            match transport.read(&mut buffer) {
                None => {
                    connection.receive_eof();
                    break;
                }
                Some(0) => {}
                Some(count) => {
                    deadlines.received(now);
                    receive(&mut connection, &mut buffer[..count], &mut queue.out);
                    continue;
                }
            }
        }
        // To be asked before each wait: this is also how a close that has begun is noticed.
        transport.wait(deadlines.next(now, &TIMEOUTS, &connection), !queue.is_empty());
    }
    if !shut_down {
        transport.shutdown_write();
    }
    connection.ending()
}

/// Takes in all of `input`, for which `out` has room enough.
fn receive(connection: &mut Connection<Server>, mut input: &mut [u8], out: &mut SliceOutput<'_>) {
    while let Some(event) = connection.receive(&mut input, out) {
        let Some(piece) = event.piece() else { continue };
        let sent = connection.send_part(piece.kind(), piece.as_bytes(), piece.is_last(), out);
        // Behind a Close nothing is sent.
        debug_assert!(matches!(sent, Ok(()) | Err(SendError::Closing)), "{sent:?}");
    }
    debug_assert!(input.is_empty());
}

/// The opening handshake. Gives the connection, and the first frames, if some have come along with the head.
fn open<'b>(
    transport: &mut dyn Transport,
    buffer: &'b mut [u8; IN],
    out: &mut SliceOutput<'_>,
) -> Option<(Connection<Server>, &'b mut [u8])> {
    let mut handshake = ServerHandshake::new().limits(HeadLimits { bytes: IN, headers: 32 });
    let deadline = TIMEOUTS.open_deadline(transport.now());
    let mut len = 0;
    let (negotiated, head_len) = loop {
        if deadline.is_some_and(|deadline| deadline <= transport.now()) {
            handshake.refuse(RequestError::TimedOut, out);
            return None;
        }
        match transport.read(&mut buffer[len..]) {
            None => {
                handshake.receive_eof(out);
                return None;
            }
            Some(0) => {
                transport.wait(deadline, false);
                continue;
            }
            Some(count) => len += count,
        }
        // A head that fills the buffer is refused, so there is always room to read.
        match handshake.receive(&buffer[..len], out) {
            RequestProgress::Incomplete => {}
            RequestProgress::Refused(_) => return None,
            // The answer fits `OUT`, so nothing can be wrong with it.
            RequestProgress::Request(request) => break (request.accept(&Accept::new(), out).ok()?, request.head_len()),
        }
    };
    Some((Connection::new(Server, negotiated, Limits::DEFAULT), &mut buffer[head_len..len]))
}

/// Writes a refusal and reads what still comes, so that no transport takes back what was said.
fn drain(transport: &mut dyn Transport, buffer: &mut [u8], queue: &mut Queue<'_>) {
    let until = TIMEOUTS.end.map(|end| transport.now().after(end));
    let mut shut_down = false;
    while until.is_none_or(|until| transport.now() < until) {
        let written = queue.flush(transport);
        if written && !shut_down {
            transport.shutdown_write();
            shut_down = true;
        }
        match transport.read(buffer) {
            None if written => return,
            // The client has only shut down writing, and can still be told.
            None | Some(0) => transport.wait(until, !written),
            Some(_) => {}
        }
    }
}

/// An output of which a part may be written.
struct Queue<'a> {
    out: SliceOutput<'a>,
    /// Bytes of it, from the front.
    written: usize,
}

impl Queue<'_> {
    /// Writes what the transport takes. Whether that was all.
    fn flush(&mut self, transport: &mut dyn Transport) -> bool {
        if !self.is_empty() {
            self.written += transport.write(&self.out.bytes()[self.written..]);
        }
        if self.is_empty() {
            self.out.clear();
            self.written = 0;
        }
        self.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.written == self.out.bytes().len()
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
mod tests;
