//! Looks at what others wrote and the program contains: licences, sources, known advisories, and what is banned.
//!
//! It does what `cargo deny` would, in a second, and without a build of minutes that a cold machine would pay for.
//! The advisory database cannot be asked from everywhere; what it says today stands here, with a date to ask again.

use std::time::{SystemTime, UNIX_EPOCH};
use tidy::{Linked, linked, read};

/// Licences that ask for no more than to be named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates whose manifest names no licence but a file, and what that file says.
const READ: &[(&str, &str, &str)] = &[("jsonpath-rust", "0.3.5", "MIT")];

/// What must not come in by a side door, and why.
const BANNED: &[(&str, &str)] = &[
    ("ring", "one crypto library is enough: aws-lc-rs"),
    ("openssl-sys", "one crypto library is enough: aws-lc-rs"),
    ("native-tls", "TLS is rustls"),
    ("reqwest", "one HTTP client is enough: hyper-util's"),
    ("chrono", "time is jiff"),
    ("serde_yaml", "no longer maintained"),
];

/// Advisories that are known and borne: the crate, the advisory, the one crate it comes through, and the day (seconds
/// since 1970) on which to look again.
const BORNE: &[(&str, &str, &str, u64)] = &[
    // Unmaintained, no known fault; sled 0.34.7 is the last that is stable and hashes page ids with it. 2027-06-30.
    ("fxhash", "RUSTSEC-2025-0057", "sled", 1_814_313_600),
    // Unmaintained, no known fault; through sled's parking_lot 0.11. 2027-06-30.
    ("instant", "RUSTSEC-2024-0384", "sled", 1_814_313_600),
];

#[test]
fn every_licence_is_one_that_we_can_keep() {
    let read = |linked: &Linked| {
        let read = READ.iter().find(|(name, version, _)| *name == linked.name && *version == linked.version);
        read.map(|(_, _, licence)| *licence)
    };
    let is_refused = |linked: &Linked| !allowed(read(linked).unwrap_or(&linked.licence));
    let refused: Vec<Linked> = linked().into_iter().filter(is_refused).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn nothing_banned_came_in_by_a_side_door() {
    for linked in linked() {
        let banned = BANNED.iter().find(|(name, _)| *name == linked.name);
        assert!(banned.is_none(), "{} {}: {banned:?}", linked.name, linked.version);
    }
}

#[test]
fn every_source_is_the_registry_or_this_project() {
    let lock = read(|path| path == "Cargo.lock");
    let text = &lock.first().expect("Cargo.lock is tracked").text;
    let strange: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .filter(|source| !source.starts_with("\"registry+"))
        .collect();
    assert!(strange.is_empty(), "{strange:#?}");
}

#[test]
fn what_was_read_is_still_there() {
    let linked = linked();
    for (name, version, _) in READ {
        let there = linked.iter().any(|linked| linked.name == *name && linked.version == *version);
        assert!(there, "{name} {version} is gone, and with it this entry");
    }
}

#[test]
fn what_is_borne_is_still_there_and_its_day_has_not_come() {
    let today = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let linked = linked();
    for (name, advisory, through, until) in BORNE {
        assert!(today < *until, "{advisory} ({name}): look again whether {through} can do without");
        let there = linked.iter().any(|linked| linked.name == *name);
        assert!(there, "{advisory}: {name} is gone, and with it this entry");
    }
}

/// Whether an SPDX expression leaves a choice that is allowed. `/` is an old way to write `OR`.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let words = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest) && rest.is_empty()
}

/// Reads terms joined by `OR`: one must be allowed.
fn any(words: &mut &[&str]) -> bool {
    let mut allowed = all(words);
    while let Some(("OR", rest)) = words.split_first().map(|(word, rest)| (*word, rest)) {
        *words = rest;
        allowed |= all(words);
    }
    allowed
}

/// Reads terms joined by `AND`: each must be allowed.
fn all(words: &mut &[&str]) -> bool {
    let mut allowed = term(words);
    while let Some(("AND", rest)) = words.split_first().map(|(word, rest)| (*word, rest)) {
        *words = rest;
        allowed &= term(words);
    }
    allowed
}

/// Reads a licence, with its exception if it has one, or an expression in brackets.
fn term(words: &mut &[&str]) -> bool {
    match **words {
        ["(", ref rest @ ..] => {
            *words = rest;
            let inner = any(words);
            let closed = words.first() == Some(&")");
            *words = words.get(1..).unwrap_or_default();
            inner && closed
        }
        [licence, "WITH", exception, ref rest @ ..] => {
            *words = rest;
            ALLOWED.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, ref rest @ ..] => {
            *words = rest;
            ALLOWED.contains(&licence)
        }
        [] => false,
    }
}

#[test]
fn expressions_are_read_as_spdx_has_them() {
    assert!(allowed("MIT OR GPL-3.0"));
    assert!(allowed("Apache-2.0/MIT"));
    assert!(allowed("(GPL-3.0 OR MIT) AND BSD-3-Clause"));
    assert!(allowed("Apache-2.0 WITH LLVM-exception"));
    assert!(!allowed("MIT AND GPL-3.0"));
    assert!(!allowed("GPL-3.0 WITH Classpath-exception-2.0 AND MIT"));
    assert!(!allowed(""));
}
