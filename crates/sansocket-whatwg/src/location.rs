//! What the constructor checks: the URL, the subprotocols, the port.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::exception::{DomException, DomExceptionKind};

/// The ports that the Fetch Standard blocks: they are for other protocols, whose servers must not be spoken to in this one.
const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Where a connection goes: a URL as the constructor takes it. [`WebSocket`](crate::WebSocket) parses by itself; this is for who drives a
/// [`Machine`](crate::machine::Machine).
///
/// ```
/// use sansocket_whatwg::Location;
///
/// let location = Location::parse("/chat", Some("https://user:pass@Example.com:443/"))?;
/// assert_eq!((location.as_str(), location.bare()), ("wss://user:pass@example.com/chat", String::from("wss://example.com/chat")));
/// assert_eq!((location.origin(), location.is_secure(), location.bad_port()), (String::from("wss://example.com"), true, None));
/// assert_eq!(Location::parse("/chat", None).unwrap_err().name(), "SyntaxError");
/// # Ok::<(), sansocket_whatwg::DomException>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location {
    url: Url,
}

impl Location {
    /// The constructor's checks of a URL, in the standard's order. `base` is the URL that it may be relative to.
    ///
    /// # Errors
    ///
    /// [`Syntax`](DomExceptionKind::Syntax): it is invalid, of another scheme than `ws`, `wss`, `http` and `https`, or has a fragment.
    pub fn parse(url: &str, base: Option<&str>) -> Result<Self, DomException> {
        let base = base.map(|base| Url::parse(base).map_err(|error| invalid("base URL", base, error))).transpose()?;
        let mut parsed =
            Url::options().base_url(base.as_ref()).parse(url).map_err(|error| invalid("URL", url, error))?;
        let scheme = match parsed.scheme() {
            "http" => "ws",
            "https" => "wss",
            scheme => scheme,
        };
        if !matches!(scheme, "ws" | "wss") {
            let message = format!("the URL's scheme must be ws, wss, http or https, and is {scheme}");
            return Err(DomException::syntax(message));
        }
        let scheme = scheme.to_owned();
        parsed.set_scheme(&scheme).map_err(|()| DomException::syntax("the URL has no host"))?;
        let location = Self { url: parsed };
        if location.url.fragment().is_some() {
            let message = format!("the URL must have no fragment (write # as %23): {}", location.bare());
            return Err(DomException::syntax(message));
        }
        Ok(location)
    }

    /// A secure page cannot make connections that are not.
    pub(crate) fn demand_secure(&self) -> Result<(), DomException> {
        let message = || format!("the URL must be secure, wss or https: {}", self.bare());
        if self.is_secure() { Ok(()) } else { Err(DomException::new(DomExceptionKind::Security, message())) }
    }

    /// The URL as the object shows it: of scheme `ws` or `wss`, with user name and password if it has them.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Whether its scheme is `wss`.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// Scheme, host, and the port if it is not the scheme's own: the origin of the messages that come.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(crate) fn host(&self) -> Host<&str> {
        self.url.host().expect("URLs of these schemes have hosts")
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().expect("these schemes have ports")
    }

    /// The port, if it is one of the 83 that browsers never connect to, because they are for other protocols. The schemes' own are fine.
    pub fn bad_port(&self) -> Option<u16> {
        self.url.port().filter(|port| BAD_PORTS.binary_search(port).is_ok())
    }

    /// The URL without user name and password, as a handshake takes it
    /// ([`Uri::from_url`](sansocket::handshake::Uri::from_url)).
    pub fn bare(&self) -> String {
        let mut url = self.url.clone();
        // They cannot fail for URLs with a host.
        let _ = (url.set_username(""), url.set_password(None));
        url.into()
    }

    /// What `Authorization` says, if the URL has a user name or a password (RFC 7617).
    pub fn authorization(&self) -> Option<String> {
        basic_authorization(&self.url)
    }

    /// The URL as cookies know it: of scheme `http` or `https`.
    pub(crate) fn for_cookies(&self) -> Url {
        let mut url = self.url.clone();
        let _ = url.set_scheme(if self.is_secure() { "https" } else { "http" });
        url
    }
}

/// Without user name and password.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Location").field(&self.bare()).finish()
    }
}

fn invalid(what: &str, url: &str, error: url::ParseError) -> DomException {
    // There may be a password in it.
    let shown = if url.contains('@') { String::new() } else { format!(" {url:?}") };
    DomException::syntax(format!("the {what}{shown} is invalid: {error}"))
}

/// RFC 7617: user name and password of a URL.
pub(crate) fn basic_authorization(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text| Cow::from(percent_decode_str(text));
    let pair = [&decode(url.username())[..], b":", &decode(url.password().unwrap_or_default())].concat();
    Some(format!("Basic {}", STANDARD.encode(pair)))
}

/// Subprotocols that are offered: a single one or a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protocols(Vec<String>);

impl Protocols {
    /// In order of preference.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The constructor's check: each is a token of RFC 2616, and none of them is there twice, whatever their case.
    ///
    /// # Errors
    ///
    /// [`Syntax`](DomExceptionKind::Syntax): which one is not.
    pub fn check(&self) -> Result<(), DomException> {
        for (at, protocol) in self.0.iter().enumerate() {
            if protocol.is_empty() || !protocol.bytes().all(is_token_byte) {
                return Err(DomException::syntax(format!("the subprotocol {protocol:?} is not a token")));
            }
            if self.0[..at].iter().any(|other| other.eq_ignore_ascii_case(protocol)) {
                return Err(DomException::syntax(format!("the subprotocol {protocol:?} is there twice")));
            }
        }
        Ok(())
    }
}

/// RFC 2616, 2.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

impl From<&str> for Protocols {
    fn from(protocol: &str) -> Self {
        Self(vec![protocol.to_owned()])
    }
}

impl From<String> for Protocols {
    fn from(protocol: String) -> Self {
        Self(vec![protocol])
    }
}

impl From<&String> for Protocols {
    fn from(protocol: &String) -> Self {
        Self::from(&protocol[..])
    }
}

impl<S: Into<String> + Clone, const N: usize> From<&[S; N]> for Protocols {
    fn from(protocols: &[S; N]) -> Self {
        Self::from(&protocols[..])
    }
}

impl<S: Into<String> + Clone> From<&Vec<S>> for Protocols {
    fn from(protocols: &Vec<S>) -> Self {
        Self::from(&protocols[..])
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Protocols {
    fn from(protocols: [S; N]) -> Self {
        protocols.into_iter().collect()
    }
}

impl<S: Into<String>> From<Vec<S>> for Protocols {
    fn from(protocols: Vec<S>) -> Self {
        protocols.into_iter().collect()
    }
}

impl<S: Into<String> + Clone> From<&[S]> for Protocols {
    fn from(protocols: &[S]) -> Self {
        protocols.iter().cloned().collect()
    }
}

impl<S: Into<String>> FromIterator<S> for Protocols {
    fn from_iter<I: IntoIterator<Item = S>>(protocols: I) -> Self {
        Self(protocols.into_iter().map(Into::into).collect())
    }
}
