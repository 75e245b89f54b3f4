//! Which programs are tried.

use proptest::prelude::*;
use sansocket_whatwg::BinaryType;

use super::program::{News, Step};

/// Where messages get too many: mostly nowhere.
pub(crate) fn limits() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(u64::MAX), 1 => 0..60u64]
}

pub(crate) fn programs() -> impl Strategy<Value = Vec<Step>> {
    let any_order = prop::collection::vec(steps(), 0..30);
    // As most programs are that get further than to be opened.
    let opened = prop::collection::vec(steps_of_an_open_object(), 0..30).prop_map(|mut steps| {
        steps.splice(0..0, [Step::Queue(News::Open), Step::Pump]);
        steps
    });
    prop_oneof![any_order, opened]
}

pub(crate) fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => steps_of_an_open_object(),
        2 => Just(Step::Queue(News::Open)),
        2 => calls_that_close(),
        1 => ends().prop_map(Step::Queue),
    ]
}

/// Steps of which few end it.
fn steps_of_an_open_object() -> impl Strategy<Value = Step> {
    let binary_types = prop_oneof![Just(BinaryType::Blob), Just(BinaryType::ArrayBuffer)];
    prop_oneof![
        60 => (any::<bool>(), 0..20usize).prop_map(|(is_text, len)| Step::Send(is_text, len)),
        60 => (any::<bool>(), 0..20usize).prop_map(|(is_text, len)| Step::Queue(News::Message(is_text, len))),
        60 => Just(Step::Pump),
        30 => any::<u64>().prop_map(Step::HandOver),
        15 => binary_types.prop_map(Step::SetBinaryType),
        10 => bad_closes(),
        5 => calls_that_close(),
        5 => Just(Step::Queue(News::Closing)),
        5 => ends().prop_map(Step::Queue),
        3 => Just(Step::Queue(News::Open)),
    ]
}

/// Calls that are not refused.
pub(crate) fn calls_that_close() -> impl Strategy<Value = Step> {
    let codes = prop::sample::select(vec![None, Some(1000), Some(3000), Some(4999)]);
    let lengths = prop::sample::select(vec![0, 1, 122, 123]);
    prop_oneof![
        3 => (codes, lengths).prop_map(|(code, len)| Step::Close(code, len)),
        1 => any::<bool>().prop_map(Step::GoAway),
    ]
}

/// Calls that are.
fn bad_closes() -> impl Strategy<Value = Step> {
    let bad_codes = prop::sample::select(vec![0, 999, 1001, 1005, 1006, 2999, 5000, 65535]);
    let good_codes = prop::sample::select(vec![None, Some(1000), Some(3000), Some(4999)]);
    let lengths = prop::sample::select(vec![0, 123, 124]);
    prop_oneof![
        (bad_codes, lengths).prop_map(|(code, len)| Step::Close(Some(code), len)),
        (good_codes, 124..130usize).prop_map(|(code, len)| Step::Close(code, len)),
    ]
}

pub(crate) fn ends() -> impl Strategy<Value = News> {
    let codes = prop::sample::select(vec![0, 1000, 1001, 1005, 3000, 65535]);
    prop_oneof![codes.prop_map(News::Clean), any::<bool>().prop_map(News::Lost), Just(News::Failed),]
}
