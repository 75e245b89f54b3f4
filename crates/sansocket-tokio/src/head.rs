//! What both sides of an opening handshake need.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read of a head at once, in bytes.
const CHUNK: usize = 2048;

/// Waits for `future`, but no longer than `limit`: `TimedOut`.
pub(crate) async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> io::Result<T> {
    match limit {
        Some(limit) => Ok(tokio::time::timeout(limit, future).await?),
        None => Ok(future.await),
    }
}

/// Reads once, behind what was received of a handshake. The end of the stream is an error.
pub(crate) async fn read_some(stream: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) -> io::Result<()> {
    received.reserve(CHUNK);
    match stream.read_buf(received).await? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended inside the opening handshake")),
        _ => Ok(()),
    }
}
