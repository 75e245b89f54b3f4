//! Where connections come from.

use std::io;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};

use crate::stream::Stream;

/// A socket that accepts connections and does not block.
pub trait Listen: Source {
    /// What it accepts.
    type Stream: Stream;

    /// Accepts one.
    ///
    /// # Errors
    ///
    /// The socket's. Behind `WouldBlock` there is none for now; behind others, it is tried again in a moment.
    fn accept(&mut self) -> io::Result<Self::Stream>;
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    fn accept(&mut self) -> io::Result<TcpStream> {
        Self::accept(self).map(|(stream, _)| stream)
    }
}

#[cfg(unix)]
impl Listen for mio::net::UnixListener {
    type Stream = mio::net::UnixStream;

    fn accept(&mut self) -> io::Result<mio::net::UnixStream> {
        Self::accept(self).map(|(stream, _)| stream)
    }
}
