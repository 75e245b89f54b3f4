//! The server's opening handshake.

use std::io::{self, ErrorKind};

use compio::BufResult;
use compio::io::{AsyncRead, AsyncReadExt};
use compio::net::TcpStream;
use sansocket::handshake::{Accept, HeadLimits, RequestError, RequestProgress, ServerHandshake};
use sansocket::{Connection, Limits, Server, Timeouts};

use crate::Session;
use crate::session::{MOST_DRAINED, READ, shutdown, write};
use crate::wait::within;

/// Takes in a client whose request is good.
///
/// # Errors
///
/// The request was not good, and was answered; or the socket's error.
pub async fn accept(mut stream: TcpStream, timeouts: &Timeouts) -> io::Result<Session<Server>> {
    // Replies are written at once, and together.
    stream.set_nodelay(true)?;
    let limits = HeadLimits { bytes: READ, ..HeadLimits::DEFAULT };
    let mut handshake = ServerHandshake::new().limits(limits);
    let mut out = Vec::new();

    // Here a read may be dropped when it takes too long: nobody will ask for what it has taken.
    let error = match within(timeouts.open, request(&mut stream, &mut handshake, &mut out)).await {
        Ok((connection, buffer, head_len)) => return Ok(Session { stream, connection, buffer, head_len, out }),
        Err(error) => error,
    };
    if error.kind() == ErrorKind::TimedOut {
        handshake.refuse(RequestError::TimedOut, &mut out);
    }
    // A client that cannot be told is refused all the same.
    let _ = within(timeouts.end, refuse(stream, out)).await;
    Err(error)
}

/// Reads until the request is there, and answers it in `out`. Gives what was read, and how much of it was the head.
async fn request(
    stream: &mut TcpStream,
    handshake: &mut ServerHandshake<'_>,
    out: &mut Vec<u8>,
) -> io::Result<(Connection<Server>, Vec<u8>, usize)> {
    // All of the head is looked at in one piece, so each read goes behind the last. One that fills the buffer is refused.
    let mut buffer = Vec::with_capacity(READ);
    loop {
        let BufResult(count, filled) = stream.append(buffer).await;
        buffer = filled;
        if count? == 0 {
            return Err(io::Error::other(handshake.receive_eof(out)));
        }
        match handshake.receive(&buffer, out) {
            RequestProgress::Incomplete => {}
            RequestProgress::Refused(error) => return Err(io::Error::other(error)),
            RequestProgress::Request(request) => {
                let negotiated = request.accept(&Accept::new(), out).map_err(io::Error::other)?;
                let head_len = request.head_len();
                return Ok((Connection::new(Server, negotiated, Limits::DEFAULT), buffer, head_len));
            }
        }
    }
}

/// Writes the refusal, and reads what the client still sends: a socket closed over unread input is reset, and the refusal lost.
async fn refuse(mut stream: TcpStream, out: Vec<u8>) -> io::Result<()> {
    write(&stream, out).await.0?;
    shutdown(&stream).await?;
    let (mut buffer, mut drained) = (Vec::with_capacity(READ), 0);
    while drained < MOST_DRAINED {
        let BufResult(count, filled) = stream.read(buffer).await;
        buffer = filled;
        match count? {
            0 => break,
            count => drained += count,
        }
    }
    Ok(())
}
