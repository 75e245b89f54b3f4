//! Pairs of sockets: one for the server, one for the test.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix;

use sansocket_mio::Stream;

use crate::common::LIMIT;

/// A kind of sockets.
pub(crate) trait Net: Stream + Sized + 'static + Send {
    /// A socket that blocks.
    type Peer: Read + Write + Debug + Send;

    fn pair() -> (Self, Self::Peer);

    fn shut_down(peer: &Self::Peer, how: Shutdown);
}

impl Net for mio::net::TcpStream {
    type Peer = std::net::TcpStream;

    fn pair() -> (Self, Self::Peer) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        prepare_tcp(&peer);
        let (end, _) = listener.accept().unwrap();
        end.set_nonblocking(true).unwrap();
        (Self::from_std(end), peer)
    }

    fn shut_down(peer: &Self::Peer, how: Shutdown) {
        peer.shutdown(how).unwrap();
    }
}

impl Net for mio::net::UnixStream {
    type Peer = unix::net::UnixStream;

    fn pair() -> (Self, Self::Peer) {
        let (end, peer) = unix::net::UnixStream::pair().unwrap();
        end.set_nonblocking(true).unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        peer.set_write_timeout(Some(LIMIT)).unwrap();
        (Self::from_std(end), peer)
    }

    fn shut_down(peer: &Self::Peer, how: Shutdown) {
        peer.shutdown(how).unwrap();
    }
}

/// Sends at once, and waits for nobody for ever.
pub(super) fn prepare_tcp(peer: &std::net::TcpStream) {
    peer.set_nodelay(true).unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    peer.set_write_timeout(Some(LIMIT)).unwrap();
}
