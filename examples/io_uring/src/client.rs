//! The client's opening handshake.

use std::io;

use compio::BufResult;
use compio::io::AsyncReadExt;
use compio::net::TcpStream;
use sansocket::handshake::{ClientRequest, HeadLimits, ResponseProgress};
use sansocket::{Client, Connection, Limits, RandomKeys, Timeouts};

use crate::Session;
use crate::session::{READ, write};
use crate::wait::within;

/// Sends the request over a stream that is connected, and waits for the response.
///
/// # Errors
///
/// The server has refused, or has answered something else; or the socket's error.
pub async fn connect(
    stream: TcpStream,
    request: ClientRequest<'_>,
    timeouts: &Timeouts,
) -> io::Result<Session<Client<RandomKeys>>> {
    stream.set_nodelay(true)?;
    within(timeouts.open, open(stream, request)).await
}

async fn open(mut stream: TcpStream, request: ClientRequest<'_>) -> io::Result<Session<Client<RandomKeys>>> {
    let mut out = Vec::new();
    let request = request.limits(HeadLimits { bytes: READ, ..HeadLimits::DEFAULT });
    let mut handshake = request.start(rand::random(), &mut out).map_err(io::Error::other)?;
    let BufResult(written, mut out) = write(&stream, out).await;
    written?;
    out.clear();

    let mut buffer = Vec::with_capacity(READ);
    loop {
        let BufResult(count, filled) = stream.append(buffer).await;
        buffer = filled;
        if count? == 0 {
            return Err(io::Error::other(handshake.receive_eof()));
        }
        match handshake.receive(&buffer) {
            ResponseProgress::Incomplete => {}
            ResponseProgress::Failed(error) => return Err(io::Error::other(error)),
            ResponseProgress::Refused(response) => {
                return Err(io::Error::other(format!("refused with status {}", response.status())));
            }
            ResponseProgress::Accepted(response) => {
                let client = Client::new(RandomKeys);
                let connection = Connection::new(client, response.negotiated(), Limits::DEFAULT);
                let head_len = response.head_len();
                return Ok(Session { stream, connection, buffer, head_len, out });
            }
        }
    }
}
