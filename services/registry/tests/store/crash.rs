//! Kills, power cuts and disks that fail: what was acknowledged is there, what was revoked stays so.

use crate::{
    child::{Promised, Writer},
    fixture::{Dice, copy_folder, setting},
};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice::new("kills");
    let mut promised = Promised::default();
    for kill in 0..setting("PORTALS_TEST_KILLS", 30) {
        let time = Duration::from_micros(dice.below(200_000));
        let writer = Writer::start(folder.path(), &mut dice, |_| ());
        if kill % 4 == 0 {
            writer.kill_early(time, &mut promised);
        } else {
            writer.kill_in_the_midst(time, &mut promised);
        }
        promised.verify(folder.path());
    }
    let Promised { acknowledged, scrubbed, .. } = promised;
    eprintln!("kills: {acknowledged} commits were acknowledged, {scrubbed} starts verified while at work");
    assert!(scrubbed > 0, "no log was sound after a kill");
}

#[test]
fn a_first_start_may_be_killed_at_any_moment() {
    let mut dice = Dice::new("first starts");
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let mut promised = Promised::default();
        let time = Duration::from_micros(dice.below(60_000));
        Writer::start(folder.path(), &mut dice, |_| ()).kill_early(time, &mut promised);
        promised.verify(folder.path());
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let work = tempfile::tempdir().unwrap();
    let Some(library) = powercut(work.path()) else { return };
    let mut dice = Dice::new("power cuts");
    let mut promised = Promised::default();
    let mut disk = work.path().join("disk-0");
    fs::create_dir(&disk).unwrap();
    for cut in 1..=setting("PORTALS_TEST_POWERCUTS", 6) {
        let survives = work.path().join(format!("disk-{cut}"));
        copy_folder(&disk, &survives);
        let time = Duration::from_micros(dice.below(600_000));
        let arrange = |command: &mut Command| {
            command.env("LD_PRELOAD", &library).env("PC_WATCH", &disk).env("PC_SHADOW", &survives);
        };
        let writer = Writer::start(&disk, &mut dice, arrange);
        if cut % 4 == 0 {
            writer.kill_early(time, &mut promised);
        } else {
            writer.kill_in_the_midst(time, &mut promised);
        }
        remove_unfinished_copies(&survives);
        promised.verify(&survives);
        fs::remove_dir_all(&disk).unwrap();
        disk = survives;
    }
    let Promised { acknowledged, scrubbed, .. } = promised;
    eprintln!(
        "power cuts: {acknowledged} commits were acknowledged, {scrubbed} starts verified while at work"
    );
}

#[test]
fn a_power_cut_during_the_first_start_leaves_a_store_that_starts() {
    let work = tempfile::tempdir().unwrap();
    let Some(library) = powercut(work.path()) else { return };
    let mut dice = Dice::new("first power cuts");
    for cut in 0..setting("PORTALS_TEST_POWERCUTS", 6) {
        let (disk, survives) =
            (work.path().join(format!("disk-{cut}")), work.path().join(format!("rest-{cut}")));
        fs::create_dir(&disk).unwrap();
        fs::create_dir(&survives).unwrap();
        let mut promised = Promised::default();
        let time = Duration::from_micros(dice.below(120_000));
        let arrange = |command: &mut Command| {
            command.env("LD_PRELOAD", &library).env("PC_WATCH", &disk).env("PC_SHADOW", &survives);
        };
        Writer::start(&disk, &mut dice, arrange).kill_early(time, &mut promised);
        remove_unfinished_copies(&survives);
        promised.verify(&survives);
    }
}

#[test]
fn a_sync_that_fails_ends_the_process_and_loses_nothing_that_was_acknowledged() {
    let work = tempfile::tempdir().unwrap();
    let Some(library) = powercut(work.path()) else { return };
    let folder = work.path().join("disk");
    let mut dice = Dice::new("failing syncs");
    let mut promised = Promised::default();
    promised.verify(&folder);
    let mut ended_at_work = 0;
    for fails_at in [1, 3, 6, 10, 20, 40, 50, 60, 70, 80] {
        let before = promised.acknowledged;
        let status = Writer::start(&folder, &mut dice, |command| {
            command.env("LD_PRELOAD", &library).env("PC_FAIL_AT", fails_at.to_string());
        })
        .wait(&mut promised);
        // While it opens, the store is refused to the test; at work it ends the process.
        let code = status.code();
        assert!(matches!(code, Some(78 | 101)), "sync {fails_at}: {status}");
        ended_at_work += u64::from(code == Some(78) && promised.acknowledged > before);
        promised.verify(&folder);
    }
    assert!(ended_at_work > 0, "no sync failed at work");
}

/// Builds the library that stands between a process and its disk; nothing where its source is not.
fn powercut(work: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/tools/powercut.c");
    if !source.exists() {
        let _gone =
            writeln!(std::io::stderr(), "SKIPPED: there is no {}, so no disk can fail", source.display());
        return None;
    }
    let library = work.join("powercut.so");
    let built = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .status();
    match built {
        Ok(status) if status.success() => Some(library),
        failed => {
            let _gone =
                writeln!(std::io::stderr(), "SKIPPED: cc did not build {}: {failed:?}", source.display());
            None
        }
    }
}

/// The library copies to a name that ends in `.part` first; a real disk has no such files.
fn remove_unfinished_copies(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            remove_unfinished_copies(&path);
        } else if path.extension().is_some_and(|extension| extension == "part") {
            fs::remove_file(path).unwrap();
        }
    }
}
