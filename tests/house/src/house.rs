//! A house: its processes, its upstream, and the few things that nearly every test does.

use crate::{
    Client, Process, Reply, Secrets, Upstream,
    start::{Addresses, EDGE_KEY, SECRET_KEY, Told, start_edge, start_executor, start_registry, start_up},
};
use http::Method;
use serde_json::{Value, json};
use std::{io::Write, path::PathBuf, time::Duration};
use tempfile::TempDir;

/// The operator's token of every house.
pub const ADMIN_TOKEN: &str = "canary-admin-token-0123456789abcdef0123456789";
/// The credential that every upstream of a house is called with.
pub const CREDENTIAL: &str = "canary-upstream-credential-0123456789abcdef";

/// How a house is laid out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// `portals up`: everything in one process.
    Up,
    /// A registry, an executor and this many edges.
    Split {
        /// How many edges.
        edges: usize,
    },
}

/// A running house.
pub struct House {
    /// What it has in common with every house of its kind.
    binary: PathBuf,
    folder: TempDir,
    arguments: Vec<String>,
    told: Told,
    /// Everything in one process, or the registry.
    pub registry: Process,
    /// The executor, where it is a process of its own.
    pub executor: Option<Process>,
    /// The edges, where they are processes of their own.
    pub edges: Vec<Process>,
    addresses: Addresses,
    /// The upstream.
    pub upstream: Upstream,
    /// The client of [`House::call`] and its like.
    pub client: Client,
    /// Every secret that the house was given or has made.
    pub secrets: Secrets,
}

impl House {
    /// Opens a house of this shape on free ports, with `arguments` for the edges (or `up`).
    pub async fn open(binary: &str, shape: Shape, arguments: &[&str]) -> Self {
        Self::open_told(binary, shape, arguments, &[]).await
    }

