//! Client and server, each on a stack of its own, over a cable that loses packets. No socket of the operating system, no thread, no clock.

mod link;
mod talker;
mod world;

use sansocket::{EndedBy, Kind, ProtocolError, Timeouts};
use sansocket_example_smoltcp::Echo;
use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};

use talker::{Say, Talker};
use world::{World, request};

/// A cable on which all packets arrive.
const GOOD: u64 = u64::MAX;

/// One packet in eleven is lost.
const BAD: u64 = 11;

#[test]
fn messages_far_longer_than_the_buffers_come_back_over_a_bad_cable() {
    let mut plan = Vec::new();
    for len in [0, 8, 120, 128, 65_536, 1 << 20] {
        plan.extend([Say::Message(Kind::Text, len), Say::Ping(b"between"), Say::Message(Kind::Binary, len + 1)]);
    }
    plan.push(Say::Message(Kind::Binary, 0));
    plan.push(Say::Close);
    let mut world = World::new(request(), Talker::new(&plan), Echo, BAD);
    let [client, server] = world.end().map(Option::unwrap);

    let talker = world.client.endpoint.application();
    assert_eq!(talker.messages, talker.to_come());
    assert_eq!(talker.pongs, [b"between"; 6]);
    assert!(client.is_clean() && server.is_clean());
    assert_eq!((client.by(), client.code()), (EndedBy::Local, 1000));
    assert_eq!((server.by(), server.code()), (EndedBy::Peer, 1000));
    // Whatever was lost came again.
    assert!(world.lanes.iter().all(|lane| lane.sent.get() / BAD > 10), "{:?}", world.lanes);
}

#[test]
fn a_server_that_closes_is_the_first_to_end_the_transport() {
    let server = Talker::new(&[Say::Close]);
    let mut world = World::new(request(), Talker::default(), server, GOOD);
    // The one that closes first has to remember the connection for a while.
    world.run_until(|world| world.states().contains(&State::TimeWait));
    assert_eq!(world.states()[1], State::TimeWait);
    let [client, server] = world.end().map(Option::unwrap);
    assert_eq!((client.by(), server.by()), (EndedBy::Peer, EndedBy::Local));
    assert!(client.is_clean() && server.is_clean());
}

#[test]
fn a_peer_that_falls_silent_is_given_up_when_it_owes_a_pong() {
    let mut world = World::new(request(), Talker::new(&[Say::Message(Kind::Binary, 8)]), Echo, GOOD);
    world.run_until(|world| world.client.endpoint.application().messages.len() == 1);
    world.cut();
    let [client, server] = world.end().map(Option::unwrap);

    let failure = EndedBy::Failure(ProtocolError::PongTimeout);
    assert_eq!((client.by(), server.by()), (failure, failure));
    // A ping, its pong, and the transport's end were waited for.
    let Timeouts { ping, pong, end, .. } = Timeouts::DEFAULT;
    let waited = [ping, pong, end].into_iter().flatten().sum::<std::time::Duration>();
    let waited = Duration::from_micros(waited.as_micros() as u64);
    assert!(world.now >= Instant::ZERO + waited && world.now < Instant::ZERO + waited + Duration::from_secs(1));
}

#[test]
fn a_violation_is_told_before_the_transport_ends() {
    let plan = [Say::Message(Kind::Text, 65_536), Say::Fail];
    let mut world = World::new(request(), Talker::new(&plan), Echo, BAD);
    let [client, server] = world.end().map(Option::unwrap);
    assert_eq!(client.by(), EndedBy::Failure(ProtocolError::PolicyViolation));
    assert_eq!((server.by(), server.code()), (EndedBy::Peer, 1008));
}

#[test]
fn a_refused_handshake_ends_both_connections() {
    let foreign = request().origin("https://elsewhere.example");
    let mut world = World::new(foreign, Talker::default(), Echo, BAD);
    assert_eq!(world.end(), [None, None]);
    assert!(world.now < Instant::from_secs(30), "{}", world.now);
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up() {
    let mut world = World::new(request(), Talker::default(), Echo, GOOD);
    // The server waits for the request, and the client for the response.
    world.run_until(|world| world.states() == [State::Established, State::SynReceived]);
    world.cut();
    assert_eq!(world.end(), [None, None]);
    assert!(world.now >= Instant::from_secs(10) && world.now < Instant::from_secs(30), "{}", world.now);
}
