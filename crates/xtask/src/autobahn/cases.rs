//! The names of the suite's cases, and the globs that select them.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, ensure};

/// Globs of all 517 cases.
pub(super) const ALL_CASES: &str = "*";

/// Globs of all but groups 12 and 13, which take most of the time: 301 cases.
pub(super) const WITHOUT_COMPRESSION: &str = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*";

/// A case's name, `6.4.3`; in numerical order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CaseId(Vec<u32>);

impl CaseId {
    /// The first number: framing, pings, UTF-8 and so on.
    pub(super) fn group(&self) -> u32 {
        self.0[0]
    }
}

impl FromStr for CaseId {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let numbers = name.split('.').map(str::parse).collect::<Result<_, _>>();
        numbers.map(Self).map_err(|_| anyhow::anyhow!("`{name}` is no name of a case, such as 6.4.3"))
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// A selection of cases, in the suite's own meaning (`caseset.py`): with a `*` it matches each case
/// that *begins* so, thus `1.1*` takes 1.1.1 and 1.1.2; without one, the case of this name.
#[derive(Clone, Debug)]
pub(super) struct Glob(String);

impl Glob {
    /// Those of a list with commas.
    pub(super) fn list(globs: &str) -> Result<Vec<Self>> {
        globs.split(',').map(str::parse).collect()
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the case is selected.
    pub(super) fn matches(&self, case: &CaseId) -> bool {
        let name = case.to_string();
        let Some((prefix, rest)) = self.0.split_once('*') else { return name == self.0 };
        let Some(mut name) = name.strip_prefix(prefix) else { return false };
        for part in rest.split('*') {
            let Some(at) = name.find(part) else { return false };
            name = &name[at + part.len()..];
        }
        true
    }
}

impl FromStr for Glob {
    type Err = anyhow::Error;

    /// The suite makes a regular expression of a glob; we take only what cannot be understood as more.
    fn from_str(glob: &str) -> Result<Self> {
        let plain = !glob.is_empty() && glob.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '*');
        ensure!(plain, "a glob is made of digits, dots and stars: 1.*, 6.4.3, 9.1.*");
        Ok(Self(glob.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, case: &str) -> bool {
        glob.parse::<Glob>().unwrap().matches(&case.parse().unwrap())
    }

    #[test]
    fn cases_are_in_numerical_order() {
        let mut cases: Vec<CaseId> = ["10.1.1", "2.10", "2.9", "9.1.1"].map(|name| name.parse().unwrap()).into();
        cases.sort();
        let names: Vec<_> = cases.iter().map(CaseId::to_string).collect();
        assert_eq!(names, ["2.9", "2.10", "9.1.1", "10.1.1"]);
    }

    #[test]
    fn a_name_of_a_case_is_numbers_with_dots() {
        assert_eq!("10.1.1".parse::<CaseId>().unwrap().group(), 10);
        for wrong in ["", "1.", ".1", "1.*", "1.a", "-1.1"] {
            assert!(wrong.parse::<CaseId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_glob_without_a_star_is_one_case() {
        assert!(matches("6.4.3", "6.4.3"));
        assert!(!matches("6.4.3", "6.4.30"));
        assert!(!matches("6.4", "6.4.3"));
        assert!(!matches("6.4.3", "6.4"));
    }

    #[test]
    fn a_star_takes_a_whole_group_and_no_other() {
        assert!(matches("1.*", "1.1.1"));
        assert!(!matches("1.*", "10.1.1"));
        assert!(!matches("1.*", "2.1"));
        assert!(matches("9.1.*", "9.1.6"));
        assert!(!matches("9.1.*", "9.2.1"));
        assert!(matches("*", "13.7.18"));
    }

    /// `re.match` asks for a match at the beginning, not for one up to the end.
    #[test]
    fn a_glob_with_a_star_is_open_at_its_end() {
        assert!(matches("1*", "1.1.1"));
        assert!(matches("1*", "10.1.1"));
        assert!(matches("9.*.1", "9.3.1"));
        assert!(matches("*.1", "2.10"));
        assert!(!matches("*.3", "2.1"));
        assert!(matches("7.*.*2", "7.13.2"));
        assert!(!matches("7.*.*2", "7.1.1"));
    }

    #[test]
    fn a_glob_is_no_regular_expression() {
        for wrong in ["", "1.+", "[12].*", "1.1.1 ", "six.*", "1.?"] {
            assert!(wrong.parse::<Glob>().is_err(), "{wrong}");
        }
    }
}
