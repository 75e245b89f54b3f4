//! Requests, and what is made of them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sansocket_tokio::upgrade::{Handover, RequestHead};
use sansocket_tokio::{Accept, AcceptOptions, WebSocket};

use crate::error::{Reason, Refusal};

/// A request's head, for [`AcceptOptions::check`]: it shows the subprotocols and the origin that a good request has.
pub fn head<R>(request: &Request<R>) -> RequestHead<'_> {
    #[cfg(feature = "http2")]
    let protocol = request.extensions().get::<hyper::ext::Protocol>().map(hyper::ext::Protocol::as_str);
    #[cfg(not(feature = "http2"))]
    let protocol = None;
    RequestHead::new(request, protocol)
}

/// Accepts a request: with the first subprotocol of the client's that the options have. Gives the response, and the connection that is to
/// come behind it.
///
/// The response has an empty body: that of any type will do. The request's body is left alone, because there is none.
///
/// The options' `head_limits` and [`Timeouts::open`](sansocket_tokio::Timeouts::open) are without effect: the head is here, and hyper's builder limits
/// it and the time for it.
///
/// # Errors
///
/// Why the request is not accepted. Nothing is answered by itself: return [`Refusal::response`].
pub fn accept<R, B: Default>(
    options: &AcceptOptions<'_>,
    request: &mut Request<R>,
) -> Result<(Response<B>, Upgrading), Refusal> {
    answer(options, request, None)
}

/// As [`accept`], with a subprotocol of one's own choice, or none.
///
/// # Errors
///
/// As there.
pub fn accept_with<R, B: Default>(
    options: &AcceptOptions<'_>,
    request: &mut Request<R>,
    accept: &Accept<'_>,
) -> Result<(Response<B>, Upgrading), Refusal> {
    answer(options, request, Some(accept))
}

fn answer<R, B: Default>(
    options: &AcceptOptions<'_>,
    request: &mut Request<R>,
    accept: Option<&Accept<'_>>,
) -> Result<(Response<B>, Upgrading), Refusal> {
    let version = request.version();
    let (response, handover) = {
        let head = head(request);
        let upgrade = options.check(&head).map_err(|error| Refusal::new(error, version))?;
        let accept = accept.copied().unwrap_or_else(|| options.choose(&upgrade));
        options.agree(&upgrade, &accept).map_err(|error| Refusal::new(error, version))?
    };
    // A request that is refused stays as it was: somebody else may have a use for it.
    let on_upgrade = request.extensions_mut().remove().ok_or(Refusal::new(Reason::NotUpgradable, version))?;
    Ok((response, Upgrading { on_upgrade, handover: Some(handover) }))
}

/// A connection that is to come, once hyper has sent the response that accepts it. To be awaited in another task than the one that returns
/// the response.
///
/// # Cancel safety
///
/// It may be polled again behind a poll that was given up. Dropped, it drops the stream as soon as hyper hands it over: the client loses the connection.
///
/// # Errors
///
/// hyper's: the client is gone, or the connection was served without upgrades.
#[derive(Debug)]
#[must_use = "the client has been told that it is connected"]
pub struct Upgrading {
    on_upgrade: OnUpgrade,
    handover: Option<Handover>,
}

impl Future for Upgrading {
    type Output = Result<WebSocket<TokioIo<Upgraded>>, hyper::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let upgraded = ready!(Pin::new(&mut self.on_upgrade).poll(cx))?;
        let handover = self.handover.take().expect("a future is not polled behind its end");
        // hyper gives back what it has read behind the head.
        Poll::Ready(Ok(handover.open(TokioIo::new(upgraded), &[])))
    }
}
