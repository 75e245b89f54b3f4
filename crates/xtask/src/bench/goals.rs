//! What is to be reached, and what of it was not.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::measured::{Case, Class, TIE};
use crate::report;

/// Whom a goal names if it means the fastest one that checks what we check, whoever that is.
const BEST_PEER: &str = "best peer";

/// The table of goals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Goals {
    /// Allocations of ours per message, at most.
    allocations: f64,
    #[serde(rename = "goal")]
    goals: Vec<Goal>,
}

/// How fast we are to be beside others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Goal {
    /// What the names of the cases begin with.
    cases: Vec<String>,
    /// Engines, or [`BEST_PEER`].
    against: Vec<String>,
    /// The smallest size, in bytes.
    #[serde(default)]
    from: u64,
    /// The largest size, in bytes.
    up_to: Option<u64>,
    /// The other's time by ours.
    at_least: f64,
}

/// What became of the goals, a line each.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) missed: Vec<String>,
    /// Goals with which nothing of what was measured has to do.
    pub(super) unmeasured: Vec<String>,
}

impl Goals {
    /// The goals of the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("no goals in {}", path.display()))
    }

    /// Whether they are reached.
    pub(super) fn judge(&self, cases: &[Case]) -> Verdict {
        let mut verdict = Verdict::default();
        for goal in &self.goals {
            for engine in &goal.against {
                goal.judge(engine, cases, &mut verdict);
            }
        }
        for case in cases {
            for it in case.measured.iter().filter(|it| it.class == Class::Ours) {
                let allocations = it.allocations.unwrap_or_default();
                if allocations > self.allocations {
                    let place = place(case, it.size);
                    verdict
                        .missed
                        .push(format!("{place}: {} allocates {allocations:.2} times for a message", it.engine));
                }
            }
        }
        verdict
    }
}

impl Goal {
    fn judge(&self, engine: &str, cases: &[Case], verdict: &mut Verdict) {
        let mut is_measured = false;
        for case in cases.iter().filter(|case| self.cases.iter().any(|start| case.name.starts_with(start))) {
            let sizes = self.from..=self.up_to.unwrap_or(u64::MAX);
            for &size in case.sizes.iter().filter(|size| sizes.contains(size)) {
                let (found, enough) = match engine {
                    BEST_PEER => (case.best_peer(size), self.at_least / TIE),
                    _ => (case.at(engine, size).and_then(|it| Some((engine, it.vs_ours?))), self.at_least),
                };
                let Some((name, ratio)) = found else { continue };
                is_measured = true;
                if ratio < enough {
                    let (place, wanted) = (place(case, size), self.at_least);
                    verdict
                        .missed
                        .push(format!("{place}: {name} takes {ratio:.3} times our time, wanted is {wanted:.2}"));
                }
            }
        }
        if !is_measured {
            let cases = self.cases.join(", ");
            verdict.unmeasured.push(format!("{engine} to take {:.2} times our time in {cases:?}", self.at_least));
        }
    }
}

fn place(case: &Case, size: u64) -> String {
    format!("{}, {}", case.name, report::size(size))
}

#[cfg(test)]
mod tests {
    use super::super::measured::{CANNED, parse};
    use super::*;

    fn missed(goals: &str, run: &str) -> Vec<String> {
        toml::from_str::<Goals>(goals).unwrap().judge(&parse(run).unwrap()).missed
    }

    #[test]
    fn a_tie_with_the_best_peer_is_no_miss_and_less_is() {
        let goals = "allocations = 1\n[[goal]]\ncases = ['']\nagainst = ['best peer']\nat_least = 1";
        assert_eq!(missed(goals, CANNED), [""; 0]);
        assert_eq!(missed(goals, &CANNED.replace("1.04", "0.92")), [""; 0]);
        assert_eq!(
            missed(goals, &CANNED.replace("1.04", "0.9")),
            ["receive/server/binary, 1 KiB: tokio-websockets takes 0.900 times our time, wanted is 1.00"]
        );
    }

    #[test]
    fn a_goal_is_about_its_cases_sizes_and_engines_alone() {
        let goal = |rest: &str| {
            format!("allocations = 1\n[[goal]]\nagainst = ['tungstenite', 'bare parser']\nat_least = 2\n{rest}")
        };
        let [bare, tungstenite] = [
            "receive/server/binary, 1 KiB: bare parser takes 0.750 times our time, wanted is 2.00",
            "receive/server/binary, 1 MiB: tungstenite takes 1.800 times our time, wanted is 2.00",
        ];
        assert_eq!(missed(&goal("cases = ['receive/']"), CANNED), [tungstenite, bare]);
        assert_eq!(missed(&goal("cases = ['receive/']\nup_to = 1024"), CANNED), [bare]);
        assert_eq!(missed(&goal("cases = ['send/', 'receive/']\nfrom = 1025"), CANNED), [tungstenite]);
        assert_eq!(missed(&goal("cases = ['send/']"), CANNED), [""; 0]);
    }

    #[test]
    fn an_allocation_for_each_message_of_ours_is_a_miss() {
        let found = missed("allocations = 0.01\ngoal = []", CANNED);
        assert_eq!(found, ["receive/server/binary, 1 MiB: sansocket allocates 0.50 times for a message"]);
    }

    #[test]
    fn a_goal_that_nothing_was_measured_for_is_told() {
        let goals = "allocations = 1\n[[goal]]\ncases = ['send/', 'some']\nagainst = ['bare parser']\nat_least = 0.8";
        let verdict = toml::from_str::<Goals>(goals).unwrap().judge(&parse(CANNED).unwrap());
        assert_eq!(verdict.unmeasured, [r#"bare parser to take 0.80 times our time in "send/, some""#]);
    }

    #[test]
    fn the_file_of_goals_can_be_read() {
        let goals = Goals::read(&super::super::goals_path()).unwrap();
        assert!(!goals.goals.is_empty());
    }
}
