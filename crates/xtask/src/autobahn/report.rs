//! Judges what the suite wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::cases::{CaseId, Glob};
use super::table;

/// What the suite says of a case: how the peer behaved, and how it closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) behavior: String,
    pub(super) behavior_close: String,
}

impl Outcome {
    /// Whether it is `OK` in both.
    fn is_ok(&self) -> bool {
        self.behavior == "OK" && self.behavior_close == "OK"
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "behavior {}, behaviorClose {}", self.behavior, self.behavior_close)
    }
}

/// A case that was run.
#[derive(Clone, Debug)]
pub(super) struct CaseResult {
    pub(super) outcome: Outcome,
    pub(super) milliseconds: u64,
    /// The file in which the suite says more.
    pub(super) report: PathBuf,
}

/// What each case that was asked for is to give.
#[derive(Debug)]
pub(super) struct Expectations(BTreeMap<CaseId, Outcome>);

impl Expectations {
    /// All that are in the repository.
    pub(super) fn load() -> Result<Self> {
        Self::parse(include_str!("../../autobahn/expected.json")).context("autobahn/expected.json")
    }

    fn parse(json: &str) -> Result<Self> {
        let cases: BTreeMap<String, [String; 2]> = serde_json::from_str(json)?;
        let cases = cases
            .into_iter()
            .map(|(name, [behavior, behavior_close])| Ok((name.parse()?, Outcome { behavior, behavior_close })));
        cases.collect::<Result<_>>().map(Self)
    }

    /// Those which the globs select; each has to select some.
    pub(super) fn narrow(mut self, globs: &[Glob]) -> Result<Self> {
        for glob in globs {
            ensure!(
                self.0.keys().any(|case| glob.matches(case)),
                "`{}` selects no case with an expected result",
                glob.as_str()
            );
        }
        self.0.retain(|case, _| globs.iter().any(|glob| glob.matches(case)));
        Ok(self)
    }

    /// How many cases they are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the results are others, in the order of the cases.
    fn differences(&self, results: &BTreeMap<CaseId, CaseResult>) -> Vec<String> {
        let missing = self.0.iter().filter(|(case, _)| !results.contains_key(case));
        let missing = missing.map(|(case, expected)| (case, format!("{case}: missing; expected {expected}")));
        let wrong = results.iter().filter_map(|(case, CaseResult { outcome, .. })| match self.0.get(case) {
            Some(expected) if expected == outcome => None,
            Some(expected) => Some((case, format!("{case}: {outcome}; expected {expected}"))),
            None => Some((case, format!("{case}: {outcome}; not a case that was asked for"))),
        });
        missing.chain(wrong).collect::<BTreeMap<_, _>>().into_values().collect()
    }
}

/// Prints the results that are in the folder; whether they are the expected ones.
pub(super) fn judge(folder: &Path, agent: &str, expectations: &Expectations) -> Result<bool> {
    let index = folder.join("index.json");
    let json = fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
    let results = parse(&json, agent, folder).with_context(|| format!("{}", index.display()))?;

    print!("{}", table::by_group(&results));
    for (case, result) in results.iter().filter(|(_, result)| !result.outcome.is_ok()) {
        println!("{case}: {}, {}", result.outcome, result.report.display());
    }
    let differences = expectations.differences(&results);
    if differences.is_empty() {
        println!("all {} cases as expected", expectations.len());
    } else {
        println!("{} results are not the expected ones:", differences.len());
        differences.iter().for_each(|difference| println!("  {difference}"));
    }
    Ok(differences.is_empty())
}

