//! What the adapter needs of a socket beyond reading and writing.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::TcpStream;

/// A stream of bytes that does not block, and that a [`Poll`](mio::Poll) can watch.
pub trait Stream: Read + Write + Source {
    /// Tells the peer that nothing more will be written.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Whether a stream that was told to connect has done so; asked whenever it has become writable, until it has.
    ///
    /// # Errors
    ///
    /// Why it cannot connect.
    fn is_connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    /// Whether the read before, which has given fewer bytes than it could, says that the next one would block. So it is with sockets, and
    /// spares them a system call; a stream on top of one may know less.
    fn short_read_is_last(&self) -> bool {
        // Elsewhere mio tells of more only behind a call that would have blocked.
        cfg!(unix)
    }

    /// The same for a write that has taken fewer bytes than it was given.
    fn short_write_is_last(&self) -> bool {
        cfg!(unix)
    }

    /// Whether a vectored read fills all slices, as sockets do, and not the first one only.
    fn reads_vectored(&self) -> bool {
        false
    }

    /// Lets what is written leave at once, where the stream would wait for more: TCP's `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn set_nodelay(&mut self) -> io::Result<()> {
        Ok(())
    }
}

macro_rules! socket_stream {
    ($socket:ty, $set_nodelay:expr) => {
        impl Stream for $socket {
            fn shutdown_write(&mut self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }

            fn is_connected(&mut self) -> io::Result<bool> {
                match self.take_error()? {
                    Some(error) => Err(error),
                    None => match self.peer_addr() {
                        Ok(_) => Ok(true),
                        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
                        Err(error) => Err(error),
                    },
                }
            }

            fn reads_vectored(&self) -> bool {
                true
            }

            fn set_nodelay(&mut self) -> io::Result<()> {
                $set_nodelay(self)
            }
        }
    };
}

socket_stream!(TcpStream, |socket: &TcpStream| socket.set_nodelay(true));
#[cfg(unix)]
socket_stream!(mio::net::UnixStream, |_| Ok(()));
