//! Runs every seed, every packed input and every input that was once a finding, on any toolchain.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use sansocket_fuzz::{
    connection, deflate, differential, frames, heads, inflate, lists, object, pair, request, response, seeds, text,
};

/// The files of a directory, by their names.
fn files(directory: &str) -> BTreeMap<String, Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let Ok(entries) = fs::read_dir(&path) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.expect("a directory can be read").path());
    // Hidden files keep a directory in git.
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let files = paths.map(|path| (name(&path), path)).filter(|(name, _)| !name.starts_with('.'));
    files.map(|(name, path)| (name, fs::read(path).expect("a file can be read"))).collect()
}

/// The inputs that were packed for a target, by their lines.
fn packed(target: &str) -> Vec<(String, Vec<u8>)> {
    use base64::Engine as _;
    let file = format!("corpora/{target}.txt");
    let lines = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file)).unwrap_or_default();
    let input = |line: &str| base64::prelude::BASE64_STANDARD.decode(line).expect("a line is Base64");
    lines.lines().enumerate().map(|(at, line)| (format!("{file}:{}", at + 1), input(line))).collect()
}

/// Runs a target's inputs. The one that fails is the last that was printed.
fn run<C: for<'a> Arbitrary<'a>>(target: &str, check: impl Fn(&C)) {
    let check = |name: &str, bytes: &[u8]| {
        println!("{name}");
        check(&C::arbitrary_take_rest(Unstructured::new(bytes)).expect("any bytes are an input"));
    };
    for directory in [format!("seeds/{target}"), format!("regressions/{target}")] {
        files(&directory).iter().for_each(|(name, bytes)| check(&format!("{directory}/{name}"), bytes));
    }
    packed(target).iter().for_each(|(name, bytes)| check(name, bytes));
}

#[test]
fn connection() {
    run("connection", connection::check);
}

#[test]
fn pair() {
    run("pair", pair::check);
}

#[test]
fn inflate() {
    run("inflate", inflate::check);
}

#[test]
fn deflate() {
    run("deflate", deflate::check);
}

#[test]
fn object() {
    run("object", object::check);
}

#[test]
fn differential() {
    run("differential", differential::check);
}

#[test]
fn each_known_difference_is_shown_by_a_seed_and_told_in_the_readme() {
    let readme = include_str!("../README.md");
    let shown: Vec<_> = seeds::differential::differences()
        .into_iter()
        .map(|(name, bytes, expected)| {
            let case =
                differential::Case::arbitrary_take_rest(Unstructured::new(&bytes)).expect("any bytes are an input");
            assert_eq!(differential::compare(&case), Some(expected), "{name}");
            format!("{expected:?}")
        })
        .collect();
    for (name, what) in differential::Difference::ALL {
        assert!(shown.iter().any(|shown| shown == name), "{name} is shown by no seed");
        let row = format!("| `{name}` |{what} |");
        assert!(readme.contains(&row), "the README lacks {row}");
    }
}

#[test]
fn frames() {
    run("frames", frames::check);
}

#[test]
fn text() {
    run("text", text::check);
}

#[test]
fn request() {
    run("request", request::check);
}

#[test]
fn response() {
    run("response", response::check);
}

#[test]
fn heads() {
    run("heads", heads::check);
}

#[test]
fn lists() {
    run("lists", lists::check);
}

#[test]
fn the_seeds_are_what_their_generator_writes() {
    for (target, seeds) in seeds::seeds() {
        let seeds = seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        assert_eq!(files(&format!("seeds/{target}")), seeds, "cargo run --example seeds");
    }
}
