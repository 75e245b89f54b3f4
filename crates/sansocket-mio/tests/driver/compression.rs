//! permessage-deflate through a driver: what comes, what leaves, and what is held meanwhile.

use std::mem;

use sansocket::handshake::{Accept, RequestProgress, ServerHandshake};
use sansocket_mio::deflate::{Compress, Config, Policy, Pool, PoolLimits};
use sansocket_mio::{
    ClientRequest, CloseCode, Common, Driver, EndedBy, Kind, Message, Prepared, ProtocolError, SendError, Sent,
    Settings, Uri,
};
use sansocket_testkit::{BINARY, Frame, Side};

use crate::fake::{Coming, Fake, Going, Heard, Rig, message, noise};
use crate::peer::{Got, Peer, RSV1, agreed, request};

pub(crate) const READ: usize = 64 * 1024 + 64;

/// No references to earlier messages, references, and a small window.
pub(crate) const POLICIES: [Policy; 3] = [
    Policy::DEFAULT,
    Policy::TAKEOVER,
    Policy { window_bits: sansocket_mio::deflate::WindowBits::new(9).unwrap(), ..Policy::DEFAULT },
];

/// How short a message has to be that is not worth it, where messages do not refer to each other.
const THRESHOLD: usize = 256;

pub(crate) const fn compressing(policy: Policy) -> Settings {
    let config = Config { policy, threshold: THRESHOLD, ..Config::DEFAULT };
    Settings { compression: Some(config), ..Settings::DEFAULT }
}

/// A server's driver behind a good handshake, and its peer.
pub(crate) fn open(settings: Settings, policies: &[Policy]) -> (Rig, Peer) {
    open_with(Common::new(settings), policies)
}

/// As `open`, with the pool that it borrows from.
pub(crate) fn open_pooled(settings: Settings, policies: &[Policy]) -> (Rig, Peer, Pool) {
    let (pool, mut common) = (Pool::default(), Common::new(settings));
    common.set_pool(pool.clone());
    let (rig, peer) = open_with(common, policies);
    (rig, peer, pool)
}

fn open_with(common: Common, policies: &[Policy]) -> (Rig, Peer) {
    let (request, handshake) = request(policies);
    let driver = Driver::server(Fake::new([Coming::Bytes(request)]), &common);
    let mut rig = Rig::new(driver, common, READ);
    rig.run();
    let (negotiated, _) = agreed(handshake, &mem::take(&mut rig.stream().written));
    rig.heard.clear();
    rig.calls();
    (rig, Peer::client(negotiated))
}

/// A client's driver behind a good handshake, and its peer, which accepts by this policy.
pub(crate) fn open_client(settings: Settings, policy: Policy) -> (Rig, Peer) {
    let common = Common::new(settings);
    let uri = Uri::parse("ws://localhost/").unwrap();
    let driver = Driver::client(Fake::default(), &ClientRequest::new(&uri), &common).unwrap();
    let mut rig = Rig::new(driver, common, READ);
    rig.turn((false, false, true));
    let request = mem::take(&mut rig.stream().written);
    let mut answer = Vec::new();
    let negotiated = match ServerHandshake::new().receive(&request, &mut answer) {
        RequestProgress::Request(request) => request.accept(&Accept::new().compression(policy), &mut answer).unwrap(),
        refused => panic!("{refused:?}"),
    };
    rig.stream().push(Coming::Bytes(answer));
    rig.run();
    assert_eq!(mem::take(&mut rig.heard), [Heard::Response(101)]);
    (rig, Peer::new(Side::Server, negotiated, &Config::DEFAULT))
}

/// Lets both ends talk until neither has more to say.
#[track_caller]
pub(crate) fn talk(rig: &mut Rig, peer: &mut Peer) {
    loop {
        let bytes = peer.take();
        if !bytes.is_empty() {
            rig.stream().push(Coming::Bytes(bytes));
        }
        rig.run();
        let written = mem::take(&mut rig.stream().written);
        if written.is_empty() {
            return;
        }
        peer.receive(&written);
    }
}

