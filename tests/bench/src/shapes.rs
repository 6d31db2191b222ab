//! What is measured: nginx, `portals up`, and edge, registry and executor apart, over TCP and over Unix sockets.

use crate::{
    Failure, nginx,
    upstream::{Answer, CREDENTIAL, Upstream},
};
use house::{Client, Process, until};
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{collections::HashMap, fs, net::SocketAddr, path::Path, sync::Arc};

const ADMIN_TOKEN: &str = "bench-admin-token-0123456789abcdef";
const EDGE_KEY: &str = "bench-edge-key-0123456789abcdef0123456789";
const SECRET_KEY: &str = "YmVuY2gtc2VjcmV0LWtleS0wMTIzNDU2Nzg5YWJjZGU=";
const DOCUMENT: &str = "query GetBuilds($pipelineSlug: ID!) { pipeline(slug: $pipelineSlug) { builds(last: 10, branch: \"main\") { edges { node { url } } } } }";
/// So many different variables that what is in flight at once is never the same.
const BODIES: u32 = 4096;

/// Something that calls the upstream for its callers.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// Whose CPU time counts, with all that they have started.
    pub(crate) processes: Vec<u32>,
    /// For each answer: the path, and the bearer.
    doors: HashMap<&'static str, (String, String)>,
    /// Whether a caller has to send the document with it.
    whole: bool,
    running: Vec<Process>,
}

impl Contender {
    /// Requests that bring this answer, each with other variables.
    pub(crate) fn requests(&self, answer: Answer) -> Arc<Vec<Vec<u8>>> {
        let Some((path, bearer)) = self.doors.get(answer.name()) else { return Arc::default() };
        let request = |number| {
            let variables = json!({"pipelineSlug": format!("pipe-{number:06}")});
            let body = if self.whole {
                json!({"query": DOCUMENT, "operationName": "GetBuilds", "variables": variables})
            } else {
                variables
            };
            let (body, address) = (body.to_string(), self.address);
            let length = body.len();
            format!(
                "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {bearer}\r\n\
                 Content-Type: application/json\r\nAccept: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .into_bytes()
        };
        Arc::new((0..BODIES).map(request).collect())
    }

    /// Stops its processes as one should, so that they stop what they have started.
    pub(crate) async fn close(self) {
        for mut process in self.running {
            process.signal(Signal::TERM);
            process.ended().await;
        }
    }
}

/// Starts everything that is measured, one beside the other; what waits costs nothing.
pub(crate) async fn open(
    binary: &Path,
    folder: &Path,
    upstream: &Upstream,
) -> Result<Vec<Contender>, Failure> {
    let starts = Start { binary, folder, upstream };
    let mut contenders = vec![starts.up().await?];
    contenders.push(starts.split("split, TCP", Join::Tcp).await?);
    contenders.push(starts.split("split, Unix", Join::Unix).await?);
    // Last, since its workers outlive a failure here; and first in the table, since it is what the others stand beside.
    match nginx::open(folder, upstream)? {
        None => eprintln!("SKIPPED: nginx is not installed, so there is nothing to compare with"),
        Some((address, process)) => {
            let door = |answer: Answer| (format!("/{}", answer.name()), nginx::BEARER.to_owned());
            until("nginx listens", || async { tokio::net::TcpStream::connect(address).await.is_ok() }).await;
            let nginx = Contender {
                name: "nginx",
                address,
                processes: vec![process.id()],
                doors: Answer::ALL.map(|answer| (answer.name(), door(answer))).into(),
                whole: true,
                running: vec![process],
            };
            contenders.insert(0, nginx);
        }
    }
    Ok(contenders)
}

#[derive(Clone, Copy)]
enum Join {
    Tcp,
    Unix,
}

struct Start<'a> {
    binary: &'a Path,
    folder: &'a Path,
    upstream: &'a Upstream,
}

