//! The roles as processes: how they start, how they end, and that the client commands reach them.

use house::{ADMIN_TOKEN, House, Process, Shape, until};
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Output,
};
use tokio::process::Command;

const PORTALS: &str = env!("CARGO_BIN_EXE_portals");
const DOCUMENT: &str = "query Who { viewer { user { name } } }";

/// A client command against the house at `url`, as the operator.
async fn client(url: &str, token: &str, arguments: &[&str]) -> Output {
    Command::new(PORTALS)
        .args(arguments)
        .env_clear()
        .env("PORTALS_URL", url)
        .env("PORTALS_TOKEN", token)
        .output()
        .await
        .expect("the binary was built with this test")
}

fn stdout(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Starts a role on free ports, its state in `folder`.
fn start(folder: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Process {
    let mut variables = variables.to_vec();
    variables.push(("PORTALS_LOG_FORMAT", "json".to_owned()));
    for name in ["PORTALS_LISTEN", "PORTALS_OPS_LISTEN", "PORTALS_REGISTRY_LISTEN", "PORTALS_EXECUTOR_LISTEN"]
    {
        if !variables.iter().any(|(set, _)| *set == name) {
            variables.push((name, "127.0.0.1:0".to_owned()));
        }
    }
    variables.push(("PORTALS_DATA_DIR", folder.join("data").display().to_string()));
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Process::start(&PathBuf::from(PORTALS), &arguments, &variables, &folder.join("log"))
}

async fn ready(process: &Process) {
    let url = format!("http://{}", process.address("ops").await);
    until("the process is ready", || async {
        client("http://unused.invalid", "unused", &["healthcheck", "--ops-url", &url]).await.status.success()
    })
    .await;
}

#[tokio::test]
async fn a_call_in_flight_is_answered_after_sigterm_and_then_the_process_ends() {
    for shape in [Shape::Up, Shape::Split { edges: 1 }] {
        let mut house = House::open(PORTALS, shape, &[]).await;
        house.organization("acme", json!({})).await;
        let token = house.portal("acme", "who", DOCUMENT, json!({})).await;
        house.upstream.hold();
        let address = house.public().to_owned();
        let calling = house.call("acme", "who", &token, "{}");
        let ending = async {
            until("the upstream is called", || async { house.upstream.calls() == 1 }).await;
            let process = house.edges.first().unwrap_or(&house.registry);
            process.signal(Signal::TERM);
            until("nobody listens", || async { tokio::net::TcpStream::connect(&address).await.is_err() })
                .await;
            house.upstream.release();
        };
        let (reply, ()) = tokio::join!(calling, ending);
        assert_eq!(reply.expect(200).json(), json!({"data": {"ok": true}}));
        let process = house.edges.first_mut().unwrap_or(&mut house.registry);
        assert_eq!(process.ended().await.code(), Some(0));
    }
}

#[tokio::test]
async fn an_executor_with_an_open_session_ends_soon_after_sigterm() {
    let mut house = House::open(PORTALS, Shape::Split { edges: 1 }, &[]).await;
    house.organization("acme", json!({})).await;
    let token = house.portal("acme", "who", DOCUMENT, json!({})).await;
    house.call("acme", "who", &token, "{}").await.expect(200);
    let executor = house.executor.as_mut().unwrap();
    let asked = std::time::Instant::now();
    executor.signal(Signal::TERM);
    assert_eq!(executor.ended().await.code(), Some(0));
    assert!(asked.elapsed().as_secs() < 10, "it did not wait for the session to end by itself");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", json!({})).await;
    let token = house.portal("acme", "who", DOCUMENT, json!({})).await;
    house.upstream.hold();
    let address = house.public().to_owned();
    let calling = house.call_at(0, "acme", "who", &token, "{}");
    let ending = async {
        until("the upstream is called", || async { house.upstream.calls() == 1 }).await;
        house.registry.signal(Signal::TERM);
        until("nobody listens", || async { tokio::net::TcpStream::connect(&address).await.is_err() }).await;
        house.registry.signal(Signal::TERM);
    };
    let (reply, ()) = tokio::join!(calling, ending);
    assert!(reply.is_err(), "the call is cut");
    assert_eq!(house.registry.ended().await.code(), Some(1));
}

#[tokio::test]
async fn the_client_commands_manage_and_call() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    let (url, upstream) = (house.url(""), house.upstream.url());
    let run = async |arguments: &[&str]| client(&url, ADMIN_TOKEN, arguments).await;

    stdout(&run(&["org", "create", "acme", "--upstream-url", &upstream, "--rate-limit", "0"]).await);
    assert!(stdout(&run(&["org", "list"]).await).contains("acme"));
    let create = ["portal", "create", "acme", "--name", "Who", "--query", DOCUMENT, "--json"];
    let made = stdout(&run(&[&create[..], &["--user-invokable", "true"]].concat()).await);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["user_invokable"], true);
    let token = made["token"].as_str().unwrap();
    house.secrets.add(token);
    let answer = client(&url, token, &["invoke", "acme", "who"]).await;
    assert_eq!(stdout(&answer), "{\"data\":{\"ok\":true}}\n");

    for elsewhere in [&["org", "delete", "acme/portals/who"][..], &["portal", "delete", "acme", "who?x=1"]] {
        let refused = run(elsewhere).await;
        assert_eq!(refused.status.code(), Some(1), "{elsewhere:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("404"), "{elsewhere:?}: {refused:?}");
    }
    assert_eq!(client(&url, token, &["invoke", "acme", "who?x=1"]).await.status.code(), Some(1));
    assert_eq!(run(&["portal", "delete", "acme", ".."]).await.status.code(), Some(64));
    stdout(&client(&url, token, &["invoke", "acme", "who"]).await);

    let refused = client(&url, token, &["invoke", "acme", "who", "--var", "a=b"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("VARIABLES_INVALID"));
    let stale = run(&["portal", "update", "acme", "who", "--description", "x", "--if-revision", "9"]).await;
    assert_eq!(stale.status.code(), Some(1));
    stdout(&run(&["portal", "update", "acme", "who", "--description", "x", "--if-revision", "1"]).await);
    let shut =
        ["portal", "update", "acme", "who", "--user-invokable", "false", "--coalesce", "true", "--json"];
    let changed: Value = serde_json::from_str(&stdout(&run(&shut).await)).unwrap();
    assert_eq!((&changed["user_invokable"], &changed["description"]), (&json!(false), &json!("x")));
    assert_eq!((&made["coalesce"], &changed["coalesce"]), (&json!(false), &json!(true)));
    for (limit, kept) in [("7", json!(7)), ("0", json!(0))] {
        let limited = run(&["portal", "update", "acme", "who", "--rate-limit", limit, "--json"]).await;
        let limited: Value = serde_json::from_str(&stdout(&limited)).unwrap();
        assert_eq!(limited["rate_limit_per_minute"], kept);
    }
    let limited = run(&["token", "create", "acme", "who", "--rate-limit", "3", "--json"]).await;
    let limited: Value = serde_json::from_str(&stdout(&limited)).unwrap();
    assert_eq!(limited["rate_limit_per_minute"], 3);
    stdout(&run(&["token", "revoke", "acme", "who", limited["uuid"].as_str().unwrap()]).await);
    let tokens = stdout(&run(&["token", "list", "acme", "who", "--json"]).await);
    let tokens: Value = serde_json::from_str(&tokens).unwrap();
    stdout(&run(&["token", "revoke", "acme", "who", tokens[0]["uuid"].as_str().unwrap()]).await);
    assert_eq!(client(&url, token, &["invoke", "acme", "who"]).await.status.code(), Some(1));
    stdout(&run(&["portal", "delete", "acme", "who"]).await);
    stdout(&run(&["org", "delete", "acme"]).await);
    house.close().await;
}

#[tokio::test]
async fn json_is_all_that_a_command_prints_where_it_is_wanted() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    let (url, upstream) = (house.url(""), house.upstream.url());
    let run = async |arguments: &[&str]| client(&url, ADMIN_TOKEN, arguments).await;
    stdout(&run(&["org", "create", "acme", "--upstream-url", &upstream]).await);
    let token = house.portal("acme", "who", DOCUMENT, json!({})).await;
    let tokens = stdout(&run(&["token", "list", "acme", "who", "--json"]).await);
    let tokens: Value = serde_json::from_str(&tokens).unwrap();
    let uuid = tokens[0]["uuid"].as_str().unwrap();

    let refused = client(&url, &token, &["portal", "show", "acme", "who", "--json"]).await;
    assert_eq!((refused.status.code(), refused.stderr.len()), (Some(1), 0), "{refused:?}");
    let said: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert!(said["message"].is_string(), "{said}");
    for removed in [
        &["token", "revoke", "acme", "who", uuid, "--json"][..],
        &["portal", "delete", "acme", "who", "--json"],
        &["org", "delete", "acme", "--json"],
    ] {
        assert_eq!(stdout(&run(removed).await), "", "{removed:?}");
        let again = run(removed).await;
        assert_eq!((again.status.code(), again.stderr.len()), (Some(1), 0), "{again:?}");
        let said: Value = serde_json::from_slice(&again.stdout).unwrap();
        assert!(said["message"].as_str().unwrap().starts_with("No "), "{said}");
    }
}

#[tokio::test]
async fn the_demo_prints_calls_that_work_however_often_it_is_run() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let upstream = start(folder.path(), &["demo-upstream"], &[]);
    let upstream_url = format!("http://{}/graphql", upstream.address("demo-upstream").await);
    for _ in 0..8 {
        let arguments = ["demo", "--upstream-url", &upstream_url];
        let printed = Command::new(PORTALS)
            .args(arguments)
            .env_clear()
            .env("PORTALS_URL", house.url(""))
            .env("PORTALS_ADMIN_TOKEN", ADMIN_TOKEN)
            .output()
            .await
            .unwrap();
        let calls = calls(&stdout(&printed));
        assert_eq!(calls.len(), 4);
        for (token, body, url) in calls {
            house.secrets.add(&token);
            let authorization = format!("Bearer {token}");
            let headers = [("authorization", &*authorization), ("content-type", "application/json")];
            let reply =
                house.client.send(Method::POST, &url, &headers, body).await.unwrap().expect(200).json();
            assert!(reply["data"].is_object() && reply.get("errors").is_none(), "{url}: {reply}");
        }
    }
}

