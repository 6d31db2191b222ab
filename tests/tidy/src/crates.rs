//! The workspace's crates and what is linked into them, as cargo tells it.

use crate::root;
use serde_json::Value;
use std::{env, process::Command};

/// A crate of the workspace.
#[derive(Debug)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the project's root.
    pub folder: String,
    /// What it names in its manifest.
    pub dependencies: Vec<Dependency>,
}

/// One entry of a manifest.
#[derive(Debug)]
pub struct Dependency {
    /// The name of the crate that it asks for.
    pub name: String,
    /// The features that it asks for.
    pub features: Vec<String>,
    /// Whether it is for tests and examples alone.
    pub dev: bool,
}

/// A crate, ours or not, that is part of a build on this kind of machine.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Linked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, an SPDX expression in one of the ways that manifests write one.
    pub licence: String,
    /// Whether its source is a path of this project.
    pub ours: bool,
}

/// The crates of the workspace.
pub fn crates() -> Vec<Crate> {
    let told = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&told).expect("cargo metadata writes JSON");
    let top = string(&metadata, "workspace_root");
    let folder = |manifest: &str| {
        let folder = manifest.strip_suffix("/Cargo.toml").unwrap_or(manifest);
        folder.strip_prefix(&top).unwrap_or(folder).trim_start_matches('/').to_owned()
    };
    list(&metadata, "packages")
        .map(|package| Crate {
            name: string(package, "name"),
            folder: folder(&string(package, "manifest_path")),
            dependencies: list(package, "dependencies")
                .map(|dependency| Dependency {
                    name: string(dependency, "name"),
                    features: list(dependency, "features").map(|feature| text(Some(feature))).collect(),
                    dev: dependency.get("kind").is_some_and(|kind| kind == "dev"),
                })
                .collect(),
        })
        .collect()
}

/// All that is compiled into the workspace's crates, build scripts included, tests not. Sorted, each once.
pub fn linked() -> Vec<Linked> {
    let edges = ["--edges", "normal,build", "--prefix", "none", "--format", "{p}|{l}"];
    let text = cargo(&[&["tree", "--workspace"][..], &edges[..]].concat());
    let mut linked: Vec<Linked> = text.lines().filter_map(read_linked).collect();
    linked.sort();
    linked.dedup();
    linked
}

/// Reads `name v1.2.3 (where it is from)|licence`; lines that stand for something told before end in `(*)`.
fn read_linked(line: &str) -> Option<Linked> {
    let (package, licence) = line.trim_end_matches(" (*)").split_once('|')?;
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?);
    Some(Linked {
        name: name.to_owned(),
        version: version.trim_start_matches('v').to_owned(),
        licence: licence.to_owned(),
        ours: words.next().is_some_and(|from| from.starts_with("(/")),
    })
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let told = Command::new(cargo)
        .args(arguments)
        .arg("--locked")
        .current_dir(root())
        .output()
        .expect("cargo runs: it runs this test");
    let complaint = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "cargo {arguments:?} says: {complaint}");
    String::from_utf8(told.stdout).expect("cargo writes UTF-8")
}

fn string(value: &Value, name: &str) -> String {
    text(value.get(name))
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).expect("cargo writes names as strings").to_owned()
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).expect("cargo writes a list").iter()
}
