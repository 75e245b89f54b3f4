//! What a client offers, and what it makes of a server's answer (RFC 7692, sections 5 and 7.1).

use sansocket::deflate::{Parameters, Policy};
use sansocket::handshake::ResponseError;

use super::bits;
use super::negotiating::{ANY, BAD_BITS, MALFORMED, agreed, client, offer};

const WHOLE: (u8, bool) = (15, true);
const NAME: &str = "permessage-deflate";

#[track_caller]
fn agrees(policy: Policy, answer: &str, parameters: Parameters) {
    assert_eq!(client(&[policy], &[answer]), Ok(Some(parameters)), "{answer}");
}

#[track_caller]
fn fails(policies: &[Policy], answers: &[&str], error: ResponseError) {
    assert_eq!(client(policies, answers), Err(error), "{answers:?}");
}

#[test]
fn rfc7692_5_an_offer_is_what_the_policy_says() {
    let small = Policy { window_bits: bits(9), peer_window_bits: bits(12), ..Policy::DEFAULT };
    for (policies, expected) in [
        (&[][..], None),
        (&[Policy::TAKEOVER], Some("permessage-deflate; client_max_window_bits")),
        (
            &[Policy::DEFAULT],
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"),
        ),
        (
            &[small],
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=12; client_max_window_bits=9",
            ),
        ),
    ] {
        assert_eq!(offer(policies).as_deref(), expected);
    }
}

#[test]
fn rfc7692_5_policies_are_offered_in_order_of_preference() {
    let narrow = Policy { peer_window_bits: bits(10), ..ANY };
    assert_eq!(
        offer(&[narrow, ANY]).unwrap(),
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits, permessage-deflate; client_max_window_bits"
    );
    let expected = [ANY, narrow].map(|policy| offer(&[policy]).unwrap()).join(", ");
    assert_eq!(offer(&[ANY, narrow]).unwrap(), expected);
}

#[test]
fn rfc7692_5_a_server_may_answer_any_of_the_offers() {
    let narrow = Policy { peer_window_bits: bits(10), ..ANY };
    let fresh = Policy { peer_takeover: false, ..ANY };
    let policies = [narrow, fresh];
    assert_eq!(
        client(&policies, &["permessage-deflate; server_max_window_bits=10"]),
        Ok(Some(agreed((10, true), WHOLE)))
    );
    let answer = "permessage-deflate; server_no_context_takeover";
    assert_eq!(client(&policies, &[answer]), Ok(Some(agreed((15, false), WHOLE))));
    fails(&policies, &[NAME], ResponseError::Compression);
}

#[test]
fn rfc7692_5_a_server_may_decline() {
    assert_eq!(client(&[ANY], &[]), Ok(None));
    assert_eq!(client(&[ANY, Policy::DEFAULT], &[]), Ok(None));
}

#[test]
fn rfc7692_5_an_extension_that_was_not_offered_fails() {
    fails(&[], &[NAME], ResponseError::Extension);
    fails(&[], &["permessage-deflate; server_max_window_bits=10"], ResponseError::Extension);
    for name in ["x", "permessage-bzip2", "constructor", "__proto__", "Permessage-Deflate", "x-webkit-deflate-frame"] {
        fails(&[ANY], &[name], ResponseError::Extension);
        fails(&[ANY], &[&format!("{name}, permessage-deflate")], ResponseError::Extension);
        fails(&[ANY], &[&format!("permessage-deflate, {name}")], ResponseError::Extension);
        fails(&[ANY], &[NAME, name], ResponseError::Extension);
    }
}

#[test]
fn rfc7692_5_two_extensions_on_the_same_bit_fail() {
    fails(&[ANY], &["permessage-deflate, permessage-deflate"], ResponseError::Extension);
    fails(&[ANY], &[NAME, NAME], ResponseError::Extension);
    fails(&[ANY, ANY], &["permessage-deflate; server_max_window_bits=9", NAME], ResponseError::Extension);
}

#[test]
fn rfc7692_7_answers_with_unknown_parameters_fail() {
    for unknown in
        ["foo", "foo=1", "Server_no_context_takeover", "server_max_window_bits_=10", "__proto__", "constructor=9"]
    {
        fails(&[ANY], &[&format!("permessage-deflate; {unknown}")], ResponseError::Compression);
        let among = format!("permessage-deflate; client_max_window_bits=10; {unknown}; server_max_window_bits=9");
        fails(&[ANY], &[&among], ResponseError::Compression);
    }
}

#[test]
fn rfc7692_7_answers_with_a_parameter_twice_fail() {
    for double in [
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; server_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=10; client_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits=10",
    ] {
        fails(&[ANY], &[&format!("permessage-deflate; {double}")], ResponseError::Compression);
    }
}

#[test]
fn rfc7692_7_a_malformed_answer_fails() {
    for malformed in MALFORMED {
        fails(&[ANY], &[malformed], ResponseError::MalformedExtensions);
        fails(&[ANY], &[NAME, malformed], ResponseError::MalformedExtensions);
        fails(&[], &[malformed], ResponseError::MalformedExtensions);
    }
}

