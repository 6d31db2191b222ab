//! `portals user`: who there is.

use super::{api::Api, output, segment};
use crate::{
    cli::people::{User, UserAction},
    exit::Failure,
};
use http::Method;
use serde_json::json;

const PATH: &str = "/v2/users";
const COLUMNS: [&str; 4] = ["uuid", "name", "email", "created_at"];

/// Runs it.
pub(crate) fn run(command: User) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            UserAction::Create { email, name } => {
                let body = json!({"name": name.as_ref().unwrap_or(&email), "email": email});
                output::show(&api, &api.manage(Method::POST, PATH, &[], Some(&body)).await?)
            }
            UserAction::List => output::table(&api, &api.list(PATH).await?, &COLUMNS),
            UserAction::Show { uuid } => {
                let path = match uuid {
                    Some(uuid) => format!("{PATH}/{}", segment(&uuid)?),
                    None => "/v2/user".to_owned(),
                };
                output::show(&api, &api.manage(Method::GET, &path, &[], None).await?)
            }
            UserAction::Delete { uuid } => {
                let path = format!("{PATH}/{}", segment(&uuid)?);
                api.manage(Method::DELETE, &path, &[], None).await?;
                output::done(&api, &format!("deleted {uuid}"));
                Ok(())
            }
        }
    })
}
