//! The requirements, and how they are read.
//!
//! ```text
//! # 5.1 Overview
//!
//! 5.1-a client MUST
//!   Every frame that is sent is masked.
//!   + sansocket/tests/sending.rs some_test
//!
//! 5.1-b server SHOULD
//!   Something that nobody can test here.
//!   - application: why
//! ```
//!
//! A section's heading; requirements, each with its id, whom it binds and how strictly; its words; then the tests that prove it, or
//! the reason why there are none. Files are seen from `crates`. Words and reasons may go on over several lines.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

/// A section of an RFC.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Such as `4.2.1`.
    pub(super) number: String,
    pub(super) title: String,
    pub(super) requirements: Vec<Requirement>,
}

/// One thing that the RFC demands, recommends or allows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    /// Such as `4.2.1-a`: the section and a letter or two.
    pub(super) id: String,
    pub(super) role: Role,
    pub(super) strength: Strength,
    pub(super) text: String,
    pub(super) tests: Vec<TestName>,
    pub(super) mark: Option<Mark>,
}

impl Requirement {
    /// What can be said of it.
    pub(super) fn state(&self) -> State {
        match &self.mark {
            _ if !self.tests.is_empty() => State::Proven,
            Some(Mark { kind: Kind::Untested, .. }) | None => State::Open,
            Some(_) => State::Marked,
        }
    }
}

/// Whether a requirement is met, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A test proves it.
    Proven,
    /// It is not this library's to meet, or not yet; the reason is told.
    Marked,
    /// Nobody knows.
    Open,
}

/// A test: its file, seen from `crates`, and its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TestName {
    pub(super) file: String,
    pub(super) function: String,
}

/// Why no test proves a requirement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) kind: Kind,
    pub(super) reason: String,
}

/// Builds an enum of words, which are read and written the same.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $word_doc:literal])* $word:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name {
            $($(#[doc = $word_doc])* $word,)+
        }

        impl $name {
            /// Every one of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$word,)+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$word => $text,)+ })
            }
        }

        impl FromStr for $name {
            type Err = anyhow::Error;

            fn from_str(word: &str) -> Result<Self> {
                let found = Self::ALL.iter().find(|known| known.to_string() == word);
                found.copied().with_context(|| {
                    let known: Vec<_> = Self::ALL.iter().map(Self::to_string).collect();
                    format!("`{word}` is none of {}", known.join(", "))
                })
            }
        }
    };
}

words! {
    /// Whom a requirement binds.
    Role {
        Client = "client",
        Server = "server",
        Both = "both",
    }
}

words! {
    /// How strictly it binds. What the RFC defines without such a word counts as MUST.
    Strength {
        Must = "MUST",
        Should = "SHOULD",
        May = "MAY",
    }
}

words! {
    /// Why there is no test.
    Kind {
        /// The application decides it, or does it.
        Application = "application",
        /// It takes a part that is not there yet.
        Unbuilt = "not built",
        /// The RFC leaves a choice, and ours is another.
        Choice = "choice",
        /// It is met, we think.
        Untested = "untested",
    }
}

/// Reads sections and their requirements, in order.
///
/// # Errors
///
/// What is wrong first: with the line, and with the requirement's id where there is one.
pub(super) fn parse(text: &str) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        take_line(line.trim_end(), &mut sections).with_context(|| format!("line {}", at + 1))?;
    }
    Ok(sections)
}

fn take_line(line: &str, sections: &mut Vec<Section>) -> Result<()> {
    if line.is_empty() || line.starts_with("//") {
        return Ok(());
    }
    if let Some(heading) = line.strip_prefix("# ") {
        let (number, title) = heading.split_once(' ').context("a heading is a number and a title")?;
        sections.push(Section { number: number.into(), title: title.into(), requirements: Vec::new() });
        return Ok(());
    }
    let section = sections.last_mut().context("a section has to begin first")?;
    let Some(words) = line.strip_prefix("  ") else {
        section.requirements.push(begin(line)?);
        return Ok(());
    };
    let requirement = section.requirements.last_mut().context("a requirement has to begin first")?;
    take_words(words, requirement).with_context(|| requirement.id.clone())
}

