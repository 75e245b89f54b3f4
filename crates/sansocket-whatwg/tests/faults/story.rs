//! What an object has told, and what it should have.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use sansocket::Limits;
use sansocket_testkit::{End, Received, Side, naive};
use sansocket_whatwg::{CloseEvent, Data, Event, Pumped, ReadyState, WebSocket};

use crate::peer::{PATIENCE, next};

/// An event, of which a message is whether it is a text, and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Open,
    Message(bool, Vec<u8>),
    Error,
    Close(CloseEvent),
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        match event {
            Event::Open => Self::Open,
            Event::Message(event) => {
                Self::Message(matches!(event.data(), Data::Text(_)), event.data().as_bytes().to_vec())
            }
            Event::Error => Self::Error,
            Event::Close(event) => Self::Close(event),
        }
    }
}

/// The close event of a connection that has ended without Closes.
pub(crate) fn lost() -> Told {
    Told::Close(CloseEvent::new(false, 1006, ""))
}

/// What an object tells that was not open.
pub(crate) fn failed() -> Vec<Told> {
    vec![Told::Error, lost()]
}

/// What an open object tells behind which the server has sent these bytes of frames, and nothing more.
pub(crate) fn expected(frames: &[u8]) -> Vec<Told> {
    let decoded = naive::decode(Side::Client, frames, &Limits::UNLIMITED);
    let mut told = vec![Told::Open];
    told.extend(
        decoded
            .messages()
            .iter()
            .map(|message| Told::Message(message.kind == sansocket::Kind::Text, message.bytes.clone())),
    );
    told.push(match decoded.end {
        End::Open(_) => lost(),
        End::Closed { code, reason } => Told::Close(CloseEvent::new(true, code.unwrap_or(1005), reason)),
        End::Failed(error) => panic!("the oracle fails: {error}"),
    });
    told
}

/// The payloads of the pings among these bytes of frames.
pub(crate) fn pings(frames: &[u8]) -> Vec<Vec<u8>> {
    let ping = |received| match received {
        Received::Ping(payload) => Some(payload),
        _ => None,
    };
    naive::decode(Side::Client, frames, &Limits::UNLIMITED).received.into_iter().filter_map(ping).collect()
}

/// The next event. Messages are sent back.
pub(crate) fn told(socket: &WebSocket) -> Told {
    let event = next(socket);
    if let Event::Message(message) = &event {
        let _ = match message.data() {
            Data::Text(text) => socket.send(&text[..]),
            data => socket.send(data.as_bytes()),
        };
    }
    event.into()
}

/// All events up to the close event, behind which there is nothing.
pub(crate) fn rest(socket: &WebSocket) -> Vec<Told> {
    let mut all = Vec::new();
    while !matches!(all.last(), Some(Told::Close(_))) {
        all.push(told(socket));
    }
    assert!(socket.is_over() && socket.ready_state() == ReadyState::Closed);
    all
}

/// That nothing has come behind the close event, though the network's thread has had its time.
pub(crate) fn expect_silence(sockets: &[WebSocket]) {
    for socket in sockets {
        assert!(!socket.has_tasks(), "{socket:?}");
        assert_eq!(socket.pump(), Pumped::Idle);
    }
}

/// One test at a time, which leaves behind as many descriptors and threads as it has found.
pub(crate) struct Alone {
    _guard: MutexGuard<'static, ()>,
    before: Option<(usize, usize)>,
}

impl Alone {
    pub(crate) fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        wait(|| network_threads() == 0);
        Self { before: descriptors().zip(Some(network_threads())), _guard: guard }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if !thread::panicking() {
            // The end of a thread is no event.
            wait(|| self.before == descriptors().zip(Some(network_threads())));
        }
    }
}

#[track_caller]
fn wait(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{:?} descriptors, {} threads", descriptors(), network_threads());
        thread::yield_now();
    }
}

/// How many descriptors the process has, where that can be found out. The test's own output is no socket.
fn descriptors() -> Option<usize> {
    let links = std::fs::read_dir("/proc/self/fd").ok()?.flatten();
    let names = links.filter_map(|link| std::fs::read_link(link.path()).ok());
    let counts = |name: &str| ["socket:", "anon_inode:", "pipe:"].iter().any(|kind| name.starts_with(kind));
    Some(names.filter(|name| counts(&name.to_string_lossy())).count())
}

/// How many threads the network has, where that can be found out.
fn network_threads() -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    // Some of them end meanwhile.
    let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("sansocket")).count()
}
