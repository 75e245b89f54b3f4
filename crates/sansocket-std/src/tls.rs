//! `wss://` by rustls.
//!
//! The cryptographic provider is chosen here, so nothing depends on what the rest of the program has installed.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
};

use crate::layer::Layer;
use crate::stream::{CloneStream, SplitStream, Stream};
use crate::timing::Limit;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Whom a client trusts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// Trusts the roots that Mozilla trusts, as this build has them.
    pub fn bundled_roots() -> Self {
        Self::with_roots(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// Trusts the roots that this machine trusts.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoRoots`]: the machine has none that can be read.
    pub fn platform_roots() -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(Self::with_roots(roots)) }
    }

    /// Trusts the certificates in `pem`, and nobody else.
    ///
    /// # Errors
    ///
    /// [`TlsError::Pem`], [`TlsError::Rustls`]: what is wrong with the certificates.
    pub fn with_ca(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(TlsError::Rustls)?;
        }
        Ok(Self::with_roots(roots))
    }

    /// Trusts everybody: the connection is encrypted, but nobody knows with whom. For experiments.
    pub fn insecure() -> Self {
        let provider = provider();
        let verifier = TrustEverybody(provider.signature_verification_algorithms);
        let builder = versions(ClientConfig::builder_with_provider(provider));
        let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        Self { config: Arc::new(config) }
    }

    fn with_roots(roots: RootCertStore) -> Self {
        let builder = versions(ClientConfig::builder_with_provider(provider()));
        Self { config: Arc::new(builder.with_root_certificates(roots).with_no_client_auth()) }
    }

    /// Begins TLS over a connected stream: sends `host` as SNI, and will verify the certificate against it. The TLS handshake is done by
    /// the first reads and writes.
    ///
    /// # Errors
    ///
    /// [`TlsError::HostName`]: `host` is neither a DNS name nor an IP address.
    pub fn connect<S: Stream>(&self, stream: S, host: &str) -> Result<TlsStream<S>, TlsError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::HostName)?;
        let client = ClientConnection::new(Arc::clone(&self.config), name).map_err(TlsError::Rustls)?;
        Ok(TlsStream { tls: client.into(), stream })
    }
}

/// What a server shows to its clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
}

impl TlsAcceptor {
    /// A server with a chain of certificates, its own first, and a private key, both in PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError::Pem`], [`TlsError::Rustls`]: what is wrong with them.
    pub fn from_pem(certificate_chain: &[u8], private_key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(certificate_chain)?;
        let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|error| TlsError::Pem(error.to_string()))?;
        let builder = versions(ServerConfig::builder_with_provider(provider())).with_no_client_auth();
        Ok(Self { config: Arc::new(builder.with_single_cert(chain, key).map_err(TlsError::Rustls)?) })
    }

    /// Begins TLS over an accepted stream. The TLS handshake is done by the first reads and writes.
    ///
    /// # Errors
    ///
    /// [`TlsError::Rustls`].
    pub fn accept<S: Stream>(&self, stream: S) -> Result<TlsStream<S>, TlsError> {
        let server = ServerConnection::new(Arc::clone(&self.config)).map_err(TlsError::Rustls)?;
        Ok(TlsStream { tls: server.into(), stream })
    }
}

/// TLS 1.2 and 1.3, which ring has all that is needed for.
fn versions<Side: rustls::ConfigSide>(
    builder: rustls::ConfigBuilder<Side, rustls::WantsVersions>,
) -> rustls::ConfigBuilder<Side, rustls::WantsVerifier> {
    builder.with_safe_default_protocol_versions().expect("the provider has the default versions' cipher suites")
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::Pem(String::from("no certificate in it"))),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsError::Pem(error.to_string())),
    }
}

/// A stream in TLS.
#[derive(Debug)]
pub struct TlsStream<S> {
    tls: Connection,
    stream: S,
}

impl<S: Stream> TlsStream<S> {
    /// Performs the TLS handshake now, so that its errors are told as such.
    ///
    /// # Errors
    ///
    /// [`TlsError`], where TLS has failed and not the stream.
    pub fn handshake(&mut self) -> Result<(), TlsError> {
        self.handshake_within(Limit::after(None))
    }

    pub(crate) fn handshake_within(&mut self, limit: Limit) -> Result<(), TlsError> {
        self.write_pending()?;
        while self.tls.is_handshaking() {
            limit.arm(&mut self.stream)?;
            match self.receive() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Err(TlsError::Io(io::ErrorKind::UnexpectedEof.into())),
                result => _ = result?,
            }
        }
        Ok(())
    }

    /// Reads from the stream once, and writes what TLS answers by itself.
    fn receive(&mut self) -> io::Result<usize> {
        let count = self.tls.read_tls(&mut self.stream)?;
        let processed = self.tls.process_new_packets();
        // An alert for the peer too, which explains the error below.
        let written = self.write_pending();
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        written.map(|()| count)
    }

    fn write_pending(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
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
        self.write_pending()?;
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
        self.stream.flush()
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

/// Why TLS cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The host is neither a DNS name nor an IP address.
    HostName,
    /// This machine has no trusted roots that can be read.
    NoRoots,
    /// A certificate or key cannot be read.
    Pem(String),
    /// The server's certificate is not for the host that was asked for.
    WrongHost(rustls::Error),
    /// The server's certificate has expired, or is not valid yet.
    Expired(rustls::Error),
    /// The server's certificate leads to nobody who is trusted: it is self-signed, say.
    UnknownIssuer(rustls::Error),
    /// Something else is wrong with TLS.
    Rustls(rustls::Error),
    /// The stream failed or ended during the TLS handshake.
    Io(io::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostName => f.write_str("the host is neither a DNS name nor an IP address"),
            Self::NoRoots => f.write_str("this machine has no trusted root certificates"),
            Self::Pem(error) => write!(f, "not a PEM file: {error}"),
            Self::WrongHost(error) => write!(f, "the certificate is for another host: {error}"),
            Self::Expired(error) => write!(f, "the certificate is not valid now: {error}"),
            Self::UnknownIssuer(error) => write!(f, "the certificate is self-signed or of an unknown issuer: {error}"),
            Self::Rustls(error) => write!(f, "TLS: {error}"),
            Self::Io(error) => write!(f, "TLS handshake: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => Self::from(error),
            Err(error) => Self::Io(error),
        }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        use CertificateError as E;
        let rustls::Error::InvalidCertificate(certificate) = &error else { return Self::Rustls(error) };
        match certificate {
            E::NotValidForName | E::NotValidForNameContext { .. } => Self::WrongHost(error),
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
                Self::Expired(error)
            }
            E::UnknownIssuer => Self::UnknownIssuer(error),
            _ => Self::Rustls(error),
        }
    }
}

/// Verifies that the server has the key of the certificate that it shows, and nothing else.
#[derive(Debug)]
struct TrustEverybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for TrustEverybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
