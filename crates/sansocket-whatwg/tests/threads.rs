//! Objects in the hands of many threads. Tests are named after the rows of `docs/websocket-object.md`.

mod echo;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use sansocket_whatwg::{CloseEvent, Event, EventLoop, EventType, Pumped, ReadyState, WebSocket};

use crate::echo::{EchoServer, PATIENCE, Tally};

/// One test at a time: some of them look at the network's thread, which all objects of a process share.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next event. It fails where the iterator of events would wait for ever.
fn next(socket: &WebSocket) -> Event {
    let deadline = Instant::now() + PATIENCE;
    while socket.wait_timeout(deadline.saturating_duration_since(Instant::now())) {
        if let Pumped::Fired(event) = socket.pump() {
            return event;
        }
    }
    panic!("nothing happens: {socket:?}")
}

fn rest(socket: &WebSocket) -> Vec<Event> {
    let mut events = Vec::new();
    while !socket.is_over() {
        events.push(next(socket));
    }
    events
}

fn open(server: &EchoServer) -> WebSocket {
    let socket = WebSocket::new(server.url()).unwrap();
    assert_eq!(next(&socket), Event::Open);
    socket
}

fn receive<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(PATIENCE).expect("nothing has come")
}

fn join_all<T>(threads: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn is_clean(tally: &Tally) -> bool {
    tally.lost.is_empty() && tally.not_opened == 0 && tally.closed_by_server == 0
}

#[test]
fn row_64_many_threads_send_and_look_while_another_one_pumps() {
    const OBJECTS: usize = 12;
    const SENDERS: usize = 3;
    const MESSAGES: usize = 60;
    let _alone = alone();
    let server = EchoServer::start();
    let work = |number: usize| {
        let url = server.url().to_owned();
        move || {
            let socket = WebSocket::new(&url).unwrap();
            let (events, received) = mpsc::channel();
            for event_type in [EventType::Open, EventType::Message, EventType::Error, EventType::Close] {
                let events = events.clone();
                socket.add_event_listener(event_type, move |_, event| events.send(event.clone()).unwrap());
            }
            let pumping = socket.spawn();
            assert_eq!(receive(&received), Event::Open);
            let looking = {
                let socket = socket.clone();
                // Whatever it sees is of some moment, and moments come one behind the other.
                thread::spawn(move || {
                    let mut before = ReadyState::Open;
                    while !socket.is_over() {
                        let state = socket.ready_state();
                        assert!(before <= state, "{before:?}, then {state:?}");
                        before = state;
                        assert!(socket.buffered_amount() <= (SENDERS * MESSAGES * 16) as u64);
                        assert!(
                            socket.extensions().starts_with("permessage-deflate") || socket.extensions().is_empty()
                        );
                        assert!(socket.failure().is_none() && socket.protocol().is_empty());
                        thread::yield_now();
                    }
                })
            };
            let senders = (0..SENDERS).map(|sender| {
                let socket = socket.clone();
                thread::spawn(move || {
                    for message in 0..MESSAGES {
                        socket.send(format!("{number} {sender} {message}")).unwrap();
                    }
                })
            });
            join_all(senders.collect::<Vec<_>>());
            let mut next_of = [0; SENDERS];
            for _ in 0..SENDERS * MESSAGES {
                let Event::Message(message) = receive(&received) else { panic!("no message") };
                let text = message.data().as_text().unwrap();
                let parts: Vec<usize> = text.split(' ').map(|part| part.parse().unwrap()).collect();
                assert_eq!(parts[0], number);
                // Each sender's messages come back in its order.
                assert_eq!(parts[2], next_of[parts[1]]);
                next_of[parts[1]] += 1;
            }
            assert_eq!(socket.buffered_amount(), 0);
            // Several close at once: one of them is the first.
            let closers: Vec<_> = (0..SENDERS as u16)
                .map(|closer| {
                    let socket = socket.clone();
                    thread::spawn(move || socket.close_with(4000 + closer, "").unwrap())
                })
                .collect();
            join_all(closers);
            let Event::Close(close) = receive(&received) else { panic!("no close event") };
            assert!(close.was_clean() && (4000..4000 + SENDERS as u16).contains(&close.code()), "{close:?}");
            pumping.join().unwrap();
            looking.join().unwrap();
            assert!(received.try_recv().is_err(), "nothing comes behind the close event");
        }
    };
    join_all((0..OBJECTS).map(|number| thread::spawn(work(number))).collect::<Vec<_>>());
    let tally = server.stop_behind(OBJECTS);
    assert!(is_clean(&tally), "{tally:?}");
}

#[test]
fn row_64_a_loop_on_several_threads_gives_each_event_once_and_one_at_a_time() {
    const OBJECTS: usize = 40;
    const MESSAGES: usize = 25;
    let _alone = alone();
    let server = EchoServer::start();
    let events = EventLoop::new();
    let (finished, results) = mpsc::channel();
    for number in 0..OBJECTS {
        let socket = WebSocket::new(server.url()).unwrap();
        let is_inside = Arc::new(AtomicBool::new(false));
        let log = Arc::new(Mutex::new(Vec::new()));
        for event_type in [EventType::Open, EventType::Message, EventType::Error, EventType::Close] {
            let (is_inside, log, finished) = (Arc::clone(&is_inside), Arc::clone(&log), finished.clone());
            socket.add_event_listener(event_type, move |socket, event| {
                assert!(!is_inside.swap(true, Ordering::SeqCst), "two threads are inside listeners of one object");
                let count = {
                    let mut log = log.lock().unwrap();
                    log.push(event.clone());
                    log.len()
                };
                match event {
                    Event::Close(_) => finished.send((number, log.lock().unwrap().clone())).unwrap(),
                    _ if count > MESSAGES => socket.close(),
                    _ => socket.send(format!("{number}: {count}")).unwrap(),
                }
                thread::yield_now();
                is_inside.store(false, Ordering::SeqCst);
            });
        }
        events.add(&socket);
    }
    let threads = [events.spawn(), events.spawn(), events.spawn()];
    for _ in 0..OBJECTS {
        let (number, log) = receive(&results);
        assert_eq!(log.len(), MESSAGES + 2, "{log:?}");
        assert_eq!((&log[0], &log[MESSAGES + 1]), (&Event::Open, &Event::Close(CloseEvent::new(true, 1005, ""))));
        for (at, event) in (1..).zip(&log[1..=MESSAGES]) {
            let Event::Message(message) = event else { panic!("{log:?}") };
            assert_eq!(message.data().as_text(), Some(&format!("{number}: {at}")[..]));
        }
    }
    // All of them return when the last object is over.
    join_all(threads);
    assert!(events.is_empty());
    let tally = server.stop_behind(OBJECTS);
    assert!(is_clean(&tally), "{tally:?}");
}

#[test]
fn row_63_the_last_handle_may_be_dropped_on_any_thread_and_closes() {
    const OBJECTS: usize = 60;
    let _alone = alone();
    let server = EchoServer::start();
    for _ in 0..OBJECTS {
        let socket = open(&server);
        socket.send("on its way").unwrap();
        let barrier = Arc::new(Barrier::new(3));
        let droppers = [socket.clone(), socket.clone()].map(|handle| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                barrier.wait();
                drop(handle);
            })
        });
        barrier.wait();
        drop(socket);
        join_all(droppers);
    }
    let tally = server.stop_behind(OBJECTS);
    assert!(is_clean(&tally), "{tally:?}");
    assert_eq!(tally.closed, [1005; OBJECTS]);
}

