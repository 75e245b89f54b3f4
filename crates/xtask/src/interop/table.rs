//! The table of how many messages have come back, by peer, role, way and compression.

use anyhow::{Result, bail};

use super::case::{Case, Other, Role};
use super::library::Library;
use super::proxies::Via;
use crate::report;

/// The table of cases that all went well, in Markdown. An error names a peer's gap for which there is no reason.
pub(super) fn of(cases: &[Case]) -> Result<String> {
    let mut notes = Notes::default();
    let mut rows = Vec::new();
    for library in Library::ALL {
        let remark = library.remark().map(|remark| format!(" {}", notes.mark(remark))).unwrap_or_default();
        for role in [Role::Client, Role::Server] {
            let mut row = vec![format!("{}{remark}, {role}", library.title())];
            for (via, compressed) in columns() {
                row.push(match (messages(cases, library, role, via, compressed), library.gap(role, compressed)) {
                    (0, Some(reason)) => format!("– {}", notes.mark(reason)),
                    (0, None) => bail!("{} has no case as a {role}, {}", library.title(), column(via, compressed)),
                    (count, _) => count.to_string(),
                });
            }
            rows.push(row);
        }
    }
    let mut header = vec!["peer".to_owned()];
    header.extend(columns().map(|(via, compressed)| column(via, compressed)));
    let total: usize = cases.iter().map(Case::messages).sum();
    Ok(format!("{} cases, {total} messages.\n\n{}\n{}", cases.len(), report::table(&header, &rows), notes.text()))
}

fn columns() -> impl Iterator<Item = (Via, bool)> {
    Via::ALL.into_iter().flat_map(|via| [(via, false), (via, true)])
}

fn column(via: Via, compressed: bool) -> String {
    format!("{}{}", via.name(), if compressed { ", deflate" } else { "" })
}

/// How many messages have come back there.
fn messages(cases: &[Case], library: Library, role: Role, via: Via, compressed: bool) -> usize {
    let is_here = |case: &&Case| {
        case.other == Other::Library(library)
            && (case.role, case.via, case.compression.agreed().is_some()) == (role, via, compressed)
    };
    cases.iter().filter(is_here).map(Case::messages).sum()
}

/// What stands below the table, in the order in which it is first referred to.
#[derive(Default)]
struct Notes(Vec<&'static str>);

impl Notes {
    /// What refers to the note.
    fn mark(&mut self, note: &'static str) -> String {
        let at = self.0.iter().position(|&known| known == note).unwrap_or_else(|| {
            self.0.push(note);
            self.0.len() - 1
        });
        format!("({})", at + 1)
    }

    fn text(&self) -> String {
        (1..).zip(&self.0).map(|(number, note)| format!("({number}) {note}\n\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::*;

    fn all_cases() -> Vec<Case> {
        Library::ALL.into_iter().flat_map(plan::with_library).collect()
    }

    #[test]
    fn the_plan_has_cases_or_a_reason_for_every_cell() {
        let table = of(&all_cases()).unwrap();
        assert_eq!(table.lines().filter(|line| line.starts_with("| ")).count(), 1 + 2 * Library::ALL.len(), "{table}");
    }

    #[test]
    fn a_cell_without_cases_and_without_a_reason_is_an_error() {
        let mut cases = all_cases();
        cases.retain(|case| case.other != Other::Library(Library::Ws) || case.via != Via::Haproxy);
        let error = of(&cases).unwrap_err().to_string();
        assert_eq!(error, "Node `ws` has no case as a client, haproxy");
    }
}
