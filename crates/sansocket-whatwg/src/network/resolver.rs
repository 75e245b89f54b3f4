//! Names to addresses, beside the network's thread: the system's resolver makes who asks it wait.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use super::{Id, Letter, Mailbox};

/// How many names are looked up at once, each on a thread that lives as long as that.
const MOST_LOOKUPS: usize = 4;

/// Who waits for which name. All who wait for the same one share a lookup.
pub(super) struct Resolver {
    mailbox: Arc<Mailbox>,
    waiting: HashMap<String, Vec<Id>>,
    /// Names that wait until another lookup is over.
    queue: VecDeque<String>,
    running: usize,
}

impl Resolver {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox, waiting: HashMap::new(), queue: VecDeque::new(), running: 0 }
    }

    /// Looks up a name for a connection.
    pub(super) fn look_up(&mut self, host: &str, id: Id) {
        match self.waiting.get_mut(host) {
            Some(waiting) => waiting.push(id),
            None => {
                self.waiting.insert(host.to_owned(), vec![id]);
                self.queue.push_back(host.to_owned());
                self.start();
            }
        }
    }

    /// A connection needs it no more.
    pub(super) fn forget(&mut self, host: &str, id: Id) {
        if let Some(waiting) = self.waiting.get_mut(host) {
            waiting.retain(|&other| other != id);
        }
    }

    /// A lookup is over: gives who has waited for it.
    pub(super) fn resolved(&mut self, host: &str) -> Vec<Id> {
        self.running -= 1;
        self.start();
        self.waiting.remove(host).unwrap_or_default()
    }

    fn start(&mut self) {
        while self.running < MOST_LOOKUPS
            && let Some(host) = self.queue.pop_front()
        {
            if self.waiting.get(&host).is_none_or(Vec::is_empty) {
                self.waiting.remove(&host);
                continue;
            }
            self.running += 1;
            let (mailbox, name) = (Arc::clone(&self.mailbox), host.clone());
            let thread = thread::Builder::new().name(String::from("sansocket-dns"));
            let started = thread.spawn(move || {
                let result = look_up(&name);
                mailbox.post(Letter::Resolved(name, result.map_err(Arc::new)));
            });
            if let Err(error) = started {
                self.mailbox.post(Letter::Resolved(host, Err(Arc::new(error))));
            }
        }
    }
}

fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in (host, 0).to_socket_addrs()? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use mio::{Poll, Token, Waker};

    use super::*;

    /// A resolver that has as much to do as it may. Addresses take no server to be looked up; and that they have been, it does not know.
    fn busy() -> (Resolver, Poll) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        let mut resolver = Resolver::new(Arc::new(Mailbox { letters: Mutex::default(), waker }));
        (0..MOST_LOOKUPS).for_each(|at| resolver.look_up(&name(at), Id(at)));
        assert_eq!((resolver.running, resolver.queue.len()), (MOST_LOOKUPS, 0));
        (resolver, poll)
    }

    fn name(at: usize) -> String {
        format!("127.0.0.{at}")
    }

    #[test]
    fn a_name_that_nobody_waits_for_any_more_is_not_looked_up() {
        let (mut resolver, _poll) = busy();
        resolver.look_up("127.0.1.1", Id(11));
        assert_eq!((resolver.running, resolver.queue.len()), (MOST_LOOKUPS, 1));
        resolver.forget("127.0.1.1", Id(11));
        assert_eq!(resolver.resolved(&name(0)), [Id(0)]);
        assert_eq!((resolver.running, resolver.queue.len()), (MOST_LOOKUPS - 1, 0));
        assert!(!resolver.waiting.contains_key("127.0.1.1"));
        // The next that is wanted has its place.
        resolver.look_up("127.0.1.2", Id(12));
        assert_eq!((resolver.running, resolver.queue.len()), (MOST_LOOKUPS, 0));
    }

    #[test]
    fn a_name_that_somebody_still_or_again_waits_for_is_looked_up() {
        let (mut resolver, _poll) = busy();
        resolver.look_up("127.0.1.1", Id(11));
        resolver.look_up("127.0.1.1", Id(12));
        resolver.forget("127.0.1.1", Id(11));
        resolver.look_up("127.0.1.2", Id(13));
        resolver.forget("127.0.1.2", Id(13));
        resolver.look_up("127.0.1.2", Id(14));
        assert_eq!(resolver.queue.len(), 2);
        assert_eq!(resolver.resolved(&name(0)), [Id(0)]);
        assert_eq!(resolver.resolved(&name(1)), [Id(1)]);
        assert_eq!((resolver.running, resolver.queue.len()), (MOST_LOOKUPS, 0));
        assert_eq!(resolver.resolved("127.0.1.1"), [Id(12)]);
        assert_eq!(resolver.resolved("127.0.1.2"), [Id(14)]);
    }

    #[test]
    fn who_gives_up_during_the_lookup_is_not_told() {
        let (mut resolver, _poll) = busy();
        resolver.forget(&name(0), Id(0));
        assert_eq!(resolver.resolved(&name(0)), []);
        assert_eq!(resolver.running, MOST_LOOKUPS - 1);
        // A name of which nobody has asked is nobody's.
        resolver.forget("127.0.1.1", Id(11));
        assert!(!resolver.waiting.contains_key("127.0.1.1"));
    }
}