#[test]
fn row_63_listeners_may_give_handles_away_and_those_may_be_the_last() {
    const OBJECTS: usize = 30;
    let _alone = alone();
    let server = EchoServer::start();
    let (handles, given_away) = mpsc::channel::<WebSocket>();
    let graveyard = thread::spawn(move || given_away.into_iter().map(drop).count());
    for _ in 0..OBJECTS {
        let socket = WebSocket::new(server.url()).unwrap();
        let gone = Arc::new(AtomicUsize::new(0));
        for event_type in [EventType::Open, EventType::Message] {
            let (handles, gone) = (handles.clone(), Arc::clone(&gone));
            socket.add_event_listener(event_type, move |socket, _| {
                // A handle in here would keep the object; those are somebody else's.
                let _ = &gone;
                socket.send("again").unwrap();
                handles.send(socket.clone()).unwrap();
                handles.send(socket.clone()).unwrap();
            });
        }
        for _ in 0..5 {
            let _ = next(&socket);
        }
        handles.send(socket).unwrap();
        // The listeners are let go with the object, by whichever thread has dropped the last handle.
        let deadline = Instant::now() + PATIENCE;
        while Arc::strong_count(&gone) > 1 {
            assert!(Instant::now() < deadline, "an object is kept by nobody");
            thread::yield_now();
        }
    }
    drop(handles);
    assert_eq!(graveyard.join().unwrap(), OBJECTS * (5 * 2 + 1));
    let tally = server.stop_behind(OBJECTS);
    assert!(is_clean(&tally), "{tally:?}");
    assert_eq!(tally.closed, [1005; OBJECTS]);
}

