//! A host with several addresses, tried side by side (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

/// RFC 8305, 5: "a recommended value for a default delay is 250 milliseconds".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many addresses of a host are tried.
const MOST_ADDRESSES: usize = 16;

/// Connects to the first of a host's addresses that answers.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<_> = lookup_host((host, port)).await?.take(MOST_ADDRESSES).collect();
    connect_to_first(interleaved(addresses)).await
}

/// RFC 8305, 4: families take turns, beginning with that of the first address, and keep their order in themselves.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut other = other.into_iter();
    let mut turns: Vec<_> = one.into_iter().flat_map(|address| [Some(address), other.next()]).flatten().collect();
    turns.extend(other);
    turns
}

/// Begins with the first address; with the next one when an attempt has failed, or has not succeeded for a while. Dropped, it gives up all of
/// them.
async fn connect_to_first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        let finished = if addresses.len() > 0 {
            match timeout(ATTEMPT_DELAY, attempts.join_next()).await {
                Ok(finished) => finished,
                Err(_) => continue,
            }
        } else {
            attempts.join_next().await
        };
        match finished {
            None => return Err(failure),
            Some(attempt) => match attempt.map_err(JoinError::into).flatten() {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn rfc8305_4_families_take_turns() {
        let parse = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>();
        let mixed = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        assert_eq!(interleaved(mixed), parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]));
        let mixed = parse(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(interleaved(mixed), parse(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]));
        assert_eq!(interleaved(Vec::new()), []);
    }

    #[tokio::test]
    async fn rfc8305_5_an_address_that_refuses_does_not_keep_the_next_one_waiting() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect_to_first(vec![gone, listener.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(connect_to_first(vec![gone]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect_to_first(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
