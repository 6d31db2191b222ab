//! Looks at each source file: how it opens, how long it is, and what must not be left in it.

use tidy::{SourceFile, lines, read};

/// A file longer than this is two.
const LONGEST: usize = 450;

fn rust() -> Vec<SourceFile> {
    read(|path| path.ends_with(".rs"))
}

#[test]
fn each_file_opens_by_saying_what_it_is_for() {
    let silent: Vec<String> =
        rust().into_iter().filter(|file| !file.text.starts_with("//! ")).map(|file| file.path).collect();
    assert!(silent.is_empty(), "these do not open with `//!`: {silent:#?}");
}

#[test]
fn no_file_is_longer_than_one_sitting() {
    let long: Vec<String> = rust()
        .iter()
        .map(|file| (file.text.lines().count(), &file.path))
        .filter(|(length, _)| *length > LONGEST)
        .map(|(length, path)| format!("{path}: {length} lines"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn nothing_is_left_undone() {
    // In two halves, so that this list does not find itself.
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let kinds = [".rs", ".proto", ".yml", ".sh", ".py", "Dockerfile", ".ci/run"];
    let files = read(|path| kinds.iter().any(|kind| path.ends_with(kind)));
    let found =
        lines(&files, |_, line| marks.iter().find(|mark| has_word(line, mark)).map(|m| m.to_string()));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_test_runs() {
    let mark = concat!("#[ig", "nore");
    let found = lines(&rust(), |_, line| line.contains(mark).then(|| line.trim().to_owned()));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn tests_wait_for_the_thing_itself() {
    // Where a test holds the clock, time passes at once, and to wait is to step.
    let held = ["start_paused", "time::pause()"];
    let mark = concat!("sle", "ep(");
    let mut found = Vec::new();
    for file in rust() {
        if held.iter().any(|held| file.text.contains(held)) {
            continue;
        }
        // The bench is no test: it lets time pass where time is what it measures.
        if file.path.starts_with("tests/bench/") {
            continue;
        }
        let whole = file.path.starts_with("tests/") || file.path.contains("/tests/");
        let mut testing = whole;
        for (index, line) in file.text.lines().enumerate() {
            testing |= line.trim() == "#[cfg(test)]";
            if testing && line.contains(mark) {
                found.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether `line` has `mark` with no letter before or behind it.
fn has_word(line: &str, mark: &str) -> bool {
    let letter = |side: Option<char>| side.is_some_and(|character| character.is_ascii_alphanumeric());
    line.match_indices(mark).any(|(at, _)| {
        let (before, after) = (line.get(..at), line.get(at + mark.len()..));
        !letter(before.and_then(|text| text.chars().next_back()))
            && !letter(after.and_then(|text| text.chars().next()).filter(|_| !mark.ends_with('(')))
    })
}
