//! `wss://` by rustls.

use std::io::{self, Read, Write};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use sansocket_tls::rustls::Connection;
use sansocket_tls::{TlsAcceptor, TlsConnector, TlsError};

use crate::server::Listen;
use crate::stream::Stream;

/// A stream in TLS.
///
/// Its handshake is part of the connection's opening, within the same time limit. A peer that cannot be verified ends the connection with an
/// error of kind `InvalidData` that holds a [`rustls::Error`](sansocket_tls::rustls::Error), of which [`TlsError`] makes something to be read.
#[derive(Debug)]
pub struct TlsStream<S> {
    tls: Box<Connection>,
    stream: S,
    /// Whether the last read from the stream below has given all there was.
    is_drained: bool,
}

/// Reads, and notes whether there was less than asked for.
struct Noting<'s, S> {
    stream: &'s mut S,
    is_drained: &'s mut bool,
}

impl<S: Stream> Read for Noting<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        *self.is_drained = count < buffer.len() && self.stream.short_read_is_last();
        Ok(count)
    }
}

impl<S: Stream> TlsStream<S> {
    /// A client's end: sends `host` as SNI, and will verify the certificate against it.
    ///
    /// # Errors
    ///
    /// [`TlsError::HostName`]: `host` is neither a DNS name nor an IP address.
    pub fn connect(connector: &TlsConnector, stream: S, host: &str) -> Result<Self, TlsError> {
        Ok(Self { tls: Box::new(connector.session(host)?.into()), stream, is_drained: false })
    }

    /// A server's end.
    ///
    /// # Errors
    ///
    /// [`TlsError::Rustls`].
    pub fn accept(acceptor: &TlsAcceptor, stream: S) -> Result<Self, TlsError> {
        Ok(Self { tls: Box::new(acceptor.session()?.into()), stream, is_drained: false })
    }

    /// The stream below.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    fn write_pending(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            // As without TLS: what takes nothing has no room.
            if self.tls.write_tls(&mut self.stream)? == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(())
    }
}

impl<S: Stream> Read for TlsStream<S> {
    /// Reads from the stream below until that would block, or `buffer` gets something.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What is known of the stream is as old as the last read from it.
        self.is_drained = false;
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            // The end, too: it is the reader that tells whether it was in order.
            self.tls.read_tls(&mut Noting { stream: &mut self.stream, is_drained: &mut self.is_drained })?;
            let processed = self.tls.process_new_packets();
            // What TLS answers by itself, and an alert that explains an error to the peer. What the stream does not take now is written when it
            // takes more.
            let _ = self.write_pending();
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

impl<S: Stream> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What an earlier call could not write goes first, so that no more than a buffer is ever held.
        self.write_pending()?;
        let count = self.tls.writer().write(bytes)?;
        match self.write_pending() {
            // These bytes are taken. Whatever is wrong will be told by the next call.
            Err(_) if count > 0 => Ok(count),
            written => written.map(|()| count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_pending()?;
        self.stream.flush()
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        self.flush()?;
        self.stream.shutdown_write()
    }

    fn is_connected(&mut self) -> io::Result<bool> {
        self.stream.is_connected()
    }

    /// A read gives all that is decrypted, as far as it has room.
    fn short_read_is_last(&self) -> bool {
        self.is_drained
    }

    fn short_write_is_last(&self) -> bool {
        false
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.stream.set_nodelay()
    }
}

impl<S: Source> Source for TlsStream<S> {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.stream.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.stream.deregister(registry)
    }
}

/// Accepts connections in TLS.
#[derive(Debug)]
pub struct TlsListener<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

impl<L: Listen> TlsListener<L> {
    /// What `listener` accepts, in TLS.
    pub const fn new(listener: L, acceptor: TlsAcceptor) -> Self {
        Self { listener, acceptor }
    }
}

impl<L: Listen> Listen for TlsListener<L> {
    type Stream = TlsStream<L::Stream>;

    fn accept(&mut self) -> io::Result<Self::Stream> {
        TlsStream::accept(&self.acceptor, self.listener.accept()?).map_err(io::Error::other)
    }
}

impl<L: Source> Source for TlsListener<L> {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.listener.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.listener.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.listener.deregister(registry)
    }
}