/// What is indented: words of the requirement, a test, or a reason.
fn take_words(words: &str, requirement: &mut Requirement) -> Result<()> {
    if let Some(test) = words.strip_prefix("+ ") {
        let (file, function) = test.split_once(' ').context("a test is a file and a function")?;
        let test = TestName { file: file.into(), function: function.into() };
        ensure!(!requirement.tests.contains(&test), "{function} is named twice");
        requirement.tests.push(test);
        return Ok(());
    }
    if let Some(mark) = words.strip_prefix("- ") {
        let (kind, reason) = mark.split_once(':').context("a reason is `- kind: words`")?;
        ensure!(requirement.mark.is_none(), "a second reason");
        requirement.mark = Some(Mark { kind: kind.parse()?, reason: reason.trim_start().into() });
        return Ok(());
    }
    let words = words.trim_start();
    match (&mut requirement.mark, &*requirement.tests) {
        (Some(mark), _) => append(&mut mark.reason, words),
        (None, []) => append(&mut requirement.text, words),
        _ => bail!("words behind a test"),
    }
    Ok(())
}

/// `5.1-a client MUST`.
fn begin(line: &str) -> Result<Requirement> {
    let [id, role, strength] = line.split(' ').collect::<Vec<_>>()[..] else {
        bail!("`{line}` is no `id role strength`");
    };
    let (role, strength) = (role.parse().context(id.to_owned())?, strength.parse().context(id.to_owned())?);
    Ok(Requirement { id: id.into(), role, strength, text: String::new(), tests: Vec::new(), mark: None })
}

fn append(text: &mut String, words: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
// A comment.
# 5.1 Overview

5.1-a client MUST
  Every frame
  is masked.
  + a/tests/b.rs first
  + a/tests/b.rs second

5.1-b both SHOULD
  Words.
  - not built: it takes
    a part.

# 5.2 Base Framing Protocol
5.2-a server MAY
  More words.
";

    #[test]
    fn sections_requirements_tests_and_reasons_are_read_in_order() {
        let sections = parse(GOOD).unwrap();
        let heads: Vec<_> = sections.iter().map(|section| (&*section.number, &*section.title)).collect();
        assert_eq!(heads, [("5.1", "Overview"), ("5.2", "Base Framing Protocol")]);
        let [a, b] = &sections[0].requirements[..] else { panic!("{sections:?}") };
        assert_eq!(
            (&*a.id, a.role, a.strength, &*a.text),
            ("5.1-a", Role::Client, Strength::Must, "Every frame is masked.")
        );
        let tests: Vec<_> = a.tests.iter().map(|test| (&*test.file, &*test.function)).collect();
        assert_eq!(tests, [("a/tests/b.rs", "first"), ("a/tests/b.rs", "second")]);
        assert_eq!((&a.mark, a.state()), (&None, State::Proven));
        assert_eq!((&*b.id, b.role, b.strength, &*b.text), ("5.1-b", Role::Both, Strength::Should, "Words."));
        let mark = Mark { kind: Kind::Unbuilt, reason: "it takes a part.".into() };
        assert_eq!((&b.mark, b.state()), (&Some(mark), State::Marked));
        let c = &sections[1].requirements[0];
        assert_eq!((&*c.id, c.role, c.strength, c.state()), ("5.2-a", Role::Server, Strength::May, State::Open));
    }

    #[test]
    fn what_is_met_but_untested_is_open() {
        let sections = parse("# 1 A\n1-a both MUST\n  Words.\n  - untested: why\n").unwrap();
        assert_eq!(sections[0].requirements[0].state(), State::Open);
    }

    #[test]
    fn errors_tell_line_requirement_and_fault() {
        let error = |from: &str, to: &str| {
            assert!(GOOD.contains(from), "{from}");
            format!("{:#}", parse(&GOOD.replacen(from, to, 1)).unwrap_err())
        };
        assert_eq!(error("# 5.1 Overview", ""), "line 4: a section has to begin first");
        assert_eq!(error("5.1 Overview", "5.1"), "line 2: a heading is a number and a title");
        assert_eq!(error("5.1-a client MUST", ""), "line 5: a requirement has to begin first");
        assert_eq!(error("client MUST", "peer MUST"), "line 4: 5.1-a: `peer` is none of client, server, both");
        assert_eq!(error("both SHOULD", "both SHALL"), "line 10: 5.1-b: `SHALL` is none of MUST, SHOULD, MAY");
        assert_eq!(error("both SHOULD", "both"), "line 10: `5.1-b both` is no `id role strength`");
        assert_eq!(error(" second", ""), "line 8: 5.1-a: a test is a file and a function");
        assert_eq!(error("second", "first"), "line 8: 5.1-a: first is named twice");
        assert_eq!(error("+ a/tests/b.rs second", "behind"), "line 8: 5.1-a: words behind a test");
        assert_eq!(error("not built: it", "it"), "line 12: 5.1-b: a reason is `- kind: words`");
        assert_eq!(
            error("not built:", "later:"),
            "line 12: 5.1-b: `later` is none of application, not built, choice, untested"
        );
        assert_eq!(error("  a part.", "- choice: none"), "line 13: 5.1-b: a second reason");
    }
}
