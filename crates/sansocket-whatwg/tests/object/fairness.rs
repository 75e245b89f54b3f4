//! Objects that share the network with one that is busy: rows 39, 61 and 64 as far as they are about that.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sansocket_testkit::{Frame, PING, PONG, TEXT};
use sansocket_whatwg::{Data, Event, Failure, Pumped, TimeLimits, WebSocket};

use crate::peer::{Listener, PATIENCE, Peer, lost, message, next, open, open_with, rest};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A batch, and the part that goes beyond it.
const LONGEST_STEP: u64 = (256 + 64) * KIB as u64;

/// The network's thread, which stops each time there is something to do again for an object, until it is told to go on. So what happens in between can
/// be counted, however fast or slow the machine is.
struct Stops {
    reached: Receiver<()>,
    go: Sender<()>,
}

impl Stops {
    fn of(socket: &WebSocket) -> Self {
        let (sender, reached) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let may_go = Mutex::new(may_go);
        socket.add_waker(move || {
            // Who has gone, by a failed assertion say, holds nobody up.
            if sender.send(()).is_ok() {
                let _ = may_go.lock().unwrap().recv_timeout(PATIENCE);
            }
        });
        Self { reached, go }
    }

    /// Waits until the thread has stopped.
    #[track_caller]
    fn wait(&self) {
        self.reached.recv_timeout(PATIENCE).expect("nothing happens");
    }

    fn go_on(&self) {
        self.go.send(()).unwrap();
    }
}

#[test]
fn row_39_what_compresses_well_goes_out_in_steps_too_and_keeps_nobody_waiting() {
    for (count, length) in [(1, 64 * MIB), (1024, 64 * KIB - 1)] {
        let listener = Listener::new();
        let socket = WebSocket::new(listener.url()).unwrap();
        let mut peer = listener.accept();
        peer.answer(&["Sec-WebSocket-Extensions: permessage-deflate"]);
        assert_eq!(next(&socket), Event::Open);
        let Peer { mut stream, .. } = peer;
        let end = stream.try_clone().unwrap();
        let reader = thread::spawn(move || while stream.read(&mut [0; 64 * KIB]).is_ok_and(|count| count > 0) {});

        let (other, mut other_peer) = open();
        let stops = Stops::of(&socket);
        (0..count).for_each(|_| socket.send(vec![0; length]).unwrap());
        let mut amount = (count * length) as u64;
        assert_eq!(socket.buffered_amount(), amount);
        for step in 0.. {
            stops.wait();
            assert_eq!(socket.pump(), Pumped::Quiet);
            let fallen = amount - socket.buffered_amount();
            amount -= fallen;
            assert!((1..=LONGEST_STEP).contains(&fallen), "{count} messages, step {step}: {fallen}");
            match step {
                1 => other.send("meanwhile").unwrap(),
                // The thread has stopped, and has had its rounds: it is there already, or comes behind all of it.
                5 => {
                    assert_eq!(other_peer.receive_message(), (TEXT, b"meanwhile".to_vec()));
                    other_peer.frame(Frame::new(TEXT, "and back"));
                }
                9 => {
                    assert!(other.has_tasks() && amount > 0);
                    assert_eq!(message(&other), Data::from("and back"));
                }
                _ => {}
            }
            stops.go_on();
            if amount == 0 {
                assert!(step > 9);
                break;
            }
        }
        end.shutdown(Shutdown::Both).unwrap();
        reader.join().unwrap();
    }
}

/// Writes bytes again and again, until it is told to stop.
fn flood(mut stream: TcpStream, bytes: Vec<u8>) -> (Arc<AtomicBool>, JoinHandle<()>) {
    let stops = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stops);
    let thread = thread::spawn(move || while !told.load(Ordering::Relaxed) && stream.write_all(&bytes).is_ok() {});
    (stops, thread)
}

#[test]
fn row_64_a_server_that_floods_has_a_few_turns_at_most_before_another_objects_message_comes() {
    /// What is read at once, in KiB, and a little; and how often while another object waits: for an event, for what was left, for an event of the next
    /// round, and for the owner that takes messages again.
    const MOST: usize = 4 * (64 + 1);
    let (flooded, peer) = open();
    // One KiB of pongs that nobody has asked for, with a message that counts them.
    let mut block = Frame::new(PONG, "").bytes().repeat(508);
    block.extend(Frame::new(TEXT, "a KiB!").bytes());
    assert_eq!(block.len(), KIB);
    let (other, mut other_peer) = open();
    let (stop, flooder) = flood(peer.stream, block.repeat(256));
    // It floods for a while.
    (0..16 * KIB).for_each(|_| assert_eq!(message(&flooded), Data::from("a KiB!")));
    let stops = Stops::of(&other);
    other_peer.frame(Frame::new(TEXT, "0"));
    for round in 0..50 {
        stops.wait();
        assert_eq!(message(&other), Data::from(round.to_string()));
        let mut taken = 0;
        while flooded.has_tasks() {
            assert!(matches!(flooded.pump(), Pumped::Fired(Event::Message(_))));
            taken += 1;
        }
        assert!(round == 0 || taken <= MOST, "round {round}: {taken} KiB");
        // It is there when the thread goes on.
        other_peer.frame(Frame::new(TEXT, (round + 1).to_string()));
        stops.go_on();
    }
    stops.wait();
    stop.store(true, Ordering::Relaxed);
    stops.go_on();
    drop(flooded);
    flooder.join().unwrap();
}

