//! Looks at where things lie: names at the top, manifests, protos, and what repeats a list of them.

use std::collections::BTreeSet;
use tidy::{SourceFile, crates, files, read};

#[test]
fn the_top_has_only_the_names_it_should() {
    let known = ["Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "docker-compose.yml"];
    let folders = ["proto", "services", "tests"];
    let stray: BTreeSet<String> = files()
        .into_iter()
        .filter(|path| match path.split_once('/') {
            Some((folder, _)) => !folders.contains(&folder) && !folder.starts_with('.'),
            None => !known.contains(&path.as_str()) && !path.starts_with('.'),
        })
        .collect();
    assert!(stray.is_empty(), "{stray:#?}");
}

#[test]
fn a_room_is_called_what_its_folder_is_called() {
    for room in crates() {
        let folder = room.folder.rsplit('/').next();
        assert_eq!(folder, Some(room.name.as_str()), "the crate in {}", room.folder);
    }
}

#[test]
fn versions_stand_in_the_root_manifest_alone() {
    let mut wrong = Vec::new();
    for manifest in read(|path| path.ends_with("/Cargo.toml")) {
        for (name, rest) in dependencies(&manifest.text) {
            if !rest.contains("workspace = true") {
                wrong.push(format!("{}: {name}", manifest.path));
            }
        }
    }
    assert!(wrong.is_empty(), "these do not say `workspace = true`: {wrong:#?}");
}

#[test]
fn no_version_in_the_root_manifest_is_left_over() {
    let used: BTreeSet<String> =
        crates().into_iter().flat_map(|room| room.dependencies).map(|dependency| dependency.name).collect();
    let root = read(|path| path == "Cargo.toml");
    let left: Vec<String> = dependencies(&one(&root).text)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !used.contains(name))
        .collect();
    assert!(left.is_empty(), "no crate uses {left:?}");
}

#[test]
fn each_proto_lies_where_its_package_says() {
    let protos = read(|path| path.ends_with(".proto"));
    assert!(!protos.is_empty(), "there are protos");
    for proto in protos {
        let package = proto.text.lines().find_map(|line| line.strip_prefix("package ")).unwrap_or_default();
        let folder = format!("proto/{}", package.trim_end_matches(';').replace('.', "/"));
        let lies = proto.path.rsplit_once('/').map(|(folder, _)| folder);
        assert_eq!(lies, Some(folder.as_str()), "{} is of package `{package}`", proto.path);
    }
}

#[test]
fn the_image_knows_every_manifest() {
    let dockerfile = read(|path| path == "services/portals/Dockerfile");
    let text = &one(&dockerfile).text;
    for room in crates() {
        let line = format!("COPY {folder}/Cargo.toml {folder}/", folder = room.folder);
        assert!(text.lines().any(|known| known == line), "the Dockerfile lacks `{line}`");
    }
}

#[test]
fn the_readme_has_the_commands_that_the_gate_runs() {
    let readme = read(|path| path == "README.md");
    for command in ["cargo run --release -- up --demo", "cargo test --workspace", "docker-compose up"] {
        let stands = one(&readme).text.lines().any(|line| line.trim().starts_with(command));
        assert!(stands, "README.md has no line `{command}`");
    }
}

fn one(files: &[SourceFile]) -> &SourceFile {
    files.first().expect("the file is there")
}

/// The entries of a manifest's dependency tables: name and the rest of the line.
fn dependencies(manifest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
        } else if inside && let Some((key, rest)) = line.split_once('=') {
            let (name, tail) = key.trim().split_once('.').unwrap_or((key.trim(), ""));
            if !name.starts_with('#') {
                found.push((name.to_owned(), format!("{tail} ={rest}")));
            }
        }
    }
    found
}
