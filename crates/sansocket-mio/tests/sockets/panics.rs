//! Handlers that panic.

use std::io::{Read, Write};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mio::net::{TcpListener, TcpStream};
use sansocket_mio::{Context, EndedBy, Handler, Message, Prepared, ProtocolError, Server, Settings};
use sansocket_testkit::{CLOSE, PING, PONG, TEXT};

use crate::common::{
    TIMELESS, close_frame, masked, masked_close, read_frame, read_head, read_message, read_to_end, request,
};
use crate::harness::{Heard, Local, Net, Probe};

type Tcp = TcpStream;

/// Panics, and leaves the test's output alone.
fn panics() -> ! {
    resume_unwind(Box::new("on purpose"))
}

fn failed() -> Heard {
    Heard::failed(ProtocolError::ApplicationFailed)
}

/// The Close of a connection whose handler has panicked.
fn told() -> Vec<u8> {
    close_frame(1011, "the application has failed")
}

/// That a message goes around.
#[track_caller]
fn expect_echo(local: &mut Local<Tcp>, peer: &mut (impl Read + Write)) {
    peer.write_all(&masked(TEXT, "still there")).unwrap();
    while !matches!(local.hear().1, Heard::Message(11)) {}
    assert_eq!(read_message(peer), (TEXT, b"still there".to_vec()));
}

/// Has a client send `sent`, at which the handler panics; it gets `before`, then the Close, and the handler hears `story`, then of the end. A bystander
/// is served before and behind it.
fn expect_one_lost(probe: Probe<Tcp>, settings: Settings, sent: &[u8], before: &[u8], story: &[Heard]) {
    let mut local = Local::<Tcp>::new(probe, settings);
    let (_, mut bystander) = local.open();
    expect_echo(&mut local, &mut bystander);
    let (id, mut peer) = local.open();
    peer.write_all(sent).unwrap();
    for heard in story.iter().chain([&failed()]) {
        assert_eq!(local.hear(), (id, heard.clone()));
    }
    let mut got = vec![0; before.len() + told().len()];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(got, [before, &told()].concat());
    // What comes now is discarded.
    peer.write_all(&masked(TEXT, "too late")).unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(local.story(id), []);
    assert_eq!(read_to_end(&mut peer), []);
    expect_echo(&mut local, &mut bystander);
    assert_eq!(local.server.connections().len(), 1);
}

/// Panics if a message says so, and echoes others.
fn panics_on_bad() -> Probe<Tcp> {
    Probe::echo().on_message(|cx, message| match message.as_bytes() {
        b"bad" => panics(),
        _ => _ = cx.send(message),
    })
}

#[test]
fn a_panic_at_a_message_costs_its_connection_and_what_was_sent_before_goes_out() {
    let sent = [masked(TEXT, "good"), masked(TEXT, "bad"), masked(TEXT, "never given")].concat();
    let before = b"\x81\x04good";
    expect_one_lost(panics_on_bad(), TIMELESS, &sent, before, &[Heard::Message(4), Heard::Message(3)]);
}

#[test]
fn a_panic_at_a_message_that_was_joined_costs_its_connection() {
    let mut first = masked(TEXT, "b");
    first[0] &= 0x7F;
    expect_one_lost(panics_on_bad(), TIMELESS, &[first, masked(0, "ad")].concat(), b"", &[Heard::Message(3)]);
}

#[test]
fn a_panic_at_a_part_costs_its_connection() {
    let probe = Probe::echo().on_part(|_, _| panics());
    let mut first = masked(TEXT, [b'a'; 50]);
    first[0] &= 0x7F;
    let settings = Settings { whole: 49, ..TIMELESS };
    expect_one_lost(probe, settings, &first, b"", &[Heard::Part(50, false)]);
}

#[test]
fn a_panic_at_a_ping_costs_its_connection_behind_the_pong() {
    let probe = Probe::echo().on_ping(|_| panics());
    expect_one_lost(probe, TIMELESS, &masked(PING, "a"), &[0x80 | PONG, 1, b'a'], &[Heard::Ping(b"a".to_vec())]);
}

#[test]
fn a_panic_when_the_queue_has_drained_costs_its_connection() {
    let settings = Settings { high_mark: 2, low_mark: 1, ..TIMELESS };
    let echo = Probe::echo().on_drained(|cx| {
        if cx.data().note == "bad" {
            panics();
        }
    });
    let probe = echo.on_message(|cx, message| {
        if message.as_bytes() == b"bad" {
            cx.data().note = String::from("bad");
        }
        let _ = cx.send(message);
    });
    let mut local = Local::<Tcp>::new(probe, settings);
    let (id, mut peer) = local.open();
    peer.write_all(&masked(TEXT, "bad")).unwrap();
    assert_eq!((local.hear(), local.hear()), ((id, Heard::Message(3)), (id, Heard::Drained)));
    assert_eq!(read_message(&mut peer), (TEXT, b"bad".to_vec()));
    assert_eq!(local.hear(), (id, failed()));
    drop(peer);
    assert_eq!(local.story(id), []);
}

