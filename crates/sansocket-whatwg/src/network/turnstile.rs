//! Who may connect to which address now.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::Id;

/// Something that one connection at a time is being made to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Address(SocketAddr),
    /// Behind a proxy, nobody knows addresses: host and port.
    Name(String),
}

/// RFC 6455, 4.1: "There MUST be no more than one connection in a CONNECTING state" to an address. "If multiple connections to the same IP address
/// are attempted simultaneously, the client MUST serialize them".
#[derive(Debug, Default)]
pub(super) struct Turnstile {
    /// What is being connected to, and who waits for it to be free again, each with all that it needs.
    held: HashMap<Key, VecDeque<(Id, Vec<Key>)>>,
    /// Who has waited, and now has what it needs.
    admitted: VecDeque<(Id, Vec<Key>)>,
}

impl Turnstile {
    /// Whether a connection may be made to all of `keys` now, which it then holds. If not, it will be [admitted](Self::admitted).
    pub(super) fn enter(&mut self, id: Id, keys: &[Key]) -> bool {
        if let Some(waiting) = keys.iter().find(|key| self.held.contains_key(key)) {
            let waiting = waiting.clone();
            self.held.entry(waiting).or_default().push_back((id, keys.to_vec()));
            return false;
        }
        self.held.extend(keys.iter().map(|key| (key.clone(), VecDeque::new())));
        true
    }

    /// Gives back what a connection holds.
    pub(super) fn leave(&mut self, keys: Vec<Key>) {
        for key in keys {
            let mut waiting = self.held.remove(&key).unwrap_or_default();
            // The first who can enter takes the key, and the others wait for it.
            while let Some((id, needed)) = waiting.pop_front() {
                if self.enter(id, &needed) {
                    self.held.insert(key, waiting);
                    self.admitted.push_back((id, needed));
                    break;
                }
            }
        }
    }

    /// Somebody who has waited, and may connect now.
    pub(super) fn admitted(&mut self) -> Option<(Id, Vec<Key>)> {
        self.admitted.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &str) -> Vec<Key> {
        names.chars().map(|name| Key::Name(name.into())).collect()
    }

    fn admitted(turnstile: &mut Turnstile) -> Vec<usize> {
        std::iter::from_fn(|| turnstile.admitted()).map(|(Id(id), _)| id).collect()
    }

    #[test]
    fn rfc6455_4_1_connections_to_one_address_are_made_one_after_the_other() {
        let mut turnstile = Turnstile::default();
        assert!(turnstile.enter(Id(1), &keys("a")));
        assert!(!turnstile.enter(Id(2), &keys("a")));
        assert!(!turnstile.enter(Id(3), &keys("a")));
        assert!(turnstile.enter(Id(4), &keys("b")));
        assert_eq!(admitted(&mut turnstile), []);
        for id in [2, 3] {
            turnstile.leave(keys("a"));
            assert_eq!(admitted(&mut turnstile), [id]);
        }
        turnstile.leave(keys("a"));
        turnstile.leave(keys("b"));
        assert!(turnstile.held.is_empty() && turnstile.admitted.is_empty());
    }

    #[test]
    fn hosts_that_share_an_address_wait_for_each_other() {
        let mut turnstile = Turnstile::default();
        assert!(turnstile.enter(Id(1), &keys("ab")));
        assert!(!turnstile.enter(Id(2), &keys("bc")));
        assert!(turnstile.enter(Id(3), &keys("c")));
        assert!(!turnstile.enter(Id(4), &keys("b")));
        turnstile.leave(keys("ab"));
        // The second still waits, for "c"; the fourth need not wait for it.
        assert_eq!(admitted(&mut turnstile), [4]);
        turnstile.leave(keys("c"));
        assert_eq!(admitted(&mut turnstile), []);
        turnstile.leave(keys("b"));
        assert_eq!(admitted(&mut turnstile), [2]);
        turnstile.leave(keys("bc"));
        assert!(turnstile.held.is_empty() && turnstile.admitted.is_empty());
    }
}
