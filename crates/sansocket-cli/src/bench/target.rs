//! Whom to connect to.

use std::io;
use std::net::{self, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, anyhow};
use mio::net::TcpStream;
use sansocket_mio::Uri;

/// How long one of a host's addresses may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The error number of Unix for "too many open files".
const EMFILE: i32 = 24;

/// The address of a host that lets us connect.
#[derive(Debug)]
pub(super) struct Target {
    address: SocketAddr,
    /// The connection that has shown that it does.
    first: Option<TcpStream>,
    /// How many files this process may have open, where that is known. Looked up while there is one left to do so.
    descriptors: Option<u64>,
}

impl Target {
    /// Tries the host's addresses in turn.
    pub(super) fn find(uri: &Uri<'_>) -> anyhow::Result<Self> {
        let failed = || format!("cannot connect to {}:{}", uri.host(), uri.port());
        let host = uri.host().trim_start_matches('[').trim_end_matches(']');
        let mut result = Err(anyhow!("the host has no address"));
        for address in (host, uri.port()).to_socket_addrs().with_context(failed)? {
            match net::TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_nonblocking(true)?;
                    let first = Some(TcpStream::from_std(stream));
                    return Ok(Self { address, first, descriptors: descriptor_limit() });
                }
                Err(error) => result = Err(error.into()),
            }
        }
        result.with_context(failed)
    }

    /// The same one for somebody else, who gets the first connection if it is not used yet.
    pub(super) fn share(&mut self) -> Self {
        Self { first: self.first.take(), ..*self }
    }

    /// Begins to connect.
    pub(super) fn connect(&mut self) -> io::Result<TcpStream> {
        match self.first.take() {
            Some(stream) => Ok(stream),
            None => TcpStream::connect(self.address),
        }
    }

    /// Why no further connection can be opened at all, if that is what `error` says.
    pub(super) fn explain_exhaustion(&self, error: &io::Error) -> Option<String> {
        if !cfg!(unix) || error.raw_os_error() != Some(EMFILE) {
            return None;
        }
        let limit = self.descriptors.map_or_else(|| String::from("too few"), |limit| limit.to_string());
        Some(format!("{error}; this process may have {limit} open at once (RLIMIT_NOFILE; `ulimit -n` raises it)"))
    }
}

/// The soft limit on file descriptors, as Linux tells it to everybody.
fn descriptor_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
