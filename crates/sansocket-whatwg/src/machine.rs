//! The object as a state machine: no socket, no thread, no clock.
//!
//! 1. What the owner can read changes in [`Machine::pump`], and by the owner's own [`send`](Machine::send) and [`close`](Machine::close).
//! 2. The network changes nothing: it [queues](Machine::queue) tasks.
//! 3. The state only moves forward, and ends with one close event.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use sansocket::{CloseCode, OwnedMessage};

use crate::event::{BinaryType, CloseEvent, Event, MessageEvent};
use crate::exception::{DomException, DomExceptionKind};
use crate::failure::Failure;
use crate::payload::Payload;

/// The longest reason of a Close, in bytes of UTF-8.
const MAX_REASON: usize = 123;

/// Where the object is between its constructor and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ReadyState {
    /// 0: the connection is being made.
    Connecting = 0,
    /// 1: messages go both ways.
    Open = 1,
    /// 2: one side has begun to close.
    Closing = 2,
    /// 3: it is over, or could not be opened.
    Closed = 3,
}

/// The object itself, for bindings and networks of one's own: who drives it carries out its [`Command`]s and [queues](Self::queue) what
/// comes of them.
///
/// [`WebSocket`](crate::WebSocket) is this with a network and listeners.
///
/// ```
/// use sansocket_whatwg::machine::{Command, End, Machine, Pumped, Task};
/// use sansocket_whatwg::{Event, ReadyState};
///
/// let mut machine = Machine::new("wss://example.com");
/// machine.queue(Task::Open { protocol: String::from("chat"), extensions: String::new() });
/// assert_eq!(machine.ready_state(), ReadyState::Connecting, "nothing changes behind the owner's back");
///
/// assert_eq!(machine.pump(), Pumped::Fired(Event::Open));
/// assert_eq!((machine.ready_state(), machine.protocol()), (ReadyState::Open, "chat"));
///
/// let Some(Command::Send(payload)) = machine.send("Hello Server!".into())? else { unreachable!() };
/// assert_eq!(machine.buffered_amount(), 13);
/// machine.handed_over(payload.len() as u64); // to the socket
/// assert_eq!((machine.pump(), machine.buffered_amount()), (Pumped::Quiet, 0));
///
/// machine.queue(Task::Closed(End::Lost(None)));
/// assert!(matches!(machine.pump(), Pumped::Fired(Event::Close(close)) if close.code() == 1006));
/// # Ok::<(), sansocket_whatwg::DomException>(())
/// ```
#[derive(Debug)]
pub struct Machine {
    ready_state: ReadyState,
    buffered_amount: u64,
    buffer_limit: u64,
    binary_type: BinaryType,
    protocol: String,
    extensions: String,
    origin: Arc<str>,
    tasks: VecDeque<Task>,
    /// Bytes of the messages that are queued, and how many these are.
    unread: u64,
    unread_messages: usize,
    /// Bytes that the network has taken since the last pump.
    handed_over: u64,
    /// Why the owner has made the connection fail: whatever the network says of its end, it has failed.
    given_up: Option<Arc<Failure>>,
    failure: Option<Arc<Failure>>,
    /// Behind the error event, the close event.
    close_event: Option<CloseEvent>,
    is_over: bool,
}

/// What the network has for the owner.
#[derive(Debug)]
pub enum Task {
    /// The connection is open.
    Open {
        /// The subprotocol that the server has chosen; empty for none.
        protocol: String,
        /// The extensions that were agreed on, as the server's header has them; empty for none.
        extensions: String,
    },
    /// A message has come.
    Message(OwnedMessage),
    /// The server has begun the closing handshake.
    Closing,
    /// It is over.
    Closed(End),
}

/// How it is over.
#[derive(Debug)]
pub enum End {
    /// Close frames have gone both ways, and this was in the server's: 1005 and nothing if it was empty.
    Clean {
        /// The code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// The connection has ended without the server's Close; perhaps this is why.
    Lost(Option<Arc<Failure>>),
    /// The connection could not be made, or has failed.
    Failed(Arc<Failure>),
}

/// What the network has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a message, behind all others. Its payload is to be [reported](Machine::handed_over) when it is out.
    Send(Payload),
    /// Send a Close behind all messages, and wait for the server's.
    Close {
        /// The Close's code; without it, its body is empty.
        code: Option<CloseCode>,
        /// The Close's reason.
        reason: String,
    },
    /// Give the connection up, whatever it has come to, and [queue](Machine::queue) its end.
    Fail,
}

