//! `portals demo-upstream`: a GraphQL API to try portals with.

use crate::{
    cli::serve,
    config::{Listen, secret},
    demo::upstream,
    exit::Failure,
    host::{
        Station,
        connection::{Peers, Room},
    },
    ops::Readiness,
};
use std::sync::Arc;

/// Runs the API until a signal.
pub(crate) fn run(options: serve::DemoUpstream) -> Result<(), Failure> {
    let token = options.upstream_token;
    let token = secret::read("upstream-token", token.upstream_token, token.upstream_token_file)?;
    super::run(&options.process, |process| async move {
        let router = upstream::router(token);
        let station = Station {
            name: "demo-upstream",
            bound: process.bind(&Listen::Tcp(options.listen))?,
            peers: Peers::Public,
            room: Arc::new(move || Room::Routes(router.clone())),
        };
        let readiness = Readiness::new(Vec::new(), process.shutdown.clone());
        process.serve(vec![station], readiness, std::future::pending()).await
    })
}
