//! A peer that sends without an end, on a runtime of one thread: other tasks get their turns, and what comes is in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sansocket_tokio::{Error, Timeouts};

use crate::common::{masked, open_to_all, raw_pair};

/// Sends this many times over and then ends, while somebody else counts its turns: how many it had, and the bytes of what was read.
async fn flood(frames: Vec<u8>) -> (usize, Vec<u8>) {
    let (client, mut server) = raw_pair(open_to_all().timeouts(Timeouts::NONE), &[]).await;
    let (reading, mut client) = (Arc::new(AtomicBool::new(true)), client.into_std().unwrap());
    // From another thread, so that the server never has to wait.
    client.set_nonblocking(false).unwrap();
    let sending = std::thread::spawn(move || {
        // What is answered is read, or the server would have to wait.
        let mut answered = client.try_clone().unwrap();
        let discarding = std::thread::spawn(move || std::io::copy(&mut answered, &mut std::io::sink()));
        std::io::Write::write_all(&mut client, &frames).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        discarding.join().unwrap()
    });
    let turns = Arc::new(AtomicUsize::new(0));
    let counting = tokio::spawn({
        let (turns, reading) = (Arc::clone(&turns), Arc::clone(&reading));
        async move {
            while reading.load(Ordering::Relaxed) {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let mut payloads = Vec::new();
    let end = loop {
        match server.read().await {
            Ok(message) => payloads.extend_from_slice(message.unwrap().as_bytes()),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::Lost { .. }), "{end:?}");
    reading.store(false, Ordering::Relaxed);
    counting.await.unwrap();
    drop(server);
    let _ = sending.join().unwrap();
    (turns.load(Ordering::Relaxed), payloads)
}

#[tokio::test]
async fn tiny_messages_leave_others_their_turns_and_come_in_order() {
    const COUNT: u32 = 100_000;
    let frames: Vec<u8> = (0..COUNT).flat_map(|at| masked(0x82, &at.to_be_bytes())).collect();
    let (turns, payloads) = flood(frames).await;
    assert!(payloads.chunks(4).map(Vec::from).eq((0..COUNT).map(|at| at.to_be_bytes().to_vec())));
    // tokio lets a task do 128 things in one go.
    assert!(turns >= (COUNT / 128) as usize / 2, "{turns}");
}

#[tokio::test]
async fn pings_and_empty_fragments_leave_others_their_turns() {
    // Read by 16 KiB: each of these reads is one of the 128 things.
    const BYTES: usize = 8 << 20;
    let ping = masked(0x89, &[7; 120]);
    let fragments = [masked(0x02, b""), masked(0x00, b"").repeat(100), masked(0x80, b"")].concat();
    for frames in [ping, fragments] {
        let frames = frames.repeat(BYTES / frames.len());
        let least = frames.len() / (16 << 10) / 128;
        let (turns, payloads) = flood(frames).await;
        assert_eq!(payloads, b"");
        assert!(turns >= least, "{turns} of {least}");
    }
}
