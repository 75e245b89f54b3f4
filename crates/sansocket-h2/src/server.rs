//! Requests, and what is made of them.

use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::{Request, Version};
use sansocket_tokio::sansocket::handshake::RequestError;
use sansocket_tokio::upgrade::{RequestHead, refusal};
use sansocket_tokio::{Accept, AcceptOptions, WebSocket};

use crate::error::AcceptError;
use crate::stream::H2Stream;

/// A request's head, for [`AcceptOptions::check`]: it shows the subprotocols and the origin that a good request has.
pub fn head<R>(request: &Request<R>) -> RequestHead<'_> {
    RequestHead::new(request, request.extensions().get::<Protocol>().map(Protocol::as_str))
}

/// Accepts a request: with the first subprotocol of the client's that the options have.
///
/// The options' `head_limits` and [`Timeouts::open`](sansocket_tokio::Timeouts::open) are without effect: the head is here, and h2 has limited
/// it (`max_header_list_size` of its builder).
///
/// # Errors
///
/// Why the request is not accepted; a bad one has been answered.
pub fn accept(
    options: &AcceptOptions<'_>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Result<WebSocket<H2Stream>, AcceptError> {
    answer(options, request, respond, None)
}

/// As [`accept`], with a subprotocol of one's own choice, or none, and with further headers in the response.
///
/// # Errors
///
/// As there. [`AcceptError::Answer`]: the request is not answered, and the stream is reset.
pub fn accept_with(
    options: &AcceptOptions<'_>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    accept: &Accept<'_>,
) -> Result<WebSocket<H2Stream>, AcceptError> {
    answer(options, request, respond, Some(accept))
}

fn answer(
    options: &AcceptOptions<'_>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    accept: Option<&Accept<'_>>,
) -> Result<WebSocket<H2Stream>, AcceptError> {
    let (response, handover) = {
        let head = head(&request);
        let upgrade = options.check(&head).or_else(|error| refuse(&mut respond, error))?;
        let accept = accept.copied().unwrap_or_else(|| options.choose(&upgrade));
        options.agree(&upgrade, &accept)?
    };
    let send = respond.send_response(response, false)?;
    Ok(handover.open(H2Stream::accepted(send, request.into_body()), &[]))
}

fn refuse<T>(respond: &mut SendResponse<Bytes>, error: RequestError) -> Result<T, AcceptError> {
    let (head, text) = refusal::<Bytes>(error, Version::HTTP_2).into_parts();
    let mut body = respond.send_response(http::Response::from_parts(head, ()), false)?;
    body.send_data(text, true)?;
    Err(AcceptError::Refused(error))
}
