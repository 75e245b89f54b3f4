//! What libFuzzer says.

/// What libFuzzer has said of a run at its end.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Inputs that were run.
    pub(super) executions: u64,
    /// The same in a second.
    pub(super) per_second: u64,
    /// Edges of the program's graph that were reached: `cov`.
    pub(super) edges: u64,
    /// Edges, told apart by about how often an input goes through them: `ft`.
    pub(super) features: u64,
    /// Inputs in the corpus.
    pub(super) inputs: u64,
    /// The input that was found, from the project's root.
    pub(super) artifact: Option<String>,
}

impl Said {
    /// Reads it. What was not said is zero: a run that ends on a seed has no numbers.
    pub(super) fn read(text: &str) -> Self {
        let status = text.lines().rfind(|line| line.starts_with('#') && line.contains(" cov: ")).unwrap_or_default();
        let in_status = |name| number_behind(status, name);
        let at_end = |name| text.lines().find_map(|line| line.starts_with(name).then(|| number_behind(line, name)));
        let artifact = text.lines().find_map(|line| line.split("Test unit written to ").nth(1));
        Self {
            executions: at_end("stat::number_of_executed_units:").unwrap_or_default(),
            per_second: at_end("stat::average_exec_per_sec:").unwrap_or_default(),
            edges: in_status("cov:"),
            features: in_status("ft:"),
            inputs: in_status("corp:"),
            artifact: artifact.map(|path| path.trim().to_owned()),
        }
    }
}

/// The number in the word behind the one that is named, or zero.
fn number_behind(line: &str, name: &str) -> u64 {
    let word = line.split_whitespace().skip_while(|&word| word != name).nth(1).unwrap_or_default();
    let digits = word.split(|char: char| !char.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_is_read() {
        let text = "\
#24\tINITED cov: 913 ft: 1500 corp: 24/512b exec/s: 0 rss: 50Mb
#65536\tpulse  cov: 1406 ft: 5000 corp: 300/5Kb lim: 100 exec/s: 6553 rss: 80Mb
#70001\tDONE   cov: 1407 ft: 5105 corp: 313/5634b lim: 109 exec/s: 6363 rss: 81Mb
Done 70001 runs in 11 second(s)
stat::number_of_executed_units: 70001
stat::average_exec_per_sec:     6363
stat::new_units_added:          290
";
        let expected =
            Said { executions: 70001, per_second: 6363, edges: 1407, features: 5105, inputs: 313, artifact: None };
        assert_eq!(Said::read(text), expected);
    }

    #[test]
    fn a_finding_is_read_and_what_was_not_said_is_zero() {
        let text = "\
==1== ERROR: libFuzzer: deadly signal
artifact_prefix='fuzz/artifacts/pair/'; Test unit written to fuzz/artifacts/pair/crash-da39a3ee
stat::number_of_executed_units: 3
";
        let artifact = Some("fuzz/artifacts/pair/crash-da39a3ee".to_owned());
        assert_eq!(Said::read(text), Said { executions: 3, artifact, ..Said::default() });
    }
}
