//! What section 4.2.1 of RFC 6455 demands of a request, whoever has parsed its head.

use super::VERSION;
use super::error::RequestError;
use super::extension::extensions;
use super::head::{elements, is_target, is_token, parse_request, single, values};
use super::key;
use super::origin::{Authority, OriginPolicy};
use crate::steps;

/// How many subprotocols a request may offer. They are compared with each other, so the number is bounded.
const MAX_PROTOCOLS: usize = 100;

/// 4.2.1, item 1: "An HTTP/1.1 or higher GET request, including a 'Request-URI'".
pub(super) fn check_request_line(head: &[u8], headers: usize) -> Result<(&str, &str), RequestError> {
    match parse_request(head, headers) {
        Ok((method, target)) if is_request_target(target) => Ok((method, target)),
        Ok(_) => Err(RequestError::InvalidTarget),
        Err(error) => Err(error.into()),
    }
}

/// 4.2.1, item 1: a path, or an absolute HTTP URI with one.
fn is_request_target(target: &str) -> bool {
    is_target(target) && (target.starts_with('/') || target_authority(target).is_some())
}

/// The authority of a target that is an absolute URI.
pub(super) fn target_authority(target: &str) -> Option<Authority<'_>> {
    let (scheme, rest) = target.split_once("://")?;
    let known = ["http", "https", "ws", "wss"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    known.then(|| Authority::parse(authority)).flatten()
}

/// Checks everything else that section 4.2.1 demands, and gives the key. Whoever has parsed the head, this is what it must hold.
pub(super) fn check_request<'b>(
    method: &str,
    target: &str,
    headers: impl Iterator<Item = (&'b str, &'b [u8])> + Clone,
    origins: OriginPolicy<'_>,
) -> Result<&'b [u8], RequestError> {
    let all = || headers.clone();
    if method != "GET" {
        return Err(RequestError::MethodNotAllowed);
    }
    // 4.2.1, item 2: "A |Host| header field containing the server's authority"; RFC 9112, 3.2: exactly one, and a valid one.
    let host = single(all(), "Host").ok().flatten().and_then(|host| core::str::from_utf8(host).ok());
    let host = host.and_then(Authority::parse).ok_or(RequestError::InvalidHost)?;
    // What follows such a head would be a body for one reader and frames for another.
    let has_body = single(all(), "Content-Length")?.is_some_and(|length| length != b"0");
    if has_body || single(all(), "Transfer-Encoding")?.is_some() {
        return Err(RequestError::BodyNotAllowed);
    }
    // 4.2.1, item 3: "An |Upgrade| header field containing the value 'websocket', treated as an ASCII case-insensitive value."
    if !elements(all(), "Upgrade").any(|element| element.eq_ignore_ascii_case(b"websocket")) {
        return Err(RequestError::NotAnUpgrade);
    }
    // 4.2.1, item 4: "A |Connection| header field that includes the token 'Upgrade'".
    if !elements(all(), "Connection").any(|element| element.eq_ignore_ascii_case(b"upgrade")) {
        return Err(RequestError::ConnectionNotUpgrade);
    }
    check_version(all())?;
    // 4.2.1, item 5, and 11.3.1: the key once, 16 bytes when decoded.
    let key = single(all(), "Sec-WebSocket-Key").ok().flatten().filter(|key| key::is_key(key));
    let key = key.ok_or(RequestError::InvalidKey)?;
    // RFC 9112, 3.2.2: where the target is an absolute URI, what Host says does not count.
    check_choices(all(), target_authority(target).unwrap_or(host), origins)?;
    Ok(key)
}

/// 4.2.1, item 6: "A |Sec-WebSocket-Version| header field, with a value of 13"; 11.3.5: once.
pub(super) fn check_version<'b>(headers: impl Iterator<Item = (&'b str, &'b [u8])>) -> Result<(), RequestError> {
    match single(headers, "Sec-WebSocket-Version")? {
        Some(version) if version == VERSION.as_bytes() => Ok(()),
        Some(_) => Err(RequestError::UnsupportedVersion),
        None => Err(RequestError::MissingVersion),
    }
}

/// Checks what the client offers, and where it comes from.
pub(super) fn check_choices<'b>(
    headers: impl Iterator<Item = (&'b str, &'b [u8])> + Clone,
    host: Authority<'_>,
    origins: OriginPolicy<'_>,
) -> Result<(), RequestError> {
    let all = || headers.clone();
    // 4.3: such a header lists one element at least.
    let is_void = |name| values(all(), name).next().is_some() && elements(all(), name).next().is_none();
    if is_void("Sec-WebSocket-Protocol") {
        return Err(RequestError::InvalidProtocols);
    }
    check_protocols(elements(all(), "Sec-WebSocket-Protocol"))?;
    // 9.1: a header that does not follow the grammar fails the connection.
    if is_void("Sec-WebSocket-Extensions") || extensions(all()).any(|extension| extension.is_err()) {
        return Err(RequestError::InvalidExtensions);
    }
    // 4.2.2, item 4: a server may look at the origin and refuse with 403.
    if single(all(), "Origin")?.is_some_and(|origin| !origins.allows(origin, host)) {
        return Err(RequestError::OriginNotAllowed);
    }
    Ok(())
}

/// 4.1, item 10: subprotocols are tokens, "and MUST all be unique strings".
fn check_protocols<'b>(protocols: impl Iterator<Item = &'b [u8]>) -> Result<(), RequestError> {
    // Kept, and not looked for again in the head, which may be long.
    let mut seen: [&[u8]; MAX_PROTOCOLS] = [&[]; MAX_PROTOCOLS];
    for (at, protocol) in protocols.enumerate() {
        steps::count(at);
        if at == MAX_PROTOCOLS || !is_token(protocol) || seen[..at].contains(&protocol) {
            return Err(RequestError::InvalidProtocols);
        }
        seen[at] = protocol;
    }
    Ok(())
}
