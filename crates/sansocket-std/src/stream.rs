//! What the adapter needs of a socket beyond reading and writing.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// A blocking stream of bytes.
///
/// Any `Read + Write` becomes one by an empty `impl Stream for Mine {}`. What the defaults leave out only makes an end less orderly:
/// without `shutdown_write`, a peer that violates the protocol may not get to see why; without the time limits, waiting for a
/// peer's end has no limit.
pub trait Stream: Read + Write {
    /// Tells the peer that nothing more will be written.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Limits how long a read may block; it then fails with `WouldBlock` or `TimedOut`. `None` lifts the limit.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Ok(())
    }

    /// Limits how long a write may block, as [`set_read_timeout`](Self::set_read_timeout) does for reads.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Ok(())
    }
}

/// A stream of which a second handle can be had, for a thread that reads and one that writes.
pub trait CloneStream: Stream + Sized {
    /// Another handle to the same stream.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn try_clone(&self) -> io::Result<Self>;
}

macro_rules! socket_stream {
    ($socket:ty) => {
        impl Stream for $socket {
            fn shutdown_write(&mut self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }

            fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                <$socket>::set_read_timeout(self, timeout)
            }

            fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                <$socket>::set_write_timeout(self, timeout)
            }
        }

        impl CloneStream for $socket {
            fn try_clone(&self) -> io::Result<Self> {
                <$socket>::try_clone(self)
            }
        }
    };
}

socket_stream!(TcpStream);
#[cfg(unix)]
socket_stream!(std::os::unix::net::UnixStream);
