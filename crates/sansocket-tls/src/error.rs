//! What can go wrong with TLS.

use std::fmt;
use std::io;

use rustls::CertificateError;

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