/// Text and binary of about this length: what gets shorter, and what does not.
fn payloads(len: usize) -> [(String, Vec<u8>); 2] {
    let text = "größer und größer, ".chars().cycle().take(len * 19 / 23).collect();
    [(text, vec![7; len]), (scrambled(len).iter().map(|byte| char::from(byte % 95 + 32)).collect(), scrambled(len))]
}

/// Bytes that no compressor makes shorter.
pub(crate) fn scrambled(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ len as u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..len).map(next).collect()
}

/// How the last message was begun: whether it came compressed.
pub(crate) fn is_compressed(got: &Got) -> bool {
    matches!(got, Got::Compressed(..))
}

#[test]
fn messages_of_every_size_are_echoed_by_both_ends_under_every_agreement() {
    let sizes = [0, 1, 255, 256, 4096, 16 << 10, (64 << 10) - 1, 64 << 10, (64 << 10) + 1];
    let mut choices = [Compress::Auto, Compress::Always, Compress::Never].into_iter().cycle();
    for (ours, theirs) in [(0, 0), (0, 1), (1, 1), (2, 0), (1, 2)] {
        let (ours, theirs) = (POLICIES[ours], POLICIES[theirs]);
        for (mut rig, mut peer) in [open(compressing(ours), &[theirs]), open_client(compressing(ours), theirs)] {
            assert!(peer.connection.negotiated().compression().is_some());
            for (text, binary) in sizes.into_iter().flat_map(payloads) {
                for (sent, choice) in [Message::Text(&text), Message::Binary(&binary)].into_iter().zip(&mut choices) {
                    peer.send(sent, choice);
                    talk(&mut rig, &mut peer);
                    let len = sent.as_bytes().len();
                    assert!(mem::take(&mut rig.heard) == [message(sent)], "{len} bytes, {choice:?}");
                    let got = peer.got.pop_front().unwrap();
                    assert!(got == Got::message(sent, is_compressed(&got)), "{len} bytes");
                    assert!(!is_compressed(&got) || len > 0, "what is short goes as it is");
                    assert_eq!((peer.got.len(), rig.driver.queued()), (0, 0));
                }
            }
        }
    }
}

#[test]
fn whoever_sends_chooses_whether_it_is_compressed() {
    for policy in [Policy::DEFAULT, Policy::TAKEOVER] {
        let (mut rig, mut peer) = open(compressing(policy), &[policy]);
        rig.echoes = false;
        for (len, choice, compressed) in [
            (if policy.takeover { 1 } else { THRESHOLD - 1 }, Compress::Auto, false),
            (THRESHOLD, Compress::Auto, true),
            (0, Compress::Auto, false),
            (10_000, Compress::Never, false),
            (100_000, Compress::Auto, true),
            (100_000, Compress::Never, false),
            (0, Compress::Always, true),
            (1, Compress::Always, true),
        ] {
            let payload = vec![b'x'; len];
            let mut turn = rig.driver.turn(&mut rig.common);
            assert_eq!(turn.send_with(&payload, choice), Ok(Sent::Accepted));
            drop(turn);
            talk(&mut rig, &mut peer);
            assert!(peer.got.pop_front() == Some(Got::message((&payload).into(), compressed)), "{len} {choice:?}");
        }
    }
}

#[test]
fn a_frame_that_is_longer_than_a_read_is_inflated_and_not_taken_for_the_message() {
    // Other compressors put a message into one frame. What is left of it could be read straight into the message, if it were not
    // compressed; a buffer that is not vectored into makes no difference.
    for len in [5000, 70_000, 200_000] {
        for cut in [1000, 4096, 30_000, 1 << 20] {
            let (mut rig, mut peer) = open(compressing(Policy::DEFAULT), &[Policy::DEFAULT]);
            rig.echoes = false;
            let payload = [scrambled(len), vec![0; 3]].concat();
            let compressed = peer.compressed(&payload);
            peer.frame(Frame::new(BINARY, compressed).reserved(RSV1));
            peer.send("behind it", Compress::Never);
            for chunk in peer.take().chunks(cut) {
                rig.stream().push(Coming::Bytes(chunk.to_vec()));
                rig.run();
            }
            let lens: Vec<_> = rig.heard.iter().map(|heard| matches!(heard, Heard::Message(..))).collect();
            assert!(rig.heard == [message((&payload).into()), message("behind it".into())], "{len} {cut}: {lens:?}");
        }
    }
}

