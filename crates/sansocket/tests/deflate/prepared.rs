//! Messages that are compressed once for many connections (RFC 7692, section 7.1).

use sansocket::deflate::{Compress, Config, Parameters, Policy, Pool};
use sansocket::{Limits, Message, Prepared, SendError};
use sansocket_testkit::{Side, split_frames};

use super::{RSV1, Receiver, bits, config, connection, noise, window};

fn prepared<'m>(message: impl Into<Message<'m>>, choice: Compress, window_bits: u8) -> Prepared {
    let policy = Policy { window_bits: bits(window_bits), ..Policy::DEFAULT };
    Prepared::compressed(message, choice, &Config { policy, ..config(6) }, &Pool::default())
}

fn to(server: (u8, bool)) -> Parameters {
    Parameters { server: window(server.0, server.1), client: window(15, false) }
}

/// Whether a server sends it compressed to a client with whom it has agreed on this; the client must understand it.
#[track_caller]
fn goes_compressed(prepared: &Prepared, negotiated: Option<Parameters>, text: &str) -> bool {
    let mut server = connection(Side::Server, negotiated, Limits::DEFAULT);
    let mut out = Vec::new();
    server.send_prepared(prepared, &mut out).unwrap();
    assert_eq!(&**server.prepared_frame(prepared).unwrap(), out);
    let frames = split_frames(Side::Server, &out);
    assert_eq!(frames.len(), 1);
    let mut client = Receiver::new(Side::Client, negotiated.unwrap_or(to((15, false))));
    client.feed(&out).expect_text(text).expect_open();
    let compressed = frames[0].reserved_bits() == RSV1;
    assert!(compressed || out == prepared.frame());
    compressed
}

#[test]
fn rfc7692_7_1_a_prepared_message_goes_compressed_to_those_who_understand_it() {
    let text = "news, news, news, ".repeat(50);
    for own in 9..=15 {
        let prepared = prepared(&text, Compress::Auto, own);
        for theirs in 8..=15 {
            assert_eq!(goes_compressed(&prepared, Some(to((theirs, false))), &text), theirs >= own, "{own}, {theirs}");
            // It would disturb a compressor that does not know of it.
            assert!(!goes_compressed(&prepared, Some(to((theirs, true))), &text));
        }
        assert!(!goes_compressed(&prepared, None, &text));
    }
    assert!(!goes_compressed(&prepared(&text, Compress::Always, 8), Some(to((15, false))), &text));
}

#[test]
fn rfc7692_7_1_a_prepared_message_refers_no_farther_back_than_its_window() {
    // Longer than one frame of a compressor, and still one frame.
    let text: String = noise(60_000, 3).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    for own in [9, 12, 15] {
        let prepared = prepared(&text, Compress::Always, own);
        assert!(goes_compressed(&prepared, Some(to((own, false))), &text));
        let mut out = Vec::new();
        connection(Side::Server, Some(to((own, false))), Limits::DEFAULT).send_prepared(&prepared, &mut out).unwrap();
        let payload = [split_frames(Side::Server, &out)[0].payload(), &super::oracle::TAIL].concat();
        assert!(super::oracle::farthest(&payload, &mut Vec::new()) <= 1 << own);
    }
}

#[test]
fn a_prepared_message_is_compressed_as_any_other() {
    let fresh = Some(to((15, false)));
    let long = "long, ".repeat(100);
    assert!(!goes_compressed(&prepared(&long, Compress::Never, 15), fresh, &long));
    assert!(goes_compressed(&prepared("short", Compress::Always, 15), fresh, "short"));
    assert!(goes_compressed(&prepared("", Compress::Always, 15), fresh, ""));
    assert!(!goes_compressed(&prepared("short", Compress::Auto, 15), fresh, "short"));
    // What it is without compression is the same as ever.
    let prepared = prepared(&long, Compress::Always, 15);
    assert_eq!((prepared.kind(), prepared.frame()), (Prepared::new(&long).kind(), Prepared::new(&long).frame()));
}

#[test]
fn a_prepared_message_of_any_length_that_gets_no_shorter_goes_as_it_is() {
    for len in [600, 100_000] {
        let bytes = noise(len, 1);
        let frame = |choice| {
            let server = connection(Side::Server, Some(to((15, false))), Limits::DEFAULT);
            server.prepared_frame(&prepared(&bytes[..], choice, 15)).unwrap().len()
        };
        assert_eq!(frame(Compress::Auto), Prepared::new(&bytes).frame().len());
        assert!(frame(Compress::Always) > frame(Compress::Auto));
    }
}

#[test]
fn a_prepared_message_holds_no_compressor_and_needs_none() {
    let pool = Pool::default();
    let text = "news, ".repeat(100);
    let prepared = Prepared::compressed(&text, Compress::Always, &config(6), &pool);
    assert_eq!(pool.lent(), (0, 0));
    assert!(goes_compressed(&prepared, Some(to((15, false))), &text));
    // Where none is to be had, it is not compressed.
    let empty = Pool::new(sansocket::deflate::PoolLimits { lent: 0, kept: 0 });
    let prepared = Prepared::compressed(&text, Compress::Always, &config(6), &empty);
    assert!(!goes_compressed(&prepared, Some(to((15, false))), &text));
}

#[test]
fn rfc6455_5_1_a_client_cannot_send_what_is_prepared_compressed_or_not() {
    let prepared = prepared("news", Compress::Always, 15);
    for negotiated in [None, Some(to((15, false)))] {
        let mut client = connection(Side::Client, negotiated, Limits::DEFAULT);
        let mut out = Vec::new();
        assert_eq!(client.send_prepared(&prepared, &mut out), Err(SendError::MustMask));
        assert_eq!(client.prepared_frame(&prepared), Err(SendError::MustMask));
        assert_eq!(out, b"");
    }
}

#[test]
fn rfc6455_5_4_a_prepared_message_does_not_go_into_a_compressed_one() {
    let prepared = prepared("news", Compress::Always, 15);
    for side in Side::BOTH {
        let mut connection = connection(side, Some(to((15, false))), Limits::DEFAULT);
        let mut out = Vec::new();
        connection.send_compressed(sansocket::Kind::Text, b"\0\0\0\xFF\xFF", false, &mut out).unwrap();
        let before = out.clone();
        assert_eq!(connection.send_prepared(&prepared, &mut out), Err(SendError::MessageUnderWay));
        assert_eq!(out, before);
    }
}
