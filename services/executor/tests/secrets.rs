//! The upstream's credential and the callers' variables stand in no log line, however much is logged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails ends here")]

mod support;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use model::Reason;
use proto::{
    Execute,
    executor::v1::{ExecuteRequest, executor_service_client::ExecutorServiceClient},
};
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};
use support::{
    CREDENTIAL, House, QUERY,
    upstream::{Act, Upstream, ok, reply},
};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

const VARIABLE: &str = "canary-variable-9876543210";

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_even_at_trace_level() {
    let log = Log::default();
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(log.clone()).init();
    let house = House::open();
    let echo = format!(r#"{{"data":"{CREDENTIAL} {VARIABLE}"}}"#);
    let encoded = format!(r#"{{"data":"{}"}}"#, STANDARD.encode(format!("Bearer {CREDENTIAL}")));
    let upstream = Upstream::start([
        Act::Write(ok(&echo)),
        Act::Write(ok(&encoded)),
        Act::Write(reply("500 Internal Server Error", "", &echo)),
        Act::Write(reply("401 Unauthorized", "", &echo)),
        Act::Reset(Vec::new()),
        Act::Reset(Vec::new()),
    ])
    .await;
    let grant = house.grant(QUERY, &upstream.url);
    let variables = Bytes::from(format!(r#"{{"id":"{VARIABLE}"}}"#));
    let bad = Bytes::from(format!(r#"{{"id":["{VARIABLE}"], "{VARIABLE}": {{}} }}"#));
    let broken = Bytes::from(format!(r#"{{"{VARIABLE}":1,"{VARIABLE}":2}}"#));
    let mut reasons = Vec::new();
    for variables in [&variables, &variables, &variables, &variables, &variables, &bad, &broken] {
        let mut call = grant.call();
        call.variables = variables.clone();
        let fault = house.executor.execute(call).await.err().unwrap();
        assert!(!format!("{fault:?}").contains(CREDENTIAL));
        reasons.push(fault.reason());
    }
    assert_eq!(
        reasons,
        [
            Reason::UpstreamInvalidResponse,
            Reason::UpstreamInvalidResponse,
            Reason::UpstreamError,
            Reason::UpstreamUnauthorized,
            Reason::UpstreamUnreachable,
            Reason::VariablesInvalid,
            Reason::BadRequest,
        ]
    );
    let mut client = ExecutorServiceClient::new(proto::channel::local(house.executor.service()));
    for variables in [variables, bad, broken] {
        upstream.script([Act::Reset(Vec::new()), Act::Reset(Vec::new())]);
        let (grant, request_id) = (grant.jwt(), "by hand".to_owned());
        let request = ExecuteRequest { grant, request_id, variables, ..ExecuteRequest::default() };
        client.execute(request).await.unwrap_err();
    }

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("call failed") && log.contains("TRACE"), "too little is logged to say anything");
    for line in log.lines() {
        assert!(!line.contains("canary") && !line.contains(&grant.jwt()), "{line}");
    }
}
