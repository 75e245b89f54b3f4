//! permessage-deflate over real sockets.

use std::sync::LazyLock;

use sansocket_tokio::deflate::{Compress, Config, Policy, Pool, PoolLimits};
use sansocket_tokio::{AcceptOptions, CloseCode, ConnectOptions, Error, Limits, Message, Negotiated, ProtocolError};
use tokio::io::AsyncWriteExt;

use crate::common::{echo, masked, open_to_all, pair_with, raw_pair, read_to_end};

const fn compressing(policy: Policy) -> Config {
    Config { policy, threshold: 256, ..Config::DEFAULT }
}

fn accepting(policy: Policy) -> AcceptOptions<'static> {
    open_to_all().compression(compressing(policy))
}

fn connecting(policy: Policy) -> ConnectOptions<'static> {
    ConnectOptions::new().compression(compressing(policy))
}

/// Bytes that no compressor makes shorter.
fn scrambled(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ len as u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..len).map(next).collect()
}

#[tokio::test]
async fn messages_of_every_size_come_back_as_they_were_under_every_agreement() {
    let sizes = [0, 1, 255, 256, 4096, 16 << 10, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1 << 20];
    let mut choices = [Compress::Auto, Compress::Always, Compress::Never].into_iter().cycle();
    for (ours, theirs) in [(Policy::DEFAULT, Policy::DEFAULT), (Policy::TAKEOVER, Policy::TAKEOVER)] {
        let (mut client, server) = pair_with(connecting(ours), accepting(theirs)).await;
        assert!(client.negotiated().compression().is_some());
        assert_eq!(client.negotiated(), server.negotiated());
        let server = echo(server);
        for size in sizes {
            for payload in [scrambled(size), vec![7; size]] {
                client.send_with(&payload, choices.next().unwrap()).await.unwrap();
                assert!(client.read().await.unwrap() == Some(Message::Binary(&payload)), "{size}");
            }
        }
        client.close(CloseCode::NORMAL, "").await.unwrap();
        server.await.unwrap().0.unwrap();
    }
}

#[tokio::test]
async fn rfc7692_5_it_is_agreed_on_only_if_both_want_it() {
    let plain = (ConnectOptions::new(), open_to_all());
    for (connect, accept) in [(plain.0, accepting(Policy::DEFAULT)), (connecting(Policy::DEFAULT), plain.1), plain] {
        let (mut client, server) = pair_with(connect, accept).await;
        assert_eq!(client.negotiated(), Negotiated::default());
        // What was not agreed on is not done, whatever is asked for.
        let server = echo(server);
        client.send_with(&[7; 5000], Compress::Always).await.unwrap();
        assert_eq!(client.read().await.unwrap(), Some(Message::Binary(&[7; 5000])));
        client.close(None, "").await.unwrap();
        server.await.unwrap().0.unwrap();
    }
}

#[tokio::test]
async fn a_message_that_becomes_too_long_is_1009_whichever_way_it_is_read() {
    const LIMIT: usize = 1 << 20;
    let limits = Limits { message: LIMIT as u64, ..Limits::DEFAULT };
    for whole in [true, false] {
        for len in [LIMIT, LIMIT + 1] {
            let accept = accepting(Policy::DEFAULT).limits(limits);
            let (mut client, mut server) = pair_with(connecting(Policy::DEFAULT), accept).await;
            let payload = vec![0; len];
            let sending = tokio::spawn(async move {
                client.send_with(&payload, Compress::Always).await.unwrap();
                let _ = client.read().await;
                client
            });
            let mut received = 0;
            let error = loop {
                let read = if whole {
                    server.read().await.map(|message| message.map(|message| (message.as_bytes().len(), true)))
                } else {
                    server.read_piece().await.map(|piece| piece.map(|piece| (piece.as_bytes().len(), piece.is_last())))
                };
                match read {
                    Ok(Some((more, is_last))) => {
                        received += more;
                        if is_last {
                            break None;
                        }
                    }
                    Ok(None) => unreachable!("nobody has closed"),
                    Err(error) => break Some(error),
                }
            };
            assert!(received <= LIMIT);
            if len == LIMIT {
                assert!(error.is_none() && received == LIMIT, "{error:?}");
                drop(server);
            } else {
                assert!(matches!(error, Some(Error::Violation(ProtocolError::MessageTooBig))), "{error:?}");
                drop(server);
                let client = sending.await.unwrap();
                assert_eq!(client.peer_close().unwrap().code().unwrap().get(), 1009);
            }
        }
    }
}

#[tokio::test]
async fn rfc7692_7_2_2_garbage_and_text_that_is_not_utf8_are_1007() {
    for (first, payload) in [(0xC2, &b"\xFF\xFF\xFF"[..]), (0xC1, b"garbage"), (0xC1, b"\x00\x01\x00\xFE\xFF\xFF\x00")]
    {
        for whole in [true, false] {
            let extensions = ["Sec-WebSocket-Extensions: permessage-deflate"];
            let (mut client, mut server) = raw_pair(accepting(Policy::DEFAULT), &extensions).await;
            client.write_all(&[masked(first, payload), masked(0x81, b"behind it")].concat()).await.unwrap();
            client.shutdown().await.unwrap();
            for _ in 0..2 {
                let read = if whole { server.read().await.map(drop) } else { server.read_piece().await.map(drop) };
                assert!(matches!(read, Err(Error::Violation(error)) if error.close_code().get() == 1007), "{read:?}");
            }
            assert_eq!(read_to_end(&mut client).await[2..4], 1007_u16.to_be_bytes());
        }
    }
}

#[tokio::test]
async fn a_pool_of_its_own_has_limits_of_its_own() {
    static NOTHING: LazyLock<Pool> = LazyLock::new(|| Pool::new(PoolLimits { lent: 0, kept: 0 }));
    let config = compressing(Policy::DEFAULT);
    let accept = open_to_all().compression_from(config, &NOTHING);
    let (mut client, mut server) = pair_with(ConnectOptions::new().compression_from(config, &NOTHING), accept).await;
    // No compressor is to be had: it goes as it is.
    client.send(&"a".repeat(1000)).await.unwrap();
    assert_eq!(server.read().await.unwrap().unwrap().as_bytes().len(), 1000);
    // No decompressor is to be had for what another client has compressed.
    let (mut client, mut server) = pair_with(connecting(Policy::DEFAULT), accept).await;
    client.send(&"a".repeat(1000)).await.unwrap();
    let reading = tokio::spawn(async move { server.read().await.map(drop).unwrap_err() });
    assert!(client.read().await.unwrap().is_none());
    assert_eq!(client.peer_close().unwrap().code(), Some(CloseCode::TRY_AGAIN_LATER));
    drop(client);
    let error = reading.await.unwrap();
    assert!(matches!(error, Error::Violation(ProtocolError::TooManyCompressed)), "{error}");
}
