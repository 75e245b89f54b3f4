//! What both sides of an opening handshake need.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How much is read of a head at once, in bytes.
const CHUNK: usize = 2048;

/// Makes a call again as long as it is interrupted, which tokio's own calls take for an error. No function: its future would not be `Send`.
macro_rules! again {
    ($call:expr) => {
        loop {
            match $call.await {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result,
            }
        }
    };
}
pub(crate) use again;

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
    match again!(stream.read_buf(received))? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended inside the opening handshake")),
        _ => Ok(()),
    }
}

/// Writes all of `bytes`, and flushes.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match again!(stream.write(bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    again!(stream.flush())
}