#[test]
fn control_frames_are_answered_between_the_frames_of_a_compressed_message() {
    let (mut rig, mut peer) = open(compressing(Policy::DEFAULT), &[Policy::DEFAULT]);
    let text = "aß水🍌".repeat(5000);
    for (at, part) in text.as_bytes().chunks(9999).enumerate() {
        peer.send_part(Kind::Text, part, false, Compress::Always);
        peer.ping(&[u8::try_from(at).unwrap()]);
    }
    peer.send_part(Kind::Text, b"", true, Compress::Always);
    talk(&mut rig, &mut peer);
    let pings = text.len().div_ceil(9999);
    for at in 0..pings {
        assert_eq!(peer.got.pop_front(), Some(Got::Pong(vec![u8::try_from(at).unwrap()])));
    }
    assert_eq!(peer.got, [Got::Compressed(Kind::Text, text.clone().into_bytes())]);
    assert_eq!(rig.heard.len(), pings + 1);
    assert!(rig.heard.last() == Some(&message((&text).into())));
}

#[test]
fn a_part_of_a_text_may_cut_characters_and_no_other_message_comes_in_between() {
    let (mut rig, mut peer) = open(compressing(Policy::DEFAULT), &[Policy::DEFAULT]);
    let text = "aß水🍌".repeat(200);
    let mut turn = rig.driver.turn(&mut rig.common);
    for part in text.as_bytes().chunks(7) {
        let _ = turn.send_part_with(Kind::Text, part, false, Compress::Always).unwrap();
        // What was chosen with the first part holds.
        assert_eq!(turn.send_with("x", Compress::Never), Err(SendError::MessageUnderWay));
        assert_eq!(turn.send_with(&[7; 5000], Compress::Always), Err(SendError::MessageUnderWay));
        assert_eq!(turn.send_prepared(&Prepared::new("x")), Err(SendError::MessageUnderWay));
        assert_eq!(turn.send_part(Kind::Binary, b"x", true), Err(SendError::MessageUnderWay));
        turn.ping(b"in between").unwrap();
    }
    assert_eq!(turn.send_part_with(Kind::Text, b"\xFF", true, Compress::Never), Err(SendError::InvalidUtf8));
    let _ = turn.send_part_with(Kind::Text, b"", true, Compress::Never).unwrap();
    let _ = turn.send("behind").unwrap();
    drop(turn);
    talk(&mut rig, &mut peer);
    peer.got.retain(|got| !matches!(got, Got::Ping(_)));
    let expected = [Got::Compressed(Kind::Text, text.into_bytes()), Got::Message(Kind::Text, b"behind".to_vec())];
    assert_eq!(peer.got, expected);
}

#[test]
fn a_socket_that_fails_in_the_middle_of_a_message_does_no_harm() {
    for policy in [Policy::DEFAULT, Policy::TAKEOVER] {
        let (mut rig, _, pool) = open_pooled(compressing(policy), &[policy]);
        rig.stream().going.extend([Going::Takes(100), Going::Error(std::io::ErrorKind::ConnectionReset)]);
        let mut turn = rig.driver.turn(&mut rig.common);
        let _ = turn.send_with(&scrambled(300_000), Compress::Always).unwrap();
        let _ = turn.send_part_with(Kind::Binary, &scrambled(300_000), false, Compress::Always).unwrap();
        drop(turn);
        rig.turn((false, false, true));
        // Nobody knows yet; what is sent now leads nowhere.
        let mut turn = rig.driver.turn(&mut rig.common);
        let _ = turn.send_part_with(Kind::Binary, &scrambled(300_000), true, Compress::Always).unwrap();
        let _ = turn.send("later").unwrap();
        drop(turn);
        assert_eq!(rig.driver.queued(), 0);
        rig.stream().ends = true;
        rig.turn((true, true, false));
        rig.run();
        assert!(rig.driver.is_finished());
        assert_eq!(rig.driver.error().map(std::io::Error::kind), Some(std::io::ErrorKind::ConnectionReset));
        assert_eq!(pool.lent(), (0, 0));
    }
}

