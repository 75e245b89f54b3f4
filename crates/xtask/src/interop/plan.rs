//! Which cases there are.

use super::case::{Adapter, Case, Compression, Face, Form, Other, Role, Side, What};
use super::library::Library;
use super::proxies::Via;

/// All cases with another library: what the page has a table of, and more with those that tell more.
pub(super) fn with_library(library: Library) -> Vec<Case> {
    let mut cases = Vec::new();
    for role in [Role::Client, Role::Server] {
        for via in Via::ALL {
            for compression in [library.plain(), Compression::Messages] {
                if library.gap(role, compression.agreed().is_some()).is_some() {
                    continue;
                }
                for face in faces(role) {
                    let whats = matrix(library, role, face);
                    cases.extend(whats.into_iter().map(|what| Case {
                        other: Other::Library(library),
                        role,
                        face,
                        via,
                        tls: false,
                        compression,
                        what,
                    }));
                }
            }
        }
        if library.tells_all() {
            cases.extend(faces(role).into_iter().flat_map(|face| more(library, role, face)));
        }
    }
    cases
}

/// All cases in which the object is a client of our own server.
pub(super) fn with_our_server() -> Vec<Case> {
    let (role, face, via) = (Role::Server, Face::Object, Via::Nothing);
    // Who declines is the peer alone, and that is for others to show.
    let compressions = [Compression::None, Compression::Refused, Compression::Messages, Compression::Takeover];
    let mut cases = Vec::new();
    for adapter in [Adapter::Mio, Adapter::Std, Adapter::Tokio] {
        for tls in [false, true] {
            for compression in compressions {
                let other = Other::Serve(adapter);
                let mut whats = vec![messages(Form::Whole, Side::Us, Side::Us)];
                whats.extend((tls && compression == Compression::None).then_some(What::Stranger));
                cases.extend(whats.into_iter().map(|what| Case { other, role, face, via, tls, compression, what }));
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

/// Messages in all forms, with a Close from either side.
fn matrix(library: Library, role: Role, face: Face) -> Vec<What> {
    let client = if role == Role::Client { Side::Peer } else { Side::Us };
    let mut whats = Vec::new();
    for closer in [Side::Peer, Side::Us] {
        whats.push(messages(Form::Whole, client, closer));
        match face {
            // Its API sends no fragments, but it gets them.
            Face::Object => whats.push(messages(Form::Fragments, Side::Peer, closer)),
            // `sansocket serve` sends none, but another server does, and one is enough for that.
            Face::Adapter(adapter) if library.fragments() || adapter == Adapter::Std => {
                whats.push(messages(Form::Fragments, client, closer));
            }
            Face::Adapter(_) => {}
        }
    }
    whats
}

/// What there is besides, directly: TLS, other agreements on compression, pings, and large messages.
fn more(library: Library, role: Role, face: Face) -> Vec<Case> {
    let client = if role == Role::Client { Side::Peer } else { Side::Us };
    let (whole, large) = (messages(Form::Whole, client, client), messages(Form::Large, client, client));
    let fragments = messages(Form::Fragments, Side::Peer, Side::Peer);
    let mut cases = Vec::new();
    let mut add = |tls: bool, compression: Compression, whats: &[What]| {
        let (other, via) = (Other::Library(library), Via::Nothing);
        cases.extend(whats.iter().map(|&what| Case { other, role, face, via, tls, compression, what }));
    };
    add(false, Compression::Declined, &[whole]);
    // A server's readiness is not heard of by a client that is not ready.
    if role == Role::Server {
        add(false, Compression::Refused, &[whole]);
    }
    add(false, Compression::Takeover, &[whole, fragments, large]);
    add(false, Compression::None, &[large]);
    add(true, Compression::Takeover, &[whole]);
    add(true, Compression::None, &[whole, fragments, large, What::Stranger]);
    for tls in [false, true] {
        add(tls, Compression::None, &[What::PingFromPeer]);
        // The other servers ping nobody by themselves, and browsers give pings to no page.
        if face == Face::Adapter(Adapter::Std) {
            add(tls, Compression::None, &[What::PingFromUs]);
        }
    }
    if face == Face::Object {
        add(false, Compression::None, &[messages(Form::Whole, Side::Peer, Side::Peer)]);
        add(false, Compression::Takeover, &[messages(Form::Whole, Side::Peer, Side::Peer)]);
    }
    cases
}

const fn messages(form: Form, sender: Side, closer: Side) -> What {
    What::Messages { form, sender, closer }
}
