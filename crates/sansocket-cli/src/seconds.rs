//! Time limits as arguments.

use std::time::Duration;

/// A time limit; `None`: there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds(pub(crate) Option<Duration>);

pub(crate) fn seconds(text: &str) -> Result<Seconds, String> {
    let seconds: f64 = text.parse().map_err(|_| String::from("not a number of seconds"))?;
    let duration = Duration::try_from_secs_f64(seconds)
        .map_err(|_| String::from("seconds are 0 or more, and fewer than 2 to the 64"))?;
    Ok(Seconds((!duration.is_zero()).then_some(duration)))
}