#[test]
fn row_63_an_object_is_kept_by_its_own_listener_until_its_close_event() {
    let _alone = alone();
    let server = EchoServer::start();
    let socket = WebSocket::new(server.url()).unwrap();
    let (kept, pumping) = (socket.clone(), socket.spawn());
    let (closed, receiver) = mpsc::channel();
    socket.set_onopen(|socket, _| socket.send("hello").unwrap());
    socket.set_onmessage(move |_, _| kept.close_with(3000, "").unwrap());
    socket.set_onclose(move |_, event| closed.send(event.clone()).unwrap());
    drop(socket);
    assert_eq!(receive(&receiver), CloseEvent::new(true, 3000, ""));
    pumping.join().unwrap();
    // The listener was dropped, and with it the sender.
    assert_eq!(receiver.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
    assert_eq!(server.stop_behind(1).closed, [3000]);
}

#[test]
fn row_21_objects_that_are_given_up_while_connecting_stand_in_nobodys_way() {
    const THREADS: usize = 6;
    const OBJECTS: usize = 40;
    let _alone = alone();
    let server = EchoServer::start();
    let by_name = server.url().replace("127.0.0.1", "localhost");
    let storms = (0..THREADS).map(|thread| {
        let url = if thread % 2 == 0 { server.url().to_owned() } else { by_name.clone() };
        thread::spawn(move || {
            for number in 0..OBJECTS {
                let socket = WebSocket::new(&url).unwrap();
                match number % 4 {
                    0 => drop(socket),
                    1 => {
                        socket.close();
                        let close = Event::Close(CloseEvent::new(false, 1006, ""));
                        assert_eq!(rest(&socket), [Event::Error, close]);
                    }
                    2 => {
                        // Somewhere between connecting and open.
                        (0..number * 3).for_each(|_| thread::yield_now());
                        drop(socket);
                    }
                    _ => {
                        assert_eq!(next(&socket), Event::Open);
                        socket.close();
                        assert_eq!(rest(&socket), [Event::Close(CloseEvent::new(true, 1005, ""))]);
                    }
                }
            }
        })
    });
    join_all(storms.collect::<Vec<_>>());
    let last = open(&server);
    last.close();
    assert_eq!(rest(&last), [Event::Close(CloseEvent::new(true, 1005, ""))]);
    let tally = server.stop_behind(THREADS * OBJECTS / 4 + 1);
    assert_eq!(tally.closed_by_server, 0, "{tally:?}");
}

#[test]
fn row_64_the_networks_thread_ends_and_begins_again() {
    let _alone = alone();
    let server = EchoServer::start();
    for round in 0..50 {
        let socket = open(&server);
        assert_ne!(network_threads(), Some(0), "somebody has opened it");
        socket.send("hello").unwrap();
        assert!(matches!(next(&socket), Event::Message(_)));
        socket.close();
        assert_eq!(rest(&socket), [Event::Close(CloseEvent::new(true, 1005, ""))], "round {round}");
        // The end of a thread is no event.
        let deadline = Instant::now() + PATIENCE;
        while network_threads().is_some_and(|count| count > 0) {
            assert!(Instant::now() < deadline, "the network's thread stays, round {round}");
            thread::yield_now();
        }
    }
    assert_eq!(server.stop_behind(50).closed, [1005; 50]);
}

#[test]
fn row_64_who_comes_while_the_networks_thread_is_about_to_end_is_served() {
    const THREADS: usize = 3;
    const ROUNDS: usize = 100;
    let _alone = alone();
    let server = EchoServer::start();
    // All begin together and end together: the thread has nothing to do ever again, and then there is somebody new.
    let barrier = Arc::new(Barrier::new(THREADS));
    let threads = (0..THREADS).map(|_| {
        let (url, barrier) = (server.url().to_owned(), Arc::clone(&barrier));
        thread::spawn(move || {
            for round in 0..ROUNDS {
                barrier.wait();
                let socket = WebSocket::new(&url).unwrap();
                assert_eq!(next(&socket), Event::Open, "round {round}");
                socket.close();
                assert_eq!(rest(&socket), [Event::Close(CloseEvent::new(true, 1005, ""))], "round {round}");
            }
        })
    });
    join_all(threads.collect::<Vec<_>>());
    let tally = server.stop_behind(THREADS * ROUNDS);
    assert!(is_clean(&tally), "{tally:?}");
    assert_eq!(tally.closed.len(), THREADS * ROUNDS);
}

/// How many threads the network has, where that can be found out.
#[cfg(target_os = "linux")]
fn network_threads() -> Option<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // Some of them end meanwhile.
    let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    Some(names.filter(|name| name.starts_with("sansocket")).count())
}

#[cfg(not(target_os = "linux"))]
fn network_threads() -> Option<usize> {
    None
}
