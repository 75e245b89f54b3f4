//! A handshake behind a line that cuts, and what must hold in each call by itself.

use sansocket::MAX_REPLY;
use sansocket::handshake::{MAX_REFUSAL, RequestError, RequestProgress, ServerHandshake};

use super::Case;
use crate::invariants::{HEAD, Work, borrows_at_most, ends, head_memory, is_linear};

/// What must not depend on how the bytes were cut.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// What came of them.
    pub(super) progress: Progress,
    /// What was written.
    pub(super) output: Vec<u8>,
    /// After how many bytes it came.
    pub(super) at: usize,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Progress {
    /// Nothing.
    Incomplete,
    /// It is bad.
    Refused(RequestError),
    /// It is good.
    Request {
        /// The head's length.
        head_len: usize,
        /// Target, headers, subprotocols and extensions, written down.
        said: String,
    },
}

impl From<RequestProgress<'_>> for Progress {
    fn from(progress: RequestProgress<'_>) -> Self {
        match progress {
            RequestProgress::Incomplete => Self::Incomplete,
            RequestProgress::Refused(error) => Self::Refused(error),
            RequestProgress::Request(request) => {
                let headers: Vec<_> = request.headers().collect();
                let protocols: Vec<_> = request.protocols().collect();
                let extensions: Vec<_> =
                    request.extensions().map(|it| (it.name(), it.params().collect::<Vec<_>>())).collect();
                let said = format!("{:?} {headers:?} {protocols:?} {extensions:?}", request.target());
                Self::Request { head_len: request.head_len(), said }
            }
        }
    }
}

/// A handshake as the case has it.
pub(super) fn handshake(case: &Case) -> ServerHandshake<'static> {
    ServerHandshake::new().limits(case.limits).origins(case.origins)
}

/// Feeds `bytes`, more of them each time, as the cuts say, and what comes behind the end.
pub(super) fn drive(case: &Case, bytes: &[u8], cuts: &[usize]) -> Outcome {
    let mut handshake = handshake(case);
    let mut out =
        Output { bytes: Vec::with_capacity(MAX_REFUSAL), room: if case.no_room { MAX_REPLY } else { MAX_REFUSAL } };
    let mut outcome = Outcome { progress: Progress::Incomplete, output: Vec::new(), at: 0 };
    let (most, work) = (head_memory(bytes, case.limits), Work::begin());
    for end in ends(cuts, bytes.len()) {
        // Exactly as long as what is there: a sanitizer sees a byte touched behind it.
        let memory: Box<[u8]> = bytes[..end].into();
        let progress = borrows_at_most(most, || handshake.receive(&memory, &mut out));
        work.check(HEAD, end + out.bytes.len(), 0);
        outcome.at = end;
        if !matches!(progress, RequestProgress::Incomplete) {
            outcome.progress = is_linear(HEAD, end, || progress.into());
            break;
        }
    }
    match &outcome.progress {
        Progress::Incomplete => assert!(out.bytes.is_empty(), "an answer to no request"),
        // Asked again, it says the same, whatever has come behind the head.
        Progress::Request { .. } => {
            assert!(out.bytes.is_empty(), "an answer before it is given");
            assert_eq!(Progress::from(handshake.receive(bytes, &mut out)), outcome.progress);
            assert!(out.bytes.is_empty(), "an answer before it is given");
        }
        Progress::Refused(error) => {
            check_refusal(*error, &out);
            expect_silence(&mut handshake, *error, bytes, &mut out);
        }
    }
    outcome.output = out.bytes;
    outcome
}

/// Behind a refusal nothing comes and nothing changes.
fn expect_silence(handshake: &mut ServerHandshake<'_>, error: RequestError, bytes: &[u8], out: &mut Output) {
    let written = out.bytes.len();
    for bytes in [bytes, b"", b"GET / HTTP/1.1\r\n\r\n"] {
        assert_eq!(Progress::from(handshake.receive(bytes, out)), Progress::Refused(error));
    }
    assert_eq!(handshake.receive_eof(out), error);
    assert_eq!(handshake.refuse(RequestError::TimedOut, out), error);
    assert_eq!(out.bytes.len(), written, "written behind the end");
}

/// An answer is whole or not there.
fn check_refusal(error: RequestError, out: &Output) {
    let text = String::from_utf8(out.bytes.clone()).expect("a refusal is text");
    if text.is_empty() {
        assert!(out.room < MAX_REFUSAL, "a bad request without an answer");
        return;
    }
    let (head, body) = text.split_once("\r\n\r\n").expect("a refusal has a head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..4));
    assert_eq!(status, Some(&*format!("{} ", error.status())));
    let headers: Vec<_> = lines.map(|line| line.split_once(": ").expect("a header has a colon")).collect();
    assert!(headers.contains(&("Connection", "close")), "{head}");
    assert!(headers.contains(&("Content-Length", &body.len().to_string())), "{head}");
    assert!(error.headers().iter().all(|header| headers.contains(header)), "{head}");
    assert_eq!(body, error.text());
}

/// An output with room for so much.
struct Output {
    /// What was written.
    bytes: Vec<u8>,
    /// The most that it takes.
    room: usize,
}

impl sansocket::Output for Output {
    fn room(&self) -> usize {
        self.room - self.bytes.len()
    }

    fn put(&mut self, bytes: &[u8]) -> &mut [u8] {
        assert!(bytes.len() <= self.room(), "more than there is room for");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        &mut self.bytes[start..]
    }
}
