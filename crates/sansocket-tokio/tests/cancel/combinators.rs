//! Connections and halves as streams and sinks. What an item's `poll_ready` has let in is sent by `start_send` at once, so there is nothing between
//! the two that could be given up.

use std::future::poll_fn;
use std::pin::Pin;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use sansocket_testkit::Side;
use sansocket_tokio::{Error, SharedMessage};

use crate::conversation::{Hear, How, Line, Place, give_up_at_each_wait, script};
use crate::tasks::{Cuts, run};

fn shared(line: &Line) -> SharedMessage {
    line.message.clone().into()
}

async fn put(sink: &mut (impl Sink<SharedMessage, Error = Error> + Unpin), line: &Line, cuts: &Cuts) {
    repeat!(cuts, poll_fn(|cx| Pin::new(&mut *sink).poll_ready(cx)));
    Pin::new(&mut *sink).start_send(shared(line)).unwrap();
    if line.is_flushed {
        repeat!(cuts, sink.flush());
    }
}

async fn take(
    stream: &mut (impl Stream<Item = Result<SharedMessage, Error>> + Unpin),
    cuts: &Cuts,
) -> Option<SharedMessage> {
    loop {
        if let Some(item) = cuts.cut(stream.next()).await {
            return item.transpose().unwrap();
        }
    }
}

/// Each side has its connection in one piece, and takes its turns.
async fn talk(
    mut ws: impl Stream<Item = Result<SharedMessage, Error>> + Sink<SharedMessage, Error = Error> + Unpin,
    side: Side,
    script: &[Line],
    cuts: &Cuts,
) {
    for line in script {
        if line.by == side {
            put(&mut ws, line, cuts).await;
        } else {
            assert!(take(&mut ws, cuts).await == Some(shared(line)), "{side:?}");
        }
    }
    if side == Side::Client {
        repeat!(cuts, ws.close());
    }
    assert_eq!(take(&mut ws, cuts).await, None);
    assert_eq!(take(&mut ws, cuts).await, None, "an end stays an end");
}

/// Each side has two halves in two tasks.
fn hold_in_halves<Si, St>(sinks: [Si; 2], streams: [St; 2], script: &[Line], cuts: &[Cuts; 2])
where
    Si: Sink<SharedMessage, Error = Error> + Unpin,
    St: Stream<Item = Result<SharedMessage, Error>> + Unpin,
{
    let ([mut client, mut server], [mut from_server, mut from_client]) = (sinks, streams);
    let by = |side| script.iter().filter(move |line| line.by == side);
    run(vec![
        Box::pin(async {
            for line in by(Side::Client) {
                put(&mut client, line, &cuts[0]).await;
            }
            repeat!(cuts[0], client.flush());
        }),
        Box::pin(async {
            for line in by(Side::Server) {
                put(&mut server, line, &cuts[1]).await;
            }
            repeat!(cuts[1], server.flush());
        }),
        Box::pin(async {
            for line in by(Side::Server) {
                assert!(take(&mut from_server, &cuts[0]).await == Some(shared(line)));
            }
        }),
        Box::pin(async {
            for line in by(Side::Client) {
                assert!(take(&mut from_client, &cuts[1]).await == Some(shared(line)));
            }
        }),
    ]);
    // All has come.
    run(vec![
        Box::pin(async { repeat!(cuts[0], client.close()) }),
        Box::pin(async { assert_eq!(take(&mut from_server, &cuts[0]).await, None) }),
        Box::pin(async { assert_eq!(take(&mut from_client, &cuts[1]).await, None) }),
    ]);
}

/// Without pings: neither stream nor sink has any, so nothing is on its way once all messages have come.
fn script_without_pings() -> Vec<Line> {
    let mut script = script(&[0, 1, 125, 126, 300, 70_000], &[How::Queue, How::Queue], &[Hear::Owned]);
    script.iter_mut().for_each(|line| line.ping = None);
    script
}

#[test]
fn streams_and_sinks_lose_nothing_whichever_wait_is_given_up() {
    let script = script_without_pings();
    for turns in [&[][..], &[20_000, 0]] {
        let place = Place::new((9_000, 7_000), turns, 1000);
        give_up_at_each_wait(|cuts| {
            let ([client, server], _) = place.open();
            run(vec![
                Box::pin(talk(client, Side::Client, &script, &cuts[0])),
                Box::pin(talk(server, Side::Server, &script, &cuts[1])),
            ]);
        });
        give_up_at_each_wait(|cuts| {
            let [client, server] = place.open().0.map(|ws| ws.split());
            hold_in_halves([client.1, server.1], [client.0, server.0], &script, &cuts);
        });
        // As every program splits that was written for another crate.
        give_up_at_each_wait(|cuts| {
            let [client, server] = place.open().0.map(StreamExt::split);
            hold_in_halves([client.0, server.0], [client.1, server.1], &script, &cuts);
        });
    }
}
