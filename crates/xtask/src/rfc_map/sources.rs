//! Looks for tests in sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

/// The workspace's sources, each read once.
#[derive(Debug)]
pub(super) struct Sources {
    crates: PathBuf,
    read: BTreeMap<String, Option<Tests>>,
}

impl Sources {
    /// Those of the workspace in this folder.
    pub(super) fn of(workspace: &Path) -> Self {
        Self { crates: workspace.join("crates"), read: BTreeMap::new() }
    }

    /// The tests in a file, which is seen from `crates`. `None`: there is no such file.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(super) fn tests(&mut self, file: &str) -> Result<Option<&Tests>> {
        if !self.read.contains_key(file) {
            let path = self.crates.join(file);
            let tests = if path.is_file() { Some(Tests::of(&super::read(&path)?)) } else { None };
            self.read.insert(file.to_owned(), tests);
        }
        Ok(self.read[file].as_ref())
    }
}

/// The names of a file's tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tests {
    /// Those that are run.
    pub(super) run: BTreeSet<String>,
    /// Those that are `#[ignore]`d.
    pub(super) ignored: BTreeSet<String>,
}

impl Tests {
    /// Those of a source that rustfmt has formatted: each has `#[test]` on a line of its own, in `proptest!` too, and behind it
    /// further attributes, comments and the function.
    pub(super) fn of(source: &str) -> Self {
        let mut tests = Self::default();
        let (mut is_test, mut is_ignored) = (false, false);
        for line in source.lines().map(str::trim_start) {
            if let Some(function) = line.strip_prefix("fn ") {
                let end = function.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(function.len());
                if is_test {
                    let names = if is_ignored { &mut tests.ignored } else { &mut tests.run };
                    names.insert(function[..end].to_owned());
                }
            }
            let goes_on = line.is_empty() || line.starts_with("#[") || line.starts_with("//");
            is_test = goes_on && (is_test || line.starts_with("#[test]"));
            is_ignored = goes_on && (is_ignored || line.starts_with("#[ignore"));
        }
        tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn tests_are_functions_with_the_attribute_in_proptest_too() {
        let source = r#"
#[test]
fn plain() {}

#[cfg(unix)]
#[test]
// A comment.
#[should_panic(expected = "no")]
fn decorated() {}

fn helper() {}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn property(
        stream in streams(),
    ) {
        fn inner() {}
    }

    fn not_run(x in 0..1) {}
}
"#;
        assert_eq!(Tests::of(source), Tests { run: names(&["plain", "decorated", "property"]), ignored: names(&[]) });
    }

    #[test]
    fn what_is_commented_out_or_ignored_is_not_run() {
        let source = "
// #[test]
fn commented_out() {}
/// #[test]
fn documented() {}
#[test]
#[ignore = \"slow\"]
fn ignored_below() {}
#[ignore]
#[test]
fn ignored_above() {}
#[test]
fn run() {}
#[test]
const BETWEEN: u8 = 0;
fn behind() {}
";
        let expected = Tests { run: names(&["run"]), ignored: names(&["ignored_above", "ignored_below"]) };
        assert_eq!(Tests::of(source), expected);
    }

    #[test]
    fn a_file_that_does_not_exist_has_no_tests() {
        let mut sources = Sources::of(&crate::rfc_map::workspace());
        assert_eq!(sources.tests("xtask/src/nowhere.rs").unwrap(), None);
        assert_eq!(sources.tests("xtask/src").unwrap(), None, "nor has a folder");
        let here = sources.tests("xtask/src/rfc_map/sources.rs").unwrap().unwrap();
        assert!(here.run.contains("a_file_that_does_not_exist_has_no_tests"));
    }
}
