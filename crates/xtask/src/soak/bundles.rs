//! What is sent at once.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::payload::{Content, MOST};
use super::session::{Session, Shared};

pub(super) fn content(random: &mut Xoshiro256PlusPlus) -> Content {
    [Content::Binary, Content::Text, Content::Words][random.random_range(0..3)]
}

/// Of all sizes: half of them short, and each length of the length about equally often behind that.
pub(super) fn size(random: &mut Xoshiro256PlusPlus) -> usize {
    match random.random_range(0..1_000) {
        0..500 => random.random_range(0..=125),
        500..958 => (126.0 * (random.random::<f64>() * (65_535f64 / 126.0).ln()).exp()) as usize,
        958..998 => random.random_range(1 << 16..1 << 18),
        _ => random.random_range(1 << 20..=MOST),
    }
}

pub(super) fn flood(
    session: &mut Session,
    random: &mut Xoshiro256PlusPlus,
    shared: &mut Shared,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    for _ in 0..random.random_range(8..128) {
        match random.random_range(0..10) {
            0 => session.ping(random.random_range(0..126), shared, out)?,
            1 => session.pong(out)?,
            _ => session.send(content(random), random.random_range(0..=125), None, shared, out)?,
        }
    }
    Ok(())
}

pub(super) fn fragments(
    session: &mut Session,
    content: Content,
    size: usize,
    random: &mut Xoshiro256PlusPlus,
    shared: &mut Shared,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let mut part = || {
        let size = match random.random_range(0..4) {
            0 => 0,
            1 => random.random_range(1..4),
            _ => random.random_range(4..500),
        };
        (size, random.random_range(0..4) == 0)
    };
    session.send(content, size, Some(&mut part), shared, out)
}
