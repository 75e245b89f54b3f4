//! `ws` and `wss` URIs (RFC 6455, section 3).

use core::fmt;

use super::origin::Authority;

/// A `ws://` or `wss://` URI, split and checked.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    secure: bool,
    authority: Authority<'a>,
    /// Path and query as written: empty, or beginning with a slash or a question mark.
    tail: &'a str,
}

impl<'a> Uri<'a> {
    /// Reads a URI. Characters beyond ASCII have to be percent-encoded, names of hosts in their ASCII form.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing is repaired.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        Self::read(text, Authority::parse, is_path_and_query)
    }

    /// Reads a URL as the WHATWG URL Standard serialises it: browsers leave characters in a path and a query as they are that RFC 3986 wants
    /// percent-encoded, such as `[`, `|` and a lone `%`. So here every visible ASCII character but `#` passes, and in hosts `"`, `` ` ``, `{` and `}` do.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing is repaired.
    pub fn from_url(text: &'a str) -> Result<Self, UriError> {
        Self::read(text, Authority::of_url, |tail| tail.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    fn read(
        text: &'a str,
        read_authority: impl Fn(&'a str) -> Option<Authority<'a>>,
        is_tail: impl Fn(&str) -> bool,
    ) -> Result<Self, UriError> {
        // 3: schemes know no case (RFC 3986, 3.1).
        let (scheme, rest) = text.split_once("://").ok_or(UriError::Scheme)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(UriError::Scheme),
        };
        // 3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used on these URIs."
        if rest.contains('#') {
            return Err(UriError::Fragment);
        }
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UriError::UserInformation);
        }
        let authority = read_authority(authority).ok_or(UriError::Host)?;
        if !is_tail(tail) {
            return Err(UriError::Target);
        }
        Ok(Self { secure, authority, tail })
    }

    /// Whether the scheme is `wss`.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host as written; an IPv6 address in brackets.
    pub const fn host(&self) -> &'a str {
        self.authority.host()
    }

    /// The port to connect to: 80 or 443 unless the URI names one.
    pub fn port(&self) -> u16 {
        self.authority.port().unwrap_or(self.default_port())
    }

    /// The value of `Host`: 4.1, item 4: the port only if it is not the scheme's own.
    pub fn host_header(&self) -> &'a str {
        if self.port() == self.default_port() { self.authority.host() } else { self.authority.as_str() }
    }

    /// The path of the resource name, at least `/`. Together with [`query`](Self::query) it is the request's target.
    pub fn path(&self) -> &'a str {
        match self.tail.split_once('?').map_or(self.tail, |(path, _)| path) {
            // 3: the resource name begins with "/" if the path component is empty.
            "" => "/",
            path => path,
        }
    }

    /// The query with its question mark, or nothing.
    pub fn query(&self) -> &'a str {
        // 3: the question mark is there "if the query component is non-empty".
        match self.tail.find('?').map_or("", |at| &self.tail[at..]) {
            "?" => "",
            query => query,
        }
    }

    const fn default_port(&self) -> u16 {
        if self.secure { 443 } else { 80 }
    }
}

/// RFC 3986, 3.3 and 3.4: what a path and a query are made of.
fn is_path_and_query(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => {
                [bytes.next(), bytes.next()].iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
            }
            b'/' | b'?' | b':' | b'@' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=' => true,
            byte => byte.is_ascii_alphanumeric(),
        };
        if !good {
            return false;
        }
    }
    true
}

/// What is wrong with a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// The scheme is not `ws` or `wss`.
    Scheme,
    /// There is a fragment: `#` in a path or query is written `%23`.
    Fragment,
    /// There is a user name: send credentials in a header.
    UserInformation,
    /// The host or the port is missing or malformed.
    Host,
    /// The path or the query holds a character that must be percent-encoded.
    Target,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the URI does not begin with ws:// or wss://",
            Self::Fragment => "the URI has a fragment, which WebSocket URIs must not have (write # as %23)",
            Self::UserInformation => "the URI has a user name (send credentials in a header)",
            Self::Host => "the URI's host or port is missing or malformed",
            Self::Target => "the URI's path or query holds characters that must be percent-encoded",
        })
    }
}

