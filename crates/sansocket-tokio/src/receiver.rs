//! The receiving side of a connection: the buffer, and what is lent out of it.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use sansocket::{Message, OwnedMessage, Piece, ProtocolError};
use sansocket_stream::{Engine, Error, Found, Inbox};

use crate::message::SharedMessage;
use crate::sending::Access;

#[derive(Debug)]
pub(crate) struct Receiver {
    inbox: Inbox,
    /// Whether the end was given by the [`Stream`](futures_core::Stream).
    has_ended: bool,
}

/// What a read looks for.
type Take = fn(&mut Inbox, &mut Engine, &mut Vec<u8>) -> Found;
type Inflate = fn(&mut Inbox, u64) -> Result<bool, ProtocolError>;

impl Receiver {
    pub(crate) const fn new(inbox: Inbox) -> Self {
        Self { inbox, has_ended: false }
    }

    async fn receive(&mut self, access: &mut impl Access, take: Take, inflate: Inflate) -> Result<bool, Error> {
        let Self { inbox, .. } = self;
        poll_fn(|cx| access.link(|link| link.poll_receive(inbox, take, inflate, cx))).await
    }

    /// What was found is bad, and the engine has failed.
    async fn end(access: &mut impl Access) -> Result<(), Error> {
        poll_fn(|cx| access.link(|link| link.poll_end(cx))).await
    }

    pub(crate) async fn read(&mut self, access: &mut impl Access) -> Result<Option<Message<'_>>, Error> {
        if !self.receive(access, Inbox::take, Inbox::inflate).await? {
            return Ok(None);
        }
        let inbox = &mut self.inbox;
        match access.link(|link| link.receive(|engine, out| inbox.finish(engine, out))) {
            Some(message) => Ok(Some(message)),
            None => Self::end(access).await.map(|()| None),
        }
    }

    pub(crate) async fn read_owned(&mut self, access: &mut impl Access) -> Result<Option<OwnedMessage>, Error> {
        if !self.receive(access, Inbox::take, Inbox::inflate).await? {
            return Ok(None);
        }
        match access.link(|link| link.receive(|engine, out| self.inbox.finish_owned(engine, out))) {
            Some(message) => Ok(Some(message)),
            None => Self::end(access).await.map(|()| None),
        }
    }

    pub(crate) async fn read_piece(&mut self, access: &mut impl Access) -> Result<Option<Piece<'_>>, Error> {
        if !self.receive(access, Inbox::take_to_piece, Inbox::inflate_piece).await? {
            return Ok(None);
        }
        let inbox = &mut self.inbox;
        match access.link(|link| link.receive(|engine, out| inbox.piece(engine, out))) {
            Some(piece) => Ok(Some(piece)),
            None => Self::end(access).await.map(|()| None),
        }
    }

    /// Reads and throws away all that still comes. Given up in between, it leaves no part of a message to be taken for one.
    pub(crate) async fn read_to_end(&mut self, access: &mut impl Access) -> Result<(), Error> {
        while let Some(piece) = self.read_piece(access).await? {
            let last = piece.is_last();
            self.inbox.skip(last);
        }
        Ok(())
    }

    /// The next message for a [`Stream`](futures_core::Stream); behind the end, or the error that was the end, `None`.
    pub(crate) fn poll_next(
        &mut self,
        access: &mut impl Access,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<SharedMessage, Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let Self { inbox, has_ended } = self;
        let result = access.link(|link| {
            let found = ready!(link.poll_receive(inbox, Inbox::take, Inbox::inflate, cx))?;
            let message = if found { link.receive(|engine, out| inbox.finish_owned(engine, out)) } else { None };
            match message {
                Some(message) => Poll::Ready(Ok(Some(message.into()))),
                // Polled again once the transport has ended, it finds the end once more.
                None => link.poll_end(cx).map_ok(|()| None),
            }
        });
        let result = ready!(result);
        *has_ended = matches!(result, Ok(None) | Err(_));
        Poll::Ready(result.transpose())
    }
}