#[test]
fn row_64_an_echo_comes_back_while_another_objects_server_floods() {
    let (flooded, peer) = open();
    let (stop, flooder) = flood(peer.stream, Frame::new(PONG, "").bytes().repeat(32 * KIB));
    let (other, mut other_peer) = open();
    let server = thread::spawn(move || {
        for _ in 0..50 {
            let (opcode, payload) = other_peer.receive_message();
            other_peer.frame(Frame::new(opcode, payload));
        }
        other_peer
    });
    for number in 0..50 {
        other.send([number]).unwrap();
        assert_eq!(message(&other).as_bytes(), [number]);
    }
    assert!(!flooder.is_finished() && !flooded.has_tasks());
    stop.store(true, Ordering::Relaxed);
    flooder.join().unwrap();
    drop(server.join().unwrap());
}

/// A server that pings more than it reads: pongs always lie in the client's queue, and not so many that this is too long.
struct Pinger {
    stream: TcpStream,
    pings: Vec<u8>,
    /// Bytes of pongs that were asked for and not read.
    on_the_way: usize,
    unread: Vec<u8>,
}

impl Pinger {
    /// What is on the way and not here yet. The client's system holds up to 4 MiB of it.
    const ON_THE_WAY: usize = 10 * MIB;
    const PIECE: usize = 64 * KIB;

    fn new(socket: &WebSocket, peer: Peer) -> Self {
        let pings = Frame::new(PING, [b'p'; 125]).bytes().repeat(512);
        peer.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let mut this = Self { stream: peer.stream, pings, on_the_way: 0, unread: vec![0; 32 * MIB] };
        this.top_up();
        // The pongs are in the queue when this is here.
        this.stream.write_all(&Frame::new(TEXT, "that many").bytes()).unwrap();
        assert_eq!(message(socket), Data::from("that many"));
        this
    }

    /// Gives whether the client is there.
    fn ping(&mut self) -> bool {
        // A pong has a key, too.
        self.on_the_way += 512 * (2 + 4 + 125);
        self.stream.write_all(&self.pings).is_ok()
    }

    fn top_up(&mut self) {
        let here = self.stream.peek(&mut self.unread).unwrap_or(0);
        while self.on_the_way < here + Self::ON_THE_WAY && self.ping() {}
    }

    /// Reads a piece, or pings at least if there is none. Gives whether the client is there.
    fn go_on(&mut self) -> bool {
        let is_there = match self.stream.read(&mut self.unread[..Self::PIECE]) {
            Ok(count) => {
                self.on_the_way = self.on_the_way.saturating_sub(count);
                count > 0
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && self.ping(),
        };
        self.top_up();
        is_there
    }
}

#[test]
fn row_61_a_server_that_pings_without_end_is_not_waited_for_longer_than_others() {
    const LIMIT: Duration = Duration::from_millis(300);
    let limits = TimeLimits { close: Some(LIMIT), ..TimeLimits::DEFAULT };
    let (socket, peer) = open_with(|builder| builder.time_limits(limits));
    let mut pinger = Pinger::new(&socket, peer);
    socket.close();
    let server = thread::spawn(move || while pinger.go_on() {});
    assert_eq!(rest(&socket), [lost()]);
    assert!(matches!(socket.failure(), Some(Failure::NoClose(LIMIT))), "{:?}", socket.failure());
    server.join().unwrap();
}

#[test]
fn row_39_what_was_sent_goes_out_though_pongs_wait_in_front_of_it_and_behind_it() {
    /// Two parts: where so much is queued, each is a batch.
    const LENGTH: usize = 100 * KIB;
    let (socket, peer) = open();
    let mut pinger = Pinger::new(&socket, peer);
    socket.send(vec![0; LENGTH]).unwrap();
    let (go, told) = mpsc::channel::<()>();
    let (sender, done) = mpsc::channel();
    let server = thread::spawn(move || {
        for () in told {
            sender.send(pinger.go_on()).unwrap();
        }
    });
    let mut amounts = vec![LENGTH as u64];
    // Each batch is behind all that was on the way before it, and not behind more.
    for _ in 0..64 * MIB / Pinger::PIECE {
        go.send(()).unwrap();
        assert_eq!(done.recv_timeout(PATIENCE), Ok(true));
        while socket.has_tasks() {
            assert_eq!(socket.pump(), Pumped::Quiet);
            amounts.push(socket.buffered_amount());
        }
        if socket.buffered_amount() == 0 {
            break;
        }
    }
    assert_eq!(amounts, [LENGTH as u64, (LENGTH - 64 * KIB) as u64, 0]);
    drop(go);
    server.join().unwrap();
}
