//! What a server makes of a client's offers (RFC 7692, sections 5 and 7.1).

use sansocket::deflate::{Parameters, Policy};
use sansocket::handshake::RequestError;

use super::bits;
use super::negotiating::{ANY, BAD_BITS, MALFORMED, agreed, server};

/// The answer to these offers, in one header, is this.
#[track_caller]
fn answers(policy: Policy, offers: &str, answer: &str, parameters: Parameters) {
    assert_eq!(server(Some(policy), &[offers]), Ok((Some(answer.into()), Some(parameters))), "{offers}");
}

/// The server goes without compression.
#[track_caller]
fn declines(policy: Policy, offers: &[&str]) {
    assert_eq!(server(Some(policy), offers), Ok((None, None)), "{offers:?}");
}

const NAME: &str = "permessage-deflate";
const WHOLE: (u8, bool) = (15, true);

#[test]
fn rfc7692_5_an_offer_without_parameters_is_accepted() {
    answers(ANY, NAME, NAME, agreed(WHOLE, WHOLE));
    // The default wants no references to earlier messages, and says so.
    answers(
        Policy::DEFAULT,
        NAME,
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        agreed((15, false), (15, false)),
    );
}

#[test]
fn rfc7692_5_without_a_policy_every_offer_is_declined() {
    assert_eq!(server(None, &[NAME]), Ok((None, None)));
    assert_eq!(server(None, &["permessage-deflate; server_max_window_bits=10, x"]), Ok((None, None)));
}

#[test]
fn rfc7692_5_without_an_offer_nothing_is_answered() {
    declines(ANY, &[]);
    declines(ANY, &["x"]);
    declines(ANY, &["permessage-bzip2; a=1", "x; permessage-deflate"]);
}

#[test]
fn rfc7692_5_names_are_compared_as_they_are() {
    for name in
        ["constructor", "__proto__", "toString", "x-webkit-deflate-frame", "permessage-deflat", "Permessage-Deflate"]
    {
        declines(ANY, &[name]);
        declines(ANY, &[&format!("{name}; server_no_context_takeover")]);
        answers(ANY, &format!("{name}, permessage-deflate"), NAME, agreed(WHOLE, WHOLE));
    }
}

#[test]
fn rfc7692_5_the_first_of_several_offers_is_accepted() {
    answers(
        ANY,
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate; server_max_window_bits=10",
        agreed((10, true), WHOLE),
    );
    answers(ANY, "permessage-deflate, permessage-deflate; server_max_window_bits=10", NAME, agreed(WHOLE, WHOLE));
}

#[test]
fn rfc7692_5_several_headers_are_one_list_of_offers() {
    let found =
        server(Some(ANY), &["x", "permessage-deflate; foo", "y, permessage-deflate; server_max_window_bits=12"]);
    let answer = "permessage-deflate; server_max_window_bits=12".to_owned();
    assert_eq!(found, Ok((Some(answer), Some(agreed((12, true), WHOLE)))));
    let found = server(Some(ANY), &[NAME, "permessage-deflate; server_max_window_bits=12"]);
    assert_eq!(found, Ok((Some(NAME.into()), Some(agreed(WHOLE, WHOLE)))));
}

#[test]
fn rfc7692_5_an_offer_that_the_policy_does_not_allow_gives_way_to_the_next() {
    let policy = Policy { peer_window_bits: bits(11), ..ANY };
    answers(
        policy,
        "permessage-deflate, permessage-deflate; server_max_window_bits=9, permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=11",
        agreed(WHOLE, (11, true)),
    );
    declines(policy, &["permessage-deflate, permessage-deflate; server_max_window_bits=9"]);
}

#[test]
fn rfc7692_5_one_element_answers_however_many_offers_there_are() {
    let many = vec!["permessage-deflate; client_max_window_bits"; 100].join(", ");
    answers(ANY, &many, NAME, agreed(WHOLE, WHOLE));
}

#[test]
fn rfc7692_7_offers_with_unknown_parameters_are_declined() {
    for unknown in [
        "foo",
        "foo=1",
        "server_max_window",
        "Server_no_context_takeover",
        "SERVER_MAX_WINDOW_BITS=10",
        "server_max_window_bits_=10",
        "__proto__",
        "constructor=9",
        "permessage-deflate",
    ] {
        declines(ANY, &[&format!("permessage-deflate; {unknown}")]);
        declines(ANY, &[&format!("permessage-deflate; client_max_window_bits; {unknown}; server_max_window_bits=9")]);
        // The next one is taken.
        answers(ANY, &format!("permessage-deflate; {unknown}, permessage-deflate"), NAME, agreed(WHOLE, WHOLE));
    }
}

#[test]
fn rfc7692_7_offers_with_a_parameter_twice_are_declined() {
    for double in [
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; server_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=11",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=10; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "client_max_window_bits=10; client_max_window_bits=10",
    ] {
        declines(ANY, &[&format!("permessage-deflate; {double}")]);
        answers(ANY, &format!("permessage-deflate; {double}, permessage-deflate"), NAME, agreed(WHOLE, WHOLE));
    }
}

#[test]
fn rfc7692_7_a_malformed_header_is_400() {
    for malformed in MALFORMED {
        assert_eq!(server(Some(ANY), &[malformed]), Err(RequestError::InvalidExtensions), "{malformed}");
        assert_eq!(server(Some(ANY), &[NAME, malformed]), Err(RequestError::InvalidExtensions), "{malformed}");
        assert_eq!(server(None, &[malformed]), Err(RequestError::InvalidExtensions), "{malformed}");
    }
    assert_eq!(RequestError::InvalidExtensions.status(), 400);
}

