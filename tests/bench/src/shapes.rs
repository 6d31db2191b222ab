//! The house in its shapes: `portals up`, and edge, registry and executor apart, over TCP and over Unix sockets.

use crate::{
    Failure,
    contender::{Contender, Door, Kind, Part},
    request,
    upstream::{Answer, CREDENTIAL, Upstream},
};
use house::{Client, Process, until};
use http::Method;
use serde_json::{Value, json};
use std::{fs, path::Path};

pub(crate) const ADMIN_TOKEN: &str = "bench-admin-token-0123456789abcdef";
const EDGE_KEY: &str = "bench-edge-key-0123456789abcdef0123456789";
const SECRET_KEY: &str = "YmVuY2gtc2VjcmV0LWtleS0wMTIzNDU2Nzg5YWJjZGU=";
const ANYWHERE: &str = "127.0.0.1:0";

/// What every portal runs.
pub(crate) const DOCUMENT: &str = "query GetBuilds($pipelineSlug: ID!) { pipeline(slug: $pipelineSlug) { builds(last: 10, branch: \"main\") { edges { node { url } } } } }";
/// What is sent to a portal.
pub(crate) const VARIABLES: &str = r#"{"pipelineSlug":"pipe-{n}"}"#;

/// What houses are built of.
pub(crate) struct Shapes<'a> {
    pub(crate) binary: &'a Path,
    /// Where their state and output go, a folder each.
    pub(crate) folder: &'a Path,
    pub(crate) upstream: &'a Upstream,
}

/// What a house takes on, where it is not what it takes on by itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) calls: Option<u32>,
    pub(crate) calls_per_upstream: Option<u32>,
}

impl Limits {
    fn edge(self) -> Vec<String> {
        flag("--max-calls", self.calls)
    }

    fn executor(self) -> Vec<String> {
        flag("--max-calls-per-upstream", self.calls_per_upstream)
    }
}

fn flag(name: &str, value: Option<u32>) -> Vec<String> {
    value.map(|value| vec![name.to_owned(), value.to_string()]).unwrap_or_default()
}

