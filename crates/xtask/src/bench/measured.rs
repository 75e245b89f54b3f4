//! What the bench says: a line of JSON for each thing that was measured.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The engine of ours that all others are compared with.
pub(super) const OURS: &str = "sansocket";

/// A ratio so close to 1 is no difference.
pub(super) const TIE: f64 = 1.1;

/// An engine in a case, with messages of one size.
#[derive(Debug, Deserialize)]
pub(super) struct Measured {
    /// What is done with the messages, as a path.
    pub(super) case: String,
    /// Bytes of payload of a message.
    pub(super) size: u64,
    pub(super) engine: String,
    pub(super) class: Class,
    /// The median, in nanoseconds per message; allocations are counted in a run without a clock.
    pub(super) ns: Option<f64>,
    /// The median over the rounds of this engine's time by that of [`OURS`] in the same round.
    pub(super) vs_ours: Option<f64>,
    /// Per message.
    pub(super) allocations: Option<f64>,
    /// What a peer does not check.
    pub(super) lacks: Option<String>,
}

/// Whose an engine is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Class {
    Ours,
    Peer,
    /// What this machine can do at best, without a protocol or its checks.
    Limit,
}

/// All that was measured of a case.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) name: String,
    /// In bytes, in order of appearance.
    pub(super) sizes: Vec<u64>,
    /// In order of appearance.
    pub(super) engines: Vec<String>,
    pub(super) measured: Vec<Measured>,
}

impl Case {
    /// Adds what was measured, to what another run has measured of the same; whether it is new.
    fn add(&mut self, one: Measured) -> bool {
        if let Some(known) = self.measured.iter_mut().find(|it| it.engine == one.engine && it.size == one.size) {
            let is_new = known.ns.and(one.ns).is_none() && known.allocations.and(one.allocations).is_none();
            known.ns = known.ns.or(one.ns);
            known.vs_ours = known.vs_ours.or(one.vs_ours);
            known.allocations = known.allocations.or(one.allocations);
            return is_new;
        }
        if !self.sizes.contains(&one.size) {
            self.sizes.push(one.size);
        }
        if !self.engines.contains(&one.engine) {
            self.engines.push(one.engine.clone());
        }
        self.measured.push(one);
        true
    }

    /// What was measured of an engine, by size.
    pub(super) fn of(&self, engine: &str) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(move |it| it.engine == engine)
    }

    /// What was measured of an engine with messages of a size.
    pub(super) fn at(&self, engine: &str, size: u64) -> Option<&Measured> {
        self.of(engine).find(|it| it.size == size)
    }

    /// The fastest peer that checks all that we do, and its time by ours.
    pub(super) fn best_peer(&self, size: u64) -> Option<(&str, f64)> {
        let peers = self.measured.iter().filter(|it| it.size == size && it.class == Class::Peer && it.lacks.is_none());
        let peers = peers.filter_map(|it| Some((it.engine.as_str(), it.vs_ours?)));
        peers.min_by(|(_, one), (_, other)| one.total_cmp(other))
    }
}

/// The cases of all lines, in order of appearance.
pub(super) fn parse(lines: &str) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for line in lines.lines() {
        let one: Measured = serde_json::from_str(line).with_context(|| format!("not what a bench says: {line:?}"))?;
        let times = [one.ns, one.vs_ours];
        ensure!(times.iter().flatten().all(|time| time.is_finite() && *time > 0.0), "a time that cannot be: {line:?}");
        let at = cases.iter().position(|case| case.name == one.case).unwrap_or_else(|| {
            cases.push(Case { name: one.case.clone(), ..Case::default() });
            cases.len() - 1
        });
        ensure!(cases[at].add(one), "measured twice: {line:?}");
    }
    Ok(cases)
}

/// A small run: a tie, a peer that checks less, and a limit.
#[cfg(test)]
pub(super) const CANNED: &str = r#"{"case":"receive/server/binary","size":1024,"engine":"sansocket","class":"ours","ns":40.0,"vs_ours":null,"allocations":0.0,"lacks":null}
{"case":"receive/server/binary","size":1024,"engine":"sansocket as_bytes","class":"ours","ns":38.0,"vs_ours":0.95,"allocations":0.0,"lacks":null}
{"case":"receive/server/binary","size":1024,"engine":"tungstenite","class":"peer","ns":137.2,"vs_ours":3.4,"allocations":1.0,"lacks":null}
{"case":"receive/server/binary","size":1024,"engine":"tokio-websockets","class":"peer","ns":42.0,"vs_ours":1.04,"allocations":1.5,"lacks":null}
{"case":"receive/server/binary","size":1024,"engine":"websocket-sans-io","class":"peer","ns":20.0,"vs_ours":0.5,"allocations":null,"lacks":"lets pass all"}
{"case":"receive/server/binary","size":1024,"engine":"bare parser","class":"limit","ns":30.0,"vs_ours":0.75,"allocations":0.0,"lacks":null}
{"case":"receive/server/binary","size":1048576,"engine":"sansocket","class":"ours","ns":57000.0,"vs_ours":null,"allocations":0.5,"lacks":null}
{"case":"receive/server/binary","size":1048576,"engine":"tungstenite","class":"peer","ns":101337.0,"vs_ours":1.8,"allocations":2.0,"lacks":null}
{"case":"something/new","size":125,"engine":"sansocket","class":"ours","ns":9.0,"vs_ours":null,"allocations":0.0,"lacks":null}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_sizes_and_engines_stand_in_order_of_appearance() {
        let cases = parse(CANNED).unwrap();
        assert_eq!(
            cases.iter().map(|case| &*case.name).collect::<Vec<_>>(),
            ["receive/server/binary", "something/new"]
        );
        assert_eq!(cases[0].sizes, [1024, 1 << 20]);
        let engines =
            ["sansocket", "sansocket as_bytes", "tungstenite", "tokio-websockets", "websocket-sans-io", "bare parser"];
        assert_eq!(cases[0].engines, engines);
    }

    #[test]
    fn what_two_runs_have_measured_is_put_together() {
        let time = CANNED.lines().next().unwrap().replace(r#""allocations":0.0"#, r#""allocations":null"#);
        let allocations = CANNED.lines().next().unwrap().replace("40.0", "null");
        let cases = parse(&format!("{time}\n{allocations}\n")).unwrap();
        let both = cases[0].at("sansocket", 1024).unwrap();
        assert_eq!((both.ns, both.allocations, cases[0].measured.len()), (Some(40.0), Some(0.0), 1));
    }

    #[test]
    fn the_best_peer_is_the_fastest_that_makes_the_same_checks() {
        let cases = parse(CANNED).unwrap();
        assert_eq!(cases[0].best_peer(1024), Some(("tokio-websockets", 1.04)));
        assert_eq!(cases[0].best_peer(1 << 20), Some(("tungstenite", 1.8)));
        assert_eq!(cases[1].best_peer(125), None);
    }

    #[test]
    fn a_line_that_cannot_be_is_named() {
        let line = CANNED.lines().next().unwrap();
        for (lines, error) in [
            ("Finished\n".to_owned(), r#"not what a bench says: "Finished""#),
            (format!("{line}\n{line}\n"), "measured twice: "),
            (line.replace("40.0", "0.0"), "a time that cannot be: "),
        ] {
            let found = parse(&lines).unwrap_err().to_string();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
