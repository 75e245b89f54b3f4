//! What a peer can make us hold and do by compression, and what it is told then.

use std::io::{self, Read, Write};
use std::sync::LazyLock;
use std::thread;

use allocation_counter::measure;
use sansocket_std::deflate::{Compress, Parameters, Policy, Pool, PoolLimits, Window, WindowBits};
use sansocket_std::{CloseCode, ConnectOptions, Error, Limits, Negotiated, ProtocolError};

use super::compression::{accepting, compressing, connecting, pair_with, raw_pair, read_header, scrambled};
use crate::common::{masked, open_to_all, read_to_end};
use crate::script::Script;

/// What `LEN` zeros are once compressed, in one piece.
fn bomb(len: usize) -> Vec<u8> {
    let (mut client, mut server) = raw_pair(accepting(Policy::DEFAULT));
    let sending = thread::spawn(move || server.send_with(&vec![0; len], Compress::Always).unwrap());
    let mut payload = Vec::new();
    loop {
        let (first, len) = read_header(&mut client);
        let start = payload.len();
        payload.resize(start + len, 0);
        client.read_exact(&mut payload[start..]).unwrap();
        if first & 0x80 != 0 {
            sending.join().unwrap();
            return payload;
        }
    }
}

#[test]
fn a_message_that_becomes_too_long_is_1009_and_what_has_come_of_it_is_not_held() {
    const LIMIT: usize = 8 << 20;
    let bomb = bomb(2 * LIMIT);
    assert!(bomb.len() < 64 << 10);
    let limits = Limits { message: LIMIT as u64, ..Limits::DEFAULT };
    for whole in [true, false] {
        for split in [true, false] {
            let (mut client, mut server) = raw_pair(accepting(Policy::DEFAULT).limits(limits));
            client.write_all(&masked(0xC2, &bomb)).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut len = 0;
            let mut end = None;
            let mut halves = None;
            let info = measure(|| {
                if split {
                    let (mut reader, writer) = server.split().unwrap();
                    end = Some(loop {
                        let result = if whole {
                            reader.read().map(|_| 0)
                        } else {
                            reader.read_piece().map(|piece| piece.map_or(0, |piece| piece.as_bytes().len()))
                        };
                        match result {
                            Ok(more) => len += more,
                            Err(error) => break error,
                        }
                    });
                    halves = Some((reader, writer));
                } else {
                    end = Some(loop {
                        let result = if whole {
                            server.read().map(|_| 0)
                        } else {
                            server.read_piece().map(|piece| piece.map_or(0, |piece| piece.as_bytes().len()))
                        };
                        match result {
                            Ok(more) => len += more,
                            Err(error) => break error,
                        }
                    });
                }
            });
            assert!(matches!(end, Some(Error::Violation(ProtocolError::MessageTooBig))), "{end:?}");
            assert!(len <= LIMIT);
            let close = read_to_end(&mut client);
            assert_eq!(close[2..4], 1009_u16.to_be_bytes());
            // While it grows the last time, the memory is there twice.
            let most = if whole { 2 * LIMIT } else { 200 << 10 };
            assert!(info.bytes_max < most as u64 && info.bytes_current < 200 << 10, "{info:?}");
        }
    }
}

#[test]
fn rfc7692_7_2_2_garbage_and_text_that_is_not_utf8_are_1007() {
    for (first, payload) in [
        (0xC2, &b"\xFF\xFF\xFF"[..]),
        (0xC1, b"garbage"),
        // A stored block with a byte that no text has, a character that has no end.
        (0xC1, b"\x00\x01\x00\xFE\xFF\xFF\x00"),
        (0xC1, b"\x00\x01\x00\xFE\xFF\xE2\x00"),
    ] {
        for whole in [true, false] {
            let (mut client, mut server) = raw_pair(accepting(Policy::DEFAULT));
            client.write_all(&[masked(first, payload), masked(0x81, b"behind it")].concat()).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            for _ in 0..2 {
                let read = if whole { server.read().map(drop) } else { server.read_piece().map(drop) };
                assert!(matches!(read, Err(Error::Violation(error)) if error.close_code().get() == 1007), "{read:?}");
            }
            let close = read_to_end(&mut client);
            assert_eq!(close[2..4], 1007_u16.to_be_bytes());
        }
    }
}

#[test]
fn a_pool_of_its_own_has_limits_of_its_own() {
    static NOTHING: LazyLock<Pool> = LazyLock::new(|| Pool::new(PoolLimits { lent: 0, kept: 0 }));
    let config = compressing(Policy::DEFAULT);
    let accept = open_to_all().compression_from(config, &NOTHING);
    let (mut client, mut server) = pair_with(ConnectOptions::new().compression_from(config, &NOTHING), accept);
    // No compressor is to be had: it goes as it is.
    client.send(&"a".repeat(1000)).unwrap();
    assert_eq!(server.read().unwrap().unwrap().as_bytes().len(), 1000);
    // No decompressor is to be had for what another client has compressed.
    let (mut client, mut server) = pair_with(connecting(Policy::DEFAULT), accept);
    client.send(&"a".repeat(1000)).unwrap();
    let read = server.read().unwrap_err();
    assert!(matches!(read, Error::Violation(ProtocolError::TooManyCompressed)), "{read}");
    client.read().unwrap();
    assert_eq!(client.peer_close().unwrap().code(), Some(CloseCode::TRY_AGAIN_LATER));
}

#[test]
fn a_stream_that_was_lost_within_a_compressed_message_is_told_to_every_further_one() {
    let window = Window { bits: WindowBits::MAX, takeover: true };
    let negotiated = Negotiated::new(Some(Parameters { server: window, client: window }));
    let noise = scrambled(1 << 20);
    let messages = [&noise[..], &noise, b"short"];
    for split in [false, true] {
        let stream = Script::generous(&[]);
        let mut ws = open_to_all().upgraded(stream.clone(), negotiated, &[]).unwrap();
        stream.state().write_error = Some(io::ErrorKind::BrokenPipe);
        let results = if split {
            let (_reader, writer) = ws.split().unwrap();
            messages.map(|message| writer.send_with(message, Compress::Always))
        } else {
            messages.map(|message| ws.send_with(message, Compress::Always))
        };
        for result in results {
            let lost = matches!(&result, Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe);
            assert!(lost, "{split}: {result:?}");
        }
        assert_eq!(stream.state().written, b"", "nothing of them");
    }
}
