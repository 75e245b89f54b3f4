//! How connections behave.

/// What a connection does, one after the other on the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Opens, and is silent but for the pongs that are asked for.
    Idle,
    /// One message of any size after the other.
    Echo,
    /// Many small ones at once, and pings between them.
    Flood,
    /// Much at once, and reads the answer late, a little at a time.
    Slow,
    /// Messages in fragments, tiny and empty ones, written in small pieces.
    Fragments,
    /// Compressed messages, each by itself.
    Compressed,
    /// Compressed messages that refer to earlier ones.
    Takeover,
    /// A violation, of all kinds in turn.
    Violation,
    /// Neither answers pings nor reads, for longer than the server takes.
    Mute,
    /// Dies, in all ways in turn.
    Death,
    /// Begins a handshake and never ends it.
    HalfOpen,
    /// A request that is to be refused, of all kinds in turn.
    BadRequest,
    /// A message, a Close, and again from the start.
    Churn,
}

/// How many of a hundred connections behave so.
pub(super) const SHARES: [(Kind, usize); 13] = [
    (Kind::Idle, 28),
    (Kind::Echo, 25),
    (Kind::Flood, 6),
    (Kind::Slow, 4),
    (Kind::Fragments, 6),
    (Kind::Compressed, 6),
    (Kind::Takeover, 3),
    (Kind::Violation, 5),
    (Kind::Mute, 1),
    (Kind::Death, 5),
    (Kind::HalfOpen, 3),
    (Kind::BadRequest, 3),
    (Kind::Churn, 5),
];

impl Kind {
    /// That of the connection with this number.
    pub(super) fn of(number: usize) -> Self {
        // The kinds change all the time, since 37 and 100 have no common factor: what begins together does not behave alike.
        let mut place = number * 37 % 100;
        for (kind, share) in SHARES {
            match place.checked_sub(share) {
                Some(rest) => place = rest,
                None => return kind,
            }
        }
        unreachable!("the shares are a hundred")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_hundred_neighbours_have_the_shares() {
        for (kind, share) in SHARES {
            assert_eq!((123..223).filter(|number| Kind::of(*number) == kind).count(), share, "{kind:?}");
        }
    }
}
