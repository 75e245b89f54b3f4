//! TLS for the adapters of `sansocket`, by rustls: whom a client trusts, what a server shows, and what can go wrong.
//!
//! It makes sessions and moves no bytes. An adapter reads and writes them over its own kind of I/O:
//!
//! ```
//! use sansocket_tls::TlsConnector;
//!
//! let mut session = TlsConnector::bundled_roots().session("example.com")?;
//! let mut hello = Vec::new();
//! session.write_tls(&mut hello)?; // to be sent; what comes back goes to `read_tls`
//! assert_eq!(hello[0], 22, "a handshake record");
//! # Ok::<(), sansocket_tls::TlsError>(())
//! ```
//!
//! The cryptographic provider is chosen here, so nothing depends on what the rest of the program has installed. Who wants another one,
//! client certificates, ALPN or anything else of rustls makes a configuration of their own:
//!
//! ```
//! use std::sync::Arc;
//!
//! use sansocket_tls::TlsConnector;
//! use sansocket_tls::rustls::{ClientConfig, RootCertStore, crypto::ring};
//!
//! let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
//!     .with_safe_default_protocol_versions()?
//!     .with_root_certificates(RootCertStore::empty())
//!     .with_no_client_auth();
//! config.alpn_protocols = vec![b"http/1.1".to_vec()];
//! let connector = TlsConnector::from(config);
//! # assert!(connector.session("example.com").is_ok());
//! # Ok::<(), sansocket_tls::rustls::Error>(())
//! ```

mod error;
mod verifier;

pub use error::TlsError;
pub use rustls;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use crate::verifier::TrustEverybody;

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
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth().into()
    }

    fn with_roots(roots: RootCertStore) -> Self {
        let builder = versions(ClientConfig::builder_with_provider(provider()));
        builder.with_root_certificates(roots).with_no_client_auth().into()
    }

    /// A session with `host`, which is sent as SNI and which the certificate will be verified against. The brackets of an IPv6 address
    /// in a URI do no harm.
    ///
    /// # Errors
    ///
    /// [`TlsError::HostName`]: `host` is neither a DNS name nor an IP address. [`TlsError::Rustls`]: the configuration is no good.
    pub fn session(&self, host: &str) -> Result<ClientConnection, TlsError> {
        ClientConnection::new(self.config(), server_name(host)?).map_err(TlsError::Rustls)
    }

    /// The configuration, for those who make sessions of their own.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

/// A host as rustls wants it. The brackets of an IPv6 address in a URI do no harm.
///
/// # Errors
///
/// [`TlsError::HostName`]: `host` is neither a DNS name nor an IP address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::HostName)
}

impl From<Arc<ClientConfig>> for TlsConnector {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self { config }
    }
}

impl From<ClientConfig> for TlsConnector {
    fn from(config: ClientConfig) -> Self {
        Self { config: Arc::new(config) }
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
        Ok(builder.with_single_cert(chain, key).map_err(TlsError::Rustls)?.into())
    }

    /// A session with a client.
    ///
    /// # Errors
    ///
    /// [`TlsError::Rustls`]: the configuration is no good.
    pub fn session(&self) -> Result<ServerConnection, TlsError> {
        ServerConnection::new(self.config()).map_err(TlsError::Rustls)
    }

    /// The configuration, for those who make sessions of their own.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl From<Arc<ServerConfig>> for TlsAcceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self { config }
    }
}

impl From<ServerConfig> for TlsAcceptor {
    fn from(config: ServerConfig) -> Self {
        Self { config: Arc::new(config) }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
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
