//! A binding to another language, made of the public API only: objects behind numbers, exceptions as names and numbers, strings of 16-bit units,
//! JavaScript's numbers, and a loop that is the other language's own. Tests are named after the rows of `docs/websocket-object.md`.

mod echo;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};

use sansocket_whatwg::{BinaryType, Data, DomException, Event, Payload, Pumped, WebSocket, clamp_code};

use crate::echo::{CLOSE_PLEASE, EchoServer, PATIENCE};

/// An exception as it crosses the border.
type Thrown = (&'static str, u16);

/// An event as it crosses the border: each type has a shape of its own.
#[derive(Debug, PartialEq)]
enum Foreign {
    Open,
    Text(Vec<u16>, String),
    Blob(Vec<u8>),
    ArrayBuffer(Vec<u8>),
    Error,
    Close(bool, u16, Vec<u16>),
}

/// Who has something to do. Wakers note it and do nothing else: they are called on the network's thread.
#[derive(Default)]
struct Ready {
    handles: Mutex<VecDeque<u32>>,
    changed: Condvar,
}

/// What the other language sees: functions that take and give numbers, strings and bytes.
#[derive(Default)]
struct Binding {
    objects: HashMap<u32, WebSocket>,
    last: u32,
    ready: Arc<Ready>,
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn thrown(exception: &DomException) -> Thrown {
    (exception.name(), exception.legacy_code())
}

impl Binding {
    fn construct(&mut self, url: &[u16], protocols: &[&str]) -> Result<u32, Thrown> {
        let url = String::from_utf16_lossy(url);
        let socket = WebSocket::with_protocols(&url, protocols.to_vec()).map_err(|exception| thrown(&exception))?;
        self.last += 1;
        let (handle, ready) = (self.last, Arc::clone(&self.ready));
        socket.add_waker(move || {
            ready.handles.lock().unwrap().push_back(handle);
            ready.changed.notify_one();
        });
        self.objects.insert(handle, socket);
        Ok(handle)
    }

    fn ready_state(&self, handle: u32) -> u16 {
        self.objects[&handle].ready_state() as u16
    }

    fn url(&self, handle: u32) -> Vec<u16> {
        units(self.objects[&handle].url())
    }

    fn protocol(&self, handle: u32) -> Vec<u16> {
        units(&self.objects[&handle].protocol())
    }

    fn buffered_amount(&self, handle: u32) -> f64 {
        self.objects[&handle].buffered_amount() as f64
    }

    fn binary_type(&self, handle: u32) -> &'static str {
        self.objects[&handle].binary_type().as_str()
    }

    fn set_binary_type(&self, handle: u32, name: &str) {
        if let Ok(binary_type) = name.parse::<BinaryType>() {
            self.objects[&handle].set_binary_type(binary_type);
        }
    }

    fn send(&self, handle: u32, payload: Payload) -> Result<(), Thrown> {
        self.objects[&handle].send(payload).map_err(|exception| thrown(&exception))
    }

    /// `None` is `undefined`.
    fn close(&self, handle: u32, code: Option<f64>, reason: Option<&[u16]>) -> Result<(), Thrown> {
        let reason = reason.map(String::from_utf16_lossy).unwrap_or_default();
        let closed = self.objects[&handle].close_with(code.map(clamp_code), &reason);
        closed.map_err(|exception| thrown(&exception))
    }

    /// Waits until an object has something to do, lets one task of it happen, and gives its event, if it has one.
    fn next_task(&mut self) -> (u32, Option<Foreign>) {
        let handle = {
            let handles = self.ready.handles.lock().unwrap();
            let waiting = self.ready.changed.wait_timeout_while(handles, PATIENCE, |handles| handles.is_empty());
            let (mut handles, timeout) = waiting.unwrap();
            assert!(!timeout.timed_out(), "nothing happens");
            handles.pop_front().unwrap()
        };
        let Some(socket) = self.objects.get(&handle) else { return (handle, None) };
        let pumped = socket.pump();
        if socket.has_tasks() {
            self.ready.handles.lock().unwrap().push_back(handle);
        }
        let Pumped::Fired(event) = pumped else { return (handle, None) };
        let event = match event {
            Event::Open => Foreign::Open,
            Event::Error => Foreign::Error,
            Event::Close(close) => Foreign::Close(close.was_clean(), close.code(), units(close.reason())),
            Event::Message(message) => {
                let origin = message.origin().to_owned();
                match message.into_data() {
                    Data::Text(text) => Foreign::Text(units(&text), origin),
                    Data::Blob(blob) => Foreign::Blob(blob.into_bytes().to_vec()),
                    Data::ArrayBuffer(bytes) => Foreign::ArrayBuffer(bytes),
                }
            }
        };
        (handle, Some(event))
    }

    fn next_event(&mut self) -> (u32, Foreign) {
        loop {
            if let (handle, Some(event)) = self.next_task() {
                return (handle, event);
            }
        }
    }

    /// As a finaliser of the other language does.
    fn free(&mut self, handle: u32) {
        self.objects.remove(&handle);
    }
}

#[test]
fn row_8_the_constructor_throws_at_once_by_name_and_number() {
    let mut binding = Binding::default();
    for url in ["", "relative", "ftp://example.com/", "ws://exa mple.com/", "ws://example.com/#", "ws://\u{FFFD}:x/"] {
        assert_eq!(binding.construct(&units(url), &[]), Err(("SyntaxError", 12)), "{url}");
    }
    // A surrogate without its partner is no character of a host.
    assert!(binding.construct(&[units("ws://"), vec![0xD800]].concat(), &[]).is_err());
    for protocols in [&["a", "a"][..], &["a", "A"], &["a b"], &[""]] {
        assert_eq!(binding.construct(&units("ws://127.0.0.1:1/"), protocols), Err(("SyntaxError", 12)));
    }
    assert!(binding.objects.is_empty());
}

#[test]
fn row_64_an_object_lives_its_life_in_a_loop_of_another_language() {
    let server = EchoServer::start();
    let mut binding = Binding::default();
    let handle = binding.construct(&units(server.url()), &["none", "echo"]).unwrap();
    assert_eq!((binding.ready_state(handle), binding.url(handle)), (0, units(server.url())));
    assert_eq!((binding.protocol(handle), binding.binary_type(handle)), (vec![], "blob"));
    assert_eq!(binding.send(handle, "too early".into()), Err(("InvalidStateError", 11)));
    assert_eq!(binding.next_event(), (handle, Foreign::Open));
    assert_eq!((binding.ready_state(handle), binding.protocol(handle)), (1, units("echo")));

    let origin = server.url().trim_end_matches('/').to_owned();
    binding.send(handle, Payload::from_utf16(&[0x68, 0xD834, 0xDD1E, 0xD834, 0])).unwrap();
    assert_eq!(binding.buffered_amount(handle), 9.0);
    let text = vec![0x68, 0xD834, 0xDD1E, 0xFFFD, 0];
    assert_eq!(binding.next_event(), (handle, Foreign::Text(text, origin)));
    for (name, expected) in [
        ("arraybuffer", Foreign::ArrayBuffer as fn(Vec<u8>) -> Foreign),
        // Row 43: not a type, and ignored.
        ("ArrayBuffer", Foreign::ArrayBuffer),
        ("blob", Foreign::Blob),
        ("", Foreign::Blob),
    ] {
        binding.set_binary_type(handle, name);
        binding.send(handle, Payload::from(&[0, 255, 7])).unwrap();
        assert_eq!(binding.next_event(), (handle, expected(vec![0, 255, 7])), "{name}");
    }

    let long = vec![0x20AC; 42];
    assert_eq!(binding.close(handle, Some(1000.0), Some(&long)), Err(("SyntaxError", 12)));
    for code in [f64::NAN, 0.0, 999.4, 1001.0, 2999.4, 4999.5, 66536.0, f64::INFINITY] {
        assert_eq!(binding.close(handle, Some(code), Some(&long)), Err(("InvalidAccessError", 15)), "{code}");
    }
    assert_eq!(binding.ready_state(handle), 1);
    binding.close(handle, Some(2999.5), Some(&[0x62, 0xDC00])).unwrap();
    assert_eq!(binding.ready_state(handle), 2);
    // The server gives back the code, and not the reason.
    assert_eq!(binding.next_event(), (handle, Foreign::Close(true, 3000, vec![])));
    assert_eq!(binding.ready_state(handle), 3);
    // Behind the close event the waker has come once more, and there is nothing to do.
    assert!(!binding.ready.handles.lock().unwrap().is_empty());
    while !binding.ready.handles.lock().unwrap().is_empty() {
        assert_eq!(binding.next_task(), (handle, None));
    }
    assert_eq!(binding.close(handle, Some(1.0), None), Err(("InvalidAccessError", 15)));
    let tally = server.stop_behind(1);
    assert_eq!((&tally.closed[..], &tally.lost[..]), (&[3000][..], &[][..]));
}

#[test]
fn row_64_many_objects_take_turns_and_each_gets_what_is_its_own() {
    const OBJECTS: usize = 50;
    const MESSAGES: usize = 20;
    const CLOSES: usize = MESSAGES + 1;
    let server = EchoServer::start();
    let mut binding = Binding::default();
    let handles: Vec<_> = (0..OBJECTS).map(|_| binding.construct(&units(server.url()), &[]).unwrap()).collect();
    let mut got: HashMap<u32, Vec<Foreign>> = HashMap::new();
    let mut closed = 0;
    while closed < OBJECTS {
        let (handle, event) = binding.next_event();
        if let Foreign::Close(..) = event {
            closed += 1;
        }
        let events = got.entry(handle).or_default();
        events.push(event);
        match events.len() {
            1..=MESSAGES => binding.send(handle, format!("{handle}: {}", events.len()).into()).unwrap(),
            // One half closes, the other half is closed.
            CLOSES if handle % 2 == 0 => binding.close(handle, None, None).unwrap(),
            CLOSES => binding.send(handle, CLOSE_PLEASE.into()).unwrap(),
            _ => {}
        }
    }
    let origin = server.url().trim_end_matches('/');
    for handle in handles {
        let text = |number: usize| Foreign::Text(units(&format!("{handle}: {number}")), origin.to_owned());
        let close = if handle % 2 == 0 {
            Foreign::Close(true, 1005, vec![])
        } else {
            Foreign::Close(true, 3001, units("as you wish"))
        };
        let expected: Vec<_> = [Foreign::Open].into_iter().chain((1..=MESSAGES).map(text)).chain([close]).collect();
        assert_eq!(got[&handle], expected);
        assert_eq!((binding.ready_state(handle), binding.buffered_amount(handle)), (3, 0.0));
    }
    let tally = server.stop_behind(OBJECTS);
    assert_eq!((tally.closed, tally.closed_by_server), (vec![1005; OBJECTS / 2], OBJECTS / 2));
    assert_eq!((tally.lost, tally.not_opened), (vec![], 0));
}

#[test]
fn row_52_a_close_before_it_is_open_comes_back_as_two_events() {
    let server = EchoServer::start();
    let mut binding = Binding::default();
    let handle = binding.construct(&units(server.url()), &[]).unwrap();
    binding.close(handle, None, Some(&units("never mind"))).unwrap();
    assert_eq!(binding.ready_state(handle), 2);
    assert_eq!(binding.next_event(), (handle, Foreign::Error));
    assert_eq!(binding.ready_state(handle), 3);
    assert_eq!(binding.next_event(), (handle, Foreign::Close(false, 1006, vec![])));
    // Perhaps it has not even come to the server.
    server.stop_behind(0);
}

#[test]
fn row_63_an_object_that_is_freed_is_closed_and_its_number_means_nothing_any_more() {
    let server = EchoServer::start();
    let mut binding = Binding::default();
    let handle = binding.construct(&units(server.url()), &[]).unwrap();
    let other = binding.construct(&units(server.url()), &[]).unwrap();
    assert_eq!([binding.next_event().1, binding.next_event().1], [Foreign::Open, Foreign::Open]);
    binding.send(handle, "on its way".into()).unwrap();
    binding.free(handle);
    binding.send(other, "hello".into()).unwrap();
    // Whatever is noted of the first is of no effect.
    assert_eq!(binding.next_event().0, other);
    binding.close(other, Some(1000.0), None).unwrap();
    assert_eq!(binding.next_event(), (other, Foreign::Close(true, 1000, vec![])));
    let mut tally = server.stop_behind(2);
    tally.closed.sort_unstable();
    assert_eq!((tally.closed, tally.lost), (vec![1000, 1005], vec![]));
}