#[test]
fn a_panic_at_a_request_is_answered_with_500() {
    let probe = Probe::echo().on_request(|_, request| match request.target() {
        "/" => panics(),
        _ => unreachable!("nothing else is asked for"),
    });
    let mut local = Local::<Tcp>::new(probe, TIMELESS);
    let mut peer = local.connect();
    peer.write_all(&request(&[])).unwrap();
    let (id, heard) = local.hear();
    assert_eq!(heard, Heard::not_opened("Rejected(500)"));
    let head = read_head(&mut peer);
    assert!(head.starts_with("HTTP/1.1 500 ") && head.contains("Connection: close\r\n"), "{head}");
    drop(peer);
    assert_eq!(local.story(id), []);
}

#[test]
fn a_panic_when_a_connection_opens_closes_it_behind_the_answer_to_its_request() {
    let mut opened = 0;
    let probe = Probe::echo().on_open(move |_| {
        opened += 1;
        if opened == 2 {
            panics();
        }
    });
    let mut local = Local::<Tcp>::new(probe, TIMELESS);
    let (_, mut bystander) = local.open();
    let (id, mut peer) = local.open();
    assert_eq!(local.hear(), (id, failed()));
    assert_eq!(read_frame(&mut peer).bytes(), told());
    drop(peer);
    assert_eq!(local.story(id), []);
    expect_echo(&mut local, &mut bystander);
}

#[test]
fn a_panic_at_the_end_changes_nothing_of_it() {
    let mut local = Local::<Tcp>::new(panics_on_bad().on_close(|_| panics()), TIMELESS);
    let (_, mut bystander) = local.open();
    // An end in order.
    let (id, mut peer) = local.open();
    peer.write_all(&masked_close(3000, "")).unwrap();
    assert_eq!(local.story(id), [Heard::closed(EndedBy::Peer, 3000)]);
    assert_eq!(read_to_end(&mut peer), close_frame(3000, ""));
    // One behind another panic.
    let (id, mut peer) = local.open();
    peer.write_all(&[masked(TEXT, "bad"), masked(TEXT, "unread")].concat()).unwrap();
    assert_eq!((local.hear(), local.hear()), ((id, Heard::Message(3)), (id, failed())));
    assert_eq!(read_frame(&mut peer).opcode(), CLOSE);
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(local.story(id), []);
    assert_eq!(read_to_end(&mut peer), []);
    // One without a Close.
    let (id, peer) = local.open();
    drop(peer);
    assert_eq!(local.story(id).len(), 1);
    expect_echo(&mut local, &mut bystander);
    assert_eq!(local.server.connections().len(), 1);
}

#[test]
fn what_was_sent_to_others_before_a_panic_gets_to_them() {
    let probe = Probe::echo().on_message(|cx, message| {
        if message.as_bytes() != b"bad" {
            let _ = cx.send(message);
            return;
        }
        let others: Vec<_> = cx.connections().open_ids().collect();
        for id in others {
            let _ = cx.connections().send(id, "a warning");
        }
        panics();
    });
    let mut local = Local::<Tcp>::new(probe, TIMELESS);
    let (_, mut bystander) = local.open();
    let (id, mut peer) = local.open();
    peer.write_all(&masked(TEXT, "bad")).unwrap();
    assert_eq!((local.hear(), local.hear()), ((id, Heard::Message(3)), (id, failed())));
    local.server.run_once(Some(std::time::Duration::ZERO)).unwrap();
    assert_eq!(read_message(&mut bystander), (TEXT, b"a warning".to_vec()));
    assert_eq!(read_message(&mut peer), (TEXT, b"a warning".to_vec()));
    assert_eq!(read_frame(&mut peer).bytes(), told());
    expect_echo(&mut local, &mut bystander);
}

