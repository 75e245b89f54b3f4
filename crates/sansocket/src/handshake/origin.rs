//! `Host` and `Origin`, and which origins a server lets in (RFC 6455, sections 4.2.2 and 10.2; RFC 6454).

use core::net::Ipv6Addr;

/// A host and perhaps a port, as in a URI (RFC 3986, section 3.2), without user information.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    text: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. `None`: it is nothing of the kind.
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::read(text, is_reg_name_byte)
    }

    /// As [`parse`](Self::parse), of a URL that the WHATWG URL Standard has serialised: its hosts may hold some characters more.
    pub(super) fn of_url(text: &'a str) -> Option<Self> {
        Self::read(text, |byte| is_reg_name_byte(byte) || matches!(byte, b'"' | b'`' | b'{' | b'}'))
    }

    fn read(text: &'a str, is_host_byte: impl Fn(u8) -> bool) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                (&text[..address.len() + 2], port)
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                let is_host = !host.is_empty() && host.bytes().all(is_host_byte) && is_percent_encoded(host);
                (is_host.then_some(host)?, port)
            }
        };
        let port = match port.strip_prefix(':') {
            // RFC 3986, 3.2.3: a port may be empty, and then stands for the scheme's own.
            Some("") => None,
            Some(port) => {
                let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
                Some(is_port.then(|| port.parse().ok())??)
            }
            None if port.is_empty() => None,
            None => return None,
        };
        Some(Self { text, host, port })
    }

    /// Host and port as written.
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// The host as written; an IPv6 address in brackets.
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// The port, if there is one.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

/// RFC 3986, 3.2.2: reg-name, which includes IPv4 addresses.
const fn is_reg_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&'..=b',' | b';' | b'=')
}

/// RFC 3986, 2.1: a percent sign comes with two hexadecimal digits.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()))
}

/// An origin (RFC 6454, section 6.2): where the page comes from whose script connects. Two are equal if scheme, host and port are.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    scheme: &'a str,
    authority: Authority<'a>,
}

impl<'a> Origin<'a> {
    /// Reads `scheme://host` or `scheme://host:port`. `None`: it is `null`, a list, or nothing of the kind.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        Some(Self { scheme: is_scheme.then_some(scheme)?, authority: Authority::parse(authority)? })
    }

    /// The scheme as written.
    pub const fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Host and port as written.
    pub const fn authority(&self) -> Authority<'a> {
        self.authority
    }

    fn port(&self) -> Option<u16> {
        self.authority.port.or_else(|| default_port(self.scheme))
    }
}

impl PartialEq for Origin<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.authority.host.eq_ignore_ascii_case(other.authority.host)
            && self.port() == other.port()
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") => Some(80),
        _ if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") => Some(443),
        _ => None,
    }
}

/// Which origins a server lets in. A request without `Origin` does not come from a browser and is always let in.
///
/// Browsers send cookies along with a handshake to any site, so a server that trusts cookies has to look at the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPolicy<'a> {
    /// Every origin: for services that are open to all or that authenticate by other means than cookies.
    Any,
    /// Origins with the host and port of the request's `Host`. The default.
    SameOrigin {
        /// The scheme that pages of this server have, `https` say. `None`: `http` or `https`, since TLS may end in front of the server.
        scheme: Option<&'a str>,
    },
    /// The origins listed, such as `https://example.com`. `null` in the list lets in `null`.
    Only(&'a [&'a str]),
}

impl Default for OriginPolicy<'_> {
    fn default() -> Self {
        Self::SameOrigin { scheme: None }
    }
}

