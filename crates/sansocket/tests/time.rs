//! Two peers, a wire with latency and a clock that goes as it is told: time limits from end to end.

use std::time::Duration;

use sansocket::{CloseCode, EndedBy, NextStep, ProtocolError, Timeouts};
use sansocket_testkit::Pair;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const PING: Timeouts = Timeouts { ping: Some(ms(100)), pong: Some(ms(50)), ..Timeouts::NONE };

#[test]
fn rfc6455_5_5_2_keepalive_pings_are_answered_and_the_connection_lives() {
    let mut pair = Pair::new().latency(ms(20)).timeouts(PING);
    pair.advance(ms(100_000));
    pair.server.expect_open();
    pair.client.expect_open();
}

#[test]
fn rfc6455_5_5_2_a_round_trip_longer_than_the_limit_is_a_dead_peer() {
    let timeouts = Timeouts { end: Some(ms(10)), ..PING };
    let mut pair = Pair::new().latency(ms(26)).timeouts(timeouts);
    // Both ping at 100, and hear each other's ping at 126: any byte counts.
    pair.advance(ms(1000));
    pair.server.expect_open();
    pair.client.expect_open();

    let mut pair = Pair::new().latency(ms(51)).timeouts(timeouts);
    pair.advance(ms(149));
    pair.server.expect_open();
    pair.advance(ms(1));
    assert_eq!(pair.server.connection.failure(), Some(ProtocolError::PongTimeout));
    assert_eq!(pair.server.connection.next_step(), NextStep::DrainAfterFlush);
    pair.advance(ms(10));
    assert_eq!(pair.server.connection.next_step(), NextStep::Closed);
}

#[test]
fn rfc6455_7_1_1_a_closing_handshake_takes_a_round_trip_and_no_time_limit_hits_it() {
    let timeouts = Timeouts { close: Some(ms(41)), end: Some(ms(41)), ..Timeouts::NONE };
    let mut pair = Pair::new().latency(ms(20)).timeouts(timeouts);
    pair.client.send(|connection, out| connection.close(Some(CloseCode::NORMAL), "", out));
    pair.advance(ms(39));
    assert_eq!(pair.client.connection.next_step(), NextStep::Open);
    assert_eq!(pair.server.connection.ending().unwrap().by(), EndedBy::Peer);
    pair.advance(ms(1));
    let ending = pair.client.connection.ending().unwrap();
    assert_eq!((ending.by(), ending.is_clean()), (EndedBy::Local, true));
    assert_eq!(pair.client.connection.next_step(), NextStep::Closed, "the server has closed the transport");
    pair.advance(ms(20));
    assert_eq!(
        pair.next_event(),
        None,
        "the client's end of the transport has arrived too: nothing is left to wait for"
    );
}

#[test]
fn rfc6455_7_1_1_a_close_lost_on_the_way_is_waited_for_until_the_limit() {
    let timeouts = Timeouts { close: Some(ms(39)), ..Timeouts::NONE };
    let mut pair = Pair::new().latency(ms(20)).timeouts(timeouts);
    pair.client.send(|connection, out| connection.close(Some(CloseCode::NORMAL), "", out));
    pair.advance(ms(1000));
    let ending = pair.client.connection.ending().unwrap();
    assert!(matches!(ending.by(), EndedBy::Loss(_)) && ending.code() == 1006, "{ending:?}");
}

#[test]
fn chunks_and_latency_change_nothing_about_what_is_received() {
    let mut pair = Pair::new().chunk(3).latency(ms(7));
    pair.client.send(|connection, out| connection.send_text("größer", out));
    pair.advance(ms(6));
    pair.server.expect_nothing();
    pair.client.send(|connection, out| connection.send_binary(&[1, 2, 3], out));
    pair.advance(ms(1));
    pair.server.expect_text("größer").expect_nothing();
    pair.advance(ms(6));
    pair.server.expect_binary(&[1, 2, 3]).expect_open();
}
