//! What is sent: messages that name themselves, behind which comes noise that follows from the name.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use sansocket::Kind;

/// Bytes of each run of noise. A message begins anywhere in the first half, so that its longest has no more than the other.
const RUN: usize = 4 << 20;

/// Bytes of a text that differs from all that follows, at least.
const VERSE: usize = 256 << 10;

/// The most bytes that a message has.
pub(super) const MOST: usize = RUN / 2;

/// Bytes of a message's name: its sequence number and its connection's, eight hexadecimal digits each.
const NAME: usize = 16;

/// Of what a message is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Random bytes.
    Binary,
    /// Random characters of one to four bytes.
    Text,
    /// Words, which can be compressed.
    Words,
}

impl Content {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Binary => Kind::Binary,
            Self::Text | Self::Words => Kind::Text,
        }
    }
}

/// A message, or the payload of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) content: Content,
    pub(super) connection: u32,
    /// Counts the messages of the connection.
    pub(super) sequence: u32,
    /// Bytes; a text may have up to three fewer.
    pub(super) size: usize,
}

impl Message {
    /// Its first bytes. The digits that differ most stand first, for messages that are shorter than their names.
    fn name(&self) -> [u8; NAME] {
        let digits = |number: u32| (0..NAME / 2).map(move |at| b"0123456789abcdef"[(number >> (4 * at)) as usize & 15]);
        let mut name = [0; NAME];
        for (place, digit) in name.iter_mut().zip(digits(self.sequence).chain(digits(self.connection))) {
            *place = digit;
        }
        name
    }

    /// The sequence number in the name at the front of `bytes`, if there is one.
    pub(super) fn sequence_in(bytes: &[u8]) -> Option<u32> {
        let digits = bytes.get(..NAME / 2)?;
        digits.iter().rev().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
    }
}

/// What all messages are cut from.
pub(super) struct Noise {
    binary: Vec<u8>,
    text: String,
    words: String,
}

impl Noise {
    /// The same for the same seed, on every machine.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut binary = vec![0; RUN];
        random.fill_bytes(&mut binary);
        let (mut text, mut words) = (String::new(), String::new());
        while text.len() < VERSE {
            text.push(match random.random_range(0..8) {
                0..5 => random.random_range(' '..='~'),
                5 => random.random_range('\u{a0}'..='\u{7ff}'),
                6 => random.random_range('\u{4e00}'..='\u{9fff}'),
                _ => random.random_range('\u{1f300}'..='\u{1faff}'),
            });
        }
        const WORDS: [&str; 8] = ["the", "soak", "of", "a", "connection", "and", "its", "messages"];
        while words.len() < VERSE {
            words.push_str(WORDS[random.random_range(0..WORDS.len())]);
            words.push(' ');
        }
        // It comes again and again, since much of it takes long where nothing is optimised.
        let [text, words] = [text, words].map(|verse| verse.repeat(RUN / VERSE));
        Self { binary, text, words }
    }

    /// The message in two parts: so many bytes of the first, and the second.
    fn parts(&self, message: &Message) -> ([u8; NAME], usize, &[u8]) {
        let named = message.size.min(NAME);
        // A product with an odd number of many bits puts neighbours far from each other.
        let place =
            (u64::from(message.sequence) << 32 | u64::from(message.connection)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let start = (place >> 32) as usize % (RUN - MOST);
        let end = start + message.size - named;
        let body = match message.content {
            Content::Binary => &self.binary[start..end],
            Content::Text => cut(&self.text, start, end),
            Content::Words => cut(&self.words, start, end),
        };
        (message.name(), named, body)
    }

    /// Puts all of the message into `bytes`, instead of what was there.
    pub(super) fn write(&self, message: &Message, bytes: &mut Vec<u8>) {
        let (name, named, body) = self.parts(message);
        bytes.clear();
        bytes.extend_from_slice(&name[..named]);
        bytes.extend_from_slice(body);
    }

    /// How many bytes the message has.
    pub(super) fn size(&self, message: &Message) -> usize {
        let (_, named, body) = self.parts(message);
        named + body.len()
    }

    /// Where `piece` differs from the message, from its byte `at` on, which it must not go beyond.
    pub(super) fn difference(&self, message: &Message, at: usize, piece: &[u8]) -> Option<usize> {
        let (name, named, body) = self.parts(message);
        let name = &name[at.min(named)..named];
        let (in_name, in_body) = piece.split_at(name.len().min(piece.len()));
        let body = &body[at.saturating_sub(named)..];
        // Compared at once, because what compares one by one takes long where nothing is optimised.
        if name.starts_with(in_name) && body.starts_with(in_body) {
            return None;
        }
        name.iter().take(in_name.len()).chain(body).zip(piece).position(|(sent, come)| sent != come)
    }
}

/// What lies between the characters' borders at or before `start` and `end`.
fn cut(text: &str, start: usize, end: usize) -> &[u8] {
    let border = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start_at = border(start);
    &text.as_bytes()[start_at..border(start_at + end - start)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: Content, sequence: u32, size: usize) -> Message {
        Message { content, connection: 4_999, sequence, size }
    }

    fn written(noise: &Noise, message: &Message) -> Vec<u8> {
        let mut bytes = vec![1; 3];
        noise.write(message, &mut bytes);
        bytes
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
        let of = |seed| written(&Noise::new(seed), &message(Content::Binary, 7, 100));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(of(1)[..16], of(2)[..16]);
    }

    #[test]
    fn messages_have_their_size_and_texts_are_utf_8() {
        let noise = Noise::new(3);
        for content in [Content::Binary, Content::Text, Content::Words] {
            for size in (0..200).chain([MOST]) {
                for sequence in [0, 1, 0xffff_ffff] {
                    let message = message(content, sequence, size);
                    let bytes = written(&noise, &message);
                    assert_eq!(noise.size(&message), bytes.len());
                    assert!(bytes.len() <= size && size <= bytes.len() + 3, "{message:?}");
                    assert!(content == Content::Binary || str::from_utf8(&bytes).is_ok(), "{message:?}");
                }
            }
        }
    }

    #[test]
    fn a_name_tells_its_sequence_number_and_short_messages_differ_from_their_neighbours() {
        let noise = Noise::new(3);
        let bytes = written(&noise, &message(Content::Text, 0xdead_0123, 50));
        assert_eq!(Message::sequence_in(&bytes), Some(0xdead_0123));
        assert_eq!(Message::sequence_in(&bytes[..7]), None);
        assert_eq!(Message::sequence_in(b"no digits"), None);
        assert_ne!(written(&noise, &message(Content::Text, 1, 1)), written(&noise, &message(Content::Text, 2, 1)));
    }

    #[test]
    fn any_byte_that_differs_is_found_however_the_message_is_cut() {
        let noise = Noise::new(3);
        let message = message(Content::Binary, 2, 40);
        let bytes = written(&noise, &message);
        for wrong in 0..bytes.len() {
            let mut come = bytes.clone();
            come[wrong] ^= 1;
            for at in 0..=bytes.len() {
                for end in at..=bytes.len() {
                    assert_eq!(noise.difference(&message, at, &bytes[at..end]), None);
                    let expected = (at..end).contains(&wrong).then(|| wrong - at);
                    assert_eq!(noise.difference(&message, at, &come[at..end]), expected, "{at}..{end}");
                }
            }
        }
    }
}
