//! A host with several addresses, tried side by side (RFC 8305). Sockets that block take a thread for each.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;

use sansocket_stream::{ATTEMPT_DELAY, in_turns};

use crate::timing::Limit;

/// Connects to the first of a host's addresses that answers.
pub(crate) fn connect(host: &str, port: u16, limit: Limit) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connect = move |address| match limit.left() {
        Some(left) if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
        Some(left) => TcpStream::connect_timeout(&address, left),
        None => TcpStream::connect(address),
    };
    race(in_turns((host, port).to_socket_addrs()?), connect, start)
}

/// Has a thread of its own do that.
fn start(attempt: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    thread::Builder::new().name("connect".to_owned()).spawn(attempt).map(drop)
}

/// Begins with the first address; with the next one when an attempt has failed, or has not succeeded for a while. What the others come to is
/// dropped as soon as they have.
fn race<T: Send + 'static>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> io::Result<T> + Clone + Send + 'static,
    start: impl Fn(Box<dyn FnOnce() + Send>) -> io::Result<()>,
) -> io::Result<T> {
    if let [address] = addresses[..] {
        return connect(address);
    }
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let (sender, attempts) = mpsc::channel();
    let mut addresses = addresses.into_iter();
    while let Some(address) = addresses.next() {
        let (connect, sender) = (connect.clone(), sender.clone());
        if let Err(error) = start(Box::new(move || drop(sender.send(connect(address))))) {
            // Those that run may still succeed.
            failure = error;
            break;
        }
        if addresses.len() > 0 {
            match attempts.recv_timeout(ATTEMPT_DELAY) {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(_) => {}
            }
        }
    }
    // So that the last attempt to fail is the end.
    drop(sender);
    for attempt in attempts {
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};

    use super::*;

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (0..count).map(|port| ([127, 0, 0, 1], port).into()).collect()
    }

    fn race_all<T: Send + 'static>(
        addresses: Vec<SocketAddr>,
        connect: impl Fn(SocketAddr) -> io::Result<T> + Clone + Send + 'static,
    ) -> io::Result<T> {
        race(addresses, connect, start)
    }

    #[test]
    fn rfc8305_5_an_address_that_does_not_answer_has_the_next_one_tried_beside_it() {
        // Held back until the test is over.
        let (end, never) = mpsc::channel::<()>();
        let never = Arc::new(Mutex::new(never));
        let won = race_all(addresses(3), move |address| {
            if address.port() < 2 {
                let _ = never.lock().unwrap().recv();
            }
            Ok(address.port())
        });
        assert_eq!(won.unwrap(), 2);
        drop(end);
    }

    #[test]
    fn rfc8305_5_the_first_address_may_still_win_behind_the_start_of_the_next() {
        let (begun, has_begun) = mpsc::channel();
        let (end, never) = mpsc::channel::<()>();
        let gates = Arc::new((Mutex::new(has_begun), Mutex::new(never)));
        let won = race_all(addresses(2), move |address| {
            if address.port() == 0 {
                gates.0.lock().unwrap().recv().unwrap();
            } else {
                begun.send(()).unwrap();
                let _ = gates.1.lock().unwrap().recv();
            }
            Ok(address.port())
        });
        assert_eq!(won.unwrap(), 0);
        drop(end);
    }

    #[test]
    fn rfc8305_5_an_address_that_refuses_is_followed_by_the_next_until_there_is_none() {
        let refuse_below = |bound| {
            move |address: SocketAddr| match address.port() {
                port if port < bound => Err(io::ErrorKind::ConnectionRefused.into()),
                port => Ok(port),
            }
        };
        assert_eq!(race_all(addresses(4), refuse_below(2)).unwrap(), 2);
        assert_eq!(race_all(addresses(4), refuse_below(4)).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(race_all(addresses(0), refuse_below(0)).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn an_attempt_that_gets_no_thread_leaves_the_one_that_runs_to_its_end() {
        let first_comes_to = |won: io::Result<()>| {
            let (go, gate) = mpsc::channel::<()>();
            let first = Arc::new(Mutex::new(Some((gate, won))));
            let connect = move |address: SocketAddr| {
                let (gate, won) = first.lock().unwrap().take().unwrap();
                // Until there was no thread for the second one.
                let _ = gate.recv();
                won.map(|()| address.port())
            };
            let (begun, go) = (Cell::new(false), Cell::new(Some(go)));
            race(addresses(3), connect, |attempt| {
                if !begun.replace(true) {
                    return start(attempt);
                }
                drop(go.take().expect("none is tried behind it"));
                Err(io::ErrorKind::OutOfMemory.into())
            })
        };
        assert_eq!(first_comes_to(Ok(())).unwrap(), 0);
        let refused = io::ErrorKind::ConnectionRefused;
        assert_eq!(first_comes_to(Err(refused.into())).unwrap_err().kind(), refused);
        let no_thread = |_| Err(io::ErrorKind::OutOfMemory.into());
        assert_eq!(race(addresses(2), |_| Ok(()), no_thread).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    }

    #[test]
    fn a_single_address_takes_no_thread() {
        let won = race_all(addresses(1), |_| Ok(thread::current().id()));
        assert_eq!(won.unwrap(), thread::current().id());
    }
}