#[test]
fn prepared_messages_are_compressed_for_whom_they_fit_and_keep_their_order() {
    let small = POLICIES[2];
    for (ours, theirs, fits) in [
        (Policy::DEFAULT, Some(Policy::DEFAULT), true),
        (Policy::DEFAULT, None, false),
        (Policy::TAKEOVER, Some(Policy::TAKEOVER), false),
        (Policy::TAKEOVER, Some(Policy::DEFAULT), true),
        (Policy::DEFAULT, Some(Policy { peer_window_bits: small.window_bits, ..Policy::DEFAULT }), false),
        (small, Some(Policy::DEFAULT), true),
    ] {
        let theirs = theirs.as_slice();
        let (mut rig, mut peer) = open(compressing(ours), theirs);
        rig.stream().going.push_back(Going::Takes(0));
        let mut expected = Vec::new();
        for len in [10, 1000, 100_000] {
            for payload in [vec![7; len], scrambled(len)] {
                let prepared = rig.common.prepare(&payload, Compress::Auto);
                let own = [&b"own, "[..], &payload].concat();
                let mut turn = rig.driver.turn(&mut rig.common);
                let _ = turn.send(&own).unwrap();
                let _ = turn.send_prepared(&prepared).unwrap();
                drop(turn);
                let is_shorter = len >= THRESHOLD && payload[0] == payload[1];
                // Of what leaves in more than one piece, nobody knows soon enough that it gets no shorter.
                let leaves_compressed = is_shorter || len > 16 << 10;
                expected.push(Got::message((&own).into(), leaves_compressed && !theirs.is_empty()));
                expected.push(Got::message((&payload).into(), is_shorter && fits));
            }
        }
        rig.turn((false, false, true));
        talk(&mut rig, &mut peer);
        // What is not fresh noise may get shorter by what came before.
        let plain = |got: &Got| match got {
            Got::Compressed(kind, bytes) | Got::Message(kind, bytes) => (*kind, bytes.clone()),
            got => panic!("{got:?}"),
        };
        assert!(peer.got.iter().map(plain).eq(expected.iter().map(plain)), "{ours:?} {theirs:?}");
        let prepared = |got: &[Got]| got.iter().skip(1).step_by(2).map(is_compressed).collect::<Vec<_>>();
        assert_eq!(prepared(peer.got.make_contiguous()), prepared(&expected), "{ours:?} {theirs:?}");
    }
}

#[test]
fn what_a_handshake_did_not_agree_on_is_not_sent_and_several_offers_may_be_made() {
    let uri = Uri::parse("ws://localhost/").unwrap();
    let offered = |settings: Settings, request: &ClientRequest<'_>| {
        let common = Common::new(settings);
        let mut rig = Rig::new(Driver::client(Fake::default(), request, &common).unwrap(), common, READ);
        rig.turn((false, false, true));
        let head = String::from_utf8(mem::take(&mut rig.stream().written)).unwrap();
        head.matches("permessage-deflate").count()
    };
    let two = [POLICIES[2], Policy::TAKEOVER];
    let (plain, with_offers) = (ClientRequest::new(&uri), ClientRequest::new(&uri).compression(&two));
    assert_eq!(offered(Settings::DEFAULT, &plain), 0);
    assert_eq!(offered(compressing(Policy::DEFAULT), &plain), 1);
    assert_eq!(offered(compressing(Policy::DEFAULT), &with_offers), 2);
    assert_eq!(offered(Settings::DEFAULT, &with_offers), 0, "nobody would inflate what comes of it");
}

