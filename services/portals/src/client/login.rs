//! How `portals invoke --login` comes to a token: a code that a member approves (RFC 8628).

use super::{
    api::{Api, Reply},
    output,
};
use crate::exit::Failure;
use http::{Method, StatusCode};
use model::Secret;
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// How much longer to wait between two questions when asked to, or when there is no answer (RFC 8628, section 3.5).
const MORE: Duration = Duration::from_secs(5);

/// What there is to show, and to ask with.
#[derive(Deserialize)]
struct Code {
    code: String,
    secret: String,
    authorization_url: String,
    /// In seconds, as `interval` is.
    expires_in: u64,
    interval: u64,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

/// What became of a question.
enum Answer {
    Token(Secret),
    Later,
    MuchLater,
}

/// Gets a token of the portal at `path` in the name of whoever approves the code that is shown.
///
/// # Errors
///
/// What the house says: the code was denied, or its time is over.
pub(crate) async fn token(api: &Api, path: &str) -> Result<Secret, Failure> {
    let reply = api.send(Method::POST, &format!("{path}/codes"), &[], None).await?;
    if !reply.status.is_success() {
        return Err(reply.refusal());
    }
    let code: Code = reply.json()?;
    show(&code);
    let end = Instant::now() + Duration::from_secs(code.expires_in);
    let mut interval = Duration::from_secs(code.interval);
    let body = json!({"grant_type": "device_code", "code": code.code, "secret": code.secret}).to_string();
    while Instant::now() < end {
        tokio::time::sleep(interval).await;
        let asked = api.send(Method::POST, &format!("{path}/tokens"), &[], Some(body.clone())).await;
        match read(asked)? {
            Answer::Token(token) => return Ok(token),
            Answer::Later => {}
            Answer::MuchLater => interval += MORE,
        }
    }
    Err(Failure::refused("the code's time is over, and nobody has approved it"))
}

fn read(asked: Result<Reply, Failure>) -> Result<Answer, Failure> {
    // Whoever does not answer now may do so before the code's time is over.
    let Ok(reply) = asked else { return Ok(Answer::MuchLater) };
    if reply.status.is_success() {
        return Ok(Answer::Token(Secret::new(reply.json::<Token>()?.token)));
    }
    match (reply.status, reply.error().as_deref()) {
        (_, Some("authorization_pending")) => Ok(Answer::Later),
        (StatusCode::BAD_REQUEST, Some("slow_down")) => Ok(Answer::MuchLater),
        (status, _) if status.is_server_error() => Ok(Answer::MuchLater),
        _ => Err(reply.refusal()),
    }
}

/// Says on stderr what is to be done: stdout is for the portal's answer.
fn show(code: &Code) {
    let Code { code, authorization_url, .. } = code;
    let text = format!(
        "To approve the call in your name, open {authorization_url} or run:\n\n    portals code show {code}\n    portals code authorize {code} --revision …\n\nwaiting for an answer …\n"
    );
    output::tell(&text);
}
