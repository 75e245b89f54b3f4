//! One message, encoded once, to many.

use std::io::Read;

use mio::net::TcpStream;
use sansocket_mio::{CloseCode, Prepared, ProtocolError, Settings};
use sansocket_testkit::{BINARY, CLOSE, TEXT};

use crate::common::{TIMELESS, close_frame, noise, read_frame, read_message, read_to_end};
use crate::harness::{Heard, Local, Probe, Running};

#[test]
fn a_broadcast_reaches_fifty_peers_though_one_of_them_does_not_read() {
    const ROUNDS: usize = 10;
    for (len, queue) in [(100, 1000), (1 << 20, 4 << 20)] {
        let running = Running::new(Probe::echo(), Settings { queue, ..TIMELESS });
        let (deaf, mut silent) = running.open_heard();
        let mut peers: Vec<_> = (0..49).map(|_| running.open()).collect();
        // The one that does not read has no room for more than a broadcast or two.
        running.ask(move |connections| {
            while connections.queued(deaf) < 1000 {
                let _ = connections.send(deaf, &[0; 60_000]).unwrap();
            }
        });
        let payload = noise(len);
        let prepared = Prepared::new(&payload);
        // They read at their own pace: the next one is sent when all have this one.
        for round in 0..ROUNDS {
            running.handle().broadcast(prepared.clone());
            for peer in &mut peers {
                let (opcode, received) = read_message(peer);
                assert!(opcode == BINARY && received == payload, "round {round}");
            }
        }
        let story: Vec<_> = running.heard_so_far();
        assert!(story.contains(&Heard::failed(ProtocolError::QueueOverrun)), "the silent peer is told off");
        assert_eq!(running.ask(|connections| connections.open_ids().count()), 49);
        // What was accepted for it is still there when it reads, and a Close behind it.
        let received = read_to_end(&mut silent);
        let close = close_frame(1008, ProtocolError::QueueOverrun.text());
        assert!(received.ends_with(&close));
        drop(silent);
        assert_eq!(running.story(deaf), []);
    }
}

#[test]
fn a_broadcast_skips_whom_it_is_told_to_and_who_is_closing_or_being_opened() {
    let mut local = Local::<TcpStream>::new(Probe::echo(), TIMELESS);
    let mut peers: Vec<_> = (0..3).map(|_| local.open()).collect();
    let mut opening = local.connect();
    let (skipped, closing) = (peers[0].0, peers[1].0);
    let connections = local.server.connections();
    connections.close(closing, CloseCode::NORMAL, "").unwrap();
    connections.broadcast(&Prepared::new("news"), Some(skipped));
    let _ = connections.send(skipped, "not the news").unwrap();
    local.turn();
    assert_eq!(read_message(&mut peers[0].1), (TEXT, b"not the news".to_vec()));
    assert_eq!(read_frame(&mut peers[1].1).opcode(), CLOSE);
    assert_eq!(read_message(&mut peers[2].1), (TEXT, b"news".to_vec()));
    opening.set_nonblocking(true).unwrap();
    assert!(opening.read(&mut [0]).is_err());
}
