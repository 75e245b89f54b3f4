//! What one message costs in the engine, beside its peers and beside what this machine can do at best.
//!
//! ```sh
//! cargo bench --manifest-path benches/Cargo.toml --bench engine                                # everything, about two minutes
//! cargo bench --manifest-path benches/Cargo.toml --bench engine -- receive/server/mixed send   # some
//! ROUNDS=101 cargo bench --manifest-path benches/Cargo.toml --bench engine -- fragments
//! cargo bench --manifest-path benches/Cargo.toml --bench engine --features allocations         # allocations instead of time
//! ```
//!
//! `--json` gives a line for each figure instead of tables; progress goes to stderr. A case is named `direction/role/content`; the role
//! is that of the measured side. All contestants of a case and size take turns; what is told are medians over the rounds, and of the
//! ratios within a round.
//!
//! `receive` begins with bytes in the kernel's place and ends with a contiguous message that was checked. The copy out of that place
//! is a part of it. `send` begins with a payload and ends with frames in a buffer that a socket could write, or with a write, where a peer
//! has no such buffer. Everybody has the buffers with which he is fastest here: ours hold 16 KiB for reading and 64 KiB for writing.
//!
//! Every contestant is looked at before it is measured: whether it receives or sends what it should, and what it lets pass of what it should
//! refuse.

mod cases;
mod fastwebsockets;
mod limits;
mod nexus;
mod ours;
mod report;
mod tokio_websockets;
mod tungstenite;
mod websocket_sans_io;
mod wire;

use wire::Payload;

/// How much we read at a time, in bytes: a message of 16 KiB fits, header and all.
const READ_BUFFER: usize = (16 << 10) + 64;

/// How much we collect before it is written, in bytes.
const WRITE_BUFFER: usize = 64 << 10;

/// What was received is refused, or the stream has ended.
#[derive(Debug)]
struct Refused;

/// Takes messages off a stream.
trait Receive {
    /// Gives the next `count` messages to `each`, whole and contiguous.
    fn receive(&mut self, count: u64, each: impl FnMut(&[u8])) -> Result<(), Refused>;
}

/// Puts messages into a sink, and short ones into a buffer before.
trait Send {
    fn send(&mut self, payload: Payload, count: u64);

    /// Empties the buffer as well and gives everything that was written. From then on the sink keeps nothing.
    fn written(&mut self) -> Vec<u8>;
}

fn main() {
    cases::run(&mut report::Report::from_arguments());
}
