//! What the measurements have in common when they write into a page.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use time::OffsetDateTime;

/// Replaces what lies between `<!-- begin: NAME -->` and `<!-- end: NAME -->` in the document.
pub(crate) fn replace_section(document: &Path, name: &str, markdown: &str) -> Result<()> {
    let text = fs::read_to_string(document).with_context(|| format!("cannot read {}", document.display()))?;
    let text = with_section(&text, name, markdown).with_context(|| format!("in {}", document.display()))?;
    fs::write(document, text).with_context(|| format!("cannot write {}", document.display()))
}

fn with_section(text: &str, name: &str, markdown: &str) -> Result<String> {
    let begin = format!("<!-- begin: {name} -->");
    let end = format!("<!-- end: {name} -->");
    let (before, rest) = text.split_once(&begin).with_context(|| format!("no {begin:?}"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("no {end:?} behind {begin:?}"))?;
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", markdown.trim()))
}

/// Where and when something was measured, in one line: the class of the machine, the compiler, and today's date (UTC).
pub(crate) fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let cores = if cores == 1 { "one core".to_owned() } else { format!("{cores} cores") };
    let model = processor().map_or(String::new(), |model| format!(" ({model})"));
    let compiler = compiler().unwrap_or_else(|| "rustc of an unknown version".to_owned());
    let today = OffsetDateTime::now_utc().date();
    format!("{cores} of {}{model}, {}, {compiler}, {today}", std::env::consts::ARCH, std::env::consts::OS)
}

/// The processor's name, where the system tells it.
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The compiler's name and version, without its commit.
fn compiler() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    Some(version.split(" (").next()?.trim().to_owned())
}

/// A table in Markdown. The first column holds names, all others hold numbers and stand on the right.
pub(crate) fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let mut lines = vec![line(header), format!("|---|{}", "--:|".repeat(header.len() - 1))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n") + "\n"
}

fn line(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\n<!-- begin: a -->old<!-- end: a -->\nkept\n<!-- begin: b -->\n<!-- end: b -->\n";

    #[test]
    fn a_section_is_replaced_and_the_rest_is_kept() {
        let page = with_section(PAGE, "a", "new\n").unwrap();
        assert_eq!(
            page,
            "# Page\n\n<!-- begin: a -->\n\nnew\n\n<!-- end: a -->\nkept\n<!-- begin: b -->\n<!-- end: b -->\n"
        );
    }

    #[test]
    fn replacing_a_section_twice_changes_nothing_more() {
        let once = with_section(PAGE, "b", "\n| a |\n\nb\n").unwrap();
        assert_eq!(with_section(&once, "b", "\n| a |\n\nb\n").unwrap(), once);
    }

    #[test]
    fn a_missing_marker_is_named() {
        let error = |text| format!("{:#}", with_section(text, "a", "").unwrap_err());
        assert_eq!(error("no markers"), r#"no "<!-- begin: a -->""#);
        assert_eq!(error("<!-- end: a --> <!-- begin: a -->"), r#"no "<!-- end: a -->" behind "<!-- begin: a -->""#);
    }

    #[test]
    fn numbers_stand_on_the_right_of_a_table() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let table = table(&row(["what", "1 KiB", "1 MiB"]), &[row(["a|b", "1", "2"])]);
        assert_eq!(table, "| what | 1 KiB | 1 MiB |\n|---|--:|--:|\n| a\\|b | 1 | 2 |\n");
    }

    #[test]
    fn the_machine_ends_with_a_date() {
        let machine = machine();
        let (_, date) = machine.rsplit_once(", ").unwrap();
        let parts: Vec<_> = date.split('-').map(str::len).collect();
        assert_eq!(parts, [4, 2, 2], "{machine}");
    }
}
