//! The client's side, over HTTP/1.1.

use http::{Request, Response};
use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sansocket_tokio::sansocket::handshake::{ResponseError, Uri};
use sansocket_tokio::upgrade::offered;
use sansocket_tokio::{ConnectOptions, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::ConnectError;

/// Performs the opening handshake for `uri` over a stream that is connected already, and to the end of TLS if the URI is a `wss://` one. Gives
/// the response's head as well.
///
/// hyper's connection runs in a task of its own, which ends with the handshake.
///
/// The options' `head_limits` and `tls` are without effect: the head's limits are hyper's, and TLS is the stream's.
///
/// # Cancel safety
///
/// Dropped, it closes the stream.
///
/// # Errors
///
/// Why the connection could not be opened.
pub async fn connect<S>(
    options: &ConnectOptions<'_>,
    uri: &str,
    stream: S,
) -> Result<(WebSocket<TokioIo<Upgraded>>, Response<()>), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake::<_, String>(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    connect_over(options, uri, &mut sender).await
}

/// As [`connect`], over a connection of hyper's, which has to be driven `with_upgrades`. It carries no further requests if the server
/// accepts.
///
/// # Cancel safety
///
/// Dropped, it may close the connection.
///
/// # Errors
///
/// As there.
pub async fn connect_over<B: Body + Default + 'static>(
    options: &ConnectOptions<'_>,
    uri: &str,
    sender: &mut SendRequest<B>,
) -> Result<(WebSocket<TokioIo<Upgraded>>, Response<()>), ConnectError> {
    options.within_open(handshake(options, uri, sender)).await.ok_or(ConnectError::TimedOut)?
}

async fn handshake<B: Body + Default + 'static>(
    options: &ConnectOptions<'_>,
    uri: &str,
    sender: &mut SendRequest<B>,
) -> Result<(WebSocket<TokioIo<Upgraded>>, Response<()>), ConnectError> {
    let (uri, policy) = (Uri::parse(uri)?, options.compression_policy());
    let offer = options.offer(&uri, &policy)?;
    let mut request = Request::new(B::default());
    *request.uri_mut() = offer.target().parse().map_err(http::Error::from)?;
    *request.headers_mut() = offered(&offer);
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let handover = match options.check(&offer, &response) {
        Ok(handover) => handover,
        Err(ResponseError::Status) => return Err(ConnectError::Refused(Box::new(response))),
        Err(error) => return Err(ConnectError::Response(error)),
    };
    let mut response = response.map(drop);
    // hyper gives back what it has read behind the head.
    let stream = TokioIo::new(hyper::upgrade::on(&mut response).await?);
    Ok((handover.open(stream, &[]), response))
}
