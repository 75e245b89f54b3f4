//! A server that runs out of file descriptors, in a process of its own.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ChildStdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sansocket_mio::{Context, Handler, Message, Server};
use sansocket_testkit::TEXT;

use crate::child::{child, is_child};
use crate::common::{LIMIT, TIMELESS, masked, read_head, read_message, request};

/// Tells how often the loop has gone round, for how long, and with how many connections.
struct Reporter {
    rounds: Arc<AtomicU64>,
    start: Instant,
}

impl Handler for Reporter {
    type Stream = mio::net::TcpStream;
    type Data = ();

    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
        match message {
            Message::Text("exit") => cx.connections().shut_down(Duration::ZERO),
            _ => {
                let (rounds, time) = (self.rounds.load(Ordering::Relaxed), self.start.elapsed().as_millis());
                let report = format!("{rounds} {time} {}", cx.connections().len());
                let _ = cx.send(&report);
            }
        }
    }
}

/// The child: a server that says where it listens.
fn serve() {
    let rounds = Arc::new(AtomicU64::new(0));
    let reporter = Reporter { rounds: Arc::clone(&rounds), start: Instant::now() };
    let mut server = Server::new(reporter, TIMELESS).unwrap();
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    println!("\nlistening {}", listener.local_addr().unwrap());
    server.listen(listener).unwrap();
    while !server.has_stopped() {
        server.run_once(None).unwrap();
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

struct Report {
    rounds: u64,
    time: u64,
    connections: usize,
}

fn report(control: &mut TcpStream) -> Report {
    control.write_all(&masked(TEXT, "report")).unwrap();
    let report = String::from_utf8(read_message(control).1).unwrap();
    let mut numbers = report.split(' ').map(|number| number.parse().unwrap());
    let mut next = || numbers.next().unwrap();
    Report { rounds: next(), time: next(), connections: usize::try_from(next()).unwrap() }
}

fn connect(address: SocketAddr) -> TcpStream {
    let mut peer = TcpStream::connect(address).unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.write_all(&request(&[])).unwrap();
    peer
}

#[test]
fn without_file_descriptors_nobody_is_accepted_until_some_are_free_and_the_loop_does_not_spin() {
    if is_child() {
        return serve();
    }
    let mut child = child(
        "ulimit -n 64",
        "descriptors::without_file_descriptors_nobody_is_accepted_until_some_are_free_and_the_loop_does_not_spin",
    );
    let mut lines = BufReader::<ChildStdout>::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("listening ").map(|line| line.parse().unwrap()));
    let address = address.expect("the child listens");

    let mut control = connect(address);
    assert!(read_head(&mut control).starts_with("HTTP/1.1 101 "));
    let mut peers: Vec<_> = (0..100).map(|_| connect(address)).collect();
    // As many as there are descriptors for.
    let mut full = report(&mut control);
    loop {
        let again = report(&mut control);
        if again.connections == full.connections && again.connections > 40 {
            break;
        }
        full = again;
    }
    assert!(full.connections < 64, "{}", full.connections);
    let served = full.connections - 1;
    for peer in &mut peers[..served] {
        assert!(read_head(peer).starts_with("HTTP/1.1 101 "));
    }

    // Those who wait get nothing, and the loop has nothing to do but to try again from time to time.
    let before = report(&mut control);
    peers[99].set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
    let error = peers[99].read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    peers[99].set_read_timeout(Some(LIMIT)).unwrap();
    let after = report(&mut control);
    assert_eq!(after.connections, full.connections);
    let (rounds, time) = (after.rounds - before.rounds, after.time - before.time);
    assert!(rounds <= time / 50 + 5, "{rounds} rounds in {time} ms");

    // Who is served already is served on.
    for peer in &mut peers[..served] {
        assert!(report(peer).connections == full.connections);
    }
    // Some go, and as many others come in, and so on.
    let mut first = 0;
    let mut open = served;
    while open < 100 {
        let leave = 20.min(100 - open);
        for peer in &mut peers[first..first + leave] {
            peer.shutdown(std::net::Shutdown::Both).unwrap();
        }
        first += leave;
        for peer in &mut peers[open..open + leave] {
            assert!(read_head(peer).starts_with("HTTP/1.1 101 "));
        }
        open += leave;
    }
    drop(peers);
    while report(&mut control).connections > 1 {}
    control.write_all(&masked(TEXT, "exit")).unwrap();
    assert!(child.wait().unwrap().success());
}