    /// The same, with these variables for the registry (or `up`).
    pub async fn open_told(
        binary: &str,
        shape: Shape,
        arguments: &[&str],
        told: &[(&'static str, &str)],
    ) -> Self {
        let told: Told = told.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let binary = PathBuf::from(binary);
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let upstream = Upstream::open().await;
        let secrets = Secrets::default();
        for secret in [ADMIN_TOKEN, CREDENTIAL, EDGE_KEY, SECRET_KEY] {
            secrets.add(secret);
        }
        let mut addresses = Addresses::default();
        let (registry, executor, edges) = match shape {
            Shape::Up => {
                (start_up(&binary, folder.path(), &arguments, &told, &mut addresses).await, None, Vec::new())
            }
            Shape::Split { edges: count } => {
                let registry = start_registry(&binary, folder.path(), &told, &mut addresses).await;
                let executor = start_executor(&binary, folder.path(), &mut addresses).await;
                let mut edges = Vec::new();
                for at in 0..count {
                    edges.push(start_edge(&binary, folder.path(), &arguments, &mut addresses, at).await);
                }
                (registry, Some(executor), edges)
            }
        };
        let client = Client::default();
        let house = Self {
            binary,
            folder,
            arguments,
            told,
            registry,
            executor,
            edges,
            addresses,
            upstream,
            client,
            secrets,
        };
        house.ready().await;
        house
    }

    /// Waits until every part says that it can serve.
    pub async fn ready(&self) {
        for ops in &self.addresses.ops {
            let url = format!("http://{ops}/readyz");
            until("it is ready", || async {
                let reply = self.client.send(Method::GET, &url, &[], "").await;
                reply.is_ok_and(|reply| reply.status == 200)
            })
            .await;
        }
    }

    /// The URL of a path at the first edge.
    pub fn url(&self, path: &str) -> String {
        self.url_at(0, path)
    }

    /// The URL of a path at one of the edges.
    pub fn url_at(&self, edge: usize, path: &str) -> String {
        format!("http://{}{path}", self.addresses.public[edge])
    }

    /// The public address of the first edge.
    pub fn public(&self) -> &str {
        &self.addresses.public[0]
    }

    /// The addresses of the registry's and the executor's gRPC.
    pub fn grpc(&self) -> (&str, &str) {
        (&self.addresses.registry, &self.addresses.executor)
    }

    /// Where its state lies.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Calls the management API as the operator.
    pub async fn manage(&self, method: Method, path: &str, body: Value) -> Reply {
        self.manage_as(ADMIN_TOKEN, method, path, body).await
    }

    /// Calls the management API as whoever holds `token`.
    pub async fn manage_as(&self, token: &str, method: Method, path: &str, body: Value) -> Reply {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply =
            self.client.send(method, &self.url(path), &headers, body).await.expect("the edge answers");
        self.learned(&reply);
        reply
    }

    /// Asks for a token of a portal, of one of the edges.
    ///
    /// # Errors
    ///
    /// What went wrong with the connection.
    pub async fn exchange_at(
        &self,
        edge: usize,
        organization: &str,
        portal: &str,
        headers: &[(&str, &str)],
        body: impl ToString,
    ) -> Result<Reply, String> {
        let url = self.url_at(edge, &format!("/organizations/{organization}/portals/{portal}/tokens"));
        let reply = self.client.send(Method::POST, &url, headers, body.to_string()).await?;
        self.learned(&reply);
        Ok(reply)
    }

    /// Looks for secrets in an answer; what it makes itself is one from then on.
    fn learned(&self, reply: &Reply) {
        self.searched(reply);
        let made: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let secrets = ["token", "secret"].into_iter().filter_map(|name| made.get(name)?.as_str());
        secrets.for_each(|secret| self.secrets.add(secret));
    }

    /// Makes an organization whose upstream is this house's.
    pub async fn organization(&self, slug: &str, more: Value) {
        let mut body = json!({"name": slug, "slug": slug, "upstream_url": self.upstream.url(), "upstream_token": CREDENTIAL});
        merge(&mut body, more);
        self.manage(Method::POST, "/v2/organizations", body).await.expect(201);
    }

    /// Makes a portal; its token is the answer.
    pub async fn portal(&self, organization: &str, slug: &str, document: &str, more: Value) -> String {
        let mut body = json!({"name": slug, "slug": slug, "query": document});
        merge(&mut body, more);
        let path = format!("/v2/organizations/{organization}/portals");
        let made = self.manage(Method::POST, &path, body).await.expect(201).json();
        made["token"].as_str().expect("a new portal comes with a token").to_owned()
    }

    /// Calls a portal through the first edge.
    pub async fn call(
        &self,
        organization: &str,
        portal: &str,
        token: &str,
        variables: impl ToString,
    ) -> Reply {
        self.call_at(0, organization, portal, token, variables).await.expect("the edge answers")
    }

    /// Calls a portal through one of the edges.
    ///
    /// # Errors
    ///
    /// What went wrong with the connection.
    pub async fn call_at(
        &self,
        edge: usize,
        organization: &str,
        portal: &str,
        token: &str,
        variables: impl ToString,
    ) -> Result<Reply, String> {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let url = self.url_at(edge, &format!("/organizations/{organization}/portals/{portal}"));
        self.client
            .send(Method::POST, &url, &headers, variables.to_string())
            .await
            .inspect(|reply| self.searched(reply))
    }

    /// Looks for secrets in an answer.
    fn searched(&self, reply: &Reply) {
        self.secrets.assert_absent_in("an answer", &reply.body);
        self.secrets.assert_absent_in("an answer's head", format!("{:?}", reply.headers).as_bytes());
    }

    /// Starts the registry (or `up`) again where it was, after it was killed.
    pub async fn restart_registry(&mut self) {
        let mut addresses = self.addresses.clone();
        self.registry = match self.executor {
            None => {
                start_up(&self.binary, self.folder.path(), &self.arguments, &self.told, &mut addresses).await
            }
            Some(_) => start_registry(&self.binary, self.folder.path(), &self.told, &mut addresses).await,
        };
        self.ready().await;
    }

    /// Starts the executor again where it was, after it was killed.
    pub async fn restart_executor(&mut self) {
        let mut addresses = self.addresses.clone();
        self.executor = Some(start_executor(&self.binary, self.folder.path(), &mut addresses).await);
        self.ready().await;
    }

    /// Starts an edge again where it was, after it was killed.
    pub async fn restart_edge(&mut self, at: usize) {
        let mut addresses = self.addresses.clone();
        let edge = start_edge(&self.binary, self.folder.path(), &self.arguments, &mut addresses, at).await;
        self.edges[at] = edge;
        self.ready().await;
    }

    /// What the first part counts.
    ///
    /// # Panics
    ///
    /// When it does not say.
    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.addresses.ops.first().expect("every part says where"));
        let reply = self.client.send(Method::GET, &url, &[], "").await.expect("it answers").expect(200);
        String::from_utf8_lossy(&reply.body).into_owned()
    }

    /// Stops everything in the right order, and searches all that is left for secrets.
    ///
    /// # Panics
    ///
    /// When a part does not end well, or a secret is found.
    pub async fn close(mut self) {
        for ops in &self.addresses.ops {
            let url = format!("http://{ops}/metrics");
            let metrics = self.client.send(Method::GET, &url, &[], "").await.expect("it answers").expect(200);
            self.secrets.assert_absent_in("metrics", &metrics.body);
        }
        let parts = self.edges.iter_mut().chain(&mut self.executor).chain(Some(&mut self.registry));
        for part in parts {
            part.signal(rustix::process::Signal::TERM);
            let status = part.ended().await;
            assert!(status.success(), "a part ended with {status}");
        }
    }
}

/// Whatever way a test goes, what its house leaves is searched for secrets.
impl Drop for House {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.secrets.assert_absent_below(self.folder.path());
        }
    }
}

/// Says that something is not tested here, and why: to whoever runs the tests, though the test passes.
pub fn skipped(why: impl std::fmt::Display) {
    // Not by the macro, whose words are shown of failed tests alone.
    let _gone = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Asks again and again until it is so.
///
/// # Panics
///
/// When it does not come to be so within a minute.
pub async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let asking = async {
        while !so().await {
            tick.tick().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), asking).await.is_ok(), "waited in vain: {what}");
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
