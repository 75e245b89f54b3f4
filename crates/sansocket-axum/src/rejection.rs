//! What an extractor says of a bad request.

use std::fmt;

use axum::response::{IntoResponse, Response};
use sansocket_hyper::Refusal;

/// Why a request is none for a WebSocket. Its response has the engine's status, headers and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketUpgradeRejection(pub Refusal);

impl IntoResponse for WebSocketUpgradeRejection {
    fn into_response(self) -> Response {
        self.0.response()
    }
}

impl fmt::Display for WebSocketUpgradeRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for WebSocketUpgradeRejection {}
