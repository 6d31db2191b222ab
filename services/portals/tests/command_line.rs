//! The command line from outside: what is refused, how it is said, and with which exit code.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

const KEY: &str = "Y2FuYXJ5LXNlY3JldC1rZXktMDEyMzQ1Njc4OWFiY2Q=";
const EDGE_KEY: &str = "canary-edge-key-0123456789abcdef0123456789";

/// Arguments, variables, and what the complaint names.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

/// Runs the binary in `folder` with nothing in its environment but `variables`.
fn portals(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portals"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(folder)
        .output()
        .expect("the binary was built with this test")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_refused(output: &Output, naming: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    assert!(said.contains(naming), "`{naming}` is named: {said}");
    assert!(!said.contains("listening"), "no port is bound: {said}");
    assert!(!said.contains("canary"), "no secret is repeated: {said}");
}

#[test]
fn a_bad_configuration_is_refused_in_one_line_before_anything_happens() {
    let edge = ["edge", "--registry", "http://a:1", "--executor", "http://b:2"];
    let cases: &[Case] = &[
        (&[], &[], "--help"),
        (&["nothing"], &[], "nothing"),
        (&["up", "--nothing"], &[], "--nothing"),
        (&["up"], &[("PORTALS_LISTENN", "127.0.0.1:1")], "PORTALS_LISTENN"),
        (&["org", "list"], &[("PORTALS_TOKENN", "canary")], "PORTALS_TOKENN"),
        (&["up", "--listen", "nowhere"], &[], "--listen"),
        (&["up"], &[("PORTALS_LISTEN", "127.0.0.1:70000")], "--listen"),
        (&["up", "--ops-listen", ""], &[], "--ops-listen"),
        (&["up"], &[("PORTALS_DEMO", "perhaps")], "--demo"),
        (&["up", "--public-url", "portals.example.com"], &[], "--public-url"),
        (&["up", "--store", "etcd://a:2379"], &[], "etcd"),
        (&["up", "--store", "sqlite"], &[], "--store"),
        (&["up", "--threads", "0"], &[], "--threads"),
        (&["up", "--max-staleness", "soon"], &[], "--max-staleness"),
        (&["up", "--rest-rate-limit", "many"], &[], "--rest-rate-limit"),
        (&["up"], &[("PORTALS_REST_RATE_LIMIT", "1000001")], "--rest-rate-limit"),
        (&["up", "--trusted-proxies", "10.0.0.0/33"], &[], "--trusted-proxies"),
        (&["up", "--log", "edge=loud"], &[], "--log"),
        (&["up", "--log-format", "xml"], &[], "--log-format"),
        (&["up", "--registry-listen", "unix:relative"], &[], "--registry-listen"),
        (&["up"], &[("PORTALS_SECRET_KEY", "canary")], "--secret-key"),
        (&["up"], &[("PORTALS_SECRET_KEY", "")], "--secret-key"),
        (&["up"], &[("PORTALS_SECRET_KEY", KEY), ("PORTALS_SECRET_KEY_FILE", "f")], "--secret-key"),
        (&["up", "--secret-key-file", "missing"], &[], "missing"),
        (&["up", "--secret-key-file", "missing"], &[("PORTALS_SECRET_KEY", KEY)], "missing"),
        (&["up", "--secret-key", "canary"], &[("PORTALS_SECRET_KEY_FILE", "f")], "--secret-key"),
        (&["up", "--secret-key", KEY, "--secret-key-file", "f"], &[], "both given"),
        (&["org", "list"], &[("PORTALS_TOKEN", "canary"), ("PORTALS_TOKEN_FILE", "f")], "both given"),
        (&["org", "list", "--token", "canary", "--token-file", "f"], &[], "both given"),
        (&["up", "--admin-token", "canary"], &[], "--admin-token"),
        (&["up", "--edge-key", "canary"], &[], "--edge-key"),
        (&["up", "--organization", "a"], &[], "--upstream-url"),
        (&["up", "--organization", "A b", "--upstream-url", "http://a"], &[], "--organization"),
        (&["up", "--upstream-url", "http://user:canary@a"], &[], "--upstream-url"),
        (&["up", "--upstream-token", "canary"], &[], "--organization"),
        (&["up", "--organization", "a", "--upstream-url", "http://127.0.0.1:99999/"], &[], "--upstream-url"),
        (&["up", "--organization", "a", "--upstream-url", "http:///a"], &[], "--upstream-url"),
        (
            &["up", "--organization", "a", "--upstream-url", "http://a", "--upstream-token", "canary b"],
            &[],
            "--upstream-token",
        ),
        (&["up", "--upstream-ca", "missing"], &[], "missing"),
        (&["up"], &[("HTTPS_PROXY", "socks5://a:1")], "HTTPS_PROXY"),
        (&["up"], &[("HTTPS_PROXY", ""), ("https_proxy", "socks5://a:1")], "HTTPS_PROXY"),
        (&edge, &[], "--edge-key"),
        (&["edge", "--registry", "https://a:1", "--executor", "http://b:2"], &[], "--registry"),
        (&["edge", "--registry", "http://a:1"], &[("PORTALS_EDGE_KEY", EDGE_KEY)], "--executor"),
        (&["registry"], &[], "--edge-key"),
        (&["executor"], &[], "--secret-key"),
        (&["token", "exchange", "a", "b", "--client-secret", "canary"], &[], "--client-id"),
        (&["token", "exchange", "a", "b", "--client-id", "c"], &[], "--client-secret"),
        (&["token", "exchange", "a", "b", "--client-id", "c", "--expires-in", "soon"], &[], "--expires-in"),
        (&["invoke", "a", "b", "--var", "novalue"], &[], "--var"),
        (&["invoke", "a", "b", "--variables", "@missing"], &[], "missing"),
    ];
    for (arguments, variables, naming) in cases {
        let folder = tempfile::tempdir().unwrap();
        let output = portals(folder.path(), arguments, variables);
        assert_refused(&output, naming);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made: {arguments:?}");
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let key = folder.path().join("data/secret-key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused(&portals(folder.path(), &["up"], &[]), "secret-key");
}

#[test]
fn a_store_without_its_key_gets_no_new_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data/store")).unwrap();
    assert_refused(&portals(folder.path(), &["up"], &[]), "--secret-key");
    assert!(!folder.path().join("data/secret-key").exists());
}

#[test]
fn every_command_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--help"][..],
        &["up", "--help"],
        &["edge", "--help"],
        &["registry", "--help"],
        &["executor", "--help"],
        &["demo-upstream", "--help"],
        &["demo", "--help"],
        &["org", "create", "--help"],
        &["portal", "update", "--help"],
        &["token", "revoke", "--help"],
        &["token", "exchange", "--help"],
        &["secret", "create", "--help"],
        &["invoke", "--help"],
        &["healthcheck", "--help"],
    ] {
        let output = portals(folder.path(), arguments, &[("PORTALS_SECRET_KEY", "canary-key")]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("Usage: portals"), "{arguments:?}: {text}");
        assert!(!text.contains("canary"), "{arguments:?}: a secret is shown");
    }
    let text = portals(folder.path(), &["--help"], &[]).stdout;
    assert!(String::from_utf8_lossy(&text).contains("Exit codes"));
}

#[test]
fn a_house_that_is_not_there_is_told_from_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    // Bound and never listening: nobody can connect, and nobody else can take the port.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", socket.local_addr().unwrap().port());
    let listed = portals(folder.path(), &["org", "list", "--url", &url], &[]);
    assert_eq!(listed.status.code(), Some(69), "{}", stderr(&listed));
    let checked = portals(folder.path(), &["healthcheck", "--ops-url", &url], &[]);
    assert_eq!(checked.status.code(), Some(1), "{}", stderr(&checked));
    assert!(checked.stdout.is_empty());
}
