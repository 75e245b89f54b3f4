//! A stream that does what it was told, and notes what it was asked for.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use sansocket_std::{AcceptOptions, CloneStream, Layer, Negotiated, SplitStream, Stream, WebSocket};

/// A stream that gives what it was told, in reads of these sizes in turn; 0 is a read that is interrupted, or runs into a limit.
#[derive(Clone)]
pub(crate) struct Script(Arc<Mutex<State>>);

pub(crate) struct State {
    wire: Vec<u8>,
    at: usize,
    sizes: Vec<usize>,
    /// The stream's end is told so the first time.
    pub(crate) error: Option<io::ErrorKind>,
    /// For each read how much room there was, and how much of it was filled.
    reads: Vec<(usize, usize)>,
    pub(crate) written: Vec<u8>,
    /// The next write fails so.
    pub(crate) write_error: Option<io::ErrorKind>,
    /// How many reads there had been when something was written first.
    pub(crate) reads_before_writing: Option<usize>,
}

impl Script {
    pub(crate) fn new(wire: &[u8], sizes: &[usize]) -> Self {
        Self(Arc::new(Mutex::new(State {
            wire: wire.to_vec(),
            at: 0,
            sizes: sizes.to_vec(),
            error: None,
            reads: Vec::new(),
            written: Vec::new(),
            write_error: None,
            reads_before_writing: None,
        })))
    }

    /// Gives all that there is room for.
    pub(crate) fn generous(wire: &[u8]) -> Self {
        Self::new(wire, &[usize::MAX])
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The reads that brought something.
    pub(crate) fn reads(&self) -> Vec<(usize, usize)> {
        self.state().reads.iter().copied().filter(|&(_, count)| count > 0).collect()
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        let turn = state.reads.len();
        let size = state.sizes[turn % state.sizes.len()];
        let count = size.min(buffer.len()).min(state.wire.len() - state.at);
        state.reads.push((buffer.len(), count));
        if size == 0 {
            let kinds = [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock];
            return Err(kinds[turn % 2].into());
        }
        if count == 0 {
            return state.error.take().map_or(Ok(0), |error| Err(error.into()));
        }
        buffer[..count].copy_from_slice(&state.wire[state.at..][..count]);
        state.at += count;
        Ok(count)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let reads = state.reads.len();
        state.reads_before_writing.get_or_insert(reads);
        if let Some(error) = state.write_error.take() {
            return Err(error.into());
        }
        state.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {}

impl CloneStream for Script {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

impl SplitStream for Script {
    type Raw = Self;

    fn into_raw(self) -> (Self, Layer) {
        (self, Layer::default())
    }
}

/// A server over it, behind its opening handshake.
pub(crate) fn server(options: AcceptOptions<'_>, stream: &Script) -> WebSocket<Script> {
    options.upgraded(stream.clone(), Negotiated::default(), &[]).unwrap()
}
