//! TCP, or TLS over it.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::panic::{self, AssertUnwindSafe};

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sansocket_mio::{Stream, TlsStream};

/// What a connection runs over.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Does the same with either.
macro_rules! either {
    ($socket:expr, $stream:ident => $work:expr) => {
        match $socket {
            Socket::Tcp($stream) => $work,
            Socket::Tls($stream) => $work,
        }
    };
}

/// Reads over TLS, which may call a verifier of the owner's. One that panics has lost its own connection and no other one: the network's thread goes on.
fn caught(read: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    let panicked =
        |_| Err(io::Error::new(io::ErrorKind::InvalidData, "the verifier of the server's certificate has panicked"));
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => caught(|| stream.read(buffer)),
        }
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read_vectored(buffers),
            Self::Tls(stream) => caught(|| stream.read_vectored(buffers)),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, stream => stream.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(self, stream => stream.flush())
    }
}

impl Stream for Socket {
    fn shutdown_write(&mut self) -> io::Result<()> {
        either!(self, stream => stream.shutdown_write())
    }

    fn is_connected(&mut self) -> io::Result<bool> {
        either!(self, stream => stream.is_connected())
    }

    fn short_read_is_last(&self) -> bool {
        either!(self, stream => stream.short_read_is_last())
    }

    fn short_write_is_last(&self) -> bool {
        either!(self, stream => stream.short_write_is_last())
    }

    fn reads_vectored(&self) -> bool {
        either!(self, stream => stream.reads_vectored())
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => Stream::set_nodelay(stream),
            Self::Tls(stream) => stream.set_nodelay(),
        }
    }
}

impl Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        either!(self, stream => stream.register(registry, token, interests))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        either!(self, stream => stream.reregister(registry, token, interests))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        either!(self, stream => stream.deregister(registry))
    }
}
