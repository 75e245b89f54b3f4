//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455, section 9.1).

use core::fmt;

use super::head::{Headers, is_token, is_token_byte, values};
use crate::steps;

/// An extension as offered or accepted: a name and parameters.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'b> {
    name: &'b str,
    /// The parameters as sent, each with the `;` in front of it. They follow the grammar.
    params: &'b [u8],
}

impl<'b> Extension<'b> {
    /// The extension's name.
    pub const fn name(&self) -> &'b str {
        self.name
    }

    /// The parameters in order: names, and values where there are some.
    pub fn params(&self) -> impl Iterator<Item = (&'b str, Option<ParamValue<'b>>)> + use<'b> {
        let mut rest = self.params;
        core::iter::from_fn(move || take_param(&mut rest).ok().flatten())
    }
}

/// The value of an extension's parameter: a token, perhaps in quotes and with escapes when it was sent.
#[derive(Clone, Copy)]
pub struct ParamValue<'b>(&'b [u8]);

impl<'b> ParamValue<'b> {
    /// The value's bytes without quotes and escapes. They form a token.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'b> {
        // A backslash is no token byte, so in a value that follows the grammar it always escapes.
        self.0.iter().copied().filter(|&byte| byte != b'\\')
    }
}

impl PartialEq<str> for ParamValue<'_> {
    fn eq(&self, other: &str) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl fmt::Debug for ParamValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().try_for_each(|byte| fmt::Write::write_char(f, char::from(byte)))
    }
}

/// The header does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The extensions of all headers of that name, which together are one list (RFC 6455, section 9.1).
pub(super) fn extensions<'b>(
    headers: impl Iterator<Item = (&'b str, &'b [u8])>,
) -> impl Iterator<Item = Result<Extension<'b>, Malformed>> {
    values(headers, "Sec-WebSocket-Extensions").flat_map(|value| {
        let mut rest = Some(value);
        core::iter::from_fn(move || {
            let mut bytes = rest?;
            let element = take_extension(&mut bytes).transpose();
            // Behind a fault nothing can be told apart any more.
            rest = matches!(element, Some(Ok(_))).then_some(bytes);
            element
        })
    })
}

/// The extensions of a handshake's head, in order of preference.
#[derive(Clone, Debug)]
pub struct Extensions<'b>(Headers<'b>, &'b [u8]);

impl<'b> Extensions<'b> {
    /// `headers` were checked by [`extensions`].
    pub(super) const fn new(headers: Headers<'b>) -> Self {
        Self(headers, &[])
    }
}

impl<'b> Iterator for Extensions<'b> {
    type Item = Extension<'b>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Ok(Some(extension)) = take_extension(&mut self.1) {
                return Some(extension);
            }
            self.1 = values(&mut self.0, "Sec-WebSocket-Extensions").next()?;
        }
    }
}

/// `extension = token *( ";" extension-param )`, with the empty elements and the comma in front of it.
fn take_extension<'b>(rest: &mut &'b [u8]) -> Result<Option<Extension<'b>>, Malformed> {
    while let [b',' | b' ' | b'\t', tail @ ..] = *rest {
        steps::count(1);
        *rest = tail;
    }
    if rest.is_empty() {
        return Ok(None);
    }
    let name = take_token(rest)?;
    let params = *rest;
    while take_param(rest)?.is_some() {}
    let params = &params[..params.len() - rest.len()];
    match *rest {
        [] | [b',', ..] => Ok(Some(Extension { name, params })),
        _ => Err(Malformed),
    }
}

/// `";" token [ "=" ( token | quoted-string ) ]`. `None`: no semicolon follows.
fn take_param<'b>(rest: &mut &'b [u8]) -> Result<Option<(&'b str, Option<ParamValue<'b>>)>, Malformed> {
    skip_space(rest);
    if !take_byte(rest, b';') {
        return Ok(None);
    }
    skip_space(rest);
    let name = take_token(rest)?;
    skip_space(rest);
    if !take_byte(rest, b'=') {
        return Ok(Some((name, None)));
    }
    skip_space(rest);
    let value = if take_byte(rest, b'"') { take_quoted(rest)? } else { ParamValue(take_token(rest)?.as_bytes()) };
    Ok(Some((name, Some(value))))
}

