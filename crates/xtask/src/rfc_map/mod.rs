//! `cargo xtask rfc-map`: which test proves which requirement of the RFCs.
//!
//! The requirements stand in `rfc/`, in words of our own; [`requirement`] reads them, [`sources`](crate::sources) looks for the tests that they
//! name, [`check`] says what is wrong and [`page`] makes a page of `docs` of them, one for each RFC.

mod check;
mod page;
mod requirement;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use self::requirement::Section;
use crate::sources::{Sources, read, workspace};

/// Where the pages lie, seen from the workspace's folder.
const PAGES: &str = "docs";

/// An RFC that is mapped.
#[derive(Debug)]
struct Rfc {
    number: u32,
    /// Its title.
    title: &'static str,
    /// The file that is made of its requirements, in [`PAGES`].
    page: &'static str,
}

/// Those there are.
const RFCS: [Rfc; 2] = [
    Rfc { number: 6455, title: "The WebSocket Protocol", page: "rfc-map.md" },
    Rfc { number: 7692, title: "Compression Extensions for WebSocket", page: "rfc-map-7692.md" },
];

impl Rfc {
    /// Its requirements, seen from the workspace's folder.
    fn requirements(&self) -> String {
        format!("crates/xtask/rfc/{}.txt", self.number)
    }

    fn sections(&self, root: &Path) -> Result<Vec<Section>> {
        let text = read(&root.join(self.requirements()))?;
        requirement::parse(&text).with_context(|| self.requirements())
    }
}

/// What to do.
#[derive(Args)]
pub(crate) struct Options {
    /// Writes nothing, and fails if a page in the repository is not the one that would be written.
    #[arg(long)]
    check: bool,
}

/// Writes the pages, or compares them; whether all is as it should be.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = workspace();
    let mut sources = Sources::of(&root);
    let mut good = true;
    for rfc in &RFCS {
        good &= write_or_compare(rfc, options.check, &root, &mut sources)?;
    }
    Ok(good)
}

fn write_or_compare(rfc: &Rfc, only_compare: bool, root: &Path, sources: &mut Sources) -> Result<bool> {
    let sections = rfc.sections(root)?;
    let faults = check::faults(&sections, sources)?;
    if !faults.is_empty() {
        println!("{} faults in {}:", faults.len(), rfc.requirements());
        faults.iter().for_each(|fault| println!("  {fault}"));
        return Ok(false);
    }
    let page = page::of(rfc, &sections);
    let path = root.join(PAGES).join(rfc.page);
    if only_compare {
        let same = fs::read_to_string(&path).is_ok_and(|found| found == page);
        println!(
            "{PAGES}/{} is {}",
            rfc.page,
            if same { "up to date" } else { "not up to date: run `cargo xtask rfc-map`" }
        );
        return Ok(same);
    }
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {PAGES}/{}", rfc.page);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `--check` finds out, for everybody who renames a test.
    #[test]
    fn the_requirements_in_the_repository_name_tests_that_exist() {
        let root = workspace();
        let mut sources = Sources::of(&root);
        for rfc in &RFCS {
            let sections = rfc.sections(&root).unwrap();
            assert_eq!(check::faults(&sections, &mut sources).unwrap(), Vec::<String>::new(), "RFC {}", rfc.number);
        }
    }
}
