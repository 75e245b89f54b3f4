//! What is allocated per message, and what a connection holds that waits for its peer.

use std::any::Any;

use allocation_counter::measure;
use futures_util::FutureExt;
use sansocket_tokio::{Negotiated, WebSocket};

use crate::wire::End;
use crate::{discard, echo, frames, put, server, server_with};

/// How many allocations it takes to echo these bytes once more, when they have been echoed before.
fn allocations(bytes: &[u8]) -> u64 {
    let (mut peer, mut ws, _) = server();
    let mut counted = 0;
    for round in 0..4 {
        put(&mut peer, bytes);
        let info = measure(|| echo(&mut ws));
        if round > 0 {
            counted += info.count_total;
        }
        discard(&mut peer);
    }
    counted
}

#[test]
fn messages_are_echoed_without_an_allocation() {
    for len in [0, 1, 125, 126, 1000, 4096, 16_384] {
        assert_eq!(allocations(&frames(&[&vec![b'x'; len]])), 0, "{len} bytes");
    }
    for (count, len) in [(1000, 16), (100, 500), (16, 1000), (4, 16_000)] {
        assert_eq!(allocations(&frames(&vec![&vec![7; len][..]; count])), 0, "{count} of {len} bytes");
    }
}

#[test]
fn messages_are_read_and_sent_without_an_allocation() {
    let (mut peer, mut ws, _) = server();
    let bytes = frames(&[&[7; 10][..]; 20]);
    let mut round = || {
        put(&mut peer, &bytes);
        let info = measure(|| {
            while let Some(read) = ws.read().now_or_never() {
                assert_eq!(read.unwrap().unwrap().as_bytes(), [7; 10]);
                ws.send("an answer").now_or_never().unwrap().unwrap();
            }
        });
        discard(&mut peer);
        info.count_total
    };
    round();
    assert_eq!(round(), 0);
}

/// A connection and its peer's end.
type Open = (End, WebSocket<End>);

/// How many bytes more a connection holds behind this exchange than before, on average. What the thread keeps for all of them is not counted.
fn held(negotiated: Negotiated, exchange: impl Fn(Open) -> Box<dyn Any>) -> i64 {
    const CONNECTIONS: usize = 50;
    let open = |count| {
        let open = (0..count).map(|_| {
            let (peer, ws, hand) = server_with(negotiated);
            hand.manners().is_vectored = false;
            hand.manners().slices.reserve(2);
            (peer, ws)
        });
        open.collect::<Vec<_>>()
    };
    drop(open(10).into_iter().map(&exchange).collect::<Vec<_>>());
    let (connections, mut after) = (open(CONNECTIONS), Vec::with_capacity(CONNECTIONS));
    let info = measure(|| after.extend(connections.into_iter().map(&exchange)));
    info.bytes_current / CONNECTIONS as i64
}

/// The box and the lock of two halves, and little else.
const LITTLE: i64 = 2048;

#[test]
fn a_connection_that_waits_for_its_peer_holds_nothing() {
    for len in [10, 10_000, 60_000, 1 << 20] {
        let bytes = frames(&[&vec![7; len]]);
        let echoing = held(Negotiated::default(), |(mut peer, mut ws)| {
            put(&mut peer, &bytes);
            echo(&mut ws);
            discard(&mut peer);
            Box::new((peer, ws))
        });
        assert!(echoing < LITTLE, "{echoing} bytes behind an echo of {len}");

        let payload = vec![7; len];
        let writing = held(Negotiated::default(), |(mut peer, ws)| {
            let (mut reader, mut writer) = ws.split();
            // The reader waits already.
            assert!(reader.read().now_or_never().is_none());
            writer.send(&payload).now_or_never().unwrap().unwrap();
            discard(&mut peer);
            Box::new((peer, reader, writer))
        });
        assert!(writing < LITTLE, "{writing} bytes behind {len} that the writing half has sent");

        let in_pieces = held(Negotiated::default(), |(mut peer, mut ws)| {
            put(&mut peer, &bytes);
            while ws.read_piece().now_or_never().is_some() {}
            Box::new((peer, ws))
        });
        assert!(in_pieces < LITTLE, "{in_pieces} bytes behind {len} in pieces");

        let sending = held(Negotiated::default(), |(mut peer, mut ws)| {
            ws.send(&payload).now_or_never().unwrap().unwrap();
            discard(&mut peer);
            Box::new((peer, ws))
        });
        assert!(sending < LITTLE, "{sending} bytes behind {len} that nobody has read behind");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn a_connection_that_compresses_holds_nothing_between_messages() {
    use sansocket_tokio::deflate::{Compress, Parameters, Window, WindowBits};

    let window = Window { bits: WindowBits::MAX, takeover: false };
    let negotiated = Negotiated::new(Some(Parameters { server: window, client: window }));
    let payload = vec![7; 100_000];
    let held = held(negotiated, |(mut peer, mut ws)| {
        ws.send_with(&payload, Compress::Always).now_or_never().unwrap().unwrap();
        discard(&mut peer);
        assert!(ws.read().now_or_never().is_none());
        Box::new((peer, ws))
    });
    assert!(held < LITTLE, "{held}");
}
