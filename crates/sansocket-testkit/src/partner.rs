//! The peer behind a transport with faults.

use sansocket::handshake::{Accept, RequestProgress, ServerHandshake};

use crate::{Side, conversation};

/// It sends what it was told, whatever it gets, and then ends the stream.
#[derive(Clone, Debug)]
pub(crate) struct Partner {
    sent: Vec<u8>,
    /// What a server sends behind its answer to the request, as long as that has not come.
    behind_request: Option<Vec<u8>>,
    waits_for_writes: bool,
    heard: Vec<u8>,
}

impl Partner {
    /// The peer of `side`: sends `request` if it is a client, and then `frames`.
    pub(crate) fn of(side: Side, request: &[u8], frames: &[u8]) -> Self {
        let (sent, behind_request) = match side {
            Side::Server => ([request, frames].concat(), None),
            Side::Client => (Vec::new(), Some(frames.to_vec())),
        };
        Self { sent, behind_request, waits_for_writes: side == Side::Client, heard: Vec::new() }
    }

    /// All that it has sent so far.
    pub(crate) fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// All that it has heard.
    #[cfg(feature = "tls")]
    pub(crate) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Whether it does not end the stream before it has heard more.
    pub(crate) const fn waits_for_writes(&self) -> bool {
        self.waits_for_writes
    }

    /// It gets to hear more.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        if self.behind_request.is_some()
            && let Some(answer) = answered(&self.heard)
        {
            self.sent.extend(answer);
            self.sent.extend(self.behind_request.take().unwrap_or_default());
        }
        if self.waits_for_writes && self.behind_request.is_none() {
            self.waits_for_writes = !conversation::has_close(&self.heard);
        }
    }
}

/// A server's answer, once the request is whole.
fn answered(written: &[u8]) -> Option<Vec<u8>> {
    let mut answer = Vec::new();
    match ServerHandshake::new().receive(written, &mut answer) {
        RequestProgress::Request(request) => {
            let policy = sansocket::deflate::Policy::DEFAULT;
            request.accept(&Accept::new().compression(policy), &mut answer).expect("it is a good answer");
            Some(answer)
        }
        RequestProgress::Incomplete => None,
        RequestProgress::Refused(error) => panic!("the client's request is bad: {error}"),
    }
}
