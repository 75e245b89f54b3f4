//! Halves that go from one task to another while they wait.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use sansocket_tokio::{AcceptOptions, Error, Negotiated, Timeouts};
use tokio::io::AsyncReadExt;

use crate::tasks::{Cuts, run};
use crate::wire::wire;

#[test]
fn a_half_that_waits_where_both_have_been_is_woken_after_the_other_has_left() {
    let (mut peer, stream) = wire(100, 100);
    let options = AcceptOptions::new().timeouts(Timeouts::NONE);
    let (mut reader, mut writer) = options.upgraded(stream, Negotiated::default(), &[]).split();
    let handed_over = RefCell::new(None);
    run(vec![
        Box::pin(async {
            writer.queue(&[7; 1000]).await.unwrap();
            // Both wait for the stream to take something, first the half that reads.
            assert!(Cuts::new(|_| true).cut(reader.read_owned()).await.is_none());
            let mut flush = pin!(writer.flush());
            let mut reader = Some(reader);
            poll_fn(|cx| {
                let flushed = flush.as_mut().poll(cx);
                if let Some(reader) = reader.take() {
                    *handed_over.borrow_mut() = Some(reader);
                }
                flushed
            })
            .await
            .unwrap();
        }),
        Box::pin(async {
            let mut reader = poll_fn(|_| handed_over.take().map_or(Poll::Pending, Poll::Ready)).await;
            // It writes all that is left, and is at its end.
            assert!(matches!(reader.read().await, Err(Error::Lost { .. })));
        }),
        Box::pin(async {
            peer.read_exact(&mut [0; 1004]).await.unwrap();
            drop(peer);
        }),
    ]);
}