/// Reads the suite's `index.json`, in which our agent is to be alone.
fn parse(json: &str, agent: &str, folder: &Path) -> Result<BTreeMap<CaseId, CaseResult>> {
    let mut agents: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(json)?;
    let cases = agents.remove(agent).unwrap_or_default();
    if let Some(other) = agents.keys().next() {
        bail!("results of an agent `{other}`, which is not ours");
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).context("not a string");
    let result = |case: &Value| -> Result<CaseResult> {
        Ok(CaseResult {
            outcome: Outcome { behavior: text(&case["behavior"])?, behavior_close: text(&case["behaviorClose"])? },
            milliseconds: case["duration"].as_u64().context("no duration")?,
            report: folder.join(text(&case["reportfile"])?),
        })
    };
    let results = cases.iter().map(|(name, case)| Ok((name.parse()?, result(case).with_context(|| name.clone())?)));
    results.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autobahn::cases::WITHOUT_COMPRESSION;

    const EXPECTED: &str = r#"{
        "1.1.1": ["OK", "OK"], "2.9": ["OK", "OK"], "2.10": ["OK", "OK"], "7.1.6": ["INFORMATIONAL", "INFORMATIONAL"]
    }"#;

    /// The differences between what is expected of the globs and an index with these results.
    fn differences(globs: &[&str], results: &[(&str, &str, &str)]) -> Vec<String> {
        let globs: Vec<Glob> = globs.iter().map(|glob| glob.parse().unwrap()).collect();
        let mut agent = serde_json::Map::new();
        for &(case, behavior, close) in results {
            let result = serde_json::json!({
                "behavior": behavior, "behaviorClose": close, "duration": 2, "reportfile": "r.json", "remoteCloseCode": null
            });
            agent.insert(case.to_owned(), result);
        }
        let index = serde_json::json!({ "ours": agent }).to_string();
        let results = parse(&index, "ours", Path::new("reports")).unwrap();
        Expectations::parse(EXPECTED).unwrap().narrow(&globs).unwrap().differences(&results)
    }

    #[test]
    fn expected_results_make_no_difference() {
        let all = [
            ("1.1.1", "OK", "OK"),
            ("2.9", "OK", "OK"),
            ("2.10", "OK", "OK"),
            ("7.1.6", "INFORMATIONAL", "INFORMATIONAL"),
        ];
        assert!(differences(&["*"], &all).is_empty());
        assert!(differences(&["2.*"], &all[1..3]).is_empty());
        assert!(differences(&["1.1.1", "2.9"], &all[..2]).is_empty());
    }

    #[test]
    fn a_worse_result_is_a_difference_in_either_field() {
        for (behavior, close) in [("NON-STRICT", "OK"), ("OK", "UNCLEAN"), ("FAILED", "FAILED"), ("OK", "WRONG CODE")] {
            assert_eq!(
                differences(&["1.*"], &[("1.1.1", behavior, close)]),
                [format!("1.1.1: behavior {behavior}, behaviorClose {close}; expected behavior OK, behaviorClose OK")]
            );
        }
    }

    #[test]
    fn a_better_result_is_a_difference() {
        assert_eq!(differences(&["7.1.6"], &[("7.1.6", "OK", "INFORMATIONAL")]).len(), 1);
    }

    #[test]
    fn a_missing_case_and_one_too_many_are_differences_in_the_order_of_cases() {
        let differences = differences(&["2.*"], &[("2.9", "OK", "OK"), ("1.1.1", "OK", "OK"), ("12.1.1", "OK", "OK")]);
        let cases: Vec<_> = differences.iter().map(|line| line.split(';').next().unwrap()).collect();
        assert_eq!(
            cases,
            ["1.1.1: behavior OK, behaviorClose OK", "2.10: missing", "12.1.1: behavior OK, behaviorClose OK"]
        );
    }

    #[test]
    fn no_results_at_all_are_all_missing() {
        assert_eq!(differences(&["*"], &[]).len(), 4);
        let none = parse("{}", "ours", Path::new("reports")).unwrap();
        assert_eq!(Expectations::parse(EXPECTED).unwrap().differences(&none).len(), 4);
    }

    #[test]
    fn a_glob_without_expectations_is_an_error() {
        let glob = |glob: &str| glob.parse::<Glob>().unwrap();
        assert!(Expectations::parse(EXPECTED).unwrap().narrow(&[glob("1.*"), glob("8.*")]).is_err());
    }

    #[test]
    fn another_agent_and_a_result_without_fields_are_errors() {
        assert!(parse(r#"{"ours": {}, "theirs": {}}"#, "ours", Path::new("")).is_err());
        assert!(parse(r#"{"ours": {"1.1.1": {"behavior": "OK", "duration": 1}}}"#, "ours", Path::new("")).is_err());
    }

    /// One line per case, sorted, all OK but for the three of which the suite itself says nothing else.
    #[test]
    fn the_file_of_expectations_is_well_kept() {
        let json = include_str!("../../autobahn/expected.json");
        let expectations = Expectations::parse(json).unwrap();
        let informational = ["7.1.6", "7.13.1", "7.13.2"];
        let lines = expectations.0.keys().map(|case| {
            let outcome = if informational.contains(&&*case.to_string()) { "INFORMATIONAL" } else { "OK" };
            format!("  \"{case}\": [\"{outcome}\", \"{outcome}\"]")
        });
        let lines: Vec<_> = lines.collect();
        assert_eq!(json, format!("{{\n{}\n}}\n", lines.join(",\n")));
        assert_eq!(lines.len(), 517);
        let narrowed = expectations.narrow(&Glob::list(WITHOUT_COMPRESSION).unwrap()).unwrap();
        assert_eq!(narrowed.len(), 301);
    }
}
