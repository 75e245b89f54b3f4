//! The calls of a connection, each given up where it is to be, and then gone on with by the rule that its documentation has.

/// Waits for a call that is made again until it was not given up.
macro_rules! repeat {
    ($cuts:expr, $call:expr) => {
        loop {
            if let Some(result) = $cuts.cut($call).await {
                break result.unwrap();
            }
        }
    };
}

/// Waits for a call that is not made again: its first poll has queued everything.
macro_rules! once {
    ($cuts:expr, $call:expr) => {
        if let Some(result) = $cuts.cut($call).await {
            result.unwrap();
        }
    };
}

/// Sends a message part by part, a ping between them.
macro_rules! say_parts {
    ($ws:ident, $line:ident, $cuts:ident, $send:ident $(, $compress:expr)?) => {
        let parts = $line.parts();
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                once!($cuts, $ws.ping(&at.to_be_bytes()));
            }
            let is_last = at + 1 == parts.len();
            once!($cuts, $ws.$send($line.message.as_message().kind(), part, is_last $(, $compress)?));
        }
    };
}

/// Sends as a line says: by a whole connection, or its half.
macro_rules! say {
    ($ws:ident, $line:ident, $cuts:ident) => {{
        let message = &$line.message;
        if let Some(ping) = &$line.ping {
            once!($cuts, $ws.ping(ping));
        }
        match $line.how {
            How::Prepared if $line.by == Side::Server => {
                once!($cuts, $ws.queue_prepared(&Prepared::new(message)));
            }
            How::Queue | How::Prepared => once!($cuts, $ws.queue(message)),
            How::Send => once!($cuts, $ws.send(message)),
            #[cfg(feature = "deflate")]
            How::QueueCompressed => once!($cuts, $ws.queue_with(message, Compress::Always)),
            #[cfg(feature = "deflate")]
            How::SendCompressed => once!($cuts, $ws.send_with(message, Compress::Always)),
            How::Parts(_) => {
                say_parts!($ws, $line, $cuts, send_part);
            }
            #[cfg(feature = "deflate")]
            How::PartsCompressed(_) => {
                say_parts!($ws, $line, $cuts, send_part_with, Compress::Always);
            }
        }
        if $line.is_flushed {
            repeat!($cuts, $ws.flush());
        }
    }};
}

/// Receives in this way: by a whole connection, or its half.
macro_rules! hear {
    ($ws:ident, $hear:expr, $cuts:ident) => {
        match $hear {
            Hear::Lent => repeat!($cuts, async { Ok::<_, Error>($ws.read().await?.map(|message| message.to_owned())) }),
            Hear::Pieces => {
                let mut payload = Vec::new();
                loop {
                    let piece = repeat!($cuts, async {
                        let piece = $ws.read_piece().await?;
                        Ok::<_, Error>(piece.map(|piece| (piece.kind(), piece.as_bytes().to_vec(), piece.is_last())))
                    });
                    let Some((kind, piece, is_last)) = piece else { break None };
                    payload.extend(piece);
                    if is_last {
                        break Some(match kind {
                            Kind::Text => OwnedMessage::Text(String::from_utf8(payload).unwrap()),
                            Kind::Binary => OwnedMessage::Binary(payload),
                        });
                    }
                }
            }
            Hear::Owned | Hear::Echo => repeat!($cuts, $ws.read_owned()),
        }
    };
}
