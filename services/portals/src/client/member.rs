//! `portals member`: who belongs to an organization.

use super::{api::Api, output, segment};
use crate::{
    cli::people::{Member, MemberAction, Role},
    exit::Failure,
};
use http::Method;
use serde_json::json;

const COLUMNS: [&str; 5] = ["uuid", "name", "email", "role", "created_at"];

/// Runs it.
pub(crate) fn run(command: Member) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            MemberAction::Add { organization, email, role } => {
                let body = json!({"email": email, "role": name(role)});
                output::show(&api, &api.manage(Method::POST, &list(&organization)?, &[], Some(&body)).await?)
            }
            MemberAction::List { organization } => {
                output::table(&api, &api.list(&list(&organization)?).await?, &COLUMNS)
            }
            MemberAction::Update { organization, uuid, role } => {
                let (path, body) = (path(&organization, &uuid)?, json!({"role": name(role)}));
                output::show(&api, &api.manage(Method::PATCH, &path, &[], Some(&body)).await?)
            }
            MemberAction::Remove { organization, uuid } => {
                api.manage(Method::DELETE, &path(&organization, &uuid)?, &[], None).await?;
                output::done(&api, &format!("removed {uuid}"));
                Ok(())
            }
        }
    })
}

/// The API's word for a role.
pub(crate) fn name(role: Role) -> &'static str {
    match role {
        Role::Administrator => "administrator",
        Role::Member => "member",
    }
}

fn list(organization: &str) -> Result<String, Failure> {
    Ok(format!("/v2/organizations/{}/members", segment(organization)?))
}

fn path(organization: &str, uuid: &str) -> Result<String, Failure> {
    Ok(format!("{}/{}", list(organization)?, segment(uuid)?))
}
