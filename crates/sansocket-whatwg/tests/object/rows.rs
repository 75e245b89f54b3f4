//! Which tests show which row of the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../../docs/websocket-object.md");

const ROWS: std::ops::RangeInclusive<u32> = 1..=65;

/// The table as the page prints it, of the names of this crate's tests.
fn table() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files = Vec::new();
    find(&folder, &mut files);
    files.sort();
    let mut tests: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for file in files {
        let path = file.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
        let source = fs::read_to_string(&file).unwrap();
        let mut is_test = false;
        for line in source.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("fn ").and_then(|line| line.split('(').next())
                && let Some(number) = name.strip_prefix("row_").and_then(|name| name.split('_').next())
            {
                assert!(is_test, "{name} is not a test");
                let link = format!("[{name}](../crates/sansocket-whatwg/tests/{path})");
                tests.entry(number.parse().unwrap()).or_default().push(link);
            }
            is_test = line == "#[test]" || (is_test && (line.starts_with("#[") || line.starts_with("//")));
        }
    }
    let mut table = String::from("| row | tests |\n|---|---|\n");
    for row in ROWS {
        let tests = tests.remove(&row).unwrap_or_else(|| panic!("no test for row {row}"));
        writeln!(table, "| {row} | {} |", tests.join("<br>")).unwrap();
    }
    assert!(tests.is_empty(), "rows that the page does not have: {tests:?}");
    table
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn every_row_of_the_page_has_its_tests() {
    let table = table();
    assert!(PAGE.contains(&table), "docs/websocket-object.md lacks this table:\n{table}");
    for row in ROWS {
        assert_eq!(PAGE.matches(&format!("\n| {row} | ")).count(), 2, "row {row} is told once and tested once");
    }
}
