//! `portals login`, `portals logout` and `portals password`: a user's own way in.

use super::{api::Api, browser, output};
use crate::{
    cli::sign_in::{Login, Logout, Password, SetPassword},
    config::secret,
    exit::{self, Failure},
};
use http::Method;
use model::Secret;
use serde::Deserialize;
use serde_json::json;

/// What a session is of, beside what is shown of it.
#[derive(Deserialize)]
struct Session {
    token: String,
}

/// Runs `portals login`: the token alone goes to stdout, so that it can be put where it is needed.
pub(crate) fn login(command: Login) -> Result<(), Failure> {
    let api = Api::new(command.server)?.anonymous();
    let (path, password) = match &command.email {
        Some(email) => ("/v2/sessions", Some((email.clone(), required(command.password)?))),
        None => ("/v2/sessions/openid", None),
    };
    super::run(async move {
        let body = match password {
            Some((email, password)) => json!({"email": email, "password": password.expose()}),
            None => browser::sign_in(&api).await?,
        };
        let reply = api.manage(Method::POST, path, &[], Some(&body)).await?;
        if api.json {
            output::print_raw(&reply.body);
            return Ok(());
        }
        let Session { token } = reply.json()?;
        exit::print(&format!("{token}\n"));
        Ok(())
    })
}

/// Runs `portals logout`.
pub(crate) fn logout(command: Logout) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        api.manage(Method::DELETE, "/v2/sessions/current", &[], None).await?;
        output::done(&api, "ended the session");
        Ok(())
    })
}

/// Runs `portals password`.
pub(crate) fn set_password(command: SetPassword) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    let password = required(command.password)?;
    let current = secret::read("current-password", command.current_password, command.current_password_file)?;
    super::run(async move {
        let body = json!({
            "current_password": current.as_ref().map(Secret::expose),
            "password": password.expose(),
        });
        api.manage(Method::PUT, "/v2/user/password", &[], Some(&body)).await?;
        output::done(&api, "set the password and ended all sessions");
        Ok(())
    })
}

/// The password, if one is given.
pub(crate) fn given(password: Password) -> Result<Option<Secret>, Failure> {
    secret::read("password", password.password, password.password_file)
}

fn required(password: Password) -> Result<Secret, Failure> {
    given(password)?
        .ok_or_else(|| Failure::usage("--password-file (or --password, or a variable of either) is required"))
}
