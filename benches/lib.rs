//! What all benchmarks need: those that are compared take turns, and what is told are medians.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Does something so many times.
pub type Run<'r> = Box<dyn FnMut(u64) + 'r>;

/// Nanoseconds for each time, and as a multiple of what the first one takes.
#[derive(Clone, Copy, Debug)]
pub struct Median {
    /// The median of the rounds' times, in nanoseconds.
    pub time: f64,
    /// The median of the rounds' ratios: this one's time by that of the first.
    pub ratio: f64,
}

/// Runs all in turns that take `turn` or a little more, so many rounds. Who begins changes, so that nobody always follows the same one.
///
/// So it says something on a machine that does other things besides, where an absolute time does not.
pub fn compare(mut runs: Vec<Run<'_>>, turn: Duration, rounds: usize) -> Vec<Median> {
    let mut counts = vec![1; runs.len()];
    for (run, count) in runs.iter_mut().zip(&mut counts) {
        while time(run, *count) < turn {
            *count *= 2;
        }
    }
    compare_counts(runs, &counts, rounds)
}

/// As [`compare`], and all run equally often, so that all are at the same message of a long stream; a turn takes that long on average.
pub fn compare_in_step(mut runs: Vec<Run<'_>>, turn: Duration, rounds: usize) -> Vec<Median> {
    let mut count = 1;
    while runs.iter_mut().map(|run| time(run, count)).sum::<Duration>() < turn * runs.len() as u32 {
        count *= 2;
    }
    let counts = vec![count; runs.len()];
    compare_counts(runs, &counts, rounds)
}

fn compare_counts(mut runs: Vec<Run<'_>>, counts: &[u64], rounds: usize) -> Vec<Median> {
    let one_round = |round: usize| {
        let mut times = vec![0.0; runs.len()];
        for at in 0..runs.len() {
            let at = (at + round) % runs.len();
            times[at] = time(&mut runs[at], counts[at]).as_nanos() as f64 / counts[at] as f64;
        }
        times
    };
    medians(&(0..rounds).map(one_round).collect::<Vec<_>>())
}

/// What each of those that are compared took, round by round.
pub fn medians(rounds: &[Vec<f64>]) -> Vec<Median> {
    let of = |value: &dyn Fn(&[f64]) -> f64| median(rounds.iter().map(|times| value(times)));
    let all = 0..rounds.first().map_or(0, Vec::len);
    all.map(|at| Median { time: of(&|times| times[at]), ratio: of(&|times| times[at] / times[0]) }).collect()
}

/// Processor time of this thread: what others do on this machine does not count, unless it drives us out of a cache.
fn time(run: &mut Run<'_>, count: u64) -> Duration {
    let start = processor_time();
    run(count);
    processor_time() - start
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("time that has passed")
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
