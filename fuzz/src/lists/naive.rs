//! `Sec-WebSocket-Extensions` and `Sec-WebSocket-Protocol` read plainly: cut into elements first, those into words, and what they mean of
//! permessage-deflate by the sentences of RFC 7692.

use sansocket::deflate::{Parameters, Policy, Window, WindowBits};
use sansocket::handshake::ResponseError;

use crate::head::is_token;

/// An extension and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extension {
    /// Its name.
    pub(crate) name: String,
    /// Names, and values without quotes.
    pub(crate) params: Vec<(String, Option<String>)>,
}

/// What an element consists of.
#[derive(Debug, PartialEq)]
enum Word {
    /// A token.
    Token(String),
    /// A token in quotes.
    Quoted(String),
    /// A semicolon or an equals sign.
    Sign(u8),
}

impl Extension {
    /// The extensions of all headers of that name. `None`: one of these does not follow the grammar.
    pub(crate) fn list(values: &[&[u8]]) -> Option<Vec<Self>> {
        Self::each(values).collect()
    }

    /// The same one by one.
    fn each(values: &[&[u8]]) -> impl Iterator<Item = Option<Self>> {
        let elements = values.iter().flat_map(|value| elements(value));
        elements.filter(|element| !element.trim_ascii().is_empty()).map(|element| Self::parse(&words(&element)?))
    }

    /// 9.1: a token, and parameters behind semicolons.
    fn parse(words: &[Word]) -> Option<Self> {
        let mut parts = words.split(|word| *word == Word::Sign(b';'));
        let [Word::Token(name)] = parts.next()? else { return None };
        let param = |part: &[Word]| match part {
            [Word::Token(name)] => Some((name.clone(), None)),
            [Word::Token(name), Word::Sign(b'='), Word::Token(value) | Word::Quoted(value)] => {
                Some((name.clone(), Some(value.clone())))
            }
            _ => None,
        };
        Some(Self { name: name.clone(), params: parts.map(param).collect::<Option<_>>()? })
    }

    /// What it says of permessage-deflate. `None`: it is another one, or invalid (RFC 7692, section 7).
    fn deflate(&self) -> Option<Deflate> {
        let names: Vec<_> = self.params.iter().map(|(name, _)| name).collect();
        let is_unique = |(at, name): (usize, &&String)| !names[..at].contains(name);
        if self.name != "permessage-deflate" || !names.iter().enumerate().all(is_unique) {
            return None;
        }
        let mut deflate = Deflate::default();
        for (name, value) in &self.params {
            let bits = value.as_ref().map(|value| (8..=15).find(|bits| *value == format!("{bits}"))?.try_into().ok());
            match (name.as_str(), bits) {
                ("server_no_context_takeover", None) => deflate.server_fresh = true,
                ("client_no_context_takeover", None) => deflate.client_fresh = true,
                ("server_max_window_bits", Some(Some(bits))) => deflate.server_bits = Some(bits),
                ("client_max_window_bits", None) => deflate.client_bits = Some(None),
                ("client_max_window_bits", Some(Some(bits))) => deflate.client_bits = Some(Some(bits)),
                _ => return None,
            }
        }
        Some(deflate)
    }
}

/// The parameters of permessage-deflate.
#[derive(Debug, Default)]
struct Deflate {
    /// `server_no_context_takeover`
    server_fresh: bool,
    /// `client_no_context_takeover`
    client_fresh: bool,
    /// `server_max_window_bits`
    server_bits: Option<u8>,
    /// `client_max_window_bits`, which need not have a value.
    client_bits: Option<Option<u8>>,
}

/// What lies between commas that are not in quotes.
fn elements(value: &[u8]) -> Vec<Vec<u8>> {
    let mut elements = vec![Vec::new()];
    let (mut quoted, mut escaped) = (false, false);
    for &byte in value {
        match byte {
            b',' if !quoted => elements.push(Vec::new()),
            _ => {
                quoted ^= byte == b'"' && !escaped;
                escaped = quoted && byte == b'\\' && !escaped;
                elements.last_mut().expect("there is one").push(byte);
            }
        }
    }
    elements
}

