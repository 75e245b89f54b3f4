//! Our client against our server, and both against any text (RFC 7692, sections 5 and 7.1).

use proptest::prelude::*;
use sansocket::deflate::{Parameters, Policy, Window, WindowBits};
use sansocket::handshake::{RequestError, ResponseError};

use super::bits;
use super::negotiating::{client, offer, server};

fn window_bits() -> impl Strategy<Value = WindowBits> {
    prop_oneof![1 => Just(WindowBits::MAX), 2 => (8..=15u8).prop_map(bits)]
}

fn policies() -> impl Strategy<Value = Policy> {
    (any::<(bool, bool)>(), window_bits(), window_bits()).prop_map(
        |((takeover, peer_takeover), window_bits, peer_window_bits)| Policy {
            takeover,
            window_bits,
            peer_takeover,
            peer_window_bits,
        },
    )
}

/// Whether a side's compressor is no more than its own policy allows it, and its peer's policy allows the peer.
fn respects(window: Window, own: &Policy, peers: &Policy) -> bool {
    let takeover = !window.takeover || own.takeover && peers.peer_takeover;
    takeover && window.bits <= own.window_bits && window.bits <= peers.peer_window_bits
}

/// A parameter as it might be sent, well-formed.
fn params() -> impl Strategy<Value = (String, Option<String>)> {
    let bits = prop_oneof![4 => (8..=15u8).prop_map(|bits| bits.to_string()), 1 => "0?[0-9]{1,3}"];
    let name = |name: &'static str| Just(name.to_owned());
    prop_oneof![
        4 => (name("server_no_context_takeover"), Just(None)),
        4 => (name("client_no_context_takeover"), Just(None)),
        4 => (name("server_max_window_bits"), bits.clone().prop_map(Some)),
        4 => (name("client_max_window_bits"), prop::option::of(bits.clone())),
        1 => (prop_oneof![
            name("server_max_window_bits"), name("server_no_context_takeover"), name("unknown"), name("__proto__")
        ], prop::option::of(bits)),
    ]
}

type Element = (String, Vec<(String, Option<String>)>);

fn elements() -> impl Strategy<Value = Vec<Element>> {
    let name = prop_oneof![8 => Just("permessage-deflate".to_owned()), 1 => Just("x".to_owned())];
    prop::collection::vec((name, prop::collection::vec(params(), 0..4)), 1..5)
}

fn text((name, params): &Element, quoted: bool) -> String {
    let params = params.iter().map(|(name, value)| match value {
        Some(value) if quoted => format!("; {name}=\"{value}\""),
        Some(value) => format!(";{name}={value}"),
        None => format!("; {name}"),
    });
    std::iter::once(name.clone()).chain(params).collect()
}