impl Shapes<'_> {
    /// Opens a house of this shape that has no portals yet; `None` where it is no house.
    pub(crate) async fn open(&self, kind: Kind, limits: Limits) -> Result<Option<Contender>, Failure> {
        Ok(match kind {
            Kind::Direct | Kind::Nginx | Kind::NginxLua => None,
            Kind::Up => Some(self.up(limits).await?),
            Kind::SplitTcp => Some(self.split(kind, (ANYWHERE, ANYWHERE), limits).await?),
            Kind::SplitUnix => {
                let room = self.room(kind)?;
                let ends = (format!("unix:{room}/registry"), format!("unix:{room}/executor"));
                Some(self.split(kind, (&ends.0, &ends.1), limits).await?)
            }
        })
    }

    async fn up(&self, limits: Limits) -> Result<Contender, Failure> {
        let room = self.room(Kind::Up)?;
        let more = [limits.edge(), limits.executor(), self.trust()].concat();
        let process = self.process(
            &["up", "--data-dir", &room, "--listen", ANYWHERE, "--ops-listen", ANYWHERE],
            &["--registry-listen", ANYWHERE, "--executor-listen", ANYWHERE],
            more,
        );
        opened(Kind::Up, vec![Part { role: "up", process }]).await
    }

    async fn split(
        &self,
        kind: Kind,
        (registry_at, executor_at): (&str, &str),
        limits: Limits,
    ) -> Result<Contender, Failure> {
        let room = self.room(kind)?;
        let registry = self.process(
            &["registry", "--data-dir", &room],
            &["--ops-listen", ANYWHERE, "--registry-listen", registry_at],
            Vec::new(),
        );
        let executor = self.process(
            &["executor"],
            &["--ops-listen", ANYWHERE, "--executor-listen", executor_at],
            [limits.executor(), self.trust()].concat(),
        );
        let to_registry = reach(&registry, "registry", registry_at).await;
        let to_executor = reach(&executor, "executor", executor_at).await;
        let edge = self.process(
            &["edge", "--listen", ANYWHERE, "--ops-listen", ANYWHERE],
            &["--registry", &to_registry, "--executor", &to_executor],
            limits.edge(),
        );
        let parts = [("edge", edge), ("executor", executor), ("registry", registry)];
        opened(kind, parts.map(|(role, process)| Part { role, process }).into()).await
    }

    /// The folder for the state of one house; what it has kept from before is kept.
    fn room(&self, kind: Kind) -> Result<String, Failure> {
        let folder = self.folder.join(kind.name());
        fs::create_dir_all(&folder)?;
        Ok(folder.display().to_string())
    }

    /// So that the upstream is believed where it speaks TLS.
    fn trust(&self) -> Vec<String> {
        vec!["--upstream-ca".to_owned(), self.upstream.certificate.display().to_string()]
    }

    fn process(&self, command: &[&str], more: &[&str], last: Vec<String>) -> Process {
        let words = command.iter().chain(more).map(|word| (*word).to_owned());
        let arguments: Vec<String> = words.chain(last).collect();
        let role = command.first().copied().unwrap_or_default();
        let secret = ("PORTALS_SECRET_KEY", SECRET_KEY.to_owned());
        let edge = ("PORTALS_EDGE_KEY", EDGE_KEY.to_owned());
        let admin = ("PORTALS_ADMIN_TOKEN", ADMIN_TOKEN.to_owned());
        let unlimited = ("PORTALS_REST_RATE_LIMIT", "0".to_owned());
        let mut environment = match role {
            "up" => vec![secret, admin, unlimited],
            "registry" => vec![secret, edge, admin],
            "executor" => vec![secret],
            _ => vec![edge, unlimited],
        };
        environment.push(("PORTALS_LOG_FORMAT", "json".to_owned()));
        Process::start(self.binary, &arguments, &environment, &self.folder.join("output"))
    }

    /// Makes an organization for each answer whose upstream gives it, with a portal.
    pub(crate) async fn furnish(&self, house: &mut Contender, answers: &[Answer]) -> Result<(), Failure> {
        let client = Client::default();
        let v2 = format!("http://{}/v2/organizations", house.address);
        for answer in answers {
            let name = answer.name();
            create(&client, &v2, organization(name, self.upstream, *answer)).await?;
            let portal = json!({"name": "GetBuilds", "slug": "get-builds", "query": DOCUMENT});
            let made = create(&client, &format!("{v2}/{name}/portals"), portal).await?;
            let token = made.get("token").and_then(Value::as_str).ok_or("a new portal comes with a token")?;
            let door = Door {
                path: format!("/organizations/{name}/portals/get-builds"),
                headers: request::bearer(token),
                body: VARIABLES.to_owned(),
            };
            house.has(*answer, door);
        }
        Ok(())
    }
}

/// An organization whose upstream gives this answer, as it is asked for.
pub(crate) fn organization(slug: &str, upstream: &Upstream, answer: Answer) -> Value {
    json!({
        "name": slug, "slug": slug, "rate_limit_per_minute": 0,
        "upstream_url": upstream.url(answer), "upstream_token": CREDENTIAL,
    })
}

/// Where the others find a process: at its Unix socket, or at the port that it was given.
async fn reach(process: &Process, service: &str, at: &str) -> String {
    if at.starts_with("unix:") { at.to_owned() } else { format!("http://{}", process.address(service).await) }
}

/// Waits until the first of these processes serves.
async fn opened(kind: Kind, parts: Vec<Part>) -> Result<Contender, Failure> {
    let edge = &parts.first().ok_or("a house has a process")?.process;
    let ready = format!("http://{}/readyz", edge.address("ops").await);
    let client = Client::default();
    until("it is ready", || async {
        client.send(Method::GET, &ready, &[], "").await.is_ok_and(|reply| reply.status == 200)
    })
    .await;
    let address = edge.address("http").await.parse()?;
    Ok(Contender::new(kind.name(), address, parts))
}

pub(crate) async fn create(client: &Client, url: &str, what: Value) -> Result<Value, Failure> {
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let reply = client.send(Method::POST, url, &headers, what.to_string()).await?;
    if reply.status != 201 {
        return Err(format!("{url}: {} {}", reply.status, String::from_utf8_lossy(&reply.body)).into());
    }
    Ok(reply.json())
}
