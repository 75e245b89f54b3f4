//! How it ends: rows 49 to 63.

use sansocket_whatwg::{CloseEvent, Event};

use crate::peer::{open, rest};

#[test]
fn row_54_without_arguments_the_body_of_the_close_is_empty() {
    let (socket, mut peer) = open();
    socket.close();
    assert_eq!(peer.receive_close(), b"");
    peer.send([0x88, 0]);
    drop(peer);
    assert_eq!(rest(&socket), [Event::Close(CloseEvent::new(true, 1005, ""))]);
}
