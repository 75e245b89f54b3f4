//! What the measurements have in common when they write into a page.

use std::fmt::Write as _;
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

/// Whether that would change nothing.
pub(crate) fn has_section(document: &Path, name: &str, markdown: &str) -> Result<bool> {
    let text = fs::read_to_string(document).with_context(|| format!("cannot read {}", document.display()))?;
    Ok(with_section(&text, name, markdown).with_context(|| format!("in {}", document.display()))? == text)
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

/// A table in Markdown that can be read as it is, too. The first column holds names, all others hold numbers and stand on the right.
pub(crate) fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let cells = |column: usize| rows.iter().map(move |row| &row[column]).chain([&header[column]]);
    let widths = (0..header.len()).map(|column| cells(column).fold(3, |width, cell| width.max(cell.chars().count())));
    let widths: Vec<_> = widths.collect();
    let line = |cells: &[String]| {
        let mut line = format!("| {:<width$} |", cells[0], width = widths[0]);
        for (cell, width) in cells.iter().zip(&widths).skip(1) {
            write!(line, " {cell:>width$} |").expect("a String takes all");
        }
        line + "\n"
    };
    let mut rule = format!("|{}|", "-".repeat(widths[0] + 2));
    for width in &widths[1..] {
        write!(rule, "{}:|", "-".repeat(width + 1)).expect("a String takes all");
    }
    let rows: String = rows.iter().map(|row| line(row)).collect();
    format!("{}{rule}\n{rows}", line(header))
}

/// A size with the largest unit that it is a multiple of.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes > 0 && bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// Three digits or a few more, those before the point in groups.
pub(crate) fn number(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => grouped(value.round() as u64),
    }
}

/// All digits, in groups.
pub(crate) fn grouped(value: u64) -> String {
    match value {
        0..1000 => value.to_string(),
        _ => format!("{},{:03}", grouped(value / 1000), value % 1000),
    }
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
        let table = table(&row(["what", "÷", "1 MiB"]), &[row(["a", "1", "2"]), row(["longest", "1.25", "3"])]);
        assert_eq!(
            table,
            "\
| what    |    ÷ | 1 MiB |
|---------|-----:|------:|
| a       |    1 |     2 |
| longest | 1.25 |     3 |
"
        );
    }

    #[test]
    fn sizes_and_numbers_are_short() {
        let sizes = [0, 16, 125, 1 << 10, 1500, 16 << 10, 1 << 20, 256 << 20].map(size);
        assert_eq!(sizes, ["0 B", "16 B", "125 B", "1 KiB", "1500 B", "16 KiB", "1 MiB", "256 MiB"]);
        let numbers = [0.0, 6.125, 9.999, 41.26, 99.96, 137.2, 1695.0, 2_069_486.4].map(number);
        assert_eq!(numbers, ["0.00", "6.12", "10.0", "41.3", "100", "137", "1,695", "2,069,486"]);
    }

    #[test]
    fn the_machine_ends_with_a_date() {
        let machine = machine();
        let (_, date) = machine.rsplit_once(", ").unwrap();
        let parts: Vec<_> = date.split('-').map(str::len).collect();
        assert_eq!(parts, [4, 2, 2], "{machine}");
    }
}
