//! Waiting for a point in time, which may never come.

use std::future;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use compio::time::{sleep_until, timeout};

pub(crate) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => future::pending().await,
    }
}

/// Drops `work` when it has taken too long.
pub(crate) async fn within<T>(limit: Option<Duration>, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        Some(limit) => timeout(limit, work).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())),
        None => work.await,
    }
}
