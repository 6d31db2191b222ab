//! Compares the plan of the house with the manifests: which room has a door to which, and who owns what is heavy.

use tidy::{Crate, SourceFile, crates, lines, read};

/// Each crate, and which of ours it may use. Arrows only point down; no room has a door to another.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("proto", &["model"]),
    ("registry", &["proto", "model"]),
    ("executor", &["proto", "model"]),
    ("edge", &["proto", "model"]),
    ("portals", &["edge", "executor", "registry", "proto", "model"]),
    // The garden looks at the house from outside: by its command line and its sockets.
    ("house", &[]),
    ("tidy", &[]),
    // The bench starts the same processes.
    ("bench", &["house"]),
    // What it counts the instructions of, it must name.
    ("pieces", &["edge", "executor", "proto", "model"]),
];

/// The garden, which tests and measures and is not part of the program.
const GARDEN: &[&str] = &["house", "tidy", "bench", "pieces"];

/// What is heavy, and the rooms that may name it: these do, no other does. The garden and tests are free.
const OWNERS: &[(&str, &[&str])] = &[
    ("async-graphql-parser", &["model"]),
    // What tokens are narrowed by is checked where it is read.
    ("jsonschema", &["model"]),
    ("prost", &["proto"]),
    ("prost-types", &["proto"]),
    ("tonic-prost", &["proto"]),
    ("tonic-types", &["proto"]),
    ("apollo-compiler", &["registry"]),
    ("argon2", &["registry"]),
    ("sled", &["registry"]),
    // One signs grants, one verifies them; one file each, see below.
    ("jsonwebtoken", &["registry", "executor"]),
    ("actix", &["executor"]),
    ("hyper-rustls", &["executor"]),
    ("rustls", &["executor"]),
    ("rustls-native-certs", &["executor"]),
    // The edge's routes; the roof's address for operations and its demo upstream.
    ("axum", &["edge", "portals"]),
    // The executor's client; the roof's accept loop.
    ("hyper", &["executor", "portals"]),
    ("async-graphql", &["portals"]),
    ("clap", &["portals"]),
    ("metrics-exporter-prometheus", &["portals"]),
    ("mimalloc", &["portals"]),
    ("socket2", &["portals"]),
    ("tonic-health", &["portals"]),
    ("tonic-reflection", &["portals"]),
    ("tracing-subscriber", &["portals"]),
];

#[test]
fn doors_are_where_the_plan_has_them() {
    let all = crates();
    let ours: Vec<&str> = all.iter().map(|room| room.name.as_str()).collect();
    let mut planned: Vec<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    planned.sort_unstable();
    let mut built = ours.clone();
    built.sort_unstable();
    assert_eq!(built, planned, "a crate is built that is not in the plan, or the other way round");

    let mut wrong = Vec::new();
    for room in &all {
        let (_, doors) = ROOMS.iter().find(|(name, _)| *name == room.name).expect("compared above");
        for dependency in
            room.dependencies.iter().filter(|dependency| ours.contains(&dependency.name.as_str()))
        {
            let name = dependency.name.as_str();
            let into_the_garden = dependency.dev && GARDEN.contains(&name);
            if !doors.contains(&name) && !into_the_garden {
                wrong.push(format!("{} uses {name}", room.name));
            }
        }
    }
    assert!(wrong.is_empty(), "doors that the plan does not have: {wrong:#?}");
}

#[test]
fn what_is_heavy_is_named_by_its_owners_alone() {
    let rooms: Vec<Crate> =
        crates().into_iter().filter(|room| !GARDEN.contains(&room.name.as_str())).collect();
    let mut wrong = Vec::new();
    for (heavy, owners) in OWNERS {
        let named = |room: &Crate| {
            room.dependencies.iter().any(|dependency| dependency.name == *heavy && !dependency.dev)
        };
        for room in &rooms {
            match (named(room), owners.contains(&room.name.as_str())) {
                (true, false) => wrong.push(format!("{} names {heavy} and does not own it", room.name)),
                (false, true) => wrong.push(format!("{} owns {heavy} and does not name it", room.name)),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_roof_opens_grpc_connections() {
    for room in crates() {
        let opens = room.dependencies.iter().any(|dependency| {
            dependency.name == "tonic"
                && !dependency.dev
                && dependency.features.iter().any(|feature| feature == "transport")
        });
        assert!(!opens || room.name == "portals", "{} asks for tonic's transport", room.name);
    }
}

#[test]
fn grants_are_signed_in_one_file_and_verified_in_one_file() {
    // Tokens of issuers from outside are something else, in a folder of their own.
    let identity = "services/registry/src/identity";
    for room in ["registry", "executor"] {
        let sources =
            read(|path| path.starts_with(&format!("services/{room}/src/")) && !path.starts_with(identity));
        let naming = naming(&sources, "jsonwebtoken");
        assert_eq!(naming.len(), 1, "{room} names jsonwebtoken in {naming:?}");
    }
}

#[test]
fn sled_is_named_in_the_store_alone() {
    let sources = read(|path| path.starts_with("services/") && path.ends_with(".rs"));
    let store = |file: &SourceFile| file.path.starts_with("services/registry/src/store");
    let found = lines(&sources, |file, line| {
        let line = line.split("//").next().unwrap_or(line).replace("store::sled", "");
        (!store(file) && (line.contains("sled::") || line.contains("use sled"))).then(|| line.clone())
    });
    assert!(found.is_empty(), "{found:#?}");
}

/// The files in which a line of code, comments apart, has `word`.
fn naming(files: &[SourceFile], word: &str) -> Vec<String> {
    let code = |line: &str| line.split("//").next().is_some_and(|code| code.contains(word));
    files.iter().filter(|file| file.text.lines().any(code)).map(|file| file.path.clone()).collect()
}