impl core::error::Error for UriError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_3_a_uri_gives_host_port_and_resource_name() {
        for (text, secure, host, port, header, path, query) in [
            ("ws://example.com", false, "example.com", 80, "example.com", "/", ""),
            ("WSS://Example.com", true, "Example.com", 443, "Example.com", "/", ""),
            ("ws://a:80/", false, "a", 80, "a", "/", ""),
            ("ws://a:443/", false, "a", 443, "a:443", "/", ""),
            ("wss://a:443/", true, "a", 443, "a", "/", ""),
            ("ws://a:9001/chat/room?x=1&y=?", false, "a", 9001, "a:9001", "/chat/room", "?x=1&y=?"),
            ("ws://a?q", false, "a", 80, "a", "/", "?q"),
            ("ws://a/chat?", false, "a", 80, "a", "/chat", ""),
            ("ws://[::1]:9001/%23", false, "[::1]", 9001, "[::1]:9001", "/%23", ""),
            ("ws://a/.well-known/x", false, "a", 80, "a", "/.well-known/x", ""),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!(
                (uri.is_secure(), uri.host(), uri.port(), uri.host_header()),
                (secure, host, port, header),
                "{text}"
            );
            assert_eq!((uri.path(), uri.query()), (path, query), "{text}");
        }
    }

    #[test]
    fn a_url_may_hold_what_browsers_do_not_encode() {
        let url = "ws://example.com/a|b/%zz?filter[name]={x}^`\"<>";
        assert_eq!(Uri::parse(url).err(), Some(UriError::Target));
        let uri = Uri::from_url(url).unwrap();
        assert_eq!((uri.path(), uri.query()), ("/a|b/%zz", "?filter[name]={x}^`\"<>"));
        assert_eq!(Uri::from_url("ws://a\"`{}b/").unwrap().host_header(), "a\"`{}b");
        assert_eq!(Uri::parse("ws://a{b/").err(), Some(UriError::Host));
        for bad in ["ws://a/ b", "ws://a/\u{7f}", "ws://a/\r\nX: y", "ws://a/ä", "ws://a?\t"] {
            assert_eq!(Uri::from_url(bad).err(), Some(UriError::Target), "{bad:?}");
        }
        assert_eq!(Uri::from_url("ws://a/#").err(), Some(UriError::Fragment));
        assert_eq!(Uri::from_url("ws://u@a/").err(), Some(UriError::UserInformation));
        assert_eq!(Uri::from_url("http://a/").err(), Some(UriError::Scheme));
    }

    #[test]
    fn a_bad_uri_says_what_is_wrong() {
        extern crate std;
        for (error, word) in [
            (UriError::Scheme, "wss://"),
            (UriError::Fragment, "%23"),
            (UriError::UserInformation, "user name"),
            (UriError::Host, "host or port"),
            (UriError::Target, "percent-encoded"),
        ] {
            let text = std::format!("{error}");
            assert!(text.contains(word), "{error:?}: {text}");
        }
    }

    #[test]
    fn rfc6455_3_a_bad_uri_is_refused_with_what_is_wrong() {
        for (text, error) in [
            ("", UriError::Scheme),
            ("http://a", UriError::Scheme),
            ("ws:/a", UriError::Scheme),
            ("ws://", UriError::Host),
            ("ws:///x", UriError::Host),
            ("ws://a:b", UriError::Host),
            ("ws://a:70000", UriError::Host),
            ("ws://a b", UriError::Host),
            ("ws://u:p@a", UriError::UserInformation),
            ("ws://a/#b", UriError::Fragment),
            ("ws://a#", UriError::Fragment),
            ("ws://a/b c", UriError::Target),
            ("ws://a/\r\nX: y", UriError::Target),
            ("ws://a/ä", UriError::Target),
            ("ws://a/%zz", UriError::Target),
            ("ws://a/%2", UriError::Target),
            ("ws://a/[", UriError::Target),
            ("ws://a/\"", UriError::Target),
            ("ws://a%zz/", UriError::Host),
        ] {
            assert_eq!(Uri::parse(text).err(), Some(error), "{text}");
        }
    }
}
