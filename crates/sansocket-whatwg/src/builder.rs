//! What a browser decides for its pages, as options of the object.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sansocket::handshake::{ClientRequest, Uri};
use sansocket_tls::TlsConnector;
use url::{Host, Url};

use crate::exception::DomException;
use crate::location::{Location, Protocols, basic_authorization};
use crate::machine::Machine;
use crate::network::{self, Plan};
use crate::object::Object;
use crate::websocket::WebSocket;

/// Makes a [`WebSocket`] whose network is not quite that of a browser, or that gets what a browser gives by itself. The defaults are a browser's.
///
/// ```no_run
/// use sansocket_whatwg::{EventType, TlsConnector, WebSocket};
///
/// let socket = WebSocket::builder("/chat")
///     .base_url("https://example.com/")
///     .protocols(["chat.v2", "chat"])
///     .origin("https://example.com")
///     .header("X-Trace", "4711")
///     .tls(TlsConnector::with_ca(&std::fs::read("ca.pem")?)?)
///     .build()?;
/// assert_eq!(socket.url(), "wss://example.com/chat");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    url: String,
    base_url: Option<String>,
    protocols: Protocols,
    origin: Option<String>,
    headers: Vec<(String, String)>,
    jar: Option<Arc<dyn CookieJar>>,
    tls: Option<TlsConnector>,
    proxy: Option<String>,
    time_limits: TimeLimits,
    buffer_limit: u64,
    message_limit: u64,
    compresses: bool,
    blocks_bad_ports: bool,
    waits_for_turn: bool,
    is_secure_context: bool,
}

/// Where cookies are kept. URLs have the scheme `http` or `https`, as cookies know them.
///
/// Its methods are called on the owner's threads.
pub trait CookieJar: Send + Sync {
    /// The value of `Cookie` for a request to `url`; `None` sends none. Called by the object's constructor.
    fn cookies(&self, url: &Url) -> Option<String>;

    /// Keeps what a `Set-Cookie` of the answer says. Called before the open event's listeners are.
    fn store(&self, url: &Url, set_cookie: &[u8]);
}

/// One jar for several objects.
impl<J: CookieJar + ?Sized> CookieJar for Arc<J> {
    fn cookies(&self, url: &Url) -> Option<String> {
        (**self).cookies(url)
    }

    fn store(&self, url: &Url, set_cookie: &[u8]) {
        (**self).store(url, set_cookie);
    }
}

/// How long the network may take for what. `None` waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// From the constructor to the open event's being queued; default 240 seconds, as Chromium has it.
    pub open: Option<Duration>,
    /// For the server's Close behind ours, and before that for the server to take some more of what was sent; default 60 seconds. Then the connection is
    /// lost: 1006.
    pub close: Option<Duration>,
    /// For the server to close TCP, once Closes have gone both ways; default 2 seconds. Then this side does, and all is as it should be.
    pub end: Option<Duration>,
}

