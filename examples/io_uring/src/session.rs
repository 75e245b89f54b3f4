//! One connection behind its opening handshake.

use std::io;
use std::mem;
use std::pin::pin;
use std::time::Instant;

use compio::BufResult;
use compio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use compio::net::TcpStream;
use futures_util::future::{Fuse, FusedFuture, FutureExt};
use futures_util::select_biased;
use sansocket::{Connection, Deadlines, Ending, Event, Expired, NextStep, Role, SendError, Server, Time, Timeouts};

use crate::wait::until;

/// Bytes that the kernel is given room for at once. The handshake's head has to fit too.
pub(crate) const READ: usize = 16 * 1024;

/// While more than this waits to be written, nothing is read. So a peer that does not read cannot make us queue more than this and
/// what one read makes us answer.
const MOST_QUEUED: usize = 64 * 1024;

/// While more than this waits to be written, the application is not asked for more. It is below the other limit, so that a side that
/// sends for long still reads: if neither did, both would wait for ever.
const ENOUGH_QUEUED: usize = MOST_QUEUED / 2;

/// What is discarded at most of a peer that has been told to stop.
pub(crate) const MOST_DRAINED: usize = 16 * 1024 * 1024;

/// What is done with a connection.
pub trait Application<R: Role> {
    /// Something has come. Replies are in `out` already.
    fn received(&mut self, event: Event<'_>, connection: &mut Connection<R>, out: &mut Vec<u8>);

    /// There is room to send something. Called until it puts nothing, or enough.
    fn send(&mut self, connection: &mut Connection<R>, out: &mut Vec<u8>);
}

/// Sends every message back, piece by piece.
#[derive(Debug)]
pub struct Echo;

impl Application<Server> for Echo {
    fn received(&mut self, event: Event<'_>, connection: &mut Connection<Server>, out: &mut Vec<u8>) {
        let Some(piece) = event.piece() else { return };
        let sent = connection.send_part(piece.kind(), piece.as_bytes(), piece.is_last(), out);
        // What can be against it is a Close of ours, behind which nothing is sent.
        debug_assert!(matches!(sent, Ok(()) | Err(SendError::Closing)), "{sent:?}");
    }

    fn send(&mut self, _connection: &mut Connection<Server>, _out: &mut Vec<u8>) {}
}

/// A connection that is open, and what its opening handshake has left.
pub struct Session<R> {
    pub(crate) stream: TcpStream,
    pub(crate) connection: Connection<R>,
    /// The bytes behind the head, from there on, are the first frames.
    pub(crate) buffer: Vec<u8>,
    pub(crate) head_len: usize,
    /// The response, on a server.
    pub(crate) out: Vec<u8>,
}

impl<R: Role> Session<R> {
    /// Runs the connection to its end, and closes the socket.
    pub async fn run(mut self, application: &mut impl Application<R>, timeouts: &Timeouts) -> Option<Ending> {
        self.drive(application, timeouts).await;
        self.connection.receive_eof();
        // What was under way is dropped by now, and the kernel is told. This waits until it has let go of the socket; that the socket could
        // not be closed in order changes nothing.
        let _ = self.stream.close().await;
        self.connection.ending()
    }

    async fn drive(&mut self, application: &mut impl Application<R>, timeouts: &Timeouts) {
        let Self { stream, connection, buffer, head_len, out } = self;
        let stream = &*stream;
        let epoch = Instant::now();
        let now = || Time::default().after(epoch.elapsed());
        let mut deadlines = Deadlines::new(now());
        let mut reading = pin!(Fuse::terminated());
        let mut writing = pin!(Fuse::terminated());
        // What was written last: the next output, when the kernel gets this one.
        let mut spare = Vec::new();
        let mut shut_down = false;
        let mut drained = 0;

        receive(connection, &mut buffer[*head_len..], out, application);
        loop {
            while connection.may_send() && out.len() < ENOUGH_QUEUED {
                let before = out.len();
                application.send(connection, out);
                if out.len() == before {
                    break;
                }
                deadlines.active(now());
            }
            // One write for all that has gathered, and one at a time, so that the order is kept.
            if writing.is_terminated() && !out.is_empty() {
                writing.set(write(stream, mem::replace(out, mem::take(&mut spare))).fuse());
            }
            let written = writing.is_terminated();
            let read_on = match connection.next_step() {
                NextStep::Open => out.len() <= MOST_QUEUED,
                NextStep::AwaitEof => true,
                NextStep::DrainAfterFlush => {
                    if drained > MOST_DRAINED || written && !shut_down && shutdown(stream).await.is_err() {
                        return;
                    }
                    shut_down = written;
                    true
                }
                NextStep::CloseAfterFlush if !written => false,
                // It is written; or the transport has ended, and nobody is there to read.
                _ => return,
            };
            if read_on && reading.is_terminated() {
                reading.set(read(stream, mem::take(buffer)).fuse());
            }
            // To be asked before each wait: this is also how a close that has begun is noticed.
            let due = deadlines.next(now(), timeouts, connection);
            let mut waiting = pin!(until(due.map(|due| epoch + due.since(Time::default()))).fuse());
            select_biased! {
                BufResult(result, filled) = reading => {
                    *buffer = filled;
                    match result {
                        // A reset is as much of an end as an end in order.
                        Ok(0) | Err(_) => connection.receive_eof(),
                        Ok(count) => {
                            deadlines.received(now());
                            if connection.failure().is_some() {
                                drained += count;
                            }
                            if receive(connection, buffer, out, application) {
                                deadlines.active(now());
                            }
                        }
                    }
                }
                BufResult(result, buffer) = writing => {
                    spare = buffer;
                    spare.clear();
                    if result.is_err() {
                        connection.receive_eof();
                    }
                }
                () = waiting => {
                    if deadlines.expire(now(), timeouts, connection, out) == Expired::Transport {
                        // The peer's part of the end was waited for in vain.
                        return;
                    }
                }
            }
        }
    }
}

/// Takes in what the kernel has put into the buffer, all of it: the output has no bound of its own. Whether any of it belonged to a
/// message.
fn receive<R: Role>(
    connection: &mut Connection<R>,
    mut input: &mut [u8],
    out: &mut Vec<u8>,
    application: &mut impl Application<R>,
) -> bool {
    let mut message = false;
    while let Some(event) = connection.receive(&mut input, out) {
        message |= event.piece().is_some();
        application.received(event, connection, out);
    }
    message
}

/// Gives the buffer to the kernel, and gets it back with what was received.
async fn read(mut stream: &TcpStream, mut buffer: Vec<u8>) -> BufResult<usize, Vec<u8>> {
    // A read only ever makes a buffer longer: behind a short one, the end of the last would still be there.
    buffer.clear();
    stream.read(buffer).await
}

/// Gives the buffer to the kernel until it has written the last byte: a write may take less than it was given.
pub(crate) async fn write(mut stream: &TcpStream, buffer: Vec<u8>) -> BufResult<(), Vec<u8>> {
    stream.write_all(buffer).await
}

pub(crate) async fn shutdown(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown().await
}
