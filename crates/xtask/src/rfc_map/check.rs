//! What can be wrong with the requirements.

use std::collections::BTreeSet;

use anyhow::Result;

use super::requirement::{Requirement, Section, Strength};
use crate::sources::Sources;

/// Everything that is wrong, each with the requirement's id.
///
/// # Errors
///
/// A source cannot be read.
pub(super) fn faults(sections: &[Section], sources: &mut Sources) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for section in sections {
        if section.requirements.is_empty() {
            faults.push(format!("{}: the section has no requirements", section.number));
        }
        for requirement in &section.requirements {
            let mut fault = |what: String| faults.push(format!("{}: {what}", requirement.id));
            if !ids.insert(&requirement.id) {
                fault("the id is there twice".into());
            }
            if !is_id_of(&requirement.id, &section.number) {
                fault(format!("the id is not one of section {}", section.number));
            }
            if let Some(what) = fault_alone(requirement) {
                fault(what.into());
            }
            for test in &requirement.tests {
                if let Some(what) = sources.fault_of(&test.file, &test.function)? {
                    fault(what);
                }
            }
        }
    }
    Ok(faults)
}

/// Whether it is the section's number, a dash and letters.
fn is_id_of(id: &str, section: &str) -> bool {
    let letters = id.strip_prefix(section).and_then(|rest| rest.strip_prefix('-'));
    letters.is_some_and(|letters| !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// What is wrong with a requirement without a look at the sources.
fn fault_alone(requirement: &Requirement) -> Option<&'static str> {
    match (&requirement.mark, requirement.tests.is_empty()) {
        _ if requirement.text.is_empty() => Some("it has no words"),
        (None, true) if requirement.strength == Strength::Must => Some("a MUST without a test and without a reason"),
        (Some(_), false) => Some("it has tests, and a reason why there are none"),
        (Some(mark), true) if mark.reason.is_empty() => Some("the reason has no words"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc_map::requirement;
    use crate::sources::workspace;

    /// A test that there is: this file's.
    const TEST: &str = "+ xtask/src/rfc_map/check.rs a_test_has_to_exist";

    fn faults_in(text: &str) -> Vec<String> {
        faults(&requirement::parse(text).unwrap(), &mut Sources::of(&workspace())).unwrap()
    }

    #[test]
    fn a_must_has_a_test_or_a_reason() {
        for proof in [TEST, "- application: it decides", "- untested: why"] {
            assert_eq!(faults_in(&format!("# 5.1 A\n5.1-a both MUST\n  Words.\n  {proof}\n")), [""; 0]);
        }
        assert_eq!(
            faults_in("# 5.1 A\n5.1-a both MUST\n  Words.\n5.1-b both SHOULD\n  Words.\n5.1-c both MAY\n  Words.\n"),
            ["5.1-a: a MUST without a test and without a reason"]
        );
    }

    #[test]
    fn a_test_has_to_exist() {
        let with = |test: &str| faults_in(&format!("# 5.1 A\n5.1-a both MAY\n  Words.\n  + {test}\n"));
        assert_eq!(
            with("xtask/src/rfc_map/check.rs a_test"),
            ["5.1-a: crates/xtask/src/rfc_map/check.rs has no test a_test"]
        );
        assert_eq!(
            with("xtask/src/rfc_map/check.rs faults_in"),
            ["5.1-a: crates/xtask/src/rfc_map/check.rs has no test faults_in"]
        );
        assert_eq!(with("xtask/src/none.rs a_test"), ["5.1-a: there is no file crates/xtask/src/none.rs"]);
    }

    #[test]
    fn tests_and_a_reason_exclude_each_other() {
        assert_eq!(
            faults_in(&format!("# 5.1 A\n5.1-a both MUST\n  Words.\n  {TEST}\n  - choice: another\n")),
            ["5.1-a: it has tests, and a reason why there are none"]
        );
    }

    #[test]
    fn ids_are_unique_and_belong_to_their_section() {
        let requirement = |id: &str| format!("{id} both MAY\n  Words.\n");
        let section = |ids: &[&str]| format!("# 5.1 A\n{}", ids.iter().map(|id| requirement(id)).collect::<String>());
        assert_eq!(faults_in(&section(&["5.1-a", "5.1-b", "5.1-aa"])), [""; 0]);
        assert_eq!(faults_in(&section(&["5.1-a", "5.1-a"])), ["5.1-a: the id is there twice"]);
        for id in ["5.2-a", "5.1.1-a", "5.1", "5.1-", "5.1-1", "5-a"] {
            assert_eq!(faults_in(&section(&[id])), [format!("{id}: the id is not one of section 5.1")]);
        }
    }

    #[test]
    fn nothing_is_empty() {
        assert_eq!(faults_in("# 5.1 A\n"), ["5.1: the section has no requirements"]);
        assert_eq!(faults_in("# 5.1 A\n5.1-a both MAY\n"), ["5.1-a: it has no words"]);
        assert_eq!(
            faults_in("# 5.1 A\n5.1-a both MUST\n  Words.\n  - choice: \n  \n"),
            ["5.1-a: the reason has no words"]
        );
    }

    #[test]
    fn every_fault_is_told() {
        assert_eq!(
            faults_in("# 5.1 A\n5.2-a both MUST\n  Words.\n5.1-a both MUST\n  Words.\n").len(),
            3,
            "an id and two without a test"
        );
    }
}
