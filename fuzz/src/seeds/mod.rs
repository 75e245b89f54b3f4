//! The first inputs of each target, written down. `cargo run --example seeds` puts them into `seeds/`.

mod connection;
mod deflate;
pub mod differential;
mod frames;
mod handshake;
mod inflate;
mod object;
mod pair;

/// A seed: its file's name, and its bytes.
pub type Seed = (&'static str, Vec<u8>);

/// The targets and their seeds.
pub fn seeds() -> Vec<(&'static str, Vec<Seed>)> {
    vec![
        ("connection", connection::seeds()),
        ("pair", pair::seeds()),
        ("inflate", inflate::seeds()),
        ("deflate", deflate::seeds()),
        ("object", object::seeds()),
        ("differential", differential::seeds()),
        ("frames", frames::frames()),
        ("text", frames::texts()),
        ("request", handshake::requests()),
        ("response", handshake::responses()),
        ("heads", handshake::heads()),
        ("lists", handshake::lists()),
    ]
}

/// A payload or a text of up to 239 bytes, as an input has it: its length in front.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let len = u8::try_from(bytes.len()).expect("a seed is short");
    [&[len], bytes].concat()
}
