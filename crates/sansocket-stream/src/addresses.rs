//! The addresses of a host, in the order in which they are tried (RFC 8305).

use std::net::SocketAddr;
use std::time::Duration;

/// RFC 8305, 5: "a recommended value for a default delay is 250 milliseconds".
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many addresses of a host are tried.
const MOST: usize = 16;

/// RFC 8305, 4: families take turns, beginning with that of the first address, and keep their order in themselves.
pub fn in_turns(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.peekable();
    let Some(first) = addresses.peek().map(SocketAddr::is_ipv6) else { return Vec::new() };
    let (one, other): (Vec<_>, Vec<_>) = addresses.partition(|address| address.is_ipv6() == first);
    let mut other = other.into_iter();
    let mut turns: Vec<_> = one.into_iter().flat_map(|address| [Some(address), other.next()]).flatten().collect();
    turns.extend(other);
    turns.truncate(MOST);
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8305_4_families_take_turns() {
        let parse = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>();
        let turns = |addresses| in_turns(parse(addresses).into_iter());
        let mixed = turns(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        assert_eq!(mixed, parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]));
        let mixed = turns(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(mixed, parse(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]));
        assert_eq!(turns(&[]), []);
        assert_eq!(turns(&["1.1.1.1:1"; MOST + 1]).len(), MOST);
        let crowded = turns(&[&["[::1]:1"; MOST + 1][..], &["1.1.1.1:1"]].concat());
        assert_eq!(
            (crowded.len(), crowded[1]),
            (MOST, "1.1.1.1:1".parse().unwrap()),
            "many of one family leave room for the other"
        );
    }
}
