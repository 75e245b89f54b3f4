//! The object as programs use it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sansocket::CloseCode;

use crate::builder::Builder;
use crate::event::{BinaryType, CloseEvent, Event, EventType, MessageEvent};
use crate::event_loop::Events;
use crate::exception::DomException;
use crate::failure::Failure;
use crate::listeners::{Listener, ListenerId, ListenerOptions};
use crate::location::Protocols;
use crate::machine::{Pumped, ReadyState};
use crate::object::Object;
use crate::payload::Payload;

/// The browser's `WebSocket`.
///
/// It begins to connect as soon as it is made, and may be used from every thread; clones are the same object. What happens is queued and
/// changes nothing that can be read here, until the owner lets the next task happen. There are three ways:
///
/// - an event loop: [`run`](Self::run) on this thread, [`spawn`](Self::spawn) on one of its own, or an [`EventLoop`](crate::EventLoop) for many objects;
/// - [`events`](Self::events), an iterator that waits;
/// - [`wait`](Self::wait) and [`pump`](Self::pump), by hand, or [`add_waker`](Self::add_waker) and [`pump`](Self::pump) in a loop of one's own.
///
/// All of them call the listeners, on the thread that pumps, one event at a time. A listener may do with the object what it likes.
///
/// When the last handle is dropped, an open connection is closed with an empty Close, behind what was sent, and one that is not open yet is
/// given up; the network does the rest by itself, as long as the program runs: who must know that everything was sent waits for the close event. Listeners get the object as an argument: one that holds a clone keeps the object until its close
/// event.
///
/// ```no_run
/// use sansocket_whatwg::WebSocket;
///
/// let socket = WebSocket::new("ws://localhost:8080")?;
/// socket.set_onopen(|socket, _| socket.send("Hello Server!").expect("it is open"));
/// socket.set_onmessage(|_, event| println!("Message from server {}", event.data()));
/// socket.run(); // until it is closed
/// # Ok::<(), sansocket_whatwg::DomException>(())
/// ```
#[derive(Clone)]
pub struct WebSocket {
    owner: Arc<Owner>,
}

/// Lives as long as there are handles.
struct Owner {
    object: Arc<Object>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.object.desert();
    }
}

impl WebSocket {
    /// 0: the connection is being made.
    pub const CONNECTING: ReadyState = ReadyState::Connecting;
    /// 1: messages go both ways.
    pub const OPEN: ReadyState = ReadyState::Open;
    /// 2: one side has begun to close.
    pub const CLOSING: ReadyState = ReadyState::Closing;
    /// 3: it is over, or could not be opened.
    pub const CLOSED: ReadyState = ReadyState::Closed;

    /// Begins to connect to a URL: `ws:` or `wss:`; `http:` and `https:` mean the same.
    ///
    /// # Errors
    ///
    /// [`Syntax`](crate::DomExceptionKind::Syntax): the URL is invalid, of another scheme, or has a fragment.
    pub fn new(url: impl AsRef<str>) -> Result<Self, DomException> {
        Self::builder(url).build()
    }

    /// As [`new`](Self::new), and offers subprotocols: one, or a list in order of preference. The server has to choose one of them.
    ///
    /// # Errors
    ///
    /// As there, or a subprotocol is no token, or there twice.
    pub fn with_protocols(url: impl AsRef<str>, protocols: impl Into<Protocols>) -> Result<Self, DomException> {
        Self::builder(url).protocols(protocols).build()
    }

    /// What a browser decides for its pages: headers, cookies, TLS, a proxy, limits.
    pub fn builder(url: impl AsRef<str>) -> Builder {
        Builder::new(url.as_ref())
    }

    pub(crate) fn from_object(object: Arc<Object>) -> Self {
        Self { owner: Arc::new(Owner { object }) }
    }

    fn object(&self) -> &Object {
        &self.owner.object
    }

