//! A transport in memory, which tungstenite reads and writes.

use std::io::{self, Cursor, Read, Write};

/// What is read, and what was written.
#[derive(Debug)]
pub(super) struct Wire {
    /// What is read. Behind it the transport has ended.
    input: Cursor<Vec<u8>>,
    /// What was written.
    pub(super) output: Vec<u8>,
}

impl Wire {
    /// A transport that brings these bytes.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { input: Cursor::new(bytes.to_vec()), output: Vec::new() }
    }
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.input.read(room)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