impl TimeLimits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        open: Some(Duration::from_secs(240)),
        close: Some(Duration::from_secs(60)),
        end: Some(Duration::from_secs(2)),
    };
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            base_url: None,
            protocols: Protocols::default(),
            origin: None,
            headers: Vec::new(),
            jar: None,
            tls: None,
            proxy: None,
            time_limits: TimeLimits::DEFAULT,
            buffer_limit: u64::MAX,
            message_limit: u64::MAX,
            compresses: true,
            blocks_bad_ports: true,
            waits_for_turn: true,
            is_secure_context: false,
        }
    }

    /// Sets the URL that the object's is relative to, as a page's is in browsers. Without it, a relative URL is an error.
    pub fn base_url(mut self, base: &str) -> Self {
        self.base_url = Some(base.to_owned());
        self
    }

    /// Offers subprotocols: one, or a list in order of preference.
    pub fn protocols(mut self, protocols: impl Into<Protocols>) -> Self {
        self.protocols = protocols.into();
        self
    }

    /// Sends an `Origin`. Without it, none is sent: a program has none.
    pub fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    /// Adds a header to the request. Those that make it a handshake are its own; `Authorization` and `Cookie` go before what the URL and the jar have.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets where cookies come from and go to. Without it, none do.
    pub fn cookie_jar(mut self, jar: impl CookieJar + 'static) -> Self {
        self.jar = Some(Arc::new(jar));
        self
    }

    /// Sets whom to trust. Without it, those whom Mozilla trusts. A verifier of one's own runs on the network's thread, which all objects share;
    /// one that panics makes its own connection fail.
    pub fn tls(mut self, tls: TlsConnector) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Connects through a proxy, by HTTP's CONNECT: `http://proxy.example:3128`, perhaps with a user name and a password.
    pub fn proxy(mut self, proxy: &str) -> Self {
        self.proxy = Some(proxy.to_owned());
        self
    }

    /// Sets how long the network may take for what.
    pub const fn time_limits(mut self, limits: TimeLimits) -> Self {
        self.time_limits = limits;
        self
    }

    /// Sets how many bytes may wait to be sent. One message that goes beyond makes the connection fail. Without it, there is no limit but memory.
    pub const fn buffer_limit(mut self, bytes: u64) -> Self {
        self.buffer_limit = bytes;
        self
    }

    /// Sets how many bytes a message that comes may have. A longer one makes the connection fail, with 1009 for the server. Without it, there is no limit but
    /// memory.
    pub const fn message_limit(mut self, bytes: u64) -> Self {
        self.message_limit = bytes;
        self
    }

    /// Whether compression is offered, as browsers do; without this, it is.
    pub const fn compression(mut self, compresses: bool) -> Self {
        self.compresses = compresses;
        self
    }

    /// Whether the ports of other protocols (25, say) are never connected to, as in browsers; without this, they are not.
    pub const fn block_bad_ports(mut self, blocks: bool) -> Self {
        self.blocks_bad_ports = blocks;
        self
    }

    /// Whether it waits to connect while another object that waits, too, is connecting to one of the same addresses (RFC 6455, section 4.1); without this, it does.
    pub const fn one_at_a_time(mut self, waits: bool) -> Self {
        self.waits_for_turn = waits;
        self
    }

    /// Whether only `wss:` will do, as for pages that are secure themselves. Another URL is then a `SecurityError`.
    pub const fn secure_context(mut self, is_secure: bool) -> Self {
        self.is_secure_context = is_secure;
        self
    }

    /// Makes the object, which begins to connect.
    ///
    /// # Errors
    ///
    /// [`Syntax`](crate::DomExceptionKind::Syntax): the URL, a subprotocol, a header, the origin or the proxy is invalid.
    /// [`Security`](crate::DomExceptionKind::Security): the URL is not secure, in a [secure context](Self::secure_context).
    pub fn build(self) -> Result<WebSocket, DomException> {
        let location = Location::parse(&self.url, self.base_url.as_deref())?;
        if self.is_secure_context {
            location.demand_secure()?;
        }
        self.protocols.check()?;
        let proxy = self.proxy.as_deref().map(Proxy::parse).transpose()?;
        let uri = location.bare();
        let headers = self.request_headers(&location);
        check(&uri, self.origin.as_deref(), &headers)?;

        let machine = Machine::new(&location.origin()).with_buffer_limit(self.buffer_limit);
        let plan = Plan {
            uri,
            host: location.host().to_owned(),
            port: location.port(),
            blocked_port: location.bad_port().filter(|_| self.blocks_bad_ports),
            protocols: self.protocols,
            origin: self.origin,
            headers,
            tls: location.is_secure().then(|| self.tls.unwrap_or_else(default_tls)),
            proxy,
            time_limits: self.time_limits,
            message_limit: self.message_limit,
            compresses: self.compresses,
            waits_for_turn: self.waits_for_turn,
        };
        let object = Arc::new(Object::new(location, self.jar, machine));
        network::connect(&object, plan);
        Ok(WebSocket::from_object(object))
    }

    fn request_headers(&self, location: &Location) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        let has = |name: &str| self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        if let Some(authorization) = location.authorization().filter(|_| !has("Authorization")) {
            headers.push((String::from("Authorization"), authorization));
        }
        // RFC 6265, 5.4: there is one such header at most.
        let cookies = self.jar.as_ref().filter(|_| !has("Cookie")).and_then(|jar| jar.cookies(&location.for_cookies()));
        if let Some(cookies) = cookies.filter(|cookies| !cookies.is_empty()) {
            headers.push((String::from("Cookie"), cookies));
        }
        headers
    }
}

/// What is wrong with a request is known before it is sent.
fn check(uri: &str, origin: Option<&str>, headers: &[(String, String)]) -> Result<(), DomException> {
    let uri = Uri::from_url(uri).map_err(|error| DomException::syntax(format!("{error}: {uri:?}")))?;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    let mut request = ClientRequest::new(&uri).headers(&headers);
    if let Some(origin) = origin {
        request = request.origin(origin);
    }
    request.start([0; 16], &mut Vec::new()).map_err(|error| DomException::syntax(error.to_string()))?;
    Ok(())
}

/// Made once: the list of whom Mozilla trusts is long, and sessions are resumed within one configuration.
fn default_tls() -> TlsConnector {
    static TLS: OnceLock<TlsConnector> = OnceLock::new();
    TLS.get_or_init(TlsConnector::bundled_roots).clone()
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // URLs and headers may hold secrets.
        f.debug_struct("Builder").field("protocols", &self.protocols).finish_non_exhaustive()
    }
}

/// A proxy for CONNECT.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) authorization: Option<String>,
}

impl Proxy {
    fn parse(text: &str) -> Result<Self, DomException> {
        // It may hold a password.
        let invalid = |why: &str| DomException::syntax(format!("the proxy's URL is invalid: {why}"));
        let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        if url.scheme() != "http" {
            return Err(invalid("its scheme must be http"));
        }
        let host = url.host().ok_or_else(|| invalid("it has no host"))?.to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Self { host, port, authorization: basic_authorization(&url) })
    }
}
