//! Which versions of the peers were measured.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::measured::{Case, Class};
use crate::process;

/// The peers that are crates, with their versions, as a sentence without its end.
pub(super) fn versions(cases: &[Case]) -> Result<String> {
    let output = process::cargo()
        .args(["metadata", "--format-version", "1", "--manifest-path", super::MANIFEST])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata = serde_json::from_slice(&output.stdout).context("cargo metadata wrote no JSON")?;
    let peers = cases.iter().flat_map(|case| &case.measured).filter(|it| it.class == Class::Peer);
    let dependencies = dependencies(&metadata).context("cargo metadata names no dependencies")?;
    let versions = of(peers.map(|it| it.engine.as_str()), &dependencies);
    Ok(if versions.is_empty() { "No peers".into() } else { format!("Peers: {}", versions.join(", ")) })
}

/// Names and versions of what the root package depends on.
fn dependencies(metadata: &Value) -> Option<Vec<(&str, &str)>> {
    let resolve = &metadata["resolve"];
    let root = resolve["nodes"].as_array()?.iter().find(|node| node["id"] == resolve["root"])?;
    let packages = metadata["packages"].as_array()?;
    let dependencies = root["dependencies"].as_array()?.iter().map(|id| {
        let package = packages.iter().find(|package| package["id"] == *id)?;
        Some((package["name"].as_str()?, package["version"].as_str()?))
    });
    dependencies.collect()
}

/// An engine's name begins with that of its crate: of `tokio` and `tokio-websockets`, with the longer one.
fn of<'e>(engines: impl Iterator<Item = &'e str>, dependencies: &[(&str, &str)]) -> Vec<String> {
    let mut versions = Vec::new();
    for engine in engines {
        let crates = dependencies.iter().filter(|(name, _)| engine.starts_with(name));
        let Some((name, version)) = crates.max_by_key(|(name, _)| name.len()) else { continue };
        let version = format!("{name} {version}");
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_has_the_version_of_the_crate_that_its_name_begins_with() {
        let dependencies = [("tokio", "1.0.0"), ("tokio-websockets", "0.13.2"), ("tungstenite", "0.30.1")];
        let engines = ["tungstenite", "tungstenite, 8 KiB", "tokio-websockets", "uWebSockets"];
        assert_eq!(of(engines.into_iter(), &dependencies), ["tungstenite 0.30.1", "tokio-websockets 0.13.2"]);
    }

    #[test]
    fn dependencies_are_those_of_the_root_alone() {
        let metadata = serde_json::json!({
            "packages": [
                { "id": "a", "name": "root", "version": "0.0.0" },
                { "id": "b", "name": "peer", "version": "1.2.3" },
                { "id": "c", "name": "peer", "version": "0.9.0" },
            ],
            "resolve": {
                "root": "a",
                "nodes": [{ "id": "b", "dependencies": ["c"] }, { "id": "a", "dependencies": ["b"] }],
            },
        });
        assert_eq!(dependencies(&metadata), Some(vec![("peer", "1.2.3")]));
    }
}
