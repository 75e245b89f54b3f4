//! A call that is never polled does nothing.

use sansocket_tokio::{AcceptOptions, CloseCode, Kind, Negotiated, Prepared, Timeouts};

use crate::wire::wire;

/// Makes each of these calls, drops it, and looks whether it has done something.
macro_rules! drop_each {
    ($sender:ident, $hand:ident: $($call:expr),+ $(,)?) => {
        $(
            drop($call);
            assert_eq!(($sender.queued(), $hand.written().len()), (0, 0), stringify!($call));
        )+
        assert!($sender.may_send());
    };
}

#[test]
fn what_is_never_polled_is_not_sent() {
    let (_peer, stream) = wire(1 << 20, 100);
    let hand = stream.hand();
    let options = AcceptOptions::new().timeouts(Timeouts::NONE);
    let mut ws = options.upgraded(stream, Negotiated::default(), &[]);
    let (prepared, long) = (Prepared::new("x"), vec![7; 200_000]);
    drop_each!(ws, hand: ws.queue("x"), ws.queue(&long), ws.queue_prepared(&prepared), ws.send("x"), ws.send(&long));
    drop_each!(ws, hand: ws.send_part(Kind::Text, b"x", false), ws.ping(b"x"), ws.flush());
    drop_each!(ws, hand: ws.start_close(CloseCode::NORMAL, ""), ws.close(None, ""));
    drop_each!(ws, hand: ws.read(), ws.read_owned(), ws.read_piece(), ws.read_to_reply());
    #[cfg(feature = "deflate")]
    {
        use sansocket_tokio::deflate::Compress::Always;
        drop_each!(ws, hand: ws.queue_with("x", Always), ws.send_with("x", Always));
        drop_each!(ws, hand: ws.send_part_with(Kind::Text, b"x", false, Always));
    }
    let (mut reader, mut writer) = ws.split();
    drop_each!(writer, hand: writer.queue("x"), writer.queue_prepared(&prepared), writer.send("x"), writer.send(&long));
    drop_each!(writer, hand: writer.send_part(Kind::Text, b"x", false), writer.ping(b"x"), writer.flush());
    drop_each!(writer, hand: writer.start_close(CloseCode::NORMAL, ""));
    drop_each!(writer, hand: reader.read(), reader.read_owned(), reader.read_piece());
    #[cfg(feature = "deflate")]
    {
        use sansocket_tokio::deflate::Compress::Always;
        drop_each!(writer, hand: writer.queue_with("x", Always), writer.send_with("x", Always));
        drop_each!(writer, hand: writer.send_part_with(Kind::Text, b"x", false, Always));
    }
}