/// Token, body and URL of each curl command.
fn calls(printed: &str) -> Vec<(String, String, String)> {
    let between = |text: &str, from: &str, to: &str| {
        let rest = text.split_once(from).expect("a command has this part").1;
        rest.split_once(to).expect("the part ends").0.to_owned()
    };
    printed
        .split("curl ")
        .skip(1)
        .map(|call| {
            (between(call, "Bearer ", "\""), between(call, "-d '", "'"), between(call, "-X POST \"", "\""))
        })
        .collect()
}

#[tokio::test]
async fn a_demo_in_a_folder_of_its_own_can_be_started_again() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut process = start(folder.path(), &["up", "--demo"], &[]);
        ready(&process).await;
        let log = folder.path().join("log");
        until("the calls are printed", || async {
            std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Ctrl-C ends the demo"))
        })
        .await;
        process.signal(Signal::INT);
        assert_eq!(process.ended().await.code(), Some(0));
        let printed = std::fs::read_to_string(&log).unwrap();
        assert_eq!(calls(&printed).len(), 4, "{printed}");
        std::fs::remove_file(&log).unwrap();
    }
}

#[tokio::test]
async fn the_first_start_prints_the_operators_token_and_the_second_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    for prints in [true, false] {
        let mut process = start(folder.path(), &["up"], &[]);
        ready(&process).await;
        process.signal(Signal::TERM);
        assert_eq!(process.ended().await.code(), Some(0));
        until("its output is kept", || async {
            std::fs::read_to_string(&log).is_ok_and(|log| log.contains("\"stopped\""))
        })
        .await;
        assert_eq!(std::fs::read_to_string(&log).unwrap().contains("pta_"), prints);
        std::fs::remove_file(&log).unwrap();
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_of_the_system() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let listen = [("PORTALS_LISTEN", house.public().to_owned())];
    let mut second = start(folder.path(), &["up"], &listen);
    assert_eq!(second.ended().await.code(), Some(71));
    let first = start(folder.path(), &["up"], &[]);
    ready(&first).await;
    let mut same_store = start(folder.path(), &["up"], &[]);
    assert_eq!(same_store.ended().await.code(), Some(78), "the store is in use");
}
