//! The browser's `WebSocket` as our side.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail, ensure};
use sansocket_std::{OwnedMessage, TlsConnector};
use sansocket_whatwg::{BinaryType, CloseEvent, Data, Event, EventType, Payload, WebSocket};

use super::case::close_event;
use super::ours::{Act, Script};

/// Plays the script to the close event, and says what the object tells.
pub(super) fn play(script: Script, url: &str, tls: TlsConnector) -> Result<String> {
    let socket = WebSocket::builder(url).tls(tls).compression(script.compression.is_some()).build()?;
    let mut game = Game::new(script, &socket);
    let mut events = Vec::new();
    let mut close = None;
    for event in socket.events() {
        if !matches!(event, Event::Message(_)) {
            events.push(event.event_type());
        }
        match event {
            Event::Open => game.on_open()?,
            Event::Message(event) => game.on_message(event.into_data())?,
            Event::Error => {}
            Event::Close(event) => close = Some(event),
        }
    }

    let close = close.context("no close event")?;
    ensure!(socket.ready_state() == WebSocket::CLOSED, "at its end, it is {socket:?}");
    ensure!(socket.buffered_amount() == 0, "{} bytes were not sent", socket.buffered_amount());
    if let Some(failure) = socket.failure() {
        let was_refused = events == [EventType::Error, EventType::Close] && close == CloseEvent::new(false, 1006, "");
        ensure!(was_refused, "{events:?} with {close:?}: {failure:?}");
        bail!("{failure}");
    }
    ensure!(events == [EventType::Open, EventType::Close], "the events were {events:?}");
    ensure!(close.was_clean(), "{close:?}");
    let extensions = socket.extensions();
    Ok(close_event(agreed(&extensions)?.as_deref(), close.code(), close.reason()))
}

/// Where it is in the script.
struct Game<'s> {
    script: Script,
    socket: &'s WebSocket,
    /// The messages that are still to be echoed, by whoever does.
    left: VecDeque<OwnedMessage>,
}

impl<'s> Game<'s> {
    fn new(script: Script, socket: &'s WebSocket) -> Self {
        if script.act == Act::Send {
            socket.set_binary_type(BinaryType::ArrayBuffer);
        }
        Self { script, socket, left: script.messages().collect() }
    }

    fn on_open(&mut self) -> Result<()> {
        ensure!(self.socket.ready_state() == WebSocket::OPEN, "in its open event, it is {:?}", self.socket);
        if self.script.act == Act::Echo { Ok(()) } else { self.go_on() }
    }

    fn on_message(&mut self, data: Data) -> Result<()> {
        let awaited = self.left.pop_front().context("a message came that is not awaited")?;
        if self.script.act == Act::Echo {
            self.send(data.into())?;
            return if self.left.is_empty() { self.go_on() } else { Ok(()) };
        }
        let received = match data {
            Data::Text(text) => OwnedMessage::Text(text),
            Data::ArrayBuffer(bytes) => OwnedMessage::Binary(bytes),
            Data::Blob(_) => bail!("a blob came"),
        };
        ensure!(received == awaited, "{} bytes came back as another message", awaited.as_message().as_bytes().len());
        self.go_on()
    }

    /// Sends the next message, or closes if that is its part.
    fn go_on(&mut self) -> Result<()> {
        match self.left.front() {
            Some(OwnedMessage::Text(text)) => self.send(text.clone().into()),
            Some(OwnedMessage::Binary(bytes)) => self.send(bytes.clone().into()),
            None if self.script.closes => {
                let (code, reason) = self.script.farewell;
                Ok(self.socket.close_with(code, reason)?)
            }
            None => Ok(()),
        }
    }

    /// Sends a message. Its peers take turns, so nothing else waits to be sent.
    fn send(&self, payload: Payload) -> Result<()> {
        let size = payload.len() as u64;
        self.socket.send(payload)?;
        let waits = self.socket.buffered_amount();
        ensure!(waits == size, "with {size} bytes sent, {waits} wait");
        Ok(())
    }
}

/// The names of the parameters about references to earlier messages, of the extension that was agreed on.
fn agreed(extensions: &str) -> Result<Option<Vec<&str>>> {
    let mut parts = extensions.split(';').map(str::trim);
    match parts.next() {
        Some("") => return Ok(None),
        first => ensure!(first == Some("permessage-deflate"), "the extensions are {extensions:?}"),
    }
    let mut names: Vec<_> = parts.filter(|name| name.ends_with("_no_context_takeover")).collect();
    names.sort_unstable();
    Ok(Some(names))
}
