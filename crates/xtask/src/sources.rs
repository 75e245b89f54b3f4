//! Looks for tests in sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("this package lies in `crates`").to_owned()
}

/// The text of a file.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The workspace's sources, each read once.
#[derive(Debug)]
pub(crate) struct Sources {
    crates: PathBuf,
    read: BTreeMap<String, Option<Tests>>,
}

impl Sources {
    /// Those of the workspace in this folder.
    pub(crate) fn of(workspace: &Path) -> Self {
        Self { crates: workspace.join("crates"), read: BTreeMap::new() }
    }

    /// The tests in a file, which is seen from `crates`. `None`: there is no such file.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn tests(&mut self, file: &str) -> Result<Option<&Tests>> {
        if !self.read.contains_key(file) {
            let path = self.crates.join(file);
            let tests = if path.is_file() { Some(Tests::of(&read(&path)?)) } else { None };
            self.read.insert(file.to_owned(), tests);
        }
        Ok(self.read[file].as_ref())
    }

    /// What is wrong with the name of a test in a file, which is seen from `crates`. `None`: it is there, and it is run.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn fault_of(&mut self, file: &str, function: &str) -> Result<Option<String>> {
        Ok(match self.tests(file)? {
            None => Some(format!("there is no file crates/{file}")),
            Some(tests) if tests.run.contains(function) => None,
            Some(tests) if tests.ignored.contains(function) => Some(format!("{function} in crates/{file} is ignored")),
            Some(_) => Some(format!("crates/{file} has no test {function}")),
        })
    }
}

/// The names of a file's tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    /// Those that are run.
    pub(crate) run: BTreeSet<String>,
    /// Those that are `#[ignore]`d.
    pub(crate) ignored: BTreeSet<String>,
}

impl Tests {
    /// Those of a source that rustfmt has formatted: each has `#[test]`, or tokio's, on a line of its own, in `proptest!` too, and behind it
    /// further attributes, comments and the function.
    pub(crate) fn of(source: &str) -> Self {
        let mut tests = Self::default();
        let (mut is_test, mut is_ignored) = (false, false);
        for line in source.lines().map(str::trim_start) {
            if let Some(function) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") {
                let end = function.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(function.len());
                if is_test {
                    let names = if is_ignored { &mut tests.ignored } else { &mut tests.run };
                    names.insert(function[..end].to_owned());
                }
            }
            let goes_on = line.is_empty() || line.starts_with("#[") || line.starts_with("//");
            is_test = goes_on && (is_test || line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
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
    fn tests_that_wait_are_tests() {
        let source = "
#[tokio::test]
async fn waits() {}

#[tokio::test(start_paused = true)]
async fn waits_in_no_time() {}

async fn helper() {}
";
        assert_eq!(Tests::of(source), Tests { run: names(&["waits", "waits_in_no_time"]), ignored: names(&[]) });
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
        let mut sources = Sources::of(&workspace());
        assert_eq!(sources.tests("xtask/src/nowhere.rs").unwrap(), None);
        assert_eq!(sources.tests("xtask/src").unwrap(), None, "nor has a folder");
        let here = sources.tests("xtask/src/sources.rs").unwrap().unwrap();
        assert!(here.run.contains("a_file_that_does_not_exist_has_no_tests"));
    }
}
