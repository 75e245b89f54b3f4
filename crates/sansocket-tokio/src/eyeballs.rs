//! A host with several addresses, tried side by side (RFC 8305).

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use sansocket_stream::{ATTEMPT_DELAY, in_turns};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

/// Connects to the first of a host's addresses that answers.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    race(in_turns(lookup_host((host, port)).await?), TcpStream::connect).await
}

/// Begins with the first address; with the next one when an attempt has failed, or has not succeeded for a while. Dropped, it gives up all of
/// them.
async fn race<T, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(connect(address));
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
    use std::future::pending;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test]
    async fn rfc8305_5_an_address_that_refuses_does_not_keep_the_next_one_waiting() {
        let connect = |addresses| race(addresses, TcpStream::connect);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let stream = connect(vec![gone, listener.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(connect(vec![gone]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// Which address has won, by its port, and when. Each answers after so many milliseconds, or never.
    async fn won(answers: &'static [Option<u64>]) -> (u16, Duration) {
        let start = Instant::now();
        let addresses = (0_u16..).take(answers.len()).map(|port| ([127, 0, 0, 1], port).into()).collect();
        let connect = |address: SocketAddr| async move {
            match answers[usize::from(address.port())] {
                Some(answer) => sleep(Duration::from_millis(answer)).await,
                None => pending().await,
            }
            Ok(address.port())
        };
        (race(addresses, connect).await.unwrap(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn rfc8305_5_an_address_that_does_not_answer_has_the_next_one_tried_beside_it() {
        let ms = Duration::from_millis;
        assert_eq!(won(&[None, Some(10)]).await, (1, ms(260)));
        assert_eq!(won(&[None, None, Some(10)]).await, (2, ms(510)));
        // It goes on meanwhile, and may still be the first to answer.
        assert_eq!(won(&[Some(300), Some(100)]).await, (0, ms(300)));
        assert_eq!(won(&[Some(249), Some(0)]).await, (0, ms(249)));
    }
}
