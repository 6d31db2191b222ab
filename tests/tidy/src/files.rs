//! The project's files: what git tracks, or everything where there is no git.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file of the project.
#[derive(Debug)]
pub struct SourceFile {
    /// Relative to the project's root, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The paths of all files of the project, relative to its root, sorted.
pub fn files() -> Vec<String> {
    let mut files = tracked().unwrap_or_else(walked);
    files.retain(|path| root().join(path).is_file());
    files.sort();
    files
}

/// The files whose path `wanted` accepts, with their text. One that is gone or is no text is left out.
pub fn read(wanted: impl Fn(&str) -> bool) -> Vec<SourceFile> {
    let wanted = files().into_iter().filter(|path| wanted(path));
    wanted
        .filter_map(|path| {
            let text = fs::read_to_string(root().join(&path)).ok()?;
            Some(SourceFile { path, text })
        })
        .collect()
}

/// Where a line of `files` makes `wrong` say something: `path:line: what it said`.
pub fn lines(files: &[SourceFile], wrong: impl Fn(&SourceFile, &str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(what) = wrong(file, line) {
                found.push(format!("{}:{}: {what}", file.path, index + 1));
            }
        }
    }
    found
}

fn tracked() -> Option<Vec<String>> {
    let mut git = Command::new("git");
    let listed = git.args(["ls-files", "-z"]).current_dir(root()).output().ok()?;
    if !listed.status.success() {
        return None;
    }
    let paths = String::from_utf8(listed.stdout).ok()?;
    Some(paths.split_terminator('\0').map(str::to_owned).collect())
}

fn walked() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(root().join(&folder)).expect("a folder of the project is readable");
        for entry in entries.filter_map(Result::ok) {
            let path = folder.join(entry.file_name());
            let text = path.to_string_lossy().into_owned();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !matches!(text.as_str(), "target" | "data" | ".git") => {
                    folders.push(path);
                }
                Ok(kind) if kind.is_file() => found.push(text),
                _ => {}
            }
        }
    }
    found
}
