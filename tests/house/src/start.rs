//! How the processes of a house are started: their flags, their variables, and where they listen.

use crate::{ADMIN_TOKEN, Process};
use std::path::Path;

pub(crate) const EDGE_KEY: &str = "canary-edge-key-0123456789abcdef0123456789abcd";
pub(crate) const SECRET_KEY: &str = "Y2FuYXJ5LXNlY3JldC1rZXktMDEyMzQ1Njc4OWFiY2Q=";

/// Variables, by name.
pub(crate) type Told = Vec<(&'static str, String)>;

/// Where the parts of a house listen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) public: Vec<String>,
    pub(crate) registry: String,
    pub(crate) executor: String,
    pub(crate) ops: Vec<String>,
}

/// The address to listen on: the one of before, or any.
fn at(before: Option<&String>) -> String {
    before.filter(|address| !address.is_empty()).cloned().unwrap_or_else(|| "127.0.0.1:0".to_owned())
}

fn flags(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()]).collect()
}

/// What the management does is tested as fast as it goes.
fn without_limit() -> Vec<(&'static str, String)> {
    vec![("PORTALS_REST_RATE_LIMIT", "0".to_owned())]
}

/// Everything is logged, by the libraries too: of them, what a bare `trace` keeps quiet. `PORTALS_TEST_LOG` says less, for
/// tests that go on for so long that it would fill the disk.
fn logging() -> Vec<(&'static str, String)> {
    let log = std::env::var("PORTALS_TEST_LOG").unwrap_or_else(|_| "trace,portals=trace".to_owned());
    vec![("PORTALS_LOG", log), ("PORTALS_LOG_FORMAT", "json".to_owned())]
}

fn keys() -> Vec<(&'static str, String)> {
    vec![
        ("PORTALS_SECRET_KEY", SECRET_KEY.to_owned()),
        ("PORTALS_EDGE_KEY", EDGE_KEY.to_owned()),
        ("PORTALS_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
    ]
}

fn environment(wanted: &[&str]) -> Vec<(&'static str, String)> {
    let mut environment = logging();
    environment.extend(keys().into_iter().filter(|(name, _)| wanted.contains(name)));
    environment
}

pub(crate) async fn start_up(
    binary: &Path,
    folder: &Path,
    more: &[String],
    told: &Told,
    addresses: &mut Addresses,
) -> Process {
    let mut arguments = vec!["up".to_owned()];
    arguments.extend(flags(&[
        ("data-dir", &folder.join("data").display().to_string()),
        ("listen", &at(addresses.public.first())),
        ("ops-listen", &at(addresses.ops.first())),
        ("registry-listen", &at(Some(&addresses.registry))),
        ("executor-listen", &at(Some(&addresses.executor))),
    ]));
    arguments.extend_from_slice(more);
    let mut environment = environment(&["PORTALS_SECRET_KEY", "PORTALS_ADMIN_TOKEN"]);
    environment.extend(without_limit());
    environment.extend(told.iter().cloned());
    let process = Process::start(binary, &arguments, &environment, &folder.join("up.log"));
    addresses.public = vec![process.address("http").await];
    addresses.ops = vec![process.address("ops").await];
    addresses.registry = process.address("registry").await;
    addresses.executor = process.address("executor").await;
    process
}

pub(crate) async fn start_registry(
    binary: &Path,
    folder: &Path,
    told: &Told,
    addresses: &mut Addresses,
) -> Process {
    let mut arguments = vec!["registry".to_owned()];
    arguments.extend(flags(&[
        ("data-dir", &folder.join("data").display().to_string()),
        ("ops-listen", &at(addresses.ops.first())),
        ("registry-listen", &at(Some(&addresses.registry))),
    ]));
    let mut environment = environment(&["PORTALS_SECRET_KEY", "PORTALS_EDGE_KEY", "PORTALS_ADMIN_TOKEN"]);
    environment.extend(told.iter().cloned());
    let process = Process::start(binary, &arguments, &environment, &folder.join("registry.log"));
    addresses.registry = process.address("registry").await;
    put(&mut addresses.ops, 0, process.address("ops").await);
    process
}

pub(crate) async fn start_executor(binary: &Path, folder: &Path, addresses: &mut Addresses) -> Process {
    let mut arguments = vec!["executor".to_owned()];
    arguments.extend(flags(&[
        ("ops-listen", &at(addresses.ops.get(1))),
        ("executor-listen", &at(Some(&addresses.executor))),
    ]));
    let environment = environment(&["PORTALS_SECRET_KEY"]);
    let process = Process::start(binary, &arguments, &environment, &folder.join("executor.log"));
    addresses.executor = process.address("executor").await;
    put(&mut addresses.ops, 1, process.address("ops").await);
    process
}

pub(crate) async fn start_edge(
    binary: &Path,
    folder: &Path,
    more: &[String],
    addresses: &mut Addresses,
    number: usize,
) -> Process {
    let mut arguments = vec!["edge".to_owned()];
    arguments.extend(flags(&[
        ("listen", &at(addresses.public.get(number))),
        ("ops-listen", &at(addresses.ops.get(number + 2))),
        ("registry", &format!("http://{}", addresses.registry)),
        ("executor", &format!("http://{}", addresses.executor)),
    ]));
    arguments.extend_from_slice(more);
    let mut environment = environment(&["PORTALS_EDGE_KEY"]);
    environment.extend(without_limit());
    let log = folder.join(format!("edge-{number}.log"));
    let process = Process::start(binary, &arguments, &environment, &log);
    put(&mut addresses.public, number, process.address("http").await);
    put(&mut addresses.ops, number + 2, process.address("ops").await);
    process
}

fn put(list: &mut Vec<String>, at: usize, value: String) {
    match list.get_mut(at) {
        Some(place) => *place = value,
        None => list.push(value),
    }
}
