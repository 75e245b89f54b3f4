//! One object on several threads: rows 1, 36 and 64 as far as they are about that.

use std::collections::HashMap;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sansocket_testkit::{Frame, TEXT};
use sansocket_whatwg::{Data, Event, EventType, Pumped, WebSocket};

use crate::listeners::Log;
use crate::peer::{Listener, PATIENCE, clean, message, open, rest};

#[test]
fn row_01_objects_go_to_other_threads() {
    const fn is_free<T: Send + Sync + 'static>() {}
    is_free::<WebSocket>();
    is_free::<sansocket_whatwg::EventLoop>();
    is_free::<sansocket_whatwg::Builder>();
    is_free::<Event>();
}

#[test]
fn row_01_a_worker_takes_an_object_over() {
    let listener = Listener::new();
    let socket = WebSocket::new(listener.url()).unwrap();
    let worker = thread::spawn(move || {
        let mut events = Vec::new();
        for event in socket.events() {
            if event == Event::Open {
                socket.send("from the worker").unwrap();
            }
            events.push(event);
        }
        events
    });
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert_eq!(peer.receive_message(), (TEXT, b"from the worker".to_vec()));
    peer.frame(Frame::close(1000, ""));
    peer.shut_down();
    assert_eq!(worker.join().unwrap(), [Event::Open, clean(1000, "")]);
}

#[test]
fn row_36_many_threads_send_and_each_ones_messages_keep_their_order() {
    const THREADS: usize = 8;
    const EACH: usize = 200;
    let (socket, mut peer) = open();
    let start = Arc::new(Barrier::new(THREADS));
    let senders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (socket, start) = (socket.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                for number in 0..EACH {
                    // Some are longer than a part.
                    let filler = if number % 50 == 0 { "x".repeat(100_000) } else { String::new() };
                    socket.send(format!("{thread} {number} {filler}")).unwrap();
                }
            })
        })
        .collect();
    let mut next: HashMap<usize, usize> = HashMap::new();
    for _ in 0..THREADS * EACH {
        let text = String::from_utf8(peer.receive_message().1).unwrap();
        let mut words = text.split(' ');
        let mut word = || words.next().unwrap().parse::<usize>().unwrap();
        let (thread, number) = (word(), word());
        let expected = next.entry(thread).or_default();
        assert_eq!(number, *expected, "of thread {thread}");
        *expected += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    socket.close();
    peer.finish();
    assert_eq!(rest(&socket), [clean(1005, "")]);
    assert_eq!(socket.buffered_amount(), 0);
}

#[test]
fn row_64_several_loops_of_one_object_hear_of_each_event_once() {
    let (socket, mut peer) = open();
    let running = Arc::new(Mutex::new(()));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (in_listener, order) = (Arc::clone(&running), Arc::clone(&heard));
    socket.set_onmessage(move |_, event| {
        let _alone = in_listener.try_lock().expect("one listener at a time");
        order.lock().unwrap().push(event.data().to_string());
    });
    let threads: Vec<_> = (0..4).map(|_| socket.spawn()).collect();
    let texts: Vec<_> = (0..2000).map(|number: u32| number.to_string()).collect();
    texts.iter().for_each(|text| peer.frame(Frame::new(TEXT, text)));
    peer.frame(Frame::close(1000, ""));
    peer.shut_down();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*heard.lock().unwrap(), texts);
}

#[test]
fn row_64_a_thread_that_pumps_waits_for_the_listener_of_another_one() {
    let (socket, mut peer) = open();
    let (entered, is_in) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    socket.add_once_listener(EventType::Message, move |_, _| {
        entered.send(()).unwrap();
        may_leave.recv_timeout(PATIENCE).unwrap();
    });
    peer.frame(Frame::new(TEXT, "one"));
    let first = {
        let socket = socket.clone();
        thread::spawn(move || message(&socket))
    };
    is_in.recv_timeout(PATIENCE).unwrap();
    peer.frame(Frame::new(TEXT, "two"));
    // While it runs, others may read, send and close, and there is nothing for them to pump.
    assert!(!socket.wait_timeout(std::time::Duration::from_millis(30)));
    socket.send("meanwhile").unwrap();
    assert_eq!(peer.receive_message().1, b"meanwhile");
    let (done, is_done) = mpsc::channel();
    let second = {
        let socket = socket.clone();
        thread::spawn(move || {
            let pumped = socket.pump();
            done.send(()).unwrap();
            pumped
        })
    };
    assert!(is_done.recv_timeout(std::time::Duration::from_millis(30)).is_err(), "it has not waited");
    leave.send(()).unwrap();
    assert_eq!(first.join().unwrap(), Data::from("one"));
    match second.join().unwrap() {
        Pumped::Fired(Event::Message(event)) => assert_eq!(event.data().as_text(), Some("two")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_64_closing_from_another_thread_ends_a_loop() {
    let (socket, peer) = open();
    let running = socket.spawn();
    let closer = socket.clone();
    thread::spawn(move || closer.close_with(3000, "").unwrap()).join().unwrap();
    peer.finish();
    running.join().unwrap();
    assert!(socket.is_over());
}

#[test]
fn row_64_a_second_loop_ends_when_the_close_events_listener_on_the_first_has_returned() {
    let (socket, peer) = open();
    let (entered, is_in) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let log = Log::default();
    let noting = log.clone();
    socket.set_onclose(move |_, _| {
        entered.send(()).unwrap();
        may_leave.recv_timeout(PATIENCE).unwrap();
        noting.note("the listener returns");
    });
    drop(peer);
    let first = socket.spawn();
    is_in.recv_timeout(PATIENCE).unwrap();
    let (done, is_done) = mpsc::channel();
    let others: [fn(&WebSocket); 3] =
        [|socket| assert!(!socket.wait()), |socket| assert!(!socket.wait_timeout(PATIENCE)), WebSocket::run];
    let others = others.map(|other| {
        let (socket, log, done) = (socket.clone(), log.clone(), done.clone());
        thread::spawn(move || {
            other(&socket);
            log.note("another thread returns");
            done.send(()).unwrap();
        })
    });
    // As long as it is under way, they wait.
    let (began, short) = (Instant::now(), Duration::from_millis(50));
    assert!(!socket.wait_timeout(short) && began.elapsed() >= short, "{:?}", began.elapsed());
    assert!(is_done.try_recv().is_err());
    leave.send(()).unwrap();
    for other in others {
        is_done.recv_timeout(PATIENCE).unwrap();
        drop(other);
    }
    first.join().unwrap();
    assert_eq!(log.take()[0], "the listener returns");
}
