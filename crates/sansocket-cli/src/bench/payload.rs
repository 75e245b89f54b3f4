//! What is sent.

use sansocket_mio::{Kind, Message};

/// The messages of all connections: windows on one run of bytes, each a byte further than the one before. So they differ, and ten
/// thousand of them take hardly more memory than one.
#[derive(Debug)]
pub(super) struct Payload {
    run: Run,
    size: usize,
}

#[derive(Debug)]
enum Run {
    /// ASCII, which can be cut anywhere.
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// Messages of `size` random bytes for so many connections; of something like JSON if they are to be `compressible`.
    pub(super) fn new(kind: Kind, size: usize, connections: usize, compressible: bool) -> Self {
        let length = size + connections;
        let run = match (kind, compressible) {
            (Kind::Text, true) => Run::Text(records().take(length).map(char::from).collect()),
            (Kind::Text, false) => {
                Run::Text(random_bytes().take(length).map(|byte| char::from(b' ' + byte % 95)).collect())
            }
            (Kind::Binary, true) => Run::Binary(records().take(length).collect()),
            (Kind::Binary, false) => Run::Binary(random_bytes().take(length).collect()),
        };
        Self { run, size }
    }

    /// The message that a connection sends, always the same one.
    #[inline]
    pub(super) fn message(&self, connection: usize) -> Message<'_> {
        let window = connection..connection + self.size;
        match &self.run {
            Run::Text(text) => Message::Text(&text[window]),
            Run::Binary(bytes) => Message::Binary(&bytes[window]),
        }
    }

    /// The bytes of a message.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// What is wrong with an echo; its content is compared if `whole`.
    #[inline]
    pub(super) fn compare(&self, connection: usize, echo: Message<'_>, whole: bool) -> Result<(), String> {
        let sent = self.message(connection);
        let (sent_bytes, echo_bytes) = (sent.as_bytes(), echo.as_bytes());
        if echo.kind() != sent.kind() || echo_bytes.len() != sent_bytes.len() {
            return Err(format!("{} was sent, and {} came back", describe(sent), describe(echo)));
        }
        if whole && echo_bytes != sent_bytes {
            let at = sent_bytes.iter().zip(echo_bytes).position(|(sent, echo)| sent != echo).unwrap_or_default();
            return Err(format!(
                "byte {at} of a message came back as {:#04x}, not {:#04x}",
                echo_bytes[at], sent_bytes[at]
            ));
        }
        Ok(())
    }
}

/// The name of a message's kind, as it stands in front of "message".
pub(super) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
    }
}

fn describe(message: Message<'_>) -> String {
    format!("a {} message of {} bytes", kind_name(message.kind()), message.as_bytes().len())
}

/// Always the same ones: Marsaglia's xorshift, of which the upper bits are the better ones.
fn random_bytes() -> impl Iterator<Item = u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    })
}

/// Records as many servers send them, in ASCII; they shrink to about a third.
fn records() -> impl Iterator<Item = u8> {
    let mut bytes = random_bytes();
    std::iter::repeat_with(move || {
        let numbers = bytes.next().zip(bytes.next()).zip(bytes.next());
        let ((first, second), third) = numbers.expect("there is no end of random bytes");
        let side = if third % 2 == 0 { "buy" } else { "sell" };
        format!(r#"{{"id":{},"side":"{side}","price":{first}.{third:02}}},"#, u16::from_be_bytes([first, second]))
    })
    .flat_map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_sends_bytes_of_its_own() {
        for (kind, size, compressible) in
            [(Kind::Text, 16, false), (Kind::Binary, 16, false), (Kind::Text, 64, true), (Kind::Binary, 64, true)]
        {
            let payload = Payload::new(kind, size, 1000, compressible);
            let mut messages: Vec<_> = (0..1000).map(|number| payload.message(number).as_bytes().to_vec()).collect();
            messages.sort_unstable();
            messages.dedup();
            assert_eq!(messages.len(), 1000, "{kind:?}");
            assert!(messages.iter().all(|message| message.len() == size));
        }
        assert_eq!(Payload::new(Kind::Text, 0, 1, false).message(0), Message::Text(""));
    }

    #[test]
    fn a_wrong_echo_is_described() {
        let payload = Payload::new(Kind::Binary, 4, 2, false);
        let right = payload.message(1).as_bytes().to_vec();
        let compare = |echo: Message<'_>, whole| payload.compare(1, echo, whole);
        assert_eq!(compare(Message::Binary(&right), true), Ok(()));
        let error = compare(Message::Binary(&right[1..]), false).unwrap_err();
        assert_eq!(error, "a binary message of 4 bytes was sent, and a binary message of 3 bytes came back");
        let error = compare(Message::Text("text"), false).unwrap_err();
        assert_eq!(error, "a binary message of 4 bytes was sent, and a text message of 4 bytes came back");
        let mut wrong = right.clone();
        wrong[2] ^= 0xff;
        let error = compare(Message::Binary(&wrong), true).unwrap_err();
        assert_eq!(error, format!("byte 2 of a message came back as {:#04x}, not {:#04x}", wrong[2], right[2]));
        assert_eq!(compare(Message::Binary(&wrong), false), Ok(()));
    }
}