/// The rest of a quoted string. 9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
fn take_quoted<'b>(rest: &mut &'b [u8]) -> Result<ParamValue<'b>, Malformed> {
    let mut escaped = false;
    for (at, &byte) in rest.iter().enumerate() {
        steps::count(1);
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => {
                let value = &rest[..at];
                *rest = &rest[at + 1..];
                return if value.is_empty() { Err(Malformed) } else { Ok(ParamValue(value)) };
            }
            byte if is_token_byte(byte) => escaped = false,
            _ => break,
        }
    }
    Err(Malformed)
}

fn take_token<'b>(rest: &mut &'b [u8]) -> Result<&'b str, Malformed> {
    let end = rest.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(rest.len());
    steps::count(end + 1);
    let (token, tail) = rest.split_at(end);
    *rest = tail;
    if is_token(token) { core::str::from_utf8(token).map_err(|_| Malformed) } else { Err(Malformed) }
}

fn take_byte(rest: &mut &[u8], wanted: u8) -> bool {
    match *rest {
        [byte, tail @ ..] if *byte == wanted => {
            *rest = tail;
            true
        }
        _ => false,
    }
}

/// The "implied *LWS" of RFC 2616, by whose rules this grammar is to be read (RFC 6455, section 9.1).
fn skip_space(rest: &mut &[u8]) {
    let trimmed = rest.trim_ascii_start();
    steps::count(rest.len() - trimmed.len());
    *rest = trimmed;
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;

    fn parse(values: &[&str]) -> Result<String, Malformed> {
        let headers = values.iter().map(|value| ("sec-websocket-extensions", value.as_bytes()));
        let list: Result<Vec<_>, _> = extensions(headers)
            .map(|extension| {
                let extension = extension?;
                let params = extension.params().map(|(name, value)| match value {
                    Some(value) => format!("; {name}={value:?}"),
                    None => format!("; {name}"),
                });
                Ok(core::iter::once(extension.name().to_string()).chain(params).collect::<String>())
            })
            .collect();
        Ok(list?.join(", "))
    }

    #[test]
    fn rfc6455_9_1_lists_parameters_and_quoted_values() {
        assert_eq!(parse(&["foo"]).unwrap(), "foo");
        assert_eq!(parse(&["foo; a; b=1, bar;c=\"2\""]).unwrap(), "foo; a; b=1, bar; c=2");
        assert_eq!(
            parse(&["foo", "bar; x", "foo"]).unwrap(),
            "foo, bar; x, foo",
            "several headers are one list, in order"
        );
        assert_eq!(parse(&[", ,foo ,\t, bar,"]).unwrap(), "foo, bar", "empty elements do not count");
        assert_eq!(parse(&["a; b=\"\\c\\d\""]).unwrap(), "a; b=cd");
        assert_eq!(parse(&["a ; b = c"]).unwrap(), "a; b=c", "implied white space");
        assert_eq!(parse(&["constructor", "__proto__; a"]).unwrap(), "constructor, __proto__; a");
    }

    #[test]
    fn rfc6455_9_1_malformed_headers_are_told() {
        for bad in [
            "foo bar",
            "foo;",
            "foo; =1",
            "foo; a=",
            "foo; a=\"",
            "foo; a=\"\"",
            "foo; a=\"b",
            "foo; a=\"b c\"",
            ";",
            "=",
            "foo; a=\"b\"c",
            "foo; a=\"b\\\"",
            "foo/1",
            "foo; a=b=c",
            "\"foo\"",
            "permessage-deflate; client_max_window_bits=\"10, permessage-deflate,11\"",
        ] {
            assert_eq!(parse(&[bad]), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn an_unterminated_string_of_escapes_is_malformed() {
        let bad = format!("a; b=\"{}", "\\c".repeat(32 * 1024));
        assert_eq!(parse(&[&bad]), Err(Malformed));
    }
}