    /// A number that no other object has at the same time.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.owner.object).addr()
    }

    // What can be read.

    /// The URL, as it was parsed: with user name and password, if it has them.
    pub fn url(&self) -> &str {
        self.object().location.as_str()
    }

    /// Where it is.
    pub fn ready_state(&self) -> ReadyState {
        self.object().lock().machine.ready_state()
    }

    /// Bytes of payload that were sent and that the network has not taken.
    pub fn buffered_amount(&self) -> u64 {
        self.object().lock().machine.buffered_amount()
    }

    /// The extensions that were agreed on, as the server's header has them; empty before it is open, and for none.
    pub fn extensions(&self) -> String {
        self.object().lock().machine.extensions().to_owned()
    }

    /// The subprotocol that the server has chosen; empty before it is open, and for none.
    pub fn protocol(&self) -> String {
        self.object().lock().machine.protocol().to_owned()
    }

    /// How binary messages are given.
    pub fn binary_type(&self) -> BinaryType {
        self.object().lock().machine.binary_type()
    }

    /// Changes how binary messages are given, also those that have come and wait.
    pub fn set_binary_type(&self, binary_type: BinaryType) {
        self.object().lock().machine.set_binary_type(binary_type);
    }

    /// Why the connection has failed or was lost, once it has: for people, to log it. Browsers tell that to nobody but their console.
    pub fn failure(&self) -> Option<Failure> {
        self.object().lock().machine.failure().map(|failure| Failure::clone(failure))
    }

    // What can be done.

    /// Sends a message: a text as text, all else as binary. It returns at once, and there is room for whatever memory holds:
    /// [`buffered_amount`](Self::buffered_amount) says how much is waiting. While it is closing, and behind that, nothing is sent.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](crate::DomExceptionKind::InvalidState): it is still connecting.
    pub fn send(&self, data: impl Into<Payload>) -> Result<(), DomException> {
        self.object().send(data.into())
    }

    /// Closes, with an empty Close, behind all that was sent. If it is still connecting, that fails.
    pub fn close(&self) {
        self.close_with(None, "").expect("without code and reason, nothing is wrong with them");
    }

    /// As [`close`](Self::close), with a code, 1000 or from 3000 to 4999, and a reason of up to 123 bytes. A reason without a code goes out with 1000.
    ///
    /// # Errors
    ///
    /// [`InvalidAccess`](crate::DomExceptionKind::InvalidAccess): another code. [`Syntax`](crate::DomExceptionKind::Syntax): a longer reason. Nothing has
    /// changed then.
    pub fn close_with(&self, code: impl Into<Option<u16>>, reason: &str) -> Result<(), DomException> {
        self.object().close(code.into(), reason)
    }

    pub(crate) fn go_away(&self) {
        self.object().go_away(Some(CloseCode::GOING_AWAY));
    }

    // Listeners.

    /// Adds a listener for events of one type, behind those that are there. A function that is to be added to several objects, or that must count
    /// once, is a [`Listener`]: [`add_listener`](Self::add_listener).
    pub fn add_event_listener(
        &self,
        event_type: EventType,
        listener: impl FnMut(&Self, &Event) + Send + 'static,
    ) -> ListenerId {
        self.add_listener(event_type, &Listener::from_mut(listener), ListenerOptions::new())
    }

    /// As [`add_event_listener`](Self::add_event_listener), for the next event only.
    pub fn add_once_listener(
        &self,
        event_type: EventType,
        listener: impl FnMut(&Self, &Event) + Send + 'static,
    ) -> ListenerId {
        self.add_listener(event_type, &Listener::from_mut(listener), ListenerOptions::new().once(true))
    }

    /// Adds a listener that may be added elsewhere, too. Where it is there already, it stays as it is: the same for the same type of event, both
    /// or none of them to [capture](ListenerOptions::capture).
    pub fn add_listener(&self, event_type: EventType, listener: &Listener, options: ListenerOptions) -> ListenerId {
        let mut state = self.object().lock();
        let removed = state.listeners.take_removed();
        let id = state.listeners.add(event_type, listener.clone(), options);
        drop(state);
        drop(removed);
        id
    }

    /// Removes a listener by what it is, as JavaScript does: the function, the type of event, and whether it [captures](ListenerOptions::capture).
    pub fn remove_listener(&self, event_type: EventType, listener: &Listener, capture: bool) -> bool {
        let id = self.object().lock().listeners.find(event_type, listener, capture);
        id.is_some_and(|id| self.remove_event_listener(id))
    }

    /// Removes a listener, which is not called any more, even if it is still to hear of the event under way. Gives whether it was there.
    pub fn remove_event_listener(&self, id: ListenerId) -> bool {
        let removed = self.object().lock().listeners.remove(id);
        removed.is_some_and(|(was_there, _)| was_there)
    }

    /// Sets what is called when the connection is open. As with all handlers, its place among the listeners is the one where it was first set.
    pub fn set_onopen(&self, handler: impl FnMut(&Self, &Event) + Send + 'static) {
        self.set_handler(EventType::Open, handler);
    }

    /// Sets what is called with each message.
    pub fn set_onmessage(&self, mut handler: impl FnMut(&Self, &MessageEvent) + Send + 'static) {
        self.set_handler(EventType::Message, move |socket, event| {
            if let Event::Message(event) = event {
                handler(socket, event);
            }
        });
    }

    /// Sets what is called when the connection has failed, before `onclose` is.
    pub fn set_onerror(&self, handler: impl FnMut(&Self, &Event) + Send + 'static) {
        self.set_handler(EventType::Error, handler);
    }

    /// Sets what is called when it is over.
    pub fn set_onclose(&self, mut handler: impl FnMut(&Self, &CloseEvent) + Send + 'static) {
        self.set_handler(EventType::Close, move |socket, event| {
            if let Event::Close(event) = event {
                handler(socket, event);
            }
        });
    }

    fn set_handler(&self, event_type: EventType, handler: impl FnMut(&Self, &Event) + Send + 'static) {
        let mut state = self.object().lock();
        let removed = state.listeners.take_removed();
        let before = state.listeners.set_handler(event_type, Listener::from_mut(handler));
        drop(state);
        drop((removed, before));
    }

    /// Whether a handler is set: JavaScript's `onopen`, say, is not `null`.
    pub fn has_handler(&self, event_type: EventType) -> bool {
        self.object().lock().listeners.handler(event_type).is_some()
    }

    /// Takes a handler away, as JavaScript's `onopen = null` does.
    pub fn clear_handler(&self, event_type: EventType) {
        let mut state = self.object().lock();
        let id = state.listeners.handler(event_type).map(|entry| entry.id());
        let removed = id.map(|id| state.listeners.remove(id));
        drop(state);
        drop(removed);
    }

    /// Calls the listeners with an event of one's own, and returns when they have. It changes nothing about the connection. While another thread calls
    /// listeners of this object, it waits, as [`pump`](Self::pump) does: two listeners that do so to each other's object wait for ever.
    pub fn dispatch_event(&self, event: &Event) {
        let _dispatch = self.object().begin_dispatch();
        self.call_listeners(event);
    }

    fn call_listeners(&self, event: &Event) {
        let removed = self.object().lock().listeners.take_removed();
        drop(removed);
        // Who is added while those that capture are called is heard, if it does not capture itself.
        for capture in [true, false] {
            let entries = self.object().lock().listeners.of(event.event_type(), capture);
            for entry in entries {
                let Some(listener) = entry.take_call() else { continue };
                if entry.is_once() {
                    self.remove_event_listener(entry.id());
                }
                listener.call(self, event);
            }
        }
    }

    // The owner's loop.

    /// Lets the next task happen, calls the listeners of its event, and gives that. From inside a listener nothing happens; while another thread
    /// does this, it waits.
    pub fn pump(&self) -> Pumped {
        let Some(_dispatch) = self.object().begin_dispatch() else { return Pumped::Idle };
        let pumped = self.object().pump();
        if let Pumped::Fired(event) = &pumped {
            // Also if a listener panics.
            let _last = matches!(event, Event::Close(_)).then(|| LetGo(self.object()));
            self.call_listeners(event);
        }
        pumped
    }

    /// Waits until [`pump`](Self::pump) has something to do. False: it never will, because the close event was, or because this is called from
    /// inside a listener.
    pub fn wait(&self) -> bool {
        self.object().wait(None)
    }

    /// As [`wait`](Self::wait), for up to so long. False also if the time is over.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.object().wait(Some(timeout))
    }

    /// Adds a function that is called whenever [`pump`](Self::pump) has something to do again behind a time in which it had not, and once behind the close
    /// event. It should do no more than to wake a loop, which then pumps until that gives [`Pumped::Idle`].
    ///
    /// It is called on the network's thread, which all objects of the process share; on the one that pumps, behind the close event; and on this one, right
    /// here, if there is something to do already.
    pub fn add_waker(&self, waker: impl Fn() + Send + Sync + 'static) {
        self.object().add_waker(Arc::new(waker));
    }

    /// Whether [`pump`](Self::pump) has something to do.
    pub fn has_tasks(&self) -> bool {
        self.object().lock().machine.has_tasks()
    }

    /// Whether the close event was: nothing happens any more.
    pub fn is_over(&self) -> bool {
        self.object().lock().machine.is_over()
    }

    /// An event loop on this thread, until the close event.
    pub fn run(&self) {
        while self.wait() {
            self.pump();
        }
    }

    /// An event loop on a thread of its own, until the close event. The object lives as long as that.
    ///
    /// # Panics
    ///
    /// If the system has no thread, as [`thread::spawn`].
    pub fn spawn(&self) -> JoinHandle<()> {
        let socket = self.clone();
        thread::spawn(move || socket.run())
    }

    /// The events, one after the other, until the close event. It waits for each.
    pub fn events(&self) -> Events<'_> {
        Events::of(self)
    }
}

/// Lets the listeners go when it is dropped.
struct LetGo<'o>(&'o Object);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

/// Its URL without user name and password, and where it is.
impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("WebSocket");
        debug
            .field("url", &self.object().location.bare())
            .field("ready_state", &self.ready_state())
            .finish_non_exhaustive()
    }
}

/// Handles are equal if they are of the same object.
impl PartialEq for WebSocket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.owner, &other.owner)
    }
}

impl Eq for WebSocket {}

impl Hash for WebSocket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