impl OriginPolicy<'_> {
    /// Whether `origin`, the header's value, may connect to `host`.
    pub fn allows(&self, origin: &[u8], host: Authority<'_>) -> bool {
        let Ok(text) = core::str::from_utf8(origin) else { return matches!(self, Self::Any) };
        match *self {
            Self::Any => true,
            Self::Only(list) => list.iter().any(|allowed| match (Origin::parse(allowed), Origin::parse(text)) {
                (Some(allowed), Some(origin)) => allowed == origin,
                (None, None) => *allowed == "null" && text == "null",
                _ => false,
            }),
            Self::SameOrigin { scheme } => Origin::parse(text).is_some_and(|origin| {
                let schemes = scheme.as_ref().map_or(&["http", "https"][..], core::slice::from_ref);
                schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(origin.scheme))
                    && Origin { scheme: origin.scheme, authority: host } == origin
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn rfc3986_3_2_2_hosts_and_ports() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("example.com:80", "example.com", Some(80)),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
            ("example.com:", "example.com", None),
            ("[::1]", "[::1]", None),
            ("[::1]:9001", "[::1]", Some(9001)),
        ] {
            let authority = Authority::parse(text).unwrap();
            assert_eq!((authority.host(), authority.port(), authority.as_str()), (host, port, text));
        }
        for bad in [
            "",
            ":",
            ":::",
            "[::",
            "[::]x",
            "a b",
            "a:b",
            "a:65536",
            "a:+1",
            "a@b",
            "a/b",
            "[fe80::1%25en0]",
            "a\u{e9}",
        ] {
            assert!(Authority::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn rfc3986_2_1_a_percent_sign_comes_with_two_hexadecimal_digits() {
        for good in ["a%41", "%c3%A4.example", "a%41%42b:80"] {
            assert_eq!(Authority::parse(good).map(|authority| authority.as_str()), Some(good));
        }
        for bad in ["%", "a%", "a%4", "a%4:80", "a%4g", "a%g4", "a%41%4", "a%%41"] {
            assert!(Authority::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn rfc6454_6_2_an_origin_is_a_scheme_a_host_and_a_port() {
        for (text, scheme, host, port) in [
            ("http://example.com", "http", "example.com", None),
            ("HTTPS://[::1]:8443", "HTTPS", "[::1]", Some(8443)),
            ("moz-extension://0c-1d", "moz-extension", "0c-1d", None),
            ("a1+b-c.d://e:1", "a1+b-c.d", "e", Some(1)),
        ] {
            let origin = Origin::parse(text).unwrap();
            let authority = origin.authority();
            assert_eq!((origin.scheme(), authority.host(), authority.port()), (scheme, host, port), "{text}");
        }
        // RFC 3986, 3.1: a scheme begins with a letter; letters, digits, "+", "-" and "." follow.
        for bad in
            ["://a", "1http://a", "+http://a", "-://a", "ht tp://a", "ht_tp://a", "h\u{e4}://a", "http:/a", "http//a"]
        {
            assert!(Origin::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn rfc6454_4_an_origin_without_a_port_has_its_schemes() {
        let same = |a: &str, b: &str| Origin::parse(a).unwrap() == Origin::parse(b).unwrap();
        for (scheme, port) in [("http", 80), ("ws", 80), ("https", 443), ("wss", 443), ("HTTP", 80), ("WSS", 443)] {
            let bare = std::format!("{scheme}://a");
            assert!(same(&bare, &std::format!("{scheme}://A:{port}")), "{scheme}");
            for other in [80, 443, 8080].into_iter().filter(|other| *other != port) {
                assert!(!same(&bare, &std::format!("{scheme}://a:{other}")), "{scheme} {other}");
            }
        }
        // A scheme that has no port of its own.
        assert!(same("ftp://a", "ftp://a"));
        for port in [21, 80, 443] {
            assert!(!same("ftp://a", &std::format!("ftp://a:{port}")), "{port}");
        }
    }

    #[test]
    fn rfc6455_10_2_same_origin_compares_host_and_port() {
        let same = OriginPolicy::default();
        let allows = |origin: &str, host| same.allows(origin.as_bytes(), Authority::parse(host).unwrap());
        assert!(allows("http://example.com", "example.com"));
        assert!(allows("https://example.com", "example.com"), "TLS may end in front of us");
        assert!(allows("HTTPS://EXAMPLE.com:443", "example.COM"));
        assert!(allows("http://example.com:8080", "example.com:8080"));
        for bad in [
            "null",
            "ftp://example.com",
            "http://evil-example.com",
            "http://example.com.evil",
            "http://sub.example.com",
            "http://example.com:8080",
            "http://user@example.com",
            "http://example.com/",
            "example.com",
            "",
            "http://",
            "http://a http://example.com",
            "http://exämple.com",
        ] {
            assert!(!allows(bad, "example.com"), "{bad}");
        }
        let secure = OriginPolicy::SameOrigin { scheme: Some("https") };
        let host = Authority::parse("example.com").unwrap();
        assert!(secure.allows(b"https://example.com", host));
        assert!(!secure.allows(b"http://example.com", host));
    }

    #[test]
    fn rfc6455_10_2_a_list_of_origins() {
        let host = Authority::parse("api.example.com").unwrap();
        let only = OriginPolicy::Only(&["https://example.com", "http://localhost:3000"]);
        for good in ["https://example.com", "https://example.com:443", "https://EXAMPLE.com", "http://localhost:3000"] {
            assert!(only.allows(good.as_bytes(), host), "{good}");
        }
        for bad in [
            "http://example.com",
            "https://example.com:444",
            "http://localhost",
            "null",
            "https://api.example.com",
            "\u{1}",
        ] {
            assert!(!only.allows(bad.as_bytes(), host), "{bad}");
        }
        assert!(OriginPolicy::Only(&["null"]).allows(b"null", host));
        assert!(!OriginPolicy::Only(&["null"]).allows(b"rubbish", host));
        assert!(!OriginPolicy::Only(&["rubbish"]).allows(b"null", host));
        assert!(!OriginPolicy::Only(&["rubbish"]).allows(b"rubbish", host));
        assert!(OriginPolicy::Any.allows(b"\xFF", host));
    }
}