/// Sections 7 and 7.1 once more: the parameters of an element, if it is valid.
#[derive(Clone, Copy, Debug, Default)]
struct Naive {
    server_fresh: bool,
    client_fresh: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

fn naive((name, params): &Element) -> Option<Naive> {
    let names: Vec<_> = params.iter().map(|(name, _)| name).collect();
    let has_double = (1..names.len()).any(|at| names[..at].contains(&names[at]));
    if name != "permessage-deflate" || has_double {
        return None;
    }
    let mut naive = Naive::default();
    for (name, value) in params {
        let bits = match value.as_deref() {
            None => None,
            Some(value) => Some((8..=15u8).find(|bits| bits.to_string() == value)?),
        };
        match (name.as_str(), bits) {
            ("server_no_context_takeover", None) => naive.server_fresh = true,
            ("client_no_context_takeover", None) => naive.client_fresh = true,
            ("server_max_window_bits", Some(bits)) => naive.server_bits = Some(bits),
            ("client_max_window_bits", bits) => naive.client_bits = Some(bits),
            _ => return None,
        }
    }
    Some(naive)
}

/// An answer's text as an element.
fn element(text: &str) -> Element {
    let mut pieces = text.split("; ");
    let name = pieces.next().unwrap().to_owned();
    let params = pieces.map(|piece| match piece.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (piece.to_owned(), None),
    });
    (name, params.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rfc7692_7_1_our_client_and_our_server_agree_on_the_same(
        offered in prop::collection::vec(policies(), 1..4), accepted in policies(),
    ) {
        let (answer, servers) = server(Some(accepted), &[&offer(&offered).unwrap()]).unwrap();
        // A client of ours may always be limited, so there is always something to agree on.
        let (answer, servers) = (answer.unwrap(), servers.unwrap());
        let clients = client(&offered, &[&answer]).unwrap().unwrap();
        prop_assert_eq!(clients.server, servers.server, "{}", answer);
        // Of several offers that the answer fits, the client does what all of them allow.
        prop_assert!(clients.client.bits <= servers.client.bits, "{}", answer);
        prop_assert!(servers.client.takeover || !clients.client.takeover, "{}", answer);
        if let [_] = offered[..] {
            prop_assert_eq!(clients, servers, "{}", answer);
        }
        let respects_both = |offered: &Policy| {
            respects(servers.server, &accepted, offered) && respects(servers.client, offered, &accepted)
        };
        prop_assert!(offered.iter().any(respects_both));
        // The most that both allow, as the first offer has it.
        let first = &offered[0];
        let most = |takeover: bool, a: WindowBits, b: WindowBits| Window { bits: a.min(b), takeover };
        prop_assert_eq!(servers, Parameters {
            server: most(accepted.takeover && first.peer_takeover, accepted.window_bits, first.peer_window_bits),
            client: most(first.takeover && accepted.peer_takeover, first.window_bits, accepted.peer_window_bits),
        });
    }

    #[test]
    fn rfc7692_5_a_server_answers_the_first_offer_that_is_valid_and_allowed(
        offers in elements(), policy in policies(), (quoted, one_line) in any::<(bool, bool)>(),
    ) {
        let texts: Vec<_> = offers.iter().map(|offer| text(offer, quoted)).collect();
        let joined = texts.join(" ,");
        let lines: Vec<_> = if one_line { vec![joined.as_str()] } else { texts.iter().map(String::as_str).collect() };
        let (answer, parameters) = server(Some(policy), &lines).unwrap();
        let allowed = |offer: &Naive| policy.peer_window_bits == WindowBits::MAX || offer.client_bits.is_some();
        let chosen = offers.iter().filter_map(naive).find(allowed);
        let Some(offer) = chosen else {
            prop_assert_eq!((answer, parameters), (None, None));
            return Ok(());
        };
        let (answer, parameters) = (answer.unwrap(), parameters.unwrap());
        let answer = naive(&element(&answer)).expect("a valid answer");
        // What was asked is in it, and nothing that may be there only if it was asked.
        prop_assert!(answer.server_fresh || !offer.server_fresh && policy.takeover);
        prop_assert!(answer.client_fresh || policy.peer_takeover);
        let server_bits = answer.server_bits.unwrap_or(15);
        prop_assert!(server_bits <= offer.server_bits.unwrap_or(15) && server_bits <= policy.window_bits.get());
        prop_assert!(offer.server_bits.is_none() || answer.server_bits.is_some());
        if let Some(bits) = answer.client_bits {
            prop_assert!(offer.client_bits.is_some());
            prop_assert!(bits.is_some_and(|bits| bits <= offer.client_bits.flatten().unwrap_or(15)));
        }
        let client_bits = answer.client_bits.flatten().unwrap_or(15);
        prop_assert!(client_bits <= policy.peer_window_bits.get());
        // And what the server has in force is that.
        prop_assert_eq!(parameters.server, Window { bits: bits(server_bits), takeover: !answer.server_fresh });
        prop_assert!(parameters.client.bits.get() <= client_bits);
        prop_assert_eq!(parameters.client.takeover, !answer.client_fresh);
    }

    #[test]
    fn rfc7692_7_a_client_accepts_no_answer_but_one_that_is_valid_and_fits(
        answers in elements(), offered in prop::collection::vec(policies(), 0..3), quoted: bool,
    ) {
        let texts: Vec<_> = answers.iter().map(|answer| text(answer, quoted)).collect();
        let found = client(&offered, &[&texts.join(", ")]);
        let fits = |answer: &Naive, policy: &Policy| {
            (policy.peer_takeover || answer.server_fresh)
                && answer.server_bits.unwrap_or(15) <= policy.peer_window_bits.get()
                && answer.client_bits != Some(None)
        };
        let accepted = match &answers[..] {
            [answer] => naive(answer)
                .map(|answer| (answer, offered.iter().filter(|policy| fits(&answer, policy)).collect::<Vec<_>>())),
            _ => None,
        };
        match accepted.filter(|(_, policies)| !policies.is_empty()) {
            Some((answer, policies)) => {
                let parameters = found.unwrap().unwrap();
                prop_assert_eq!(parameters.server, Window {
                    bits: bits(answer.server_bits.unwrap_or(15)), takeover: !answer.server_fresh,
                });
                prop_assert_eq!(parameters.client, Window {
                    bits: policies
                        .iter()
                        .fold(bits(answer.client_bits.flatten().unwrap_or(15)), |bits, policy| bits.min(policy.window_bits)),
                    takeover: policies.iter().all(|policy| policy.takeover) && !answer.client_fresh,
                });
            }
            None => {
                let error = found.unwrap_err();
                let first_is_ours = !offered.is_empty() && answers[0].0 == "permessage-deflate";
                prop_assert!(matches!(error, ResponseError::Extension | ResponseError::Compression));
                prop_assert!(first_is_ours || error == ResponseError::Extension);
            }
        }
    }

    #[test]
    fn rfc7692_7_any_text_is_refused_or_declined_or_answered(
        text in "(permessage-deflate|;| |,|=|\"|\\\\|server_max_window_bits|client_max_window_bits|[0-9a-z_-]|\t){0,12}",
        policy in policies(),
    ) {
        let text = text.trim();
        match server(Some(policy), &[text]) {
            Ok((answer, parameters)) => prop_assert_eq!(answer.is_some(), parameters.is_some()),
            Err(error) => prop_assert_eq!(error, RequestError::InvalidExtensions),
        }
        let is_known =
            |error| matches!(error, ResponseError::Extension | ResponseError::Compression | ResponseError::MalformedExtensions);
        if let Err(error) = client(&[policy], &[text]) {
            prop_assert!(is_known(error));
        }
    }
}
