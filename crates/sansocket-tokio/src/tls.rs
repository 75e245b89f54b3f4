//! TLS by rustls, below a WebSocket.

use sansocket_tls::{TlsAcceptor, TlsConnector, TlsError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{client, server};

/// Performs a client's TLS handshake over a connected stream: sends `host` as SNI, and verifies the certificate against it.
///
/// # Cancel safety
///
/// Dropped, it drops the stream.
///
/// # Errors
///
/// Why TLS cannot be had: whom the certificate is for, say.
pub async fn connect_tls<S>(connector: &TlsConnector, stream: S, host: &str) -> Result<client::TlsStream<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = sansocket_tls::server_name(host)?;
    Ok(tokio_rustls::TlsConnector::from(connector.config()).connect(name, stream).await?)
}

/// Performs a server's TLS handshake over an accepted stream. It has no time limit of its own: see [`tokio::time::timeout`].
///
/// # Cancel safety
///
/// Dropped, it drops the stream.
///
/// # Errors
///
/// Why TLS cannot be had.
pub async fn accept_tls<S>(acceptor: &TlsAcceptor, stream: S) -> Result<server::TlsStream<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Ok(tokio_rustls::TlsAcceptor::from(acceptor.config()).accept(stream).await?)
}