/// An element's words; space between them does not count. `None`: there is something else.
fn words(element: &[u8]) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut bytes = element.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' => {}
            b';' | b'=' => words.push(Word::Sign(byte)),
            b'"' => {
                let mut value = Vec::new();
                loop {
                    match bytes.next()? {
                        b'"' => break,
                        b'\\' => value.push(bytes.next()?),
                        byte => value.push(byte),
                    }
                }
                words.push(Word::Quoted(token(value)?));
            }
            _ => {
                let mut value = vec![byte];
                while let Some(byte) = bytes.next_if(|byte| is_token(&[*byte])) {
                    value.push(byte);
                }
                words.push(Word::Token(token(value)?));
            }
        }
    }
    Some(words)
}

/// The bytes, if they are a token.
fn token(bytes: Vec<u8>) -> Option<String> {
    is_token(&bytes).then(|| String::from_utf8(bytes).ok())?
}

/// What a server with this policy agrees to (RFC 7692, sections 5 and 7.1).
pub(super) fn agreed_by_server(offers: &[Extension], policy: &Policy) -> Option<Parameters> {
    // 7.1.2.2: who must limit the client's window declines an offer that does not let it.
    let may_be_taken = |offer: &Deflate| policy.peer_window_bits == WindowBits::MAX || offer.client_bits.is_some();
    let offer = offers.iter().filter_map(Extension::deflate).find(may_be_taken)?;
    let least = |bits: Option<u8>, ours: WindowBits| window_bits(bits.unwrap_or(15).min(ours.get()));
    Some(Parameters {
        server: Window {
            bits: least(offer.server_bits, policy.window_bits),
            takeover: policy.takeover && !offer.server_fresh,
        },
        client: Window {
            bits: least(offer.client_bits.flatten(), policy.peer_window_bits),
            takeover: policy.peer_takeover && !offer.client_fresh,
        },
    })
}

/// What a client that has offered these subprotocols and policies makes of a response's headers.
pub(crate) fn chosen(
    protocols: &[&[u8]],
    extensions: &[&[u8]],
    offered: &[&str],
    policies: &[Policy],
) -> Result<Option<Parameters>, ResponseError> {
    let mut agreed = None;
    for extension in Extension::each(extensions) {
        let extension = extension.ok_or(ResponseError::MalformedExtensions)?;
        if extension.name != "permessage-deflate" || policies.is_empty() || agreed.is_some() {
            return Err(ResponseError::Extension);
        }
        let answer = extension.deflate().filter(|answer| answer.client_bits != Some(None));
        let answer = answer.ok_or(ResponseError::Compression)?;
        let server = Window { bits: window_bits(answer.server_bits.unwrap_or(15)), takeover: !answer.server_fresh };
        // 7.1.1.1 and 7.1.2.1: what was asked of the server it must grant.
        let fits =
            |policy: &&Policy| server.bits <= policy.peer_window_bits && (policy.peer_takeover || answer.server_fresh);
        let fitting: Vec<_> = policies.iter().filter(fits).collect();
        let ours = fitting.iter().map(|policy| policy.window_bits.get()).min().ok_or(ResponseError::Compression)?;
        let takeover = fitting.iter().all(|policy| policy.takeover) && !answer.client_fresh;
        let bits = window_bits(answer.client_bits.flatten().unwrap_or(15).min(ours));
        agreed = Some(Parameters { server, client: Window { bits, takeover } });
    }
    match protocols {
        [] => Ok(agreed),
        [protocol] if offered.iter().any(|offered| offered.as_bytes() == *protocol) => Ok(agreed),
        _ => Err(ResponseError::Protocol),
    }
}

/// From 8 to 15.
fn window_bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("it was looked at before")
}
