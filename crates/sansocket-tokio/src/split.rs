//! A connection in the hands of two tasks.
//!
//! Both poll the same link, under a lock that is held within one poll. What each does is whole by then, so the order in which they are polled
//! does not matter; and whoever is polled writes all that is queued, also what the other has left.

use std::fmt;
use std::sync::{Arc, PoisonError};

use sansocket::deflate::Compress;
use sansocket::{CloseCode, Ending, Kind, Limits, Message, OwnedMessage, Piece, Prepared, SendError};
use sansocket_stream::{Error, ResponseHead, Sender};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::link::Link;
use crate::receiver::Receiver;
use crate::sending;
use crate::settings::Opening;
use crate::sync::{Mutex, MutexGuard};
use crate::websocket::WebSocket;

/// The half of a connection that reads. It answers pings and closes, and keeps the time limits: a connection whose reading half is not polled does none
/// of that.
#[derive(Debug)]
pub struct Reader<S> {
    pub(crate) shared: Reading<S>,
    pub(crate) receiver: Receiver,
    opening: Opening,
}

/// The reading half's hold of the link.
#[derive(Debug)]
pub(crate) struct Reading<S>(pub(crate) Arc<Mutex<Link<S>>>);

impl<S> Drop for Reading<S> {
    fn drop(&mut self) {
        // A half that sends keeps the time for itself from now on.
        lock(&self.0).forget_reader();
    }
}

/// The half of a connection that writes.
#[derive(Debug)]
pub struct Writer<S> {
    pub(crate) shared: Arc<Mutex<Link<S>>>,
    pub(crate) codec: Sender,
}

/// Two halves are not of the same connection.
#[derive(Debug)]
pub struct ReuniteError<S>(Box<(Reader<S>, Writer<S>)>);

impl<S> ReuniteError<S> {
    /// Gives them back.
    pub fn into_halves(self) -> (Reader<S>, Writer<S>) {
        *self.0
    }
}

impl<S> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of different connections")
    }
}

impl<S: fmt::Debug> std::error::Error for ReuniteError<S> {}

pub(crate) fn split<S>(websocket: WebSocket<S>) -> (Reader<S>, Writer<S>) {
    let (link, receiver, codec, opening) = websocket.into_parts();
    let shared = Arc::new(Mutex::new(link));
    (Reader { shared: Reading(Arc::clone(&shared)), receiver, opening }, Writer { shared, codec })
}

fn lock<S>(shared: &Mutex<Link<S>>) -> MutexGuard<'_, Link<S>> {
    // A thread that panicked has left nothing half done: the engine's calls do all or nothing.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    /// As [`WebSocket::read`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read(&mut self) -> Result<Option<Message<'_>>, Error> {
        self.receiver.read(&mut &*self.shared.0).await
    }

    /// As [`WebSocket::read_owned`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read_owned(&mut self) -> Result<Option<OwnedMessage>, Error> {
        self.receiver.read_owned(&mut &*self.shared.0).await
    }

    /// As [`WebSocket::read_piece`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read_piece(&mut self) -> Result<Option<Piece<'_>>, Error> {
        self.receiver.read_piece(&mut &*self.shared.0).await
    }
}

