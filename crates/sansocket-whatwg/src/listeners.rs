//! Who hears of events, in JavaScript's order.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::WebSocket;
use crate::event::{Event, EventType};

type Callback = Arc<dyn Fn(&WebSocket, &Event) + Send + Sync>;

/// A function that can be added to several objects, or several times to one: there it counts once for each type of event.
///
/// A closure of one's own goes straight to [`WebSocket::add_event_listener`].
#[derive(Clone)]
pub struct Listener {
    callback: Callback,
}

impl Listener {
    /// Makes a listener. Clones are the same one.
    pub fn new(callback: impl Fn(&WebSocket, &Event) + Send + Sync + 'static) -> Self {
        Self { callback: Arc::new(callback) }
    }

    /// A closure that may change what it holds. While it runs, an event that it dispatches itself does not get to it again.
    pub(crate) fn from_mut(callback: impl FnMut(&WebSocket, &Event) + Send + 'static) -> Self {
        let callback = Mutex::new(callback);
        Self::new(move |socket, event| match callback.try_lock() {
            Ok(mut callback) => callback(socket, event),
            // It has panicked once; that is its own affair.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner()(socket, event),
            Err(TryLockError::WouldBlock) => {}
        })
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// A listener's place, to remove it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

impl ListenerId {
    /// One that no listener has, of whatever object.
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// How a listener is added.
#[derive(Clone, Debug, Default)]
pub struct ListenerOptions {
    once: bool,
    capture: bool,
    signal: Option<AbortSignal>,
}

impl ListenerOptions {
    /// JavaScript's defaults: until it is removed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the listener before its first call.
    #[must_use]
    pub const fn once(mut self, once: bool) -> Self {
        self.once = once;
        self
    }

    /// Calls the listener before those without this.
    #[must_use]
    pub const fn capture(mut self, capture: bool) -> Self {
        self.capture = capture;
        self
    }

    /// Removes the listener when the signal is given; if it was given already, nothing is added.
    #[must_use]
    pub fn signal(mut self, signal: &AbortSignal) -> Self {
        self.signal = Some(signal.clone());
        self
    }
}

/// Once it is given, the listeners that were added with it are not called any more; an object lets go of them with its next event or change of
/// listeners. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct AbortSignal {
    is_aborted: Arc<AtomicBool>,
}

impl AbortSignal {
    /// A signal that was not given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it.
    pub fn abort(&self) {
        self.is_aborted.store(true, Ordering::Release);
    }

    /// Whether it was given.
    pub fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Acquire)
    }
}

/// The listeners of one object, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    entries: Vec<Arc<Entry>>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    id: ListenerId,
    event_type: EventType,
    options: ListenerOptions,
    /// Whether it is the object's own, `onopen` and so on.
    is_handler: bool,
    /// A handler's can be replaced, and keeps its place.
    listener: Mutex<Listener>,
    is_removed: AtomicBool,
}

impl Entry {
    /// Whether it is to be called now.
    fn is_there(&self) -> bool {
        !self.is_removed.load(Ordering::Acquire) && !self.options.signal.as_ref().is_some_and(AbortSignal::is_aborted)
    }

    pub(crate) const fn id(&self) -> ListenerId {
        self.id
    }

    /// What to call, if it is still there; who is called once is no more.
    pub(crate) fn take_call(&self) -> Option<Listener> {
        if !self.is_there() || (self.options.once && self.is_removed.swap(true, Ordering::AcqRel)) {
            return None;
        }
        Some(self.lock().clone())
    }

    pub(crate) const fn is_once(&self) -> bool {
        self.options.once
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listener> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    pub(crate) fn call(&self, socket: &WebSocket, event: &Event) {
        (self.callback)(socket, event);
    }
}

impl Listeners {
    /// Those that are not to be called any more. What they hold is to be dropped where no lock is held.
    pub(crate) fn take_removed(&mut self) -> Vec<Arc<Entry>> {
        self.entries.extract_if(.., |entry| !entry.is_there()).collect()
    }

    /// Adds a listener, if it is not there yet: the same function for the same type, both captured or not.
    pub(crate) fn add(&mut self, event_type: EventType, listener: Listener, options: ListenerOptions) -> ListenerId {
        if options.signal.as_ref().is_some_and(AbortSignal::is_aborted) {
            return ListenerId::next();
        }
        match self.find(event_type, &listener, options.capture) {
            Some(id) => id,
            None => self.push(event_type, listener, options, false),
        }
    }

    /// Where the same function is for the same type, both captured or not.
    pub(crate) fn find(&self, event_type: EventType, listener: &Listener, capture: bool) -> Option<ListenerId> {
        let same = |entry: &&Arc<Entry>| {
            !entry.is_handler
                && entry.is_there()
                && (entry.event_type, entry.options.capture) == (event_type, capture)
                && Arc::ptr_eq(&entry.lock().callback, &listener.callback)
        };
        self.entries.iter().find(same).map(|entry| entry.id)
    }

    /// Sets the object's own handler. It is called at the place where it was first set.
    pub(crate) fn set_handler(&mut self, event_type: EventType, listener: Listener) -> Option<Listener> {
        match self.handler(event_type) {
            Some(entry) => Some(mem::replace(&mut *entry.lock(), listener)),
            None => {
                self.push(event_type, listener, ListenerOptions::new(), true);
                None
            }
        }
    }

    pub(crate) fn handler(&self, event_type: EventType) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|entry| entry.is_handler && entry.event_type == event_type)
    }

    /// Removes a listener, and gives whether it was still to be called. It is not any more, even if an event that it has not heard of is under
    /// way.
    pub(crate) fn remove(&mut self, id: ListenerId) -> Option<(bool, Arc<Entry>)> {
        let at = self.entries.iter().position(|entry| entry.id == id)?;
        let entry = self.entries.remove(at);
        let was_there = entry.is_there();
        entry.is_removed.store(true, Ordering::Release);
        Some((was_there, entry))
    }

    /// Who is to hear of an event: who is added from now on is not.
    pub(crate) fn of(&self, event_type: EventType, capture: bool) -> Vec<Arc<Entry>> {
        let is_meant = |entry: &&Arc<Entry>| (entry.event_type, entry.options.capture) == (event_type, capture);
        self.entries.iter().filter(is_meant).cloned().collect()
    }

    /// Takes all of them, to be dropped.
    pub(crate) fn take(&mut self) -> Vec<Arc<Entry>> {
        mem::take(&mut self.entries)
    }

    fn push(
        &mut self,
        event_type: EventType,
        listener: Listener,
        options: ListenerOptions,
        is_handler: bool,
    ) -> ListenerId {
        let id = ListenerId::next();
        let (listener, is_removed) = (Mutex::new(listener), AtomicBool::new(false));
        self.entries.push(Arc::new(Entry { id, event_type, options, is_handler, listener, is_removed }));
        id
    }
}
