//! `cargo xtask proofs`: whether the pages that say what is proven by which test tell the truth.
//!
//! [`page`] reads a page's tables and links, [`check`] says what is wrong with them.

mod check;
mod page;

use anyhow::Result;

use crate::sources::{Sources, read, workspace};

/// The pages, seen from the workspace's folder.
const PAGES: [&str; 2] = ["docs/security.md", "docs/complaints.md"];

/// Looks through the pages; whether all is as it should be.
pub(crate) fn run() -> Result<bool> {
    let mut sources = Sources::of(&workspace());
    let mut good = true;
    for page in PAGES {
        let faults = check::faults(&read(&workspace().join(page))?, &mut sources)?;
        match faults.len() {
            0 => println!("{page} names tests that there are"),
            count => println!("{count} faults in {page}:"),
        }
        faults.iter().for_each(|fault| println!("  {fault}"));
        good &= faults.is_empty();
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the command finds out, for everybody who renames a test.
    #[test]
    fn the_pages_in_the_repository_name_tests_that_exist() {
        let mut sources = Sources::of(&workspace());
        for page in PAGES {
            let text = read(&workspace().join(page)).unwrap();
            assert_eq!(check::faults(&text, &mut sources).unwrap(), Vec::<String>::new(), "{page}");
        }
    }
}
