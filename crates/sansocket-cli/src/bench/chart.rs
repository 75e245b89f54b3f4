//! A histogram of latencies as rows, for a terminal.

use std::fmt;

use hdrhistogram::Histogram;

use super::report::Nanos;

/// How many rows there may be, if that can be had.
const ROWS: usize = 24;

/// How long the longest bar is, in characters: a row has 80 then.
const BAR: u64 = 50;

/// Bounds within a power of ten, in tenths: the finest that need no more than [`ROWS`] rows are taken.
const STEPS: [&[u64]; 3] = [&[10, 15, 20, 30, 50, 70], &[10, 20, 50], &[10]];

/// Latencies from the least to the greatest, shared out among rows whose bounds grow as a power does.
#[derive(Debug)]
pub(super) struct Chart {
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// In nanoseconds. Those that are longer than the bound of the row before and not longer than this, to a thousandth of it.
    pub(super) up_to: u64,
    pub(super) messages: u64,
}

impl Chart {
    /// Of latencies in nanoseconds.
    pub(super) fn new(latencies: &Histogram<u64>) -> Self {
        if latencies.is_empty() {
            return Self { rows: Vec::new() };
        }
        let least = latencies.lowest_equivalent(latencies.min());
        let greatest = latencies.lowest_equivalent(latencies.max());
        let rows_of = |steps| rows(steps, least, greatest);
        let mut rows =
            STEPS.into_iter().map(rows_of).find(|rows| rows.len() <= ROWS).unwrap_or_else(|| rows_of(STEPS[2]));
        let mut place = 0;
        for step in latencies.iter_recorded() {
            let latency = latencies.lowest_equivalent(step.value_iterated_to());
            while rows[place].up_to < latency {
                place += 1;
            }
            rows[place].messages += step.count_at_value();
        }
        Self { rows }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// Empty rows, as many as are needed.
fn rows(steps: &[u64], least: u64, greatest: u64) -> Vec<Row> {
    let bounds = (0..).flat_map(|power| steps.iter().map(move |step| step * 10_u64.pow(power) / 10));
    let mut rows: Vec<Row> = Vec::new();
    for up_to in bounds.skip_while(|&bound| bound < least) {
        // Below 10 ns, bounds coincide.
        if rows.last().is_none_or(|row| row.up_to < up_to) {
            rows.push(Row { up_to, messages: 0 });
        }
        if up_to >= greatest {
            break;
        }
    }
    rows
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.rows.iter().map(|row| row.messages).sum();
        let most = self.rows.iter().map(|row| row.messages).max().unwrap_or_default();
        for Row { up_to, messages } in &self.rows {
            // Whatever is there can be seen.
            let bar = "#".repeat((u128::from(messages * BAR)).div_ceil(u128::from(most)) as usize);
            let share = *messages as f64 * 100.0 / all as f64;
            writeln!(f, "{:>8} {bar:<50} {messages:>11} {share:6.2}%", Nanos(Some(*up_to)).to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(latencies: impl IntoIterator<Item = (u64, u64)>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        latencies.into_iter().for_each(|(nanos, count)| histogram.record_n(nanos, count).unwrap());
        histogram
    }

    #[test]
    fn rows_have_bars_counts_and_shares_in_80_columns() {
        let latencies = [(40_000, 1), (50_000, 1000), (64_000, 123_456), (120_000, 61_728), (199_000, 2), (900_000, 1)];
        let chart = Chart::new(&histogram(latencies)).to_string();
        let expected = "
  50.0µs #                                                         1001   0.54%
  70.0µs ##################################################      123456  66.31%
 100.0µs                                                              0   0.00%
 150.0µs #########################                                61728  33.15%
 200.0µs #                                                            2   0.00%
 300.0µs                                                              0   0.00%
 500.0µs                                                              0   0.00%
 700.0µs                                                              0   0.00%
   1.0ms #                                                            1   0.00%
";
        assert_eq!(format!("\n{chart}"), expected);
        assert!(chart.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn every_latency_is_in_one_row_whose_bounds_hold_it() {
        for exponent in [3, 5, 9, 12] {
            let latencies = (0..exponent).flat_map(|power| {
                [1, 2, 3, 5, 7, 9].map(|digit| (digit * 10_u64.pow(power), u64::from(power) + digit))
            });
            let histogram = histogram(latencies);
            let chart = Chart::new(&histogram);
            assert_eq!(chart.rows().iter().map(|row| row.messages).sum::<u64>(), histogram.len());
            assert!(chart.rows().len() <= ROWS, "{exponent}: {}", chart.rows().len());
            assert!(chart.rows().is_sorted_by(|a, b| a.up_to < b.up_to));
            assert!(
                chart.rows()[0].messages > 0 && chart.rows().last().unwrap().messages > 0,
                "no row at the ends is empty"
            );
        }
        assert_eq!(Chart::new(&histogram([(1, 1)])).rows(), [Row { up_to: 1, messages: 1 }]);
        assert_eq!(Chart::new(&histogram([])).to_string(), "");
        // A bound belongs to the row that it bounds, though the histogram knows it to a thousandth only.
        let chart = Chart::new(&histogram([(100_000, 5), (150_000, 7)]));
        assert_eq!(chart.rows(), [Row { up_to: 100_000, messages: 5 }, Row { up_to: 150_000, messages: 7 }]);
    }
}
