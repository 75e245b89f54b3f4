//! docs/limits.md, held against the code, and that errors name what stands there.

use std::time::Duration;

use sansocket::handshake::{HeadLimits, RequestError, ResponseError};
use sansocket::{Limits, ProtocolError, Timeouts};

const PAGE: &str = include_str!("../../../docs/limits.md");

/// The cells of the only row that begins with this one.
fn row(name: &str) -> Vec<&'static str> {
    let start = format!("| {name} |");
    let mut rows = PAGE.lines().filter(|line| line.starts_with(&start));
    let row = rows.next().unwrap_or_else(|| panic!("docs/limits.md has no row for {name}"));
    assert_eq!(rows.next(), None, "docs/limits.md has two rows for {name}");
    row.trim_matches('|').split(" | ").map(str::trim).collect()
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes >> 10)
}

/// With commas between thousands.
fn number(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

// The structures are taken apart without `..`: a new limit does not compile before it stands here, and then on the page.

#[test]
fn the_page_has_every_limit_with_its_default() {
    let Limits { message, fragments, undefined_close_codes } = Limits::DEFAULT;
    let HeadLimits { bytes, headers } = HeadLimits::DEFAULT;
    for (name, default) in [
        ("`Limits::message`", format!("{} MiB", message >> 20)),
        ("`Limits::fragments`", number(fragments.into())),
        ("`Limits::undefined_close_codes`", format!("`{undefined_close_codes}`")),
        ("`HeadLimits::bytes`", kib(bytes)),
        ("`HeadLimits::headers`", headers.to_string()),
    ] {
        assert_eq!(row(name)[2], default, "{name}");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn the_page_has_every_limit_of_a_pool_with_its_default() {
    let sansocket::deflate::PoolLimits { lent, kept } = sansocket::deflate::PoolLimits::DEFAULT;
    for (name, default) in [("`PoolLimits::lent`", lent), ("`PoolLimits::kept`", kept)] {
        assert_eq!(row(name)[2], format!("{} each", number(default as u64)), "{name}");
    }
}

#[test]
fn the_page_has_every_time_limit_with_its_default() {
    let Timeouts { open, ping, pong, idle, close, end } = Timeouts::DEFAULT;
    let told =
        |limit: Option<Duration>| limit.map_or_else(|| "none".to_owned(), |limit| format!("{} s", limit.as_secs()));
    for (name, limit) in
        [("open", open), ("ping", ping), ("pong", pong), ("idle", idle), ("close", close), ("end", end)]
    {
        // The object has limits of its own, by the name of their structure.
        assert_eq!(row(&format!("`{name}`"))[2], told(limit), "{name}");
    }
}

#[test]
fn the_page_has_every_violation_of_a_limit_with_its_close_code() {
    for error in [
        ProtocolError::MessageTooBig,
        ProtocolError::TooManyFragments,
        ProtocolError::InvalidCloseCode,
        ProtocolError::PongTimeout,
        ProtocolError::TooManyControlFrames,
        ProtocolError::QueueOverrun,
        ProtocolError::TooManyCompressed,
    ] {
        let (name, code) = (format!("`ProtocolError::{error:?}`"), error.close_code().to_string());
        assert!(PAGE.lines().any(|line| line.contains(&name) && line.contains(&code)), "{name}, {code}");
    }
}

#[test]
fn the_error_of_a_limit_names_it() {
    for (error, limit) in [
        (ProtocolError::MessageTooBig.to_string(), "`Limits::message`"),
        (ProtocolError::TooManyFragments.to_string(), "`Limits::fragments`"),
        (ProtocolError::TooManyCompressed.to_string(), "`PoolLimits::lent`"),
        (RequestError::HeadTooLarge.to_string(), "`HeadLimits::bytes`"),
        (RequestError::TooManyHeaders.to_string(), "`HeadLimits::headers`"),
        (ResponseError::HeadTooLarge.to_string(), "`HeadLimits::bytes`"),
        (ResponseError::TooManyHeaders.to_string(), "`HeadLimits::headers`"),
    ] {
        assert!(error.ends_with(&format!("; the limit is {limit}")), "{error}");
        row(limit);
    }
    assert!(ProtocolError::PongTimeout.to_string().ends_with("`Timeouts::pong`"));
    // The peer cannot lift it.
    assert!(ProtocolError::ALL.iter().all(|error| !error.text().contains('`')));
}
