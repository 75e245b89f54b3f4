//! `wss://` by rustls.

use std::io::{self, Read, Write};
use std::time::Duration;

use sansocket_tls::rustls::Connection;
use sansocket_tls::{TlsAcceptor, TlsConnector, TlsError};

use crate::layer::Layer;
use crate::outbox::{uninterrupted, write_some};
use crate::stream::{CloneStream, SplitStream, Stream};
use crate::timing::{Limit, is_gone};
use crate::write_limit::WriteLimit;

/// A stream in TLS.
#[derive(Debug)]
pub struct TlsStream<S> {
    tls: Connection,
    stream: S,
}

impl<S: Stream> TlsStream<S> {
    /// Begins TLS over a connected stream: sends `host` as SNI, and will verify the certificate against it. The TLS handshake is done by
    /// the first reads and writes.
    ///
    /// # Errors
    ///
    /// [`TlsError::HostName`]: `host` is neither a DNS name nor an IP address.
    pub fn connect(connector: &TlsConnector, stream: S, host: &str) -> Result<Self, TlsError> {
        Ok(Self { tls: connector.session(host)?.into(), stream })
    }

    /// Begins TLS over an accepted stream. The TLS handshake is done by the first reads and writes.
    ///
    /// # Errors
    ///
    /// [`TlsError::Rustls`].
    pub fn accept(acceptor: &TlsAcceptor, stream: S) -> Result<Self, TlsError> {
        Ok(Self { tls: acceptor.session()?.into(), stream })
    }

    /// Performs the TLS handshake now, so that its errors are told as such.
    ///
    /// # Errors
    ///
    /// [`TlsError`], where TLS has failed and not the stream.
    pub fn handshake(&mut self) -> Result<(), TlsError> {
        self.handshake_within(Limit::NONE, &mut WriteLimit::of(&self.stream)?)
    }

    pub(crate) fn handshake_within(&mut self, limit: Limit, write_limit: &mut WriteLimit) -> Result<(), TlsError> {
        self.write_within(limit, write_limit)?;
        while self.tls.is_handshaking() {
            limit.arm(&mut self.stream)?;
            match self.tls.read_tls(&mut self.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => return Err(TlsError::Io(io::ErrorKind::UnexpectedEof.into())),
                result => _ = result?,
            }
            let processed = self.tls.process_new_packets();
            // An alert for the peer too, which explains the error below.
            let written = self.write_within(limit, write_limit);
            processed?;
            written?;
        }
        Ok(())
    }

    fn write_within(&mut self, limit: Limit, write_limit: &mut WriteLimit) -> io::Result<()> {
        let Self { tls, stream } = self;
        while tls.wants_write() {
            limit.check()?;
            write_limit.write(stream, limit, |stream| write_some(|| tls.write_tls(stream)))?;
        }
        write_limit.write(stream, limit, |stream| uninterrupted(|| stream.flush()))
    }

    /// Reads from the stream once, and writes what TLS answers by itself.
    fn receive(&mut self) -> io::Result<()> {
        let in_handshake = self.tls.is_handshaking();
        self.tls.read_tls(&mut self.stream)?;
        let processed = self.tls.process_new_packets();
        // An alert for the peer too, which explains the error below.
        let written = self.flush();
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        // Behind the handshake, what has come has come, and the next call writes the rest.
        if in_handshake { written } else { Ok(()) }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let Self { tls, stream } = self;
        while tls.wants_write() {
            write_some(|| tls.write_tls(stream))?;
        }
        Ok(())
    }

    /// The stream below.
    pub const fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: Stream> Read for TlsStream<S> {
    /// Reads from the stream below once at most. Where that brings no data, it is `Interrupted`, and time limits are looked at before
    /// the next read: a peer that drips TLS records must not escape them.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.flush() {
            // The peer may have said why it takes no more: what it sent is still to be read. But it sends nothing before the handshake is done.
            Err(error) if is_gone(&error) && !self.tls.is_handshaking() => {}
            flushed => flushed?,
        }
        match self.tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
        self.receive()?;
        match self.tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::Interrupted.into()),
            read => read,
        }
    }
}

impl<S: Stream> Write for TlsStream<S> {
    /// Never reads: what is written before the TLS handshake is done leaves with it.
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
        uninterrupted(|| self.stream.flush())
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        self.flush()?;
        self.stream.shutdown_write()
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.stream.write_timeout()
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.stream.set_nodelay()
    }
}

impl<S: CloneStream> SplitStream for TlsStream<S> {
    type Raw = S;

    fn into_raw(self) -> (S, Layer) {
        (self.stream, Layer::tls(self.tls))
    }
}
