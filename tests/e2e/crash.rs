//! No acknowledged write is lost, and no revoked token comes back, however the house dies.
//!
//! `PORTALS_TEST_KILLS` and `PORTALS_TEST_POWERCUTS` say how often; without them it is the short form.

use crate::PORTALS;
use house::{ADMIN_TOKEN, CREDENTIAL, Client, Process, Upstream, until};
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

const SECRET_KEY: &str = "Y2FuYXJ5LXNlY3JldC1rZXktMDEyMzQ1Njc4OWFiY2Q=";
const DOCUMENT: &str = "query Who { viewer { user { name } } }";
const WRITERS: usize = 8;
/// How many of the tokens of earlier rounds are looked at after each death; at the end all are.
const SAMPLE: usize = 40;

#[tokio::test]
async fn no_acknowledged_write_is_lost_when_the_house_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::default();
    let upstream = Upstream::open().await;
    for round in 0..times("PORTALS_TEST_KILLS", 12) {
        live_and_die(folder.path(), &[], &upstream, &mut ledger, round).await;
    }
    last_judgement(folder.path(), &upstream, &ledger).await;
}

#[tokio::test]
async fn no_acknowledged_write_is_lost_when_the_power_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let Some(powercut) = powercut(folder.path()) else { return };
    let mut ledger = Ledger::default();
    let upstream = Upstream::open().await;
    let (data, shadow) = (folder.path().join("data"), folder.path().join("shadow"));
    fs::create_dir(&data).unwrap();
    for round in 0..times("PORTALS_TEST_POWERCUTS", 4) {
        // What was durable when the power was cut is what there is when it is back.
        let _fresh = fs::remove_dir_all(&shadow);
        let copied = Command::new("cp").arg("-a").arg(&data).arg(&shadow).status().unwrap();
        assert!(copied.success());
        let environment = [
            ("LD_PRELOAD", powercut.display().to_string()),
            ("PC_WATCH", data.display().to_string()),
            ("PC_SHADOW", shadow.display().to_string()),
        ];
        live_and_die(folder.path(), &environment, &upstream, &mut ledger, round).await;
        fs::remove_dir_all(&data).unwrap();
        fs::rename(&shadow, &data).unwrap();
    }
    last_judgement(folder.path(), &upstream, &ledger).await;
}

fn times(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|times| times.parse().ok()).unwrap_or(otherwise)
}

/// Builds the library that plays the power cut; `None`, loudly, where there is no source or no compiler.
fn powercut(folder: &Path) -> Option<PathBuf> {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/tools/powercut.c");
    let library = folder.join("powercut.so");
    if !source.exists() {
        house::skipped("there is no ../shared/tools/powercut.c");
        return None;
    }
    let built = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .status();
    if !built.is_ok_and(|status| status.success()) {
        house::skipped("there is no C compiler for powercut.c");
        return None;
    }
    Some(library)
}

/// What was acknowledged: portals by slug and tokens by uuid.
#[derive(Default)]
struct Ledger {
    portals: Vec<String>,
    tokens: HashMap<String, Token>,
}

#[derive(Clone)]
struct Token {
    portal: String,
    bearer: String,
    alive: bool,
}

/// A house of one process that can be killed.
struct Mortal {
    process: Process,
    client: Client,
    public: String,
}