#[test]
fn a_command_and_a_watcher_that_panic_are_lost_alone() {
    let mut local = Local::<Tcp>::new(Probe::echo(), TIMELESS);
    let (source, mut wakes) = <mio::net::UnixStream as Net>::pair();
    let mut watched = 0;
    let seen = Arc::new(AtomicUsize::new(0));
    let sees = Arc::clone(&seen);
    let watcher = move |source: &mut mio::net::UnixStream, _: &mut Probe<Tcp>, _: &mut _| {
        watched += source.read(&mut [0; 8]).unwrap();
        if watched == 1 {
            panics();
        }
        sees.store(watched, Ordering::SeqCst);
    };
    local.server.watch(source, watcher).unwrap();
    let (_, mut peer) = local.open();
    let handle = local.server.handle();
    handle.run(|_, _| panics());
    handle.run(|_, connections| connections.broadcast(&Prepared::new("behind it"), None));
    local.turn();
    assert_eq!(read_message(&mut peer), (TEXT, b"behind it".to_vec()));
    wakes.write_all(b"1").unwrap();
    local.turn();
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    wakes.write_all(b"2").unwrap();
    while seen.load(Ordering::SeqCst) < 2 {
        local.turn();
    }
    expect_echo(&mut local, &mut peer);
}

/// What is kept for connections: the second one's cannot be made, and the third one's not be dropped.
struct Unlucky(usize);

static MADE: AtomicUsize = AtomicUsize::new(0);

impl Default for Unlucky {
    fn default() -> Self {
        let made = MADE.fetch_add(1, Ordering::SeqCst) + 1;
        if made == 2 {
            panics();
        }
        Self(made)
    }
}

impl Drop for Unlucky {
    fn drop(&mut self) {
        if self.0 == 3 {
            panics();
        }
    }
}

struct Echo;

impl Handler for Echo {
    type Stream = TcpStream;
    type Data = Unlucky;

    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
        let _ = cx.send(message);
    }
}

#[test]
fn a_panic_of_what_is_kept_for_a_connection_costs_that_connection() {
    let mut server = Server::new(Echo, TIMELESS).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    server.listen(listener).unwrap();
    let handle = server.handle();
    let serving = std::thread::spawn(move || server.run().unwrap());
    let open = || {
        let mut peer = std::net::TcpStream::connect(address).unwrap();
        // Its other end may be gone already.
        let _ = peer.write_all(&request(&[]));
        peer
    };
    let echoes = |peer: &mut std::net::TcpStream| {
        peer.write_all(&masked(TEXT, "a")).unwrap();
        assert_eq!(read_message(peer), (TEXT, b"a".to_vec()));
    };
    let mut first = open();
    read_head(&mut first);
    // Its end or a reset, as the case may be.
    assert!(matches!(open().read(&mut [0; 8]), Ok(0) | Err(_)));
    let mut third = open();
    read_head(&mut third);
    echoes(&mut third);
    third.write_all(&masked_close(1000, "")).unwrap();
    read_to_end(&mut third);
    echoes(&mut first);
    let (sender, counted) = std::sync::mpsc::channel();
    handle.run(move |_, connections| sender.send(connections.len()).unwrap());
    assert_eq!(counted.recv().unwrap(), 1);
    handle.shut_down(std::time::Duration::ZERO);
    serving.join().unwrap();
}

#[test]
fn a_handler_that_panics_at_whatever_it_is_told_leaves_nothing_to_others() {
    let settings = Settings { high_mark: 1000, low_mark: 500, ..TIMELESS };
    let (bad, drained) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_bad, counted) = (Arc::clone(&bad), Arc::clone(&drained));
    let probe = Probe::echo().on_close(|_| panics()).on_drained(move |_| {
        if is_bad.load(Ordering::SeqCst) {
            counted.fetch_add(1, Ordering::SeqCst);
            panics();
        }
    });
    let makes_bad = Arc::clone(&bad);
    let probe = probe.on_message(move |cx, message| {
        if message.as_bytes() == b"bad" {
            makes_bad.store(true, Ordering::SeqCst);
            panics();
        }
        let _ = cx.send(message);
    });
    let mut local = Local::<Tcp>::new(probe, settings);
    let (_, mut bystander) = local.open();
    let (_, mut peer) = local.open();
    // One read takes all but the two last messages. Their echoes are more than the mark, so the next turn has to tell that the connection has
    // drained, behind the messages that it reads.
    local.server.set_read_buffer(20_000);
    let mut sent = masked(TEXT, vec![b'f'; 1992]).repeat(10);
    assert_eq!(sent.len(), 20_000);
    sent.extend([masked(TEXT, "secret"), masked(TEXT, "bad")].concat());
    peer.write_all(&sent).unwrap();
    while !bad.load(Ordering::SeqCst) {
        local.turn();
    }
    for _ in 0..10 {
        assert_eq!(read_message(&mut peer), (TEXT, vec![b'f'; 1992]));
    }
    assert_eq!(read_message(&mut peer), (TEXT, b"secret".to_vec()), "what was sent before the panic goes out");
    let mut close = vec![0; told().len()];
    peer.read_exact(&mut close).unwrap();
    assert_eq!(close, told());
    assert_eq!(drained.load(Ordering::SeqCst), 1, "it has panicked over that, too");
    expect_echo(&mut local, &mut bystander);
}
