//! The extractor.

use std::borrow::Cow;
use std::fmt;

use axum::Error;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::Response;
use sansocket_hyper::hyper::upgrade::OnUpgrade;
use sansocket_hyper::{Accept, AcceptOptions, Limits, OriginPolicy, Reason, Refusal, Timeouts, accept_with, head};

use crate::sansocket_tokio::sansocket::handshake::RequestError;
use crate::{WebSocket, WebSocketUpgradeRejection};

/// A good request for a WebSocket, to be answered by [`on_upgrade`](Self::on_upgrade).
///
/// The request is a GET of HTTP/1.1 or, with feature `http2`, an extended CONNECT of HTTP/2; a route of [`any`](axum::routing::any) gets both.
#[must_use = "it does nothing by itself: return what `on_upgrade` gives"]
pub struct WebSocketUpgrade {
    /// All but its body, and with it what hyper needs for the upgrade.
    request: Request<()>,
    /// The subprotocols that the client offers.
    offered: Vec<String>,
    chosen: Option<Cow<'static, str>>,
    /// What the policy says of the origin.
    origin: Result<(), RequestError>,
    options: AcceptOptions<'static>,
    on_failed_upgrade: Option<Box<dyn FnOnce(Error) + Send>>,
}

impl WebSocketUpgrade {
    /// Chooses a subprotocol: the first of these that the client offers.
    pub fn protocols<I>(mut self, protocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        let mut protocols = protocols.into_iter().map(Into::into);
        self.chosen = protocols.find(|protocol| self.offered.iter().any(|offered| offered == protocol));
        self
    }

    /// The subprotocols that the client offers, in order of preference.
    pub fn requested_protocols(&self) -> impl Iterator<Item = &str> {
        self.offered.iter().map(String::as_str)
    }

    /// The subprotocol that [`protocols`](Self::protocols) has chosen.
    pub fn selected_protocol(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// Sets which origins are let in; without it, pages of the same origin, and programs that are no browsers. Others are answered with 403 by
    /// [`on_upgrade`](Self::on_upgrade).
    ///
    /// ```
    /// # use axum::response::Response;
    /// # use sansocket_axum::WebSocketUpgrade;
    /// use sansocket_axum::OriginPolicy;
    ///
    /// async fn handler(ws: WebSocketUpgrade) -> Response {
    ///     ws.origins(OriginPolicy::Only(&["https://example.com"])).on_upgrade(async |ws| drop(ws))
    /// }
    /// ```
    pub fn origins(mut self, origins: OriginPolicy<'_>) -> Self {
        self.origin = self.options.origins(origins).check(&head(&self.request)).map(drop);
        self
    }

    /// Sets the limits of what the client sends.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options = self.options.limits(limits);
        self
    }

    /// Sets the time limits. That for the opening handshake is the HTTP server's business.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.options = self.options.timeouts(timeouts);
        self
    }

    /// Sets the size of the read buffer in bytes; at least one.
    pub fn read_buffer(mut self, size: usize) -> Self {
        self.options = self.options.read_buffer(size);
        self
    }

    /// Accepts permessage-deflate where the client offers it in a way that the policy allows; without it, nothing is compressed.
    #[cfg(feature = "deflate")]
    pub fn compression(mut self, config: crate::sansocket_tokio::deflate::Config) -> Self {
        self.options = self.options.compression(config);
        self
    }

    /// Sets what to do if the connection breaks off before it is a WebSocket; without it, nothing. Of a request that is refused, it is not told.
    pub fn on_failed_upgrade(mut self, callback: impl FnOnce(Error) + Send + 'static) -> Self {
        self.on_failed_upgrade = Some(Box::new(callback));
        self
    }

    /// Answers the request, and calls back in a task of its own, once the client has been answered.
    ///
    /// The response, which has to be returned, may be given further headers.
    #[must_use = "it has to be returned, or the client is not answered"]
    pub fn on_upgrade<C, F>(mut self, callback: C) -> Response
    where
        C: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if let Err(error) = self.origin {
            return Refusal::new(error, self.request.version()).response();
        }
        let accept = self.chosen.as_deref().map_or(Accept::new(), |protocol| Accept::new().protocol(protocol));
        let (response, upgrading) = match accept_with(&self.options, &mut self.request, &accept) {
            Ok(accepted) => accepted,
            Err(refusal) => return refusal.response(),
        };
        tokio::spawn(async move {
            match upgrading.await {
                Ok(ws) => callback(ws).await,
                Err(error) => {
                    if let Some(callback) = self.on_failed_upgrade {
                        callback(Error::new(error));
                    }
                }
            }
        });
        response
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("request", &self.request)
            .field("chosen", &self.chosen)
            .field("origin", &self.origin)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = WebSocketUpgradeRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.version_mut() = parts.version;
        *request.headers_mut() = parts.headers.clone();
        #[cfg(feature = "http2")]
        if let Some(protocol) = parts.extensions.get::<sansocket_hyper::hyper::ext::Protocol>() {
            request.extensions_mut().insert(protocol.clone());
        }
        let reject = |reason| WebSocketUpgradeRejection(reason);
        // What the origin has to be is not known yet.
        let options = AcceptOptions::new().origins(OriginPolicy::Any);
        let offered = {
            let head = head(&request);
            let upgrade = options.check(&head).map_err(|error| reject(Refusal::new(error, parts.version)))?;
            upgrade.protocols().map(str::to_owned).collect()
        };
        let on_upgrade: OnUpgrade =
            parts.extensions.remove().ok_or_else(|| reject(Refusal::new(Reason::NotUpgradable, parts.version)))?;
        request.extensions_mut().insert(on_upgrade);
        let ws = Self { request, offered, chosen: None, origin: Ok(()), options, on_failed_upgrade: None };
        Ok(ws.origins(OriginPolicy::default()))
    }
}
