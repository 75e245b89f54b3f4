//! Connections as streams and sinks of messages.
//!
//! The stream gives an error that was the end, and then ends. Closing the sink sends a Close with 1000.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use sansocket::{CloseCode, SendError};
use sansocket_stream::{Error, Sender};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::message::SharedMessage;
use crate::replies::Replies;
use crate::sending::Access;
use crate::split::{Reader, Writer};
use crate::waiters::Task;
use crate::websocket::WebSocket;

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<SharedMessage, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { link, receiver, .. } = self.get_mut();
        receiver.poll_next(&mut &mut *link, cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Reader<S> {
    type Item = Result<SharedMessage, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { shared, receiver, .. } = self.get_mut();
        receiver.poll_next(&mut &*shared.0, cx)
    }
}

/// Queues a message as a whole, without a wait.
fn start_send(mut access: impl Access, codec: &mut Sender, message: &SharedMessage) -> Result<(), Error> {
    Ok(access.link(|link| Replies::new(link, codec, Task::Writer).queue(message))?)
}

fn poll_ready(mut access: impl Access, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
    access.link(|link| link.poll_room(Task::Writer, cx)).map_err(Error::Io)
}

fn poll_flush(mut access: impl Access, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
    access.link(|link| link.poll_flush_in_time(cx)).map_err(Error::Io)
}

fn poll_close(mut access: impl Access, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
    access.link(|link| {
        match link.close(Some(CloseCode::NORMAL), "") {
            // Closed before, by us or by the peer.
            Ok(()) | Err(SendError::Closing) => {}
            Err(error) => return Poll::Ready(Err(error.into())),
        }
        let flushed = ready!(link.poll_flush_in_time(cx));
        // If both sides have closed, nothing of value was left to be written.
        let is_clean = link.engine.ending().is_some_and(|ending| ending.is_clean());
        Poll::Ready(if is_clean { Ok(()) } else { flushed.map_err(Error::Io) })
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<SharedMessage> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        poll_ready(&mut self.get_mut().link, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: SharedMessage) -> Result<(), Error> {
        let Self { link, codec, .. } = self.get_mut();
        start_send(link, codec, &message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        poll_flush(&mut self.get_mut().link, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        poll_close(&mut self.get_mut().link, cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<SharedMessage> for Writer<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        poll_ready(&*self.shared, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: SharedMessage) -> Result<(), Error> {
        let Self { shared, codec } = self.get_mut();
        start_send(&**shared, codec, &message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        poll_flush(&*self.shared, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        poll_close(&*self.shared, cx)
    }
}
