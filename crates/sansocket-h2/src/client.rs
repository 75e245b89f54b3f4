//! The client's side.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::ext::Protocol;
use h2::{Ping, RecvStream};
use http::{Method, Request, Response};
use sansocket_tokio::sansocket::handshake::{ResponseError, Uri};
use sansocket_tokio::upgrade::offered;
use sansocket_tokio::{ConnectOptions, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::ConnectError;
use crate::stream::H2Stream;

/// The connection's window, in bytes: that of 16 streams, so that one which is not read does not stop the others.
const WINDOW: u32 = 1 << 20;

/// Begins HTTP/2 with a server over a stream, and waits until the server has said whether it takes WebSockets. The connection runs in a task
/// of its own, which ends when nobody has a use for it any more.
///
/// Of the options, it is [`Timeouts::open`](sansocket_tokio::Timeouts::open) that counts here: as long as that it may take. The connection's window
/// is 1 MiB. A connection of [`h2::client`] with other settings will do as well.
///
/// # Cancel safety
///
/// Dropped, it closes the stream.
///
/// # Errors
///
/// [`ConnectError::H2`] and [`ConnectError::TimedOut`].
pub async fn handshake<S>(options: &ConnectOptions<'_>, stream: S) -> Result<SendRequest<Bytes>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    options.within_open(begin(stream)).await.ok_or(ConnectError::TimedOut)?
}

async fn begin<S>(stream: S) -> Result<SendRequest<Bytes>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, mut connection) =
        client::Builder::new().initial_connection_window_size(WINDOW).handshake(stream).await?;
    let mut ping = connection.ping_pong().expect("nobody has taken it before");
    tokio::spawn(connection);
    // RFC 9113, 3.4: a server's settings are the first that it sends, so they are here before the answer.
    ping.ping(Ping::opaque()).await?;
    Ok(client)
}

/// Opens a WebSocket on a connection that there is already. Gives the response's head as well.
///
/// The options' `head_limits` and `tls` are without effect: the head's limits are h2's, `max_header_list_size` of its builder, and TLS is
/// the connection's. What was sent before the [`WebSocket`] is dropped still leaves, if that happens inside of a runtime: [`H2Stream`].
///
/// # Cancel safety
///
/// Dropped, it resets the stream; the connection goes on.
///
/// # Errors
///
/// Why it could not be opened. [`ConnectError::Unsupported`] if the server's settings have not come yet: [`handshake`] waits for them.
pub async fn connect(
    options: &ConnectOptions<'_>,
    uri: &str,
    client: &mut SendRequest<Bytes>,
) -> Result<(WebSocket<H2Stream>, Response<()>), ConnectError> {
    options.within_open(open(options, uri, client)).await.ok_or(ConnectError::TimedOut)?
}

async fn open(
    options: &ConnectOptions<'_>,
    uri: &str,
    client: &mut SendRequest<Bytes>,
) -> Result<(WebSocket<H2Stream>, Response<()>), ConnectError> {
    let (uri, policy) = (Uri::parse(uri)?, options.compression_policy());
    let offer = options.offer_connect(&uri, &policy)?;
    poll_fn(|cx| client.poll_ready(cx)).await?;
    // RFC 8441, 3: "A sender MUST NOT use the Extended CONNECT Protocol" before it has received the setting.
    if !client.is_extended_connect_protocol_enabled() {
        return Err(ConnectError::Unsupported);
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    let pseudo = offer.pseudo();
    let target = http::Uri::builder().scheme(pseudo.scheme.unwrap_or_default());
    let target = target.authority(pseudo.authority.unwrap_or_default()).path_and_query(offer.target());
    *request.uri_mut() = target.build()?;
    *request.headers_mut() = offered(&offer);
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let (response, send) = client.send_request(request, false)?;
    let response: Response<RecvStream> = response.await?;
    match options.check(&offer, &response) {
        Ok(handover) => {
            let (head, receive) = response.into_parts();
            let stream = H2Stream::opened(send, receive, options.end_timeout());
            Ok((handover.open(stream, &[]), Response::from_parts(head, ())))
        }
        Err(ResponseError::Status) => Err(ConnectError::Refused(Box::new(response))),
        Err(error) => Err(ConnectError::Response(error)),
    }
}
