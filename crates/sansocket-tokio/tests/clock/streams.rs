//! Streams of other kinds than tokio's own.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::StreamExt;
use sansocket_tokio::{AcceptOptions, Error, Negotiated};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::NONE;

/// A stream that never waits: a flood of pings, as often as it says, and then its end, or an error.
struct Ready {
    reads: usize,
    end: Option<io::ErrorKind>,
}

impl AsyncRead for Ready {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.reads == 0 {
            return Poll::Ready(self.end.map_or(Ok(()), |kind| Err(kind.into())));
        }
        self.reads -= 1;
        while room.remaining() >= 6 {
            room.put_slice(b"\x89\x80\0\0\0\0");
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ready {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.end {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_stream_that_never_waits_leaves_other_tasks_their_turns() {
    let stream = Ready { reads: 1000, end: None };
    let mut ws = AcceptOptions::new().timeouts(NONE).upgraded(stream, Negotiated::default(), &[]);
    let mut polls = 0;
    let mut reading = pin!(ws.read());
    let end = poll_fn(|cx| {
        polls += 1;
        reading.as_mut().poll(cx).map(|read| read.map(drop))
    });
    assert!(matches!(end.await, Err(Error::Lost { .. })));
    assert!(polls >= 7, "1000 reads in {polls} polls");
}

#[tokio::test]
async fn any_failure_of_a_stream_is_its_end_and_is_told_once() {
    // What HTTP/2 and TLS call theirs, for instance.
    for kind in [io::ErrorKind::Other, io::ErrorKind::InvalidData, io::ErrorKind::TimedOut] {
        let stream = Ready { reads: 0, end: Some(kind) };
        let mut ws = AcceptOptions::new().timeouts(NONE).upgraded(stream, Negotiated::default(), &[]);
        match ws.next().await {
            Some(Err(Error::Lost { source: Some(source), .. })) => assert_eq!(source.kind(), kind),
            other => panic!("{other:?}"),
        }
        assert!(ws.next().await.is_none());
        assert!(matches!(ws.read().await, Err(Error::Lost { .. })));
    }
}

#[tokio::test]
async fn a_failure_to_write_is_told_to_who_sends_and_to_who_only_reads() {
    let stream = || Ready { reads: 1, end: Some(io::ErrorKind::Other) };
    let open = || AcceptOptions::new().timeouts(NONE).upgraded(stream(), Negotiated::default(), &[]);
    assert!(matches!(open().send("x").await, Err(Error::Io(error)) if error.kind() == io::ErrorKind::Other));
    // The pings cannot be answered.
    match open().read().await {
        Err(Error::Lost { source: Some(source), .. }) => assert_eq!(source.kind(), io::ErrorKind::Other),
        other => panic!("{other:?}"),
    }
}