impl Mortal {
    async fn born(folder: &Path, more: &[(&'static str, String)]) -> Self {
        let data = folder.join("data").display().to_string();
        let arguments = ["up", "--data-dir", &data].map(str::to_owned).into_iter();
        let listen = ["listen", "ops-listen", "registry-listen", "executor-listen"]
            .into_iter()
            .flat_map(|name| [format!("--{name}"), "127.0.0.1:0".to_owned()]);
        let arguments: Vec<String> = arguments.chain(listen).collect();
        let mut environment = vec![
            // It looks at more than anybody may in a minute.
            ("PORTALS_REST_RATE_LIMIT", "0".to_owned()),
            ("PORTALS_LOG", "info".to_owned()),
            ("PORTALS_LOG_FORMAT", "json".to_owned()),
            ("PORTALS_SECRET_KEY", SECRET_KEY.to_owned()),
            ("PORTALS_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
        ];
        environment.extend_from_slice(more);
        let process = Process::start(Path::new(PORTALS), &arguments, &environment, &folder.join("log"));
        let public = process.address("http").await;
        let ops = process.address("ops").await;
        let client = Client::default();
        until("it is ready", || async {
            let ready = client.send(Method::GET, &format!("http://{ops}/readyz"), &[], "").await;
            ready.is_ok_and(|ready| ready.status == 200)
        })
        .await;
        Self { process, client, public }
    }

    /// Manages; `None` when the house died before it answered.
    async fn manage(&self, method: Method, path: &str, body: Value) -> Option<(u16, Value)> {
        let authorization = format!("Bearer {ADMIN_TOKEN}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let url = format!("http://{}/v2/organizations{path}", self.public);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.client.send(method, &url, &headers, body).await.ok()?;
        Some((reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap_or_default()))
    }

    async fn call(&self, token: &Token) -> u16 {
        let authorization = format!("Bearer {}", token.bearer);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let url = format!("http://{}/organizations/acme/portals/{}", self.public, token.portal);
        self.client.send(Method::POST, &url, &headers, "{}").await.expect("it lives").status.as_u16()
    }
}

/// One life: look at what earlier lives left, write from many sides, die at a random moment.
async fn live_and_die(
    folder: &Path,
    environment: &[(&'static str, String)],
    upstream: &Upstream,
    ledger: &mut Ledger,
    round: usize,
) {
    let mut house = Mortal::born(folder, environment).await;
    let organization = json!({"name": "acme", "upstream_url": upstream.url(), "upstream_token": CREDENTIAL, "rate_limit_per_minute": 0});
    if round == 0 {
        assert_eq!(house.manage(Method::POST, "", organization).await.unwrap().0, 201);
    }
    judge(&house, ledger, SAMPLE, round).await;

    let written = Mutex::new(Ledger::default());
    let acknowledged = AtomicUsize::new(0);
    let death = 1 + random(80);
    let writing = async {
        let writers =
            (0..WRITERS).map(|writer| write(&house, format!("r{round}-w{writer}"), &written, &acknowledged));
        futures_join(writers.collect()).await;
    };
    let dying = async {
        until("enough was written", || async { acknowledged.load(Ordering::SeqCst) >= death }).await;
        house.process.signal(Signal::KILL);
    };
    tokio::join!(writing, dying);
    house.process.ended().await;
    let written = written.into_inner().unwrap();
    ledger.portals.extend(written.portals);
    ledger.tokens.extend(written.tokens);
}

/// Runs all of them at once.
async fn futures_join<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pinned.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if pinned.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Makes portals, mints tokens and revokes every other one, and notes what was acknowledged. A token whose revocation
/// was asked for and not acknowledged may be alive or dead: it is struck out.
async fn write(house: &Mortal, name: String, written: &Mutex<Ledger>, acknowledged: &AtomicUsize) {
    for number in 0.. {
        let slug = format!("{name}-{number}");
        let document =
            if number % 3 == 0 { format!("{DOCUMENT} #{}", "x".repeat(20_000)) } else { DOCUMENT.to_owned() };
        let body = json!({"name": slug, "query": document});
        let Some((status, made)) = house.manage(Method::POST, "/acme/portals", body).await else { return };
        assert_eq!(status, 201, "{made}");
        written.lock().unwrap().portals.push(slug.clone());
        acknowledged.fetch_add(1, Ordering::SeqCst);
        for minted in 0..3 {
            let path = format!("/acme/portals/{slug}/tokens");
            let Some((status, made)) = house.manage(Method::POST, &path, json!({})).await else { return };
            assert_eq!(status, 201, "{made}");
            let (uuid, bearer) =
                (made["uuid"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned());
            let token = Token { portal: slug.clone(), bearer, alive: true };
            written.lock().unwrap().tokens.insert(uuid.clone(), token.clone());
            acknowledged.fetch_add(1, Ordering::SeqCst);
            if minted == 1 {
                continue;
            }
            written.lock().unwrap().tokens.remove(&uuid);
            let Some((status, _)) =
                house.manage(Method::DELETE, &format!("{path}/{uuid}"), Value::Null).await
            else {
                return;
            };
            assert_eq!(status, 204);
            written.lock().unwrap().tokens.insert(uuid, Token { alive: false, ..token });
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Looks whether what was acknowledged is still so: the newest of it, and some of the rest.
async fn judge(house: &Mortal, ledger: &Ledger, sample: usize, round: usize) {
    let newest = format!("r{}-", round.wrapping_sub(1));
    let mut others = 0;
    for token in ledger.tokens.values() {
        if !token.portal.starts_with(&newest) {
            others += 1;
            if others > sample {
                continue;
            }
        }
        let expected = if token.alive { 200 } else { 401 };
        assert_eq!(house.call(token).await, expected, "a token of {} after death {round}", token.portal);
    }
    for slug in ledger.portals.iter().rev().take(sample.max(200)) {
        let (status, portal) =
            house.manage(Method::GET, &format!("/acme/portals/{slug}"), Value::Null).await.unwrap();
        assert_eq!(status, 200, "{slug} after death {round}");
        assert!(portal["query"].as_str().unwrap().starts_with(DOCUMENT));
    }
}

async fn last_judgement(folder: &Path, upstream: &Upstream, ledger: &Ledger) {
    let house = Mortal::born(folder, &[]).await;
    judge(&house, ledger, usize::MAX, usize::MAX).await;
    let dead = ledger.tokens.values().filter(|token| !token.alive).count();
    println!(
        "{} portals, {} tokens of which {dead} revoked, {} calls: nothing lost, nothing back",
        ledger.portals.len(),
        ledger.tokens.len(),
        upstream.calls()
    );
    assert!(dead > 0 && ledger.tokens.len() > dead, "the rounds were too short to prove anything");
}

/// A number below `end` that nobody foresees.
fn random(end: usize) -> usize {
    use std::hash::{BuildHasher, RandomState};
    usize::try_from(RandomState::new().hash_one(0) % u64::try_from(end).unwrap()).unwrap()
}
