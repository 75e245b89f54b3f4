//! What the constructor does: rows 1 to 19.

use sansocket_whatwg::{ReadyState, WebSocket};

use crate::peer::{Listener, PATIENCE};

#[test]
fn row_19_the_constructor_returns_at_once_and_nothing_happens_before_the_owner_lets_it() {
    let listener = Listener::new();
    let url = listener.url().replace("//", "//user:pass@");
    let socket = WebSocket::new(&url).unwrap();
    let mut peer = listener.accept();
    peer.answer(&[]);
    assert!(socket.wait_timeout(PATIENCE));
    assert_eq!((socket.ready_state(), socket.url()), (ReadyState::Connecting, &url[..]));
    assert_eq!((socket.protocol(), socket.extensions(), socket.buffered_amount()), (String::new(), String::new(), 0));
    assert_eq!(socket.binary_type().as_str(), "blob");
}
