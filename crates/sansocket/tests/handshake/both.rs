//! Our client against our server, and a server against spoilt requests.

use proptest::prelude::*;
use sansocket::handshake::{
    Accept, ClientRequest, OriginPolicy, RequestProgress, ResponseProgress, ServerHandshake, Uri,
};

use super::{Lines, serve};

/// What a client may ask for.
#[derive(Clone, Debug)]
struct Asked {
    uri: String,
    origin: Option<String>,
    protocols: Vec<String>,
    headers: Vec<(String, String)>,
    nonce: [u8; 16],
}

fn asked() -> impl Strategy<Value = Asked> {
    let uri = "wss?://[a-z][a-z0-9.-]{0,12}(:[1-9][0-9]{0,3})?(/([a-zA-Z0-9._~-]|%[0-9A-F]{2}){0,10}){0,3}(\\?([a-z0-9=&?/]|%23){0,12})?";
    let origin = prop::option::of(prop_oneof![Just("null".to_owned()), "https?://[a-z]{1,10}(:[1-9][0-9]{0,3})?"]);
    let protocols = prop::collection::hash_set("[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,12}", 0..6);
    let headers = prop::collection::vec(("X-[a-zA-Z0-9!#-]{0,10}", "([!-~]([ -~\t]{0,20}[!-~])?)?"), 0..6);
    (uri, origin, protocols, headers, any::<[u8; 16]>()).prop_map(|(uri, origin, protocols, headers, nonce)| Asked {
        uri,
        origin,
        protocols: protocols.into_iter().collect(),
        headers,
        nonce,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rfc6455_4_our_client_and_our_server_understand_each_other(
        asked in asked(),
        chosen: Option<prop::sample::Index>,
        cut: prop::sample::Index,
    ) {
        let uri = Uri::parse(&asked.uri).unwrap();
        let protocols: Vec<_> = asked.protocols.iter().map(String::as_str).collect();
        let headers: Vec<_> = asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut request = ClientRequest::new(&uri).protocols(&protocols).headers(&headers);
        if let Some(origin) = &asked.origin {
            request = request.origin(origin);
        }
        let mut sent = Vec::new();
        let mut client = request.start(asked.nonce, &mut sent).unwrap();

        let mut server = ServerHandshake::new().origins(OriginPolicy::Any);
        let mut answer = Vec::new();
        let half = server.receive(&sent[..cut.index(sent.len())], &mut answer);
        prop_assert!(matches!(half, RequestProgress::Incomplete));
        let RequestProgress::Request(request) = server.receive(&sent, &mut answer) else {
            return Err(TestCaseError::fail(String::from_utf8_lossy(&answer).into_owned()));
        };
        prop_assert_eq!(request.head_len(), sent.len());
        prop_assert_eq!(request.target(), format!("{}{}", uri.path(), uri.query()));
        prop_assert_eq!(request.header("Host"), Some(uri.host_header().as_bytes()));
        prop_assert_eq!(request.origin(), asked.origin.as_deref().map(str::as_bytes));
        prop_assert_eq!(request.protocols().collect::<Vec<_>>(), protocols.clone());
        let theirs: Vec<_> = request.headers().filter(|(name, _)| name.starts_with("X-")).collect();
        let ours: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        prop_assert_eq!(theirs, ours);

        let chosen = chosen.filter(|_| !protocols.is_empty()).map(|index| protocols[index.index(protocols.len())]);
        let mut accept = Accept::new().headers(&headers);
        if let Some(chosen) = chosen {
            accept = accept.protocol(chosen);
        }
        request.accept(&accept, &mut answer).unwrap();
        let half = client.receive(&answer[..cut.index(answer.len())]);
        prop_assert!(matches!(half, ResponseProgress::Incomplete));
        match client.receive(&answer) {
            ResponseProgress::Accepted(response) => {
                prop_assert_eq!(response.protocol(), chosen);
                prop_assert_eq!(response.head_len(), answer.len());
            }
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }

    #[test]
    fn rfc6455_4_2_1_spoilt_requests_are_told_alike_however_they_are_split(
        at: prop::sample::Index, byte: u8, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut bytes = Lines::request().with("Sec-WebSocket-Protocol", "a, b").text().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let (whole, answer) = serve(&bytes);
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).chain([bytes.len()]).collect();
        ends.sort_unstable();
        let mut handshake = ServerHandshake::new();
        let mut out = Vec::new();
        let mut result = Err(None);
        for end in ends {
            result = match handshake.receive(&bytes[..end], &mut out) {
                RequestProgress::Request(_) => Ok(()),
                RequestProgress::Incomplete => Err(None),
                RequestProgress::Refused(error) => Err(Some(error)),
            };
        }
        prop_assert_eq!(result, whole);
        prop_assert_eq!(out, answer);
    }
}