/// What [`Machine::pump`] has done.
#[derive(Debug, PartialEq, Eq)]
pub enum Pumped {
    /// Nothing: no task is queued.
    Idle,
    /// It has applied a task that fires no event: the state or the buffered amount may have changed.
    Quiet,
    /// It has applied a task that fires this event.
    Fired(Event),
}

impl Pumped {
    /// The event, if there is one.
    pub fn event(self) -> Option<Event> {
        match self {
            Self::Fired(event) => Some(event),
            _ => None,
        }
    }
}

impl Machine {
    /// An object right behind its constructor: connecting. `origin` is the URL's, for the messages that come.
    pub fn new(origin: &str) -> Self {
        Self {
            ready_state: ReadyState::Connecting,
            buffered_amount: 0,
            buffer_limit: u64::MAX,
            binary_type: BinaryType::default(),
            protocol: String::new(),
            extensions: String::new(),
            origin: origin.into(),
            tasks: VecDeque::new(),
            unread: 0,
            unread_messages: 0,
            handed_over: 0,
            given_up: None,
            failure: None,
            close_event: None,
            is_over: false,
        }
    }

    /// Sets how many bytes may wait to be sent before the object counts as full and fails; without it, there is no limit.
    #[must_use]
    pub const fn with_buffer_limit(mut self, bytes: u64) -> Self {
        self.buffer_limit = bytes;
        self
    }

    // What the network does.

    /// Queues a task for the owner. What makes no sense any more when its time has come, a message behind the owner's close say, is dropped then.
    pub fn queue(&mut self, task: Task) {
        if let Task::Message(message) = &task {
            // The state does not move back, so it would be dropped when its time has come.
            if self.ready_state > ReadyState::Open {
                return;
            }
            self.unread_messages += 1;
            self.unread += message.as_message().as_bytes().len() as u64;
        }
        if self.ready_state != ReadyState::Closed {
            self.tasks.push_back(task);
        }
    }

    /// Reports bytes of payload that the network has taken.
    pub const fn handed_over(&mut self, bytes: u64) {
        self.handed_over += bytes;
    }

    /// Bytes of messages that are queued for the owner: a network that reads no more while these are many holds the server back.
    pub const fn unread(&self) -> u64 {
        self.unread
    }

    /// How many messages are queued for the owner: empty ones take memory, too.
    pub const fn unread_messages(&self) -> usize {
        self.unread_messages
    }

    // What the owner does.

    /// Whether `pump` has something to do.
    pub fn has_tasks(&self) -> bool {
        !self.is_over && (!self.tasks.is_empty() || self.handed_over > 0 || self.close_event.is_some())
    }

    /// Whether the close event was fired: nothing happens any more.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Applies the next task, and gives its event. Behind an error event, the close event is the next task.
    pub fn pump(&mut self) -> Pumped {
        if let Some(close) = self.close_event.take() {
            self.is_over = true;
            return Pumped::Fired(Event::Close(close));
        }
        if self.ready_state == ReadyState::Closed {
            return Pumped::Idle;
        }
        let handed_over = mem::take(&mut self.handed_over);
        self.buffered_amount = self.buffered_amount.saturating_sub(handed_over);
        let Some(task) = self.tasks.pop_front() else {
            return if handed_over > 0 { Pumped::Quiet } else { Pumped::Idle };
        };
        self.apply(task).map_or(Pumped::Quiet, Pumped::Fired)
    }

    fn apply(&mut self, task: Task) -> Option<Event> {
        match task {
            Task::Open { protocol, extensions } if self.ready_state == ReadyState::Connecting => {
                self.ready_state = ReadyState::Open;
                (self.protocol, self.extensions) = (protocol, extensions);
                Some(Event::Open)
            }
            Task::Message(message) => {
                self.unread_messages -= 1;
                self.unread -= message.as_message().as_bytes().len() as u64;
                let is_open = self.ready_state == ReadyState::Open;
                let received = |message| MessageEvent::received(message, self.binary_type, Arc::clone(&self.origin));
                is_open.then(|| Event::Message(received(message)))
            }
            Task::Closing if self.ready_state == ReadyState::Open => {
                self.ready_state = ReadyState::Closing;
                None
            }
            Task::Closed(end) => Some(self.end(end)),
            Task::Open { .. } | Task::Closing => None,
        }
    }

