//! Which cases there are.

use sansocket_std::Kind;

use super::case::What::*;
use super::case::{Adapter, Case, Compression, Face, Other, Role, Sender, What};
use super::ours::Act;
use super::peer::Peer;

/// All cases with another library.
pub(super) fn with_library(peer: &Peer) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for role in [Role::Client, Role::Server] {
        for tls in [false, true] {
            for face in faces(role) {
                for compression in Compression::ALL {
                    let other = Other::Library(peer);
                    let whats = whats(role, tls, face, compression);
                    cases.extend(whats.into_iter().map(|what| Case { other, role, face, tls, compression, what }));
                }
            }
        }
    }
    cases
}

/// All cases in which the object is a client of our own server.
pub(super) fn with_our_server() -> Vec<Case<'static>> {
    let (role, face) = (Role::Server, Face::Object);
    // Who declines is the peer alone, and that is for others to show.
    let compressions = [Compression::None, Compression::Refused, Compression::Messages, Compression::Takeover];
    let mut cases = Vec::new();
    for adapter in [Adapter::Mio, Adapter::Std] {
        for tls in [false, true] {
            for compression in compressions {
                let mut whats = vec![Messages(Kind::Text, Sender::Us), Messages(Kind::Binary, Sender::Us)];
                if compression == Compression::None {
                    whats.push(CloseFromUs);
                    whats.extend(tls.then_some(Stranger));
                }
                let other = Other::Serve(adapter);
                cases.extend(whats.into_iter().map(|what| Case { other, role, face, tls, compression, what }));
            }
        }
    }
    cases
}

/// What can play our side against a peer of this role.
fn faces(role: Role) -> Vec<Face> {
    match role {
        Role::Client => [Adapter::Mio, Adapter::Std, Adapter::Tokio].map(Face::Adapter).into(),
        Role::Server => vec![Face::Adapter(Adapter::Std), Face::Object],
    }
}

/// What there is for a peer of this role.
fn whats(role: Role, tls: bool, face: Face, compression: Compression) -> Vec<What> {
    let client = if role == Role::Client { Sender::Peer } else { Sender::Us };
    let is_object = face == Face::Object;
    let messages = [
        Messages(Kind::Text, Sender::Peer),
        Messages(Kind::Text, Sender::Us),
        Messages(Kind::Binary, Sender::Peer),
        Messages(Kind::Binary, Sender::Us),
    ];
    let mut whats = match compression {
        Compression::None => {
            let mut whats = messages.to_vec();
            // What the adapters do as servers, they do as clients.
            whats.retain(|what| is_object || matches!(what, Messages(_, sender) if *sender == client));
            whats.extend([Fragments(Kind::Text), Fragments(Kind::Binary)]);
            whats.extend([PingFromPeer, PingFromUs, CloseFromPeer, CloseFromUs]);
            whats.extend(tls.then_some(Stranger));
            whats
        }
        Compression::Declined => vec![Messages(Kind::Text, client)],
        // A server's readiness is not heard of by a client that is not ready.
        Compression::Refused if role == Role::Client => Vec::new(),
        Compression::Refused => vec![Messages(Kind::Text, client)],
        Compression::Messages | Compression::Takeover => {
            let mut whats = messages.to_vec();
            // TLS does not know what it carries.
            whats.retain(|what| is_object || !tls || matches!(what, Messages(Kind::Text, _)));
            whats.extend([Fragments(Kind::Text), Fragments(Kind::Binary)].into_iter().filter(|_| !tls));
            whats
        }
    };
    whats.retain(|what| match face {
        // `sansocket serve` can do nothing else.
        Face::Adapter(Adapter::Mio | Adapter::Tokio) => what.our_act() == Act::Echo,
        Face::Adapter(Adapter::Std) => true,
        // Browsers give pings to no page.
        Face::Object => *what != PingFromUs,
    });
    whats
}
