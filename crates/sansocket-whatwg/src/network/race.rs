//! Several addresses, tried side by side (RFC 8305).

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry};

use super::Id;
use crate::failure::Failure;

/// RFC 8305, 5: "a recommended value for a default delay is 250 milliseconds".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many addresses of a host are tried.
const MOST_ADDRESSES: usize = 16;

/// Attempts to connect to a host.
#[derive(Debug)]
pub(super) struct Race {
    addresses: VecDeque<SocketAddr>,
    attempts: Vec<(SocketAddr, TcpStream)>,
    /// When to try the next address, though the others have not failed.
    next_at: Option<Instant>,
    /// How the last one failed.
    failure: Option<Failure>,
}

impl Race {
    /// Begins with the first address.
    pub(super) fn start(addresses: Vec<SocketAddr>, id: Id, registry: &Registry, now: Instant) -> Self {
        let mut race = Self { addresses: addresses.into(), attempts: Vec::new(), next_at: None, failure: None };
        race.attempt(id, registry, now);
        race
    }

    /// When the next address is due.
    pub(super) const fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// Tries the next address.
    pub(super) fn attempt(&mut self, id: Id, registry: &Registry, now: Instant) {
        self.next_at = None;
        while let Some(address) = self.addresses.pop_front() {
            let attempt = TcpStream::connect(address).and_then(|mut stream| {
                registry.register(&mut stream, id.token(), Interest::READABLE | Interest::WRITABLE)?;
                Ok(stream)
            });
            match attempt {
                Ok(stream) => {
                    self.attempts.push((address, stream));
                    // RFC 8305, 5: one attempt after the other, not all at once.
                    self.next_at = (!self.addresses.is_empty()).then(|| now + ATTEMPT_DELAY);
                    return;
                }
                Err(error) => self.failed(address, error),
            }
        }
    }

    /// Looks who has come in. An address that has failed makes room for the next at once. `None`: nobody yet.
    pub(super) fn winner(&mut self, id: Id, registry: &Registry, now: Instant) -> Option<Result<TcpStream, Failure>> {
        let mut at = 0;
        while let Some((_, stream)) = self.attempts.get(at) {
            match is_connected(stream) {
                Ok(true) => return Some(Ok(self.attempts.swap_remove(at).1)),
                Ok(false) => at += 1,
                Err(error) => {
                    let (address, _) = self.attempts.remove(at);
                    self.failed(address, error);
                    self.attempt(id, registry, now);
                }
            }
        }
        self.attempts.is_empty().then(|| Err(self.failure.take().expect("an address was tried")))
    }

    fn failed(&mut self, to: SocketAddr, error: io::Error) {
        self.failure = Some(Failure::Connect { to, source: Arc::new(error) });
    }
}

fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// The addresses to try. RFC 8305, 4: in the resolver's order, but the address families take turns.
pub(super) fn interleave(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let first_family = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<IpAddr>, VecDeque<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_family);
    let mut interleaved = Vec::with_capacity(addresses.len());
    while !first.is_empty() || !second.is_empty() {
        interleaved.extend(first.pop_front().into_iter().chain(second.pop_front()));
    }
    interleaved.into_iter().take(MOST_ADDRESSES).map(|address| SocketAddr::new(address, port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8305_4_the_families_of_addresses_take_turns() {
        let order = |addresses: &[&str]| -> Vec<String> {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            interleave(&addresses, 80).iter().map(|address| address.ip().to_string()).collect()
        };
        assert_eq!(order(&["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"]), ["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"]);
        assert_eq!(order(&["1.1.1.1", "2.2.2.2", "::1"]), ["1.1.1.1", "::1", "2.2.2.2"]);
        assert_eq!(order(&["1.1.1.1"]), ["1.1.1.1"]);
        assert_eq!(order(&[]), [""; 0]);
    }

    #[test]
    fn of_many_addresses_some_are_tried() {
        for count in [MOST_ADDRESSES, MOST_ADDRESSES + 1] {
            let addresses: Vec<IpAddr> = (0..count).map(|at| IpAddr::from([127, 0, 0, at as u8])).collect();
            assert_eq!(interleave(&addresses, 80).len(), MOST_ADDRESSES);
        }
    }
}

/// On Linux, since elsewhere a full queue may refuse.
#[cfg(all(test, target_os = "linux"))]
mod silence {
    use std::net::TcpListener;

    use mio::{Events, Poll};
    use socket2::{Domain, Socket, Type};

    use super::*;

    /// A listener whose queue is full, and who is in it: the next one to ask for a connection hears nothing.
    fn silent() -> (Socket, Vec<TcpStream>, SocketAddr) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let filling = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
        (listener, filling, address)
    }

    #[test]
    fn rfc8305_5_an_address_that_does_not_answer_has_the_next_one_tried_beside_it() {
        let (_listener, _filling, silent) = silent();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let answers = listener.local_addr().unwrap();
        let mut poll = Poll::new().unwrap();
        let (id, now) = (Id::next(), Instant::now());
        let mut race = Race::start(vec![silent, answers], id, poll.registry(), now);
        let due = race.next_at();
        assert_eq!(due, Some(now + ATTEMPT_DELAY));
        assert!(race.winner(id, poll.registry(), now).is_none(), "nobody has answered, nobody has refused");
        race.attempt(id, poll.registry(), now + ATTEMPT_DELAY);
        assert_eq!((race.attempts.len(), race.next_at()), (2, None), "beside it, and there is no other");
        let mut events = Events::with_capacity(8);
        let won = loop {
            if let Some(won) = race.winner(id, poll.registry(), now) {
                break won.unwrap();
            }
            poll.poll(&mut events, None).unwrap();
        };
        assert_eq!(won.peer_addr().unwrap(), answers);
    }
}
