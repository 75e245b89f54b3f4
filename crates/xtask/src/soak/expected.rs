//! What has to come back, held against what comes.

use std::collections::VecDeque;

use sansocket::Kind;

use super::payload::{Message, Noise};

/// The messages that were sent and are not back, in their order.
#[derive(Default)]
pub(super) struct Expected {
    messages: VecDeque<Message>,
    /// How many bytes of the first one are back.
    back: usize,
}

impl Expected {
    pub(super) fn push(&mut self, message: Message) {
        self.messages.push_back(message);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn in_words(&self) -> String {
        let first = self.messages.front().map_or(String::new(), |first| {
            format!(" from {} on, of whose {} bytes {} are back", first.sequence, first.size, self.back)
        });
        format!("{} messages{first}", self.messages.len())
    }

    /// Takes a piece of a message, `last` if it is its end; what is wrong with it.
    pub(super) fn take(&mut self, noise: &Noise, kind: Kind, piece: &[u8], last: bool) -> Result<(), String> {
        let Some(message) = self.messages.front() else {
            return Err(format!("a message came, {}, and none was due", begin(piece)));
        };
        let due = format_args!("message {} of {} bytes was due", message.sequence, message.size);
        if kind != message.content.kind() {
            return Err(format!("{due}, {:?}, and {kind:?} came", message.content));
        }
        let (size, end) = (noise.size(message), self.back + piece.len());
        if let Some(at) = noise.difference(message, self.back, &piece[..piece.len().min(size - self.back)]) {
            return Err(match Message::sequence_in(piece).filter(|_| self.back == 0) {
                Some(came) if came != message.sequence => format!("{due}, and message {came} came"),
                _ => format!("{due}, and its byte {} is wrong; the piece is {}", self.back + at, begin(piece)),
            });
        }
        if end > size || last && end < size {
            return Err(format!("{due}, and {} {end} bytes came", if last { "only" } else { "already" }));
        }
        self.back = end;
        if last {
            self.messages.pop_front();
            self.back = 0;
        }
        Ok(())
    }
}

/// The first bytes of a piece, in words.
fn begin(piece: &[u8]) -> String {
    format!("{} bytes that begin with \"{}\"", piece.len(), piece[..piece.len().min(24)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::super::payload::Content;
    use super::*;

    fn message(sequence: u32, size: usize) -> Message {
        Message { content: Content::Binary, connection: 1, sequence, size }
    }

    fn bytes(noise: &Noise, message: Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        noise.write(&message, &mut bytes);
        bytes
    }

    fn due(messages: &[Message]) -> Expected {
        Expected { messages: messages.iter().copied().collect(), back: 0 }
    }

    #[test]
    fn what_was_sent_comes_back_in_any_pieces() {
        let noise = Noise::new(1);
        let messages = [message(0, 100), message(1, 0), message(2, 5)];
        for size in 1..=100 {
            let mut expected = due(&messages);
            for message in messages {
                let bytes = bytes(&noise, message);
                let mut pieces: Vec<_> = bytes.chunks(size).collect();
                // A message may end with a piece of nothing, and one of nothing does.
                pieces.push(&[]);
                let last = pieces.len() - 1;
                for (at, piece) in pieces.into_iter().enumerate() {
                    expected.take(&noise, Kind::Binary, piece, at == last).unwrap();
                }
            }
            assert!(expected.is_empty());
        }
    }

    #[test]
    fn lost_doubled_and_reordered_ones_are_named() {
        let noise = Noise::new(1);
        let came = |sequence, expected: &mut Expected| {
            expected.take(&noise, Kind::Binary, &bytes(&noise, message(sequence, 20)), true)
        };
        let all = [message(7, 20), message(8, 20)];
        let lost = came(8, &mut due(&all)).unwrap_err();
        assert_eq!(lost, "message 7 of 20 bytes was due, and message 8 came");
        let mut expected = due(&all);
        came(7, &mut expected).unwrap();
        assert_eq!(came(7, &mut expected).unwrap_err(), "message 8 of 20 bytes was due, and message 7 came");
        let mut expected = due(&all[1..]);
        came(8, &mut expected).unwrap();
        assert!(came(8, &mut expected).unwrap_err().ends_with("and none was due"));
    }

    #[test]
    fn a_wrong_byte_length_or_kind_is_named() {
        let noise = Noise::new(1);
        let whole = bytes(&noise, message(3, 40));
        let error = |kind, piece: &[u8], last| due(&[message(3, 40)]).take(&noise, kind, piece, last).unwrap_err();
        let mut wrong = whole.clone();
        wrong[30] ^= 4;
        assert!(error(Kind::Binary, &wrong, true).contains("byte 30 is wrong"));
        assert!(error(Kind::Binary, &whole[..39], true).ends_with("only 39 bytes came"));
        let long = [&whole[..], &[0]].concat();
        assert!(error(Kind::Binary, &long, false).ends_with("already 41 bytes came"));
        assert!(error(Kind::Text, &whole, true).contains("Text came"));
    }
}
