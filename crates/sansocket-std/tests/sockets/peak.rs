//! What a connection holds behind its longest message.

use allocation_counter::measure;
use sansocket_std::{AcceptOptions, Error};

use crate::script::{Script, server};

/// The read buffer, what is kept of an output and of joined messages, and the notes of the stream.
const KEPT: i64 = (16 + 128 + 64 + 16) * 1024;

/// A text of so many bytes in two fragments, and a short one, as a client sends them, masked with zeros.
fn wire(len: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for first in [0x01, 0x80] {
        wire.extend([first, 0x80 | 127]);
        wire.extend((len as u64 / 2).to_be_bytes());
        wire.extend([0; 4]);
        wire.resize(wire.len() + len / 2, b'x');
    }
    wire.extend(b"\x81\x81\0\0\0\0.");
    wire
}

#[test]
fn behind_a_long_message_a_connection_holds_as_little_as_before() {
    for len in [1 << 20, 16 << 20] {
        let stream = Script::generous(&wire(len));
        let mut ws = server(AcceptOptions::new(), &stream);
        let info = measure(|| {
            assert_eq!(ws.read().unwrap().unwrap().as_bytes().len(), len);
            assert_eq!(ws.read().unwrap().unwrap().as_bytes(), b".");
        });
        assert!(info.bytes_max >= len as u64, "{info:?}");
        assert!(info.bytes_current <= KEPT, "{len}: {} bytes are kept", info.bytes_current);
    }
}

#[test]
fn behind_a_long_queue_a_connection_holds_as_little_as_before() {
    const LEN: i64 = 4 << 20;
    let stream = Script::generous(&[]);
    stream.state().written.reserve(2 * LEN as usize);
    let mut ws = server(AcceptOptions::new(), &stream);
    let line = "x".repeat(1000);
    let info = measure(|| {
        for _ in 0..LEN / 1000 {
            ws.queue(&line).unwrap();
        }
        ws.flush().unwrap();
        assert!(matches!(ws.read(), Err(Error::Lost { .. })));
    });
    // `queue` writes by itself once much is queued.
    assert!(info.bytes_max < 1 << 20, "{info:?}");
    assert!(info.bytes_current <= KEPT, "{} bytes are kept", info.bytes_current);
}
