//! What can be wrong with a page.

use anyhow::Result;

use super::page::{Link, is_reason, links, rows};
use crate::sources::Sources;

/// Where sources lie, seen from a page.
const CRATES: &str = "../crates/";

/// Everything that is wrong, each with the number of its line.
///
/// # Errors
///
/// A source cannot be read.
pub(super) fn faults(page: &str, sources: &mut Sources) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for (at, line) in page.lines().enumerate() {
        for link in links(line) {
            if let Some(what) = fault_of(link, sources)? {
                faults.push((at + 1, what));
            }
        }
    }
    let bare = rows(page).filter(|(_, proof)| links(proof).next().is_none() && !is_reason(proof));
    faults.extend(bare.map(|(at, _)| (at, "a row without a link and without a reason".into())));
    faults.sort();
    Ok(faults.into_iter().map(|(at, what)| format!("line {at}: {what}")).collect())
}

/// What is wrong with a link to a source, or one that should be.
fn fault_of(link: Link<'_>, sources: &mut Sources) -> Result<Option<String>> {
    let Link { text, target } = link;
    match target.strip_prefix(CRATES).filter(|file| file.ends_with(".rs")) {
        Some(file) if link.names_a_function() => sources.fault_of(file, text),
        Some(file) => Ok(sources.tests(file)?.is_none().then(|| format!("there is no file crates/{file}"))),
        None if link.names_a_function() => {
            Ok(Some(format!("{text} is said to be in {target}, which is no source of ours")))
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::workspace;

    const HERE: &str = "../crates/xtask/src/proofs/check.rs";

    fn faults_in(page: &str) -> Vec<String> {
        faults(page, &mut Sources::of(&workspace())).unwrap()
    }

    #[test]
    fn a_test_that_is_linked_has_to_exist() {
        assert_eq!(faults_in(&format!("See [`a_test_that_is_linked_has_to_exist`]({HERE}).")), [""; 0]);
        assert_eq!(
            faults_in(&format!("\nSee [`no_such_test`]({HERE}), [faults_in]({HERE}) and [the check]({HERE}).")),
            [
                "line 2: crates/xtask/src/proofs/check.rs has no test faults_in",
                "line 2: crates/xtask/src/proofs/check.rs has no test no_such_test"
            ]
        );
        assert_eq!(
            faults_in("[`some_test`](../crates/nowhere.rs) [a file](../crates/nowhere.rs) [limits](limits.md)"),
            ["line 1: there is no file crates/nowhere.rs"; 2]
        );
        assert_eq!(
            faults_in("[`some_test`](MISSING)"),
            ["line 1: some_test is said to be in MISSING, which is no source of ours"]
        );
    }

    #[test]
    fn a_row_has_a_link_or_a_reason() {
        let row = |proof: &str| format!("| flaw | proof |\n|---|---|\n| one | {proof} |\n");
        for proof in ["[limits](limits.md)", "*out of scope*: it is of no concern", &format!("[this]({HERE})")] {
            assert_eq!(faults_in(&row(proof)), [""; 0], "{proof}");
        }
        for proof in ["", "we think so", "*out of scope*:"] {
            assert_eq!(faults_in(&row(proof)), ["line 3: a row without a link and without a reason"], "{proof}");
        }
    }
}