impl<S> Reader<S> {
    /// Queues a Close, which leaves with the next read or the other half's next write. Read on until `None`.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::start_close`].
    pub fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), SendError> {
        lock(&self.shared.0).close(code.into(), reason)
    }

    /// As [`WebSocket::protocol`].
    pub fn protocol(&self) -> Option<&str> {
        self.opening.protocol.as_deref()
    }

    /// As [`WebSocket::response`].
    pub fn response(&self) -> Option<&ResponseHead> {
        self.opening.response.as_deref()
    }

    /// As [`WebSocket::limits`].
    pub fn limits(&self) -> Limits {
        lock(&self.shared.0).engine.limits()
    }

    /// As [`WebSocket::set_limits`].
    pub fn set_limits(&mut self, limits: Limits) {
        lock(&self.shared.0).engine.set_limits(limits);
    }

    /// The code and the reason of the peer's Close, once it has come.
    pub fn peer_close(&self) -> Option<(Option<CloseCode>, String)> {
        let link = lock(&self.shared.0);
        link.engine.peer_close().map(|close| (close.code(), close.reason().to_owned()))
    }

    /// How the connection ended, once nothing more will be read.
    pub fn ending(&self) -> Option<Ending> {
        lock(&self.shared.0).engine.ending()
    }

    /// Puts the halves together again.
    ///
    /// # Errors
    ///
    /// They are of different connections.
    pub fn reunite(self, writer: Writer<S>) -> Result<WebSocket<S>, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.shared.0, &writer.shared) {
            return Err(ReuniteError(Box::new((self, writer))));
        }
        let Self { shared: reading, receiver, opening } = self;
        let Writer { shared, codec } = writer;
        drop(reading);
        let link = Arc::into_inner(shared).expect("there are two halves, and both are here");
        let link = link.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(WebSocket::from_parts(link, receiver, codec, opening))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// As [`WebSocket::queue`], also in that it is cancel safe. What was queued leaves with [`flush`](Self::flush) or [`send`](Self::send), or with the next
    /// read that begins to wait; not with one that waits already.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn queue<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        sending::queue(&*self.shared, &mut self.codec, message.into(), Compress::Auto).await
    }

    /// As [`WebSocket::queue_with`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub async fn queue_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), Error> {
        sending::queue(&*self.shared, &mut self.codec, message.into(), compress).await
    }

    /// As [`WebSocket::try_queue`]; what was queued leaves as behind [`queue`](Self::queue).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_queue<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        sending::try_queue(&*self.shared, &mut self.codec, |mut replies| replies.queue(message))
    }

    /// As [`WebSocket::try_queue_prepared`]; what was queued leaves as behind [`queue`](Self::queue).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_queue_prepared(&mut self, prepared: &Prepared) -> Result<(), SendError> {
        sending::try_queue(&*self.shared, &mut self.codec, |mut replies| replies.queue_prepared(prepared))
    }

    /// As [`WebSocket::send`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        self.queue(message).await?;
        self.flush().await
    }

    /// As [`WebSocket::send_with`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub async fn send_with<'m>(&mut self, message: impl Into<Message<'m>>, compress: Compress) -> Result<(), Error> {
        self.queue_with(message, compress).await?;
        self.flush().await
    }

    /// As [`WebSocket::queue_prepared`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn queue_prepared(&mut self, prepared: &Prepared) -> Result<(), Error> {
        sending::queue_prepared(&*self.shared, prepared).await
    }

    /// As [`WebSocket::send_part`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn send_part(&mut self, kind: Kind, part: &[u8], last: bool) -> Result<(), Error> {
        sending::queue_part(&*self.shared, &mut self.codec, (kind, part, last), Compress::Auto).await?;
        self.flush().await
    }

    /// As [`WebSocket::send_part_with`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub async fn send_part_with(
        &mut self,
        kind: Kind,
        part: &[u8],
        last: bool,
        compress: Compress,
    ) -> Result<(), Error> {
        sending::queue_part(&*self.shared, &mut self.codec, (kind, part, last), compress).await?;
        self.flush().await
    }

    /// As [`WebSocket::ping`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        lock(&self.shared).engine(|engine, out| engine.ping(payload, out))?;
        self.flush().await
    }

    /// As [`WebSocket::flush`], also in that it is cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn flush(&mut self) -> Result<(), Error> {
        sending::flush(&*self.shared).await
    }

    /// Sends a Close. The reading half gives what the peer still sends, and then `None`; it keeps the time that the peer has for it. Cancel safe as
    /// [`WebSocket::start_close`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), Error> {
        lock(&self.shared).close(code.into(), reason)?;
        self.flush().await
    }
}

impl<S> Writer<S> {
    /// Whether messages may still be sent.
    pub fn may_send(&self) -> bool {
        lock(&self.shared).engine.may_send()
    }

    /// How the connection ended, once nothing more is read.
    pub fn ending(&self) -> Option<Ending> {
        lock(&self.shared).engine.ending()
    }

    /// How many bytes are queued that the stream has not taken.
    pub fn queued(&self) -> usize {
        lock(&self.shared).outbox.len()
    }
}
