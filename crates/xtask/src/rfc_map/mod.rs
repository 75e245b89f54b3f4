//! `cargo xtask rfc-map`: which test proves which requirement of RFC 6455.
//!
//! The requirements stand in `rfc/6455.txt`, in words of our own; [`requirement`] reads them, [`sources`] looks for the tests that
//! they name, [`check`] says what is wrong and [`page`] makes `docs/rfc-map.md` of them.

mod check;
mod page;
mod requirement;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use self::sources::Sources;

/// The requirements, seen from the workspace's folder.
const REQUIREMENTS: &str = "crates/xtask/rfc/6455.txt";

/// What is made of them.
const PAGE: &str = "docs/rfc-map.md";

/// What to do.
#[derive(Args)]
pub(crate) struct Options {
    /// Writes nothing, and fails if the page in the repository is not the one that would be written.
    #[arg(long)]
    check: bool,
}

/// Writes the page, or compares it; whether all is as it should be.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = workspace();
    let text = read(&root.join(REQUIREMENTS))?;
    let sections = requirement::parse(&text).context(REQUIREMENTS)?;
    let faults = check::faults(&sections, &mut Sources::of(&root))?;
    if !faults.is_empty() {
        println!("{} faults in {REQUIREMENTS}:", faults.len());
        faults.iter().for_each(|fault| println!("  {fault}"));
        return Ok(false);
    }
    let page = page::of(&sections);
    let path = root.join(PAGE);
    if options.check {
        let same = fs::read_to_string(&path).is_ok_and(|found| found == page);
        println!("{PAGE} is {}", if same { "up to date" } else { "not up to date: run `cargo xtask rfc-map`" });
        return Ok(same);
    }
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {PAGE}");
    Ok(true)
}

/// The workspace's folder.
fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("this package lies in `crates`").to_owned()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `--check` finds out, for everybody who renames a test.
    #[test]
    fn the_requirements_in_the_repository_name_tests_that_exist() {
        let root = workspace();
        let sections = requirement::parse(&read(&root.join(REQUIREMENTS)).unwrap()).unwrap();
        assert_eq!(check::faults(&sections, &mut Sources::of(&root)).unwrap(), Vec::<String>::new());
    }
}
