//! `/v2/organizations/{org}/members` and `…/{uuid}`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, no_content, page, present, render,
    render::Role,
    route::{Noun, Route},
    sent::sent,
    text,
};
use http::{Method, StatusCode, header};
use proto::registry::v1::{
    self, CreateMemberRequest, DeleteMemberRequest, GetMemberRequest, ListMembersRequest, UpdateMemberRequest,
};

pub(super) const READ: &str = "read_members";
pub(super) const WRITE: &str = "write_members";
const ALL: &str = "/v2/organizations/{organization}/members";
const ONE: &str = "/v2/organizations/{organization}/members/{user}";

sent! {
    /// A member to be made of a user.
    creation NewMember {
        #[schema(schema_with = text::email_or_null)]
        email: Option<String>,
        /// The user's `uuid`, where their address is not given.
        #[schema(format = "uuid")]
        user: Option<String>,
        role: Role,
    }
}

sent! {
    /// What is to change of a member.
    change MemberChange {
        #[schema(nullable = false)]
        role: Option<Role>,
    }
}

pub(super) fn noun() -> Noun {
    let listed = Described::lists::<render::Member>("listMembers", "List an organization's members");
    let made =
        Described::creates::<render::Member>("createMember", "Make a user a member of an organization")
            .either(["email", "user"]);
    let shown = Described::shows::<render::Member>("showMember", "Show a member");
    let changed = Described::shows::<render::Member>("updateMember", "Change a member's role")
        .about("That of the last administrator can be changed by the operator alone.");
    let ended = Described::removes("deleteMember", "End a membership").about(
        "The member's tokens end with it: when this is answered, none is of use to anybody. The last administrator \
         can be removed by the operator alone.",
    );
    Noun {
        name: "Members",
        about: "A member of an organization is a user with a role in it.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed.needs(READ), list),
            Route::takes(Method::POST, ALL, made.needs(WRITE), create),
            Route::asks(Method::GET, ONE, shown.needs(READ), show),
            Route::takes(Method::PATCH, ONE, changed.needs(WRITE), update),
            Route::asks(Method::DELETE, ONE, ended.needs(WRITE), remove),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListMembersRequest { organization: asked.slug(0), page: Some(page) });
    let listed = answered(asked.membership().list_members(request)).await?;
    let members: Vec<_> = listed.members.into_iter().map(render::Member::from).collect();
    let mut response = json(StatusCode::OK, &members);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn show(asked: Asked) -> Answered {
    let request = asked.message(GetMemberRequest { organization: asked.slug(0), user: asked.uuid(1) });
    let got = answered(asked.membership().get_member(request)).await?;
    Ok(json(StatusCode::OK, &render::Member::from(present(got.member)?)))
}

async fn create(asked: Asked, NewMember { email, user, role }: NewMember) -> Answered {
    let role = v1::Role::from(role).into();
    let request = asked.message(CreateMemberRequest { organization: asked.slug(0), user, email, role });
    let created = answered(asked.membership().create_member(request)).await?;
    let member = present(created.member)?;
    let user = member.user.as_ref().map(|user| user.uuid.clone()).unwrap_or_default();
    let url = asked.url(&format!("/v2/organizations/{}/members/{user}", asked.slug(0)));
    let mut response = json(StatusCode::CREATED, &render::Member::from(member));
    insert(response.headers_mut(), header::LOCATION, &url);
    Ok(response)
}

async fn update(asked: Asked, MemberChange { role }: MemberChange) -> Answered {
    let role = role.map(v1::Role::from).unwrap_or_default().into();
    let request = UpdateMemberRequest { organization: asked.slug(0), user: asked.uuid(1), role };
    let updated = answered(asked.membership().update_member(asked.message(request))).await?;
    Ok(json(StatusCode::OK, &render::Member::from(present(updated.member)?)))
}

async fn remove(asked: Asked) -> Answered {
    let request = DeleteMemberRequest { organization: asked.slug(0), user: asked.uuid(1) };
    answered(asked.membership().delete_member(asked.message(request))).await?;
    Ok(no_content())
}