    fn end(&mut self, end: End) -> Event {
        self.ready_state = ReadyState::Closed;
        self.tasks = VecDeque::new();
        (self.unread, self.unread_messages) = (0, 0);
        let end = self.given_up.take().map_or(end, End::Failed);
        let close = match &end {
            End::Clean { code, reason } => CloseEvent::new(true, *code, reason.as_str()),
            End::Lost(_) | End::Failed(_) => CloseEvent::new(false, 1006, ""),
        };
        match end {
            End::Failed(failure) => {
                self.failure = Some(failure);
                self.close_event = Some(close);
                return Event::Error;
            }
            End::Lost(why) => self.failure = why,
            End::Clean { .. } => {}
        }
        self.is_over = true;
        Event::Close(close)
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`DomExceptionKind::InvalidState`]: it is still connecting.
    pub fn send(&mut self, payload: Payload) -> Result<Option<Command>, DomException> {
        if self.ready_state == ReadyState::Connecting {
            let message = "nothing can be sent while the connection is being made";
            return Err(DomException::new(DomExceptionKind::InvalidState, message));
        }
        // It grows in every state, also where nothing is sent.
        self.buffered_amount = self.buffered_amount.saturating_add(payload.len() as u64);
        if self.ready_state != ReadyState::Open || self.given_up.is_some() {
            return Ok(None);
        }
        if self.buffered_amount > self.buffer_limit {
            return Ok(Some(self.give_up(Failure::BufferFull)));
        }
        Ok(Some(Command::Send(payload)))
    }

    /// Closes. A reason without a code goes out with 1000.
    ///
    /// # Errors
    ///
    /// [`DomExceptionKind::InvalidAccess`]: the code is neither 1000 nor from 3000 to 4999. [`DomExceptionKind::Syntax`]: the reason has more than
    /// 123 bytes of UTF-8. Both in every state, and nothing has changed.
    pub fn close(&mut self, code: Option<u16>, reason: &str) -> Result<Option<Command>, DomException> {
        if let Some(code) = code.filter(|code| !matches!(code, 1000 | 3000..=4999)) {
            let message = format!("the close code must be 1000 or from 3000 to 4999, and is {code}");
            return Err(DomException::new(DomExceptionKind::InvalidAccess, message));
        }
        if reason.len() > MAX_REASON {
            let message = format!("the reason must have at most {MAX_REASON} bytes of UTF-8, and has {}", reason.len());
            return Err(DomException::syntax(message));
        }
        let code = if reason.is_empty() { code } else { code.or(Some(1000)) };
        Ok(self.begin_to_close(code.and_then(CloseCode::new), reason))
    }

    /// The owner is gone: with 1001, as a page that is left, or with an empty Close, as an object that nobody has any more.
    pub fn go_away(&mut self, code: Option<CloseCode>) -> Option<Command> {
        self.begin_to_close(code, "")
    }

    fn begin_to_close(&mut self, code: Option<CloseCode>, reason: &str) -> Option<Command> {
        let before = self.ready_state;
        if before < ReadyState::Closing {
            self.ready_state = ReadyState::Closing;
            // None of them would be given any more.
            self.tasks.retain(|task| !matches!(task, Task::Message(_)));
            (self.unread, self.unread_messages) = (0, 0);
        }
        match before {
            ReadyState::Connecting => Some(self.give_up(Failure::Aborted)),
            ReadyState::Open if self.given_up.is_none() => Some(Command::Close { code, reason: reason.to_owned() }),
            _ => None,
        }
    }

    fn give_up(&mut self, why: Failure) -> Command {
        self.given_up = Some(Arc::new(why));
        Command::Fail
    }

    // What the owner sees.

    /// Where it is.
    pub const fn ready_state(&self) -> ReadyState {
        self.ready_state
    }

    /// Bytes of payload that were sent and that the network has not taken. Once nothing is sent any more, it only grows.
    pub const fn buffered_amount(&self) -> u64 {
        self.buffered_amount
    }

    /// The subprotocol that the server has chosen; empty before, and for none.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The extensions that were agreed on, as the server's header has them; empty before, and for none.
    pub fn extensions(&self) -> &str {
        &self.extensions
    }

    /// How binary messages are given.
    pub const fn binary_type(&self) -> BinaryType {
        self.binary_type
    }

    /// Changes how binary messages are given, from the next task on.
    pub const fn set_binary_type(&mut self, binary_type: BinaryType) {
        self.binary_type = binary_type;
    }

    /// Why it has failed, once it has.
    pub const fn failure(&self) -> Option<&Arc<Failure>> {
        self.failure.as_ref()
    }
}

/// A close code as JavaScript's numbers become one: rounded, and held within 0 to 65,535; 0 if it is none. For bindings.
pub fn clamp_code(number: f64) -> u16 {
    // It saturates, and what is no number becomes 0.
    number.round_ties_even() as u16
}