#[test]
fn rfc7692_7_1_1_1_server_no_context_takeover_must_be_answered_if_it_was_offered() {
    let policy = Policy { peer_takeover: false, ..ANY };
    agrees(policy, "permessage-deflate; server_no_context_takeover", agreed((15, false), WHOLE));
    fails(&[policy], &[NAME], ResponseError::Compression);
    fails(&[policy], &["permessage-deflate; client_no_context_takeover"], ResponseError::Compression);
    fails(&[policy], &["permessage-deflate; server_no_context_takeover=1"], ResponseError::Compression);
}

#[test]
fn rfc7692_7_1_1_1_server_no_context_takeover_may_be_answered_unasked() {
    agrees(ANY, "permessage-deflate; server_no_context_takeover", agreed((15, false), WHOLE));
}

#[test]
fn rfc7692_7_1_1_2_client_no_context_takeover_is_obeyed_unasked() {
    agrees(ANY, "permessage-deflate; client_no_context_takeover", agreed(WHOLE, (15, false)));
    for value in ["1", "true", "\"x\""] {
        let answer = format!("permessage-deflate; client_no_context_takeover={value}");
        fails(&[ANY], &[&answer], ResponseError::Compression);
    }
}

#[test]
fn rfc7692_7_1_1_2_client_no_context_takeover_is_kept_to_where_the_server_does_not_repeat_it() {
    let policy = Policy { takeover: false, ..ANY };
    agrees(policy, NAME, agreed(WHOLE, (15, false)));
    agrees(policy, "permessage-deflate; client_no_context_takeover", agreed(WHOLE, (15, false)));
}

#[test]
fn rfc7692_7_1_2_1_server_max_window_bits_must_be_answered_with_no_more_than_was_offered() {
    for offered in 8..15 {
        let policy = Policy { peer_window_bits: bits(offered), ..ANY };
        fails(&[policy], &[NAME], ResponseError::Compression);
        for answered in 8..=15 {
            let answer = format!("permessage-deflate; server_max_window_bits={answered}");
            if answered <= offered {
                agrees(policy, &answer, agreed((answered, true), WHOLE));
            } else {
                fails(&[policy], &[&answer], ResponseError::Compression);
            }
        }
    }
}

#[test]
fn rfc7692_7_1_2_1_server_max_window_bits_may_be_answered_unasked() {
    for answered in 8..=15 {
        let answer = format!("permessage-deflate; server_max_window_bits={answered}");
        agrees(ANY, &answer, agreed((answered, true), WHOLE));
        let quoted = format!("permessage-deflate; server_max_window_bits=\"{answered}\"");
        agrees(ANY, &quoted, agreed((answered, true), WHOLE));
    }
    fails(&[ANY], &["permessage-deflate; server_max_window_bits"], ResponseError::Compression);
}

#[test]
fn rfc7692_7_1_2_window_bits_are_8_to_15_without_leading_zeros() {
    for bad in BAD_BITS {
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            fails(&[ANY], &[&format!("permessage-deflate; {name}={bad}")], ResponseError::Compression);
        }
    }
}

#[test]
fn rfc7692_7_1_2_2_client_max_window_bits_in_an_answer_has_a_value() {
    fails(&[ANY], &["permessage-deflate; client_max_window_bits"], ResponseError::Compression);
    fails(
        &[Policy { window_bits: bits(9), ..ANY }],
        &["permessage-deflate; client_max_window_bits"],
        ResponseError::Compression,
    );
}

#[test]
fn rfc7692_7_1_2_2_client_max_window_bits_is_obeyed() {
    for answered in 8..=15 {
        let answer = format!("permessage-deflate; client_max_window_bits={answered}");
        agrees(ANY, &answer, agreed(WHOLE, (answered, true)));
    }
}

#[test]
fn rfc7692_7_1_2_2_client_max_window_bits_was_always_offered() {
    // An answer with it to an offer without it would have to fail. Ours have it, so that a server may always limit our window.
    for policy in [ANY, Policy::DEFAULT, Policy { window_bits: bits(8), ..ANY }] {
        assert!(offer(&[policy]).unwrap().contains("; client_max_window_bits"));
    }
    fails(&[], &["permessage-deflate; client_max_window_bits=10"], ResponseError::Extension);
}

#[test]
fn rfc7692_7_1_2_2_a_larger_answer_than_our_hint_leaves_us_at_our_hint() {
    for hint in 8..=15 {
        let policy = Policy { window_bits: bits(hint), ..ANY };
        agrees(policy, NAME, agreed(WHOLE, (hint, true)));
        for answered in 8..=15 {
            let answer = format!("permessage-deflate; client_max_window_bits={answered}");
            agrees(policy, &answer, agreed(WHOLE, (hint.min(answered), true)));
        }
    }
}
