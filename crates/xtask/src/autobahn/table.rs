//! The table of results.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::cases::CaseId;
use super::report::{CaseResult, Outcome};

/// The columns, from the best to the worst.
const COLUMNS: [&str; 5] = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED"];

/// How many cases of each group had which outcome, and how long they took.
pub(super) fn by_group(results: &BTreeMap<CaseId, CaseResult>) -> String {
    let mut groups: BTreeMap<u32, Row> = BTreeMap::new();
    let mut total = Row::default();
    for (case, result) in results {
        groups.entry(case.group()).or_default().add(result);
        total.add(result);
    }
    let mut table = format!("{:<6}", "group");
    for column in COLUMNS {
        write!(table, "  {column:>13}").expect("a String takes all");
    }
    table.push_str("        time\n");
    for (group, row) in groups {
        table.push_str(&row.line(&group.to_string()));
    }
    table + &total.line("all")
}

/// One line of the table.
#[derive(Default)]
struct Row {
    counts: [usize; COLUMNS.len()],
    milliseconds: u64,
}

impl Row {
    fn add(&mut self, result: &CaseResult) {
        self.counts[column(&result.outcome)] += 1;
        self.milliseconds += result.milliseconds;
    }

    fn line(&self, name: &str) -> String {
        let mut line = format!("{name:<6}");
        for count in self.counts {
            write!(line, "  {count:>13}").expect("a String takes all");
        }
        let seconds = self.milliseconds as f64 / 1000.0;
        line + &format!("  {seconds:>8.1} s\n")
    }
}

/// A case stands under the worse of its two fields; what has no column (`UNCLEAN`, `WRONG CODE`) is a failure.
fn column(outcome: &Outcome) -> usize {
    let of = |field: &str| COLUMNS.iter().position(|column| *column == field).unwrap_or(COLUMNS.len() - 1);
    of(&outcome.behavior).max(of(&outcome.behavior_close))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(behavior: &str, behavior_close: &str) -> Outcome {
        Outcome { behavior: behavior.to_owned(), behavior_close: behavior_close.to_owned() }
    }

    #[test]
    fn a_case_stands_under_the_worse_of_its_fields() {
        for (behavior, close, expected) in [
            ("OK", "OK", "OK"),
            ("NON-STRICT", "OK", "NON-STRICT"),
            ("OK", "INFORMATIONAL", "INFORMATIONAL"),
            ("UNIMPLEMENTED", "OK", "UNIMPLEMENTED"),
            ("OK", "UNCLEAN", "FAILED"),
            ("NON-STRICT", "WRONG CODE", "FAILED"),
            ("FAILED", "OK", "FAILED"),
        ] {
            assert_eq!(COLUMNS[column(&outcome(behavior, close))], expected, "{behavior}, {close}");
        }
    }

    #[test]
    fn groups_are_counted_in_numerical_order() {
        let result = |behavior: &str, milliseconds| CaseResult {
            outcome: outcome(behavior, "OK"),
            milliseconds,
            report: Default::default(),
        };
        let results = [("10.1.1", result("OK", 100)), ("9.1.1", result("FAILED", 2000)), ("9.1.2", result("OK", 1000))];
        let table = by_group(&results.map(|(case, result)| (case.parse().unwrap(), result)).into());
        let cells: Vec<Vec<_>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            cells,
            [
                ["9", "1", "0", "0", "0", "1", "3.0", "s"],
                ["10", "1", "0", "0", "0", "0", "0.1", "s"],
                ["all", "2", "0", "0", "0", "1", "3.1", "s"]
            ]
        );
    }
}