#[test]
fn behind_so_many_decompressors_the_next_message_is_1013_and_behind_so_many_compressors_it_goes_as_it_is() {
    let pool = Pool::new(PoolLimits { lent: 1, kept: 1 });
    let common = || {
        let mut common = Common::new(compressing(Policy::DEFAULT));
        common.set_pool(pool.clone());
        common
    };
    // Two loops with one pool.
    let (mut first, mut first_peer) = open_with(common(), &[Policy::DEFAULT]);
    let (mut second, mut second_peer) = open_with(common(), &[Policy::DEFAULT]);
    let send_part = |rig: &mut Rig, last| {
        let mut turn = rig.driver.turn(&mut rig.common);
        let _ = turn.send_part_with(Kind::Binary, &[7; 1000], last, Compress::Always).unwrap();
    };
    first_peer.send_part(Kind::Binary, &[7; 1000], false, Compress::Always);
    talk(&mut first, &mut first_peer);
    send_part(&mut first, false);
    assert_eq!(pool.lent(), (1, 1));

    // A compressor is not to be had.
    let mut turn = second.driver.turn(&mut second.common);
    let _ = turn.send_with(&[7; 1000], Compress::Always).unwrap();
    let _ = turn.send_part_with(Kind::Binary, &[7; 1000], false, Compress::Always).unwrap();
    drop(turn);
    talk(&mut second, &mut second_peer);
    send_part(&mut first, true);
    assert_eq!(pool.lent(), (1, 0));
    // A message that was begun as it is goes on so.
    let mut turn = second.driver.turn(&mut second.common);
    let _ = turn.send_part_with(Kind::Binary, &[8; 1000], true, Compress::Always).unwrap();
    let _ = turn.send_with(&[7; 1000], Compress::Always).unwrap();
    drop(turn);
    talk(&mut second, &mut second_peer);
    let long = [[7; 1000], [8; 1000]].concat();
    let expected = [
        Got::Message(Kind::Binary, vec![7; 1000]),
        Got::Message(Kind::Binary, long),
        Got::Compressed(Kind::Binary, vec![7; 1000]),
    ];
    assert!(mem::take(&mut second_peer.got) == expected);

    // Nor is a decompressor.
    second_peer.send(&[7; 1000], Compress::Always);
    talk(&mut second, &mut second_peer);
    assert!(
        matches!(&second.heard[..], [Heard::End(ending)] if ending.by() == EndedBy::Failure(ProtocolError::TooManyCompressed))
    );
    assert_eq!(second_peer.connection.peer_close().unwrap().code(), Some(CloseCode::TRY_AGAIN_LATER));

    // The first one goes on, and gives back what it has.
    first_peer.send_part(Kind::Binary, &[7; 1000], true, Compress::Always);
    talk(&mut first, &mut first_peer);
    assert_eq!(first.heard, [Heard::Message(Kind::Binary, vec![7; 2000])]);
    assert_eq!(pool.lent(), (0, 0));
}

#[test]
fn codecs_go_back_when_a_connection_goes_in_the_middle_of_messages() {
    let (mut rig, mut peer, pool) = open_pooled(compressing(Policy::DEFAULT), &[Policy::DEFAULT]);
    peer.send_part(Kind::Binary, &noise(1000), false, Compress::Always);
    talk(&mut rig, &mut peer);
    let mut turn = rig.driver.turn(&mut rig.common);
    let _ = turn.send_part_with(Kind::Binary, &[7; 1000], false, Compress::Always).unwrap();
    drop(turn);
    assert_eq!(pool.lent(), (1, 1));
    rig.stream().ends = true;
    rig.turn((true, true, false));
    assert!(rig.driver.is_finished());
    drop(rig.driver);
    assert_eq!(pool.lent(), (0, 0));
}
