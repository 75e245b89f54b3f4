//! Inputs that were found worth keeping, packed: a text file for each target, with an input in Base64 on each line.
//!
//! Thousands of files of a few bytes each would be a burden to everyone who has the project; lines are none, and a change of them can be
//! read.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::target::{Target, files, project};
use crate::folder;

/// The most bytes of a target's inputs.
const BYTES: usize = 100_000;

/// The most inputs of a target. A short run must have most of its time for new ones, and some targets take long for each.
fn most(target: &str) -> usize {
    match target {
        "connection" => 200,
        "deflate" => 50,
        "inflate" => 100,
        _ => 300,
    }
}

/// The file of a target.
fn packed(target: &Target) -> PathBuf {
    project().join(format!("fuzz/corpora/{}.txt", target.name))
}

/// Unpacks a target's inputs, if it has any.
pub(super) fn unpack(target: &Target) -> Result<()> {
    let folder = target.unpacked();
    folder::empty(&folder)?;
    let text = fs::read_to_string(packed(target)).unwrap_or_default();
    for (number, line) in text.lines().enumerate() {
        let input = BASE64_STANDARD.decode(line);
        let input = input.with_context(|| format!("{}:{} is not Base64", packed(target).display(), number + 1))?;
        let path = folder.join(number.to_string());
        fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Packs the fewest inputs that reach what all do and those written by hand do not; what was kept.
pub(super) fn minimise(target: &Target) -> Result<String> {
    let folder = target.work.join("minimised");
    folder::empty(&folder)?;
    // What is in the first folder is taken as it is, and the others are asked for more.
    let mut written = Vec::new();
    for (number, path) in
        target.written().map(|folder| files(&folder)).collect::<Result<Vec<_>>>()?.concat().iter().enumerate()
    {
        let copy = folder.join(format!("written-{number}"));
        fs::copy(path, &copy).with_context(|| format!("cannot copy {}", path.display()))?;
        written.push(copy);
    }
    let log = target.work.join("minimise.log");
    let mut command = target.command(&log)?;
    let status = command.arg("-set_cover_merge=1").arg(&folder).arg(target.unpacked()).arg(target.kept()).status();
    if !status.context("cannot run the target")?.success() {
        bail!("{} cannot be minimised; see {}", target.name, log.display());
    }
    for copy in written {
        fs::remove_file(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    let inputs = files(&folder)?.into_iter().map(|path| fs::read(&path).context("cannot read an input"));
    let mut inputs = inputs.collect::<Result<Vec<_>>>()?;
    let all = inputs.len();
    shorten(&mut inputs, most(&target.name));
    let mut lines: Vec<_> = inputs.iter().map(|input| BASE64_STANDARD.encode(input) + "\n").collect();
    lines.sort_unstable();
    let path = packed(target);
    fs::write(&path, lines.concat()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(format!("{} of {all} inputs, {} bytes", inputs.len(), inputs.concat().len()))
}

/// Keeps the shortest inputs, as many as there is room for.
fn shorten(inputs: &mut Vec<Vec<u8>>, most: usize) {
    inputs.sort_unstable_by_key(Vec::len);
    let mut room = BYTES;
    let fitting = inputs.iter().take(most).take_while(|input| {
        let fits = input.len() <= room;
        room = room.saturating_sub(input.len());
        fits
    });
    inputs.truncate(fitting.count());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_inputs_are_kept_up_to_the_limits() {
        let kept = |lengths: &[usize]| {
            let mut inputs: Vec<_> = lengths.iter().map(|&len| vec![0; len]).collect();
            shorten(&mut inputs, 2);
            inputs.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(kept(&[3, 1, 2]), [1, 2]);
        assert_eq!(kept(&[BYTES, 1]), [1]);
        assert_eq!(kept(&[BYTES - 1, 1]), [1, BYTES - 1]);
    }
}