impl Start<'_> {
    async fn up(&self) -> Result<Contender, Failure> {
        let folder = self.room("up")?;
        let anywhere = "127.0.0.1:0";
        let process = self.process(
            &["up", "--data-dir", &folder, "--listen", anywhere, "--ops-listen", anywhere],
            &["--registry-listen", anywhere, "--executor-listen", anywhere],
        );
        self.contender("up", vec![process]).await
    }

    async fn split(&self, name: &'static str, join: Join) -> Result<Contender, Failure> {
        let folder = self.room(name.trim_start_matches("split, "))?;
        let anywhere = "127.0.0.1:0";
        let (registry_at, executor_at) = match join {
            Join::Tcp => (anywhere.to_owned(), anywhere.to_owned()),
            Join::Unix => (format!("unix:{folder}/registry"), format!("unix:{folder}/executor")),
        };
        let registry = self.process(
            &["registry", "--data-dir", &folder],
            &["--ops-listen", anywhere, "--registry-listen", &registry_at],
        );
        let executor =
            self.process(&["executor"], &["--ops-listen", anywhere, "--executor-listen", &executor_at]);
        let (to_registry, to_executor) = match join {
            Join::Tcp => (
                format!("http://{}", registry.address("registry").await),
                format!("http://{}", executor.address("executor").await),
            ),
            Join::Unix => (registry_at, executor_at),
        };
        let edge = self.process(
            &["edge", "--listen", anywhere, "--ops-listen", anywhere],
            &["--registry", &to_registry, "--executor", &to_executor],
        );
        self.contender(name, vec![edge, registry, executor]).await
    }

    /// A folder for the state of one house.
    fn room(&self, name: &str) -> Result<String, Failure> {
        let folder = self.folder.join(name);
        fs::create_dir(&folder)?;
        Ok(folder.display().to_string())
    }

    fn process(&self, command: &[&str], more: &[&str]) -> Process {
        let arguments: Vec<String> = command.iter().chain(more).map(|word| (*word).to_owned()).collect();
        let role = command.first().copied().unwrap_or_default();
        let secret = ("PORTALS_SECRET_KEY", SECRET_KEY.to_owned());
        let edge = ("PORTALS_EDGE_KEY", EDGE_KEY.to_owned());
        let admin = ("PORTALS_ADMIN_TOKEN", ADMIN_TOKEN.to_owned());
        let mut environment = match role {
            "up" => vec![secret, admin],
            "registry" => vec![secret, edge, admin],
            "executor" => vec![secret],
            _ => vec![edge],
        };
        environment.push(("PORTALS_LOG_FORMAT", "json".to_owned()));
        Process::start(self.binary, &arguments, &environment, &self.folder.join("output"))
    }

    /// Waits until the first of these processes serves, and makes a portal for each answer.
    async fn contender(&self, name: &'static str, running: Vec<Process>) -> Result<Contender, Failure> {
        let edge = running.first().ok_or("a house has a process")?;
        let ready = format!("http://{}/readyz", edge.address("ops").await);
        let client = Client::default();
        until("it is ready", || async {
            client.send(Method::GET, &ready, &[], "").await.is_ok_and(|reply| reply.status == 200)
        })
        .await;
        let address: SocketAddr = edge.address("http").await.parse()?;
        let mut doors = HashMap::new();
        for answer in Answer::ALL {
            doors.insert(answer.name(), self.door(&client, address, answer).await?);
        }
        let processes = running.iter().map(Process::id).collect();
        Ok(Contender { name, address, processes, doors, whole: false, running })
    }

    /// Makes an organization whose upstream gives this answer, with a portal: its path and its bearer.
    async fn door(
        &self,
        client: &Client,
        address: SocketAddr,
        answer: Answer,
    ) -> Result<(String, String), Failure> {
        let name = answer.name();
        let organization = json!({
            "name": name, "slug": name, "rate_limit_per_minute": 0,
            "upstream_url": format!("http://{}/{name}", self.upstream.address), "upstream_token": CREDENTIAL,
        });
        let portal = json!({"name": "GetBuilds", "slug": "get-builds", "query": DOCUMENT});
        create(client, &format!("http://{address}/v2/organizations"), organization).await?;
        let made =
            create(client, &format!("http://{address}/v2/organizations/{name}/portals"), portal).await?;
        let token = made.get("token").and_then(Value::as_str).ok_or("a new portal comes with a token")?;
        Ok((format!("/organizations/{name}/portals/get-builds"), token.to_owned()))
    }
}

async fn create(client: &Client, url: &str, what: Value) -> Result<Value, Failure> {
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let reply = client.send(Method::POST, url, &headers, what.to_string()).await?;
    if reply.status != 201 {
        return Err(format!("{url}: {} {}", reply.status, String::from_utf8_lossy(&reply.body)).into());
    }
    Ok(reply.json())
}
