//! What the adapter needs of a socket beyond reading and writing.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::layer::Layer;

/// A blocking stream of bytes.
///
/// Any `Read + Write` becomes one by an empty `impl Stream for Mine {}`. Without `shutdown_write`, a peer that violates the protocol may
/// not get to see why. Without the time limits, the adapter has none either: no keepalive, and no end to waiting for a peer.
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

    /// The limit for writes that the stream has, so that it still holds for the caller's writes where the adapter has set another one
    /// for its own.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(None)
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

/// A stream of which a second handle can be had, for a thread that reads and one that writes.
pub trait CloneStream: Stream + Sized {
    /// Another handle to the same stream.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn try_clone(&self) -> io::Result<Self>;
}

/// A stream that two threads can share: one reads, one writes.
///
/// For a stream of your own that is [`CloneStream`], `into_raw` gives it and [`Layer::default`].
pub trait SplitStream: Stream {
    /// The socket below.
    type Raw: CloneStream;

    /// The socket, and what lies between it and the engine.
    fn into_raw(self) -> (Self::Raw, Layer);
}

macro_rules! socket_stream {
    ($socket:ty, $set_nodelay:expr) => {
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

            fn write_timeout(&self) -> io::Result<Option<Duration>> {
                <$socket>::write_timeout(self)
            }

            fn set_nodelay(&mut self) -> io::Result<()> {
                $set_nodelay(self)
            }
        }

        impl SplitStream for $socket {
            type Raw = Self;

            fn into_raw(self) -> (Self, Layer) {
                (self, Layer::default())
            }
        }

        impl CloneStream for $socket {
            fn try_clone(&self) -> io::Result<Self> {
                <$socket>::try_clone(self)
            }
        }
    };
}

/// What [`connect`](crate::connect) connects: TCP, and TLS where the URI asks for it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Socket {
    /// `ws://`
    Tcp(TcpStream),
    /// `wss://`
    #[cfg(feature = "tls")]
    Tls(Box<crate::TlsStream<TcpStream>>),
}

impl Socket {
    /// The TCP stream below.
    pub const fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.stream(),
        }
    }

    fn stream(&mut self) -> &mut dyn Stream {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => &mut **stream,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream().read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream().write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream().write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream().flush()
    }
}

impl Stream for Socket {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream().shutdown_write()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream().set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream().set_write_timeout(timeout)
    }

    fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.tcp().write_timeout()
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.stream().set_nodelay()
    }
}

impl SplitStream for Socket {
    type Raw = TcpStream;

    fn into_raw(self) -> (TcpStream, Layer) {
        match self {
            Self::Tcp(stream) => stream.into_raw(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.into_raw(),
        }
    }
}

socket_stream!(TcpStream, |socket: &TcpStream| socket.set_nodelay(true));
#[cfg(unix)]
socket_stream!(std::os::unix::net::UnixStream, |_| Ok(()));