#[test]
fn rfc7692_7_1_1_1_server_no_context_takeover_is_answered_and_obeyed() {
    let offer = "permessage-deflate; server_no_context_takeover";
    answers(ANY, offer, offer, agreed((15, false), WHOLE));
    for value in ["true", "1", "\"x\"", "0"] {
        declines(ANY, &[&format!("{offer}={value}")]);
    }
}

#[test]
fn rfc7692_7_1_1_1_server_no_context_takeover_is_stated_unasked_by_a_server_that_wants_it() {
    let policy = Policy { takeover: false, ..ANY };
    answers(policy, NAME, "permessage-deflate; server_no_context_takeover", agreed((15, false), WHOLE));
}

#[test]
fn rfc7692_7_1_1_2_client_no_context_takeover_is_answered() {
    let offer = "permessage-deflate; client_no_context_takeover";
    answers(ANY, offer, offer, agreed(WHOLE, (15, false)));
    for value in ["true", "1", "\"x\"", "0"] {
        declines(ANY, &[&format!("{offer}={value}")]);
    }
}

#[test]
fn rfc7692_7_1_1_2_client_no_context_takeover_is_stated_unasked_by_a_server_that_wants_it() {
    let policy = Policy { peer_takeover: false, ..ANY };
    answers(policy, NAME, "permessage-deflate; client_no_context_takeover", agreed(WHOLE, (15, false)));
}

#[test]
fn rfc7692_7_1_2_1_server_max_window_bits_is_answered_with_no_more_than_was_offered() {
    for offered in 8..=15 {
        for own in 8..=15 {
            let policy = Policy { window_bits: bits(own), ..ANY };
            let least = own.min(offered);
            answers(
                policy,
                &format!("permessage-deflate; server_max_window_bits={offered}"),
                &format!("permessage-deflate; server_max_window_bits={least}"),
                agreed((least, true), WHOLE),
            );
        }
    }
}

#[test]
fn rfc7692_7_1_2_1_server_max_window_bits_is_stated_unasked_by_a_server_that_takes_less() {
    let policy = Policy { window_bits: bits(9), ..ANY };
    answers(policy, NAME, "permessage-deflate; server_max_window_bits=9", agreed((9, true), WHOLE));
}

#[test]
fn rfc7692_7_1_2_1_server_max_window_bits_may_be_in_quotes() {
    for quoted in ["\"10\"", "\"\\1\\0\"", "\"1\\0\""] {
        let offer = format!("permessage-deflate; server_max_window_bits={quoted}");
        answers(ANY, &offer, "permessage-deflate; server_max_window_bits=10", agreed((10, true), WHOLE));
    }
}

#[test]
fn rfc7692_7_1_2_1_server_max_window_bits_needs_a_value() {
    declines(ANY, &["permessage-deflate; server_max_window_bits"]);
    declines(ANY, &["permessage-deflate; server_max_window_bits; server_no_context_takeover"]);
}

#[test]
fn rfc7692_7_1_2_window_bits_are_8_to_15_without_leading_zeros() {
    for bad in BAD_BITS {
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            declines(ANY, &[&format!("permessage-deflate; {name}={bad}")]);
            answers(ANY, &format!("permessage-deflate; {name}={bad}, permessage-deflate"), NAME, agreed(WHOLE, WHOLE));
        }
    }
}

#[test]
fn rfc7692_7_1_2_2_client_max_window_bits_is_answered_only_if_it_was_offered() {
    for own in 8..15 {
        let policy = Policy { peer_window_bits: bits(own), ..ANY };
        declines(policy, &[NAME]);
        declines(policy, &["permessage-deflate; server_max_window_bits=9; client_no_context_takeover"]);
        answers(
            policy,
            "permessage-deflate; client_max_window_bits",
            &format!("permessage-deflate; client_max_window_bits={own}"),
            agreed(WHOLE, (own, true)),
        );
    }
}

#[test]
fn rfc7692_7_1_2_2_client_max_window_bits_may_stay_unanswered() {
    answers(ANY, "permessage-deflate; client_max_window_bits", NAME, agreed(WHOLE, WHOLE));
}

#[test]
fn rfc7692_7_1_2_2_a_valued_offer_is_a_hint_and_answered_with_no_more() {
    for hint in 8..=15 {
        // Nothing to limit: the client keeps to its hint by itself.
        let offer = format!("permessage-deflate; client_max_window_bits={hint}");
        answers(ANY, &offer, NAME, agreed(WHOLE, (hint, true)));
        for own in 8..15 {
            let policy = Policy { peer_window_bits: bits(own), ..ANY };
            let least = hint.min(own);
            let answer = format!("permessage-deflate; client_max_window_bits={least}");
            answers(policy, &offer, &answer, agreed(WHOLE, (least, true)));
        }
    }
}

#[test]
fn rfc7692_7_1_all_parameters_together_in_any_order_and_spelling() {
    let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
                  client_max_window_bits=9";
    let policy = Policy { window_bits: bits(12), peer_window_bits: bits(9), ..ANY };
    for offer in [
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
         client_max_window_bits=11",
        "permessage-deflate;client_max_window_bits;server_max_window_bits=\"10\";client_no_context_takeover;\
         server_no_context_takeover",
        " ,, permessage-deflate ; client_max_window_bits = 14 ; server_no_context_takeover ;client_no_context_takeover;\t\
         server_max_window_bits\t=\t10 , ,",
    ] {
        answers(policy, offer, answer, agreed((10, false), (9, false)));
    }
}
