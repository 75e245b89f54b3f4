//! Opening handshakes of which only `Sec-WebSocket-Extensions` matters.

use sansocket::deflate::{Parameters, Policy};
use sansocket::handshake::{
    Accept, ClientRequest, ExtendedConnect, OriginPolicy, RequestError, RequestProgress, ResponseError,
    ResponseProgress, ServerHandshake, Upgrade, UpgradeOffer, Uri,
};

use super::window;

const NONCE: [u8; 16] = *b"the sample nonce";
const NAME: &str = "sec-websocket-extensions";

/// No limit on anything: the peer decides.
pub(crate) const ANY: Policy = Policy::TAKEOVER;

/// What both sides then have in force, in the order of the parameters' names.
pub(crate) fn agreed(server: (u8, bool), client: (u8, bool)) -> Parameters {
    Parameters { server: window(server.0, server.1), client: window(client.0, client.1) }
}

/// What a server with this policy answers to these headers, and has in force then; without a policy, it knows no compression.
///
/// It is asked in each of the four ways in which a request can be answered, and must say the same each time.
#[track_caller]
pub(crate) fn server(
    policy: Option<Policy>,
    offers: &[&str],
) -> Result<(Option<String>, Option<Parameters>), RequestError> {
    let lines: String = offers.iter().map(|offer| format!("Sec-WebSocket-Extensions: {offer}\r\n")).collect();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    );
    let accept = policy.map_or(Accept::new(), |policy| Accept::new().compression(policy));
    let mut out = Vec::new();
    let found = match ServerHandshake::new().receive(head.as_bytes(), &mut out) {
        RequestProgress::Request(request) => {
            let negotiated = request.accept(&accept, &mut out).unwrap();
            let mut later = Vec::new();
            assert_eq!(request.defer().accept(&accept, &mut later), Ok(negotiated), "deferred");
            assert_eq!(later, out, "deferred");
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
            let values: Vec<_> =
                text.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: ")).collect();
            assert!(values.len() <= 1, "{text}");
            Ok((values.first().map(ToString::to_string), negotiated.compression()))
        }
        RequestProgress::Refused(error) => Err(error),
        RequestProgress::Incomplete => panic!("{head}"),
    };
    // The same request, parsed by somebody else, as HTTP/1.1 and as HTTP/2 know it.
    let mut pairs: Vec<(&str, &[u8])> = vec![("sec-websocket-version", b"13")];
    pairs.extend(offers.iter().map(|offer| (NAME, offer.as_bytes())));
    let connect = ExtendedConnect {
        method: "CONNECT",
        protocol: Some("websocket"),
        scheme: Some("https"),
        authority: Some("a"),
        path: Some("/"),
    };
    let origins = OriginPolicy::Any;
    let accepted = |upgrade: Upgrade<_>| {
        let (response, negotiated) = upgrade.accept(&accept).unwrap();
        let value = response.headers().find(|(name, _)| *name == NAME).map(|(_, value)| value.to_owned());
        (value, negotiated.compression())
    };
    let over_http2 = Upgrade::check_connect(&connect, pairs.clone().into_iter(), origins).map(accepted);
    assert_eq!(over_http2, found, "over HTTP/2");
    pairs.extend([("host", &b"a"[..]), ("upgrade", b"websocket"), ("connection", b"Upgrade")]);
    pairs.push(("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="));
    let in_pairs = Upgrade::check("GET", pairs.into_iter(), origins).map(accepted);
    assert_eq!(in_pairs, found, "in pairs");
    found
}

/// The value of the header that a client with these policies sends.
#[track_caller]
pub(crate) fn offer(policies: &[Policy]) -> Option<String> {
    let uri = Uri::parse("wss://a/").unwrap();
    let request = ClientRequest::new(&uri).compression(policies);
    let mut out = Vec::new();
    request.start(NONCE, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let values: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: ")).collect();
    assert!(values.len() <= 1, "{text}");
    let value = values.first().map(ToString::to_string);
    for offer in [UpgradeOffer::new(&request, NONCE).unwrap(), UpgradeOffer::connect(&request).unwrap()] {
        let other = offer.headers().find(|(name, _)| *name == NAME).map(|(_, value)| value.to_owned());
        assert_eq!(other, value, "for others to write");
    }
    value
}

/// What a client with these policies makes of an answer with these headers.
///
/// It is given the answer in each way in which a response can be checked, and must say the same each time.
#[track_caller]
pub(crate) fn client(policies: &[Policy], answers: &[&str]) -> Result<Option<Parameters>, ResponseError> {
    let uri = Uri::parse("wss://a/").unwrap();
    let request = ClientRequest::new(&uri).compression(policies);
    let lines: String = answers.iter().map(|answer| format!("Sec-WebSocket-Extensions: {answer}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{lines}\r\n"
    );
    let handshake = request.start(NONCE, &mut Vec::new()).unwrap();
    let mut owned = handshake.clone().into_owned();
    let [found, other] =
        [&mut handshake.clone(), &mut owned].map(|handshake| match handshake.receive(head.as_bytes()) {
            ResponseProgress::Accepted(response) => Ok(response.negotiated().compression()),
            ResponseProgress::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        });
    assert_eq!(other, found, "owned");
    let mut pairs: Vec<(&str, &[u8])> = answers.iter().map(|answer| (NAME, answer.as_bytes())).collect();
    let checked = |offer: UpgradeOffer<'_>, status, pairs: Vec<(&str, &[u8])>| {
        offer.check(status, pairs.into_iter()).map(|(negotiated, _)| negotiated.compression())
    };
    assert_eq!(checked(UpgradeOffer::connect(&request).unwrap(), 200, pairs.clone()), found, "over HTTP/2");
    pairs.extend([("upgrade", &b"websocket"[..]), ("connection", b"Upgrade")]);
    pairs.push(("sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(checked(UpgradeOffer::new(&request, NONCE).unwrap(), 101, pairs), found, "in pairs");
    found
}

/// Values of a parameter for window bits that are none (RFC 7692, section 7.1.2).
pub(crate) const BAD_BITS: &[&str] = &[
    "0",
    "1",
    "7",
    "16",
    "255",
    "256",
    "264",
    "08",
    "09",
    "015",
    "010",
    "+9",
    "-9",
    "9.0",
    "9e0",
    "0x9",
    "true",
    "99999999999999999999",
    "18446744073709551625",
    "\"9x\"",
    "\"09\"",
    "\"\\0\\9\"",
];

/// Elements that are malformed, so that no offer in the same header can be told from another (RFC 6455, section 9.1).
pub(crate) const MALFORMED: &[&str] = &[
    "permessage-deflate; server_max_window_bits=",
    "permessage-deflate; server_max_window_bits=\"\"",
    "permessage-deflate; server_max_window_bits=\"9 \"",
    "permessage-deflate; server_max_window_bits=\" 9\"",
    "permessage-deflate; server_max_window_bits=1 0",
    "permessage-deflate; client_max_window_bits=\"9",
    "permessage-deflate; client_max_window_bits=9=9",
    "permessage-deflate;",
    "permessage-deflate; ;",
    "permessage-deflate; =9",
    "permessage-deflate client_max_window_bits",
    "permessage deflate",
    "\"permessage-deflate\"",
];
