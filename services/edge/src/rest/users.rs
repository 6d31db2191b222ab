//! `/v2/users` and `/v2/users/{uuid}`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, members, no_content, page, present, render,
    route::{Noun, Route},
    sent::sent,
    text,
};
use http::{Method, StatusCode, header};
use proto::registry::v1::{CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest};

const ALL: &str = "/v2/users";
const ONE: &str = "/v2/users/{user}";

sent! {
    /// A user to be made.
    creation NewUser {
        #[schema(schema_with = text::person)]
        name: String,
        #[schema(schema_with = text::email)]
        email: String,
    }
}

pub(super) fn noun() -> Noun {
    let listed = Described::lists::<render::User>("listUsers", "List users");
    let made = Described::creates::<render::User>("createUser", "Make a user");
    let shown = Described::shows::<render::User>("showUser", "Show a user");
    let ended = Described::removes("deleteUser", "Delete a user").about(
        "Their memberships and tokens end with them: when this is answered, none is of use to anybody.",
    );
    Noun {
        name: "Users",
        about: "People. They are the operator's to make and to delete.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed.needs(members::READ), list),
            Route::takes(Method::POST, ALL, made.needs(members::WRITE), create),
            Route::asks(Method::GET, ONE, shown.needs(members::READ), show),
            Route::asks(Method::DELETE, ONE, ended.needs(members::WRITE), remove),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListUsersRequest { page: Some(page) });
    let listed = answered(asked.membership().list_users(request)).await?;
    let users: Vec<_> = listed.users.into_iter().map(render::User::from).collect();
    let mut response = json(StatusCode::OK, &users);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn show(asked: Asked) -> Answered {
    let request = asked.message(GetUserRequest { user: asked.uuid(0) });
    let got = answered(asked.membership().get_user(request)).await?;
    Ok(json(StatusCode::OK, &render::User::from(present(got.user)?)))
}

async fn create(asked: Asked, NewUser { name, email }: NewUser) -> Answered {
    let request = asked.message(CreateUserRequest { name, email });
    let user = present(answered(asked.membership().create_user(request)).await?.user)?;
    let url = asked.url(&format!("/v2/users/{}", user.uuid));
    let mut response = json(StatusCode::CREATED, &render::User::from(user));
    insert(response.headers_mut(), header::LOCATION, &url);
    Ok(response)
}

async fn remove(asked: Asked) -> Answered {
    let request = asked.message(DeleteUserRequest { user: asked.uuid(0) });
    answered(asked.membership().delete_user(request)).await?;
    Ok(no_content())
}
