//! `/v2/access-token`: what the presented access token is.

use super::{Answered, Asked, answered, json, render};
use http::StatusCode;
use proto::registry::v1::DescribeAccessTokenRequest;

pub(super) async fn show(asked: Asked) -> Answered {
    let request = asked.message(DescribeAccessTokenRequest {});
    let token = answered(asked.registry().describe_access_token(request)).await?;
    Ok(json(StatusCode::OK, &render::AccessToken::from(token)))
}
