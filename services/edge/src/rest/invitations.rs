//! `/v2/organizations/{org}/invitations`, `…/{uuid}` and `/v2/invitations/accept`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, members, no_content, page, present, render,
    render::Role,
    route::{Noun, Route},
    sent::sent,
    text,
};
use http::{Method, StatusCode, header};
use proto::registry::v1::{
    self, AcceptInvitationRequest, CreateInvitationRequest, DeleteInvitationRequest, ListInvitationsRequest,
};

const ALL: &str = "/v2/organizations/{organization}/invitations";
const ONE: &str = "/v2/organizations/{organization}/invitations/{uuid}";
const ACCEPT: &str = "/v2/invitations/accept";

sent! {
    /// Somebody to be invited.
    creation NewInvitation {
        #[schema(schema_with = text::email)]
        email: String,
        role: Role,
    }
}

sent! {
    /// Who accepts an invitation.
    creation Acceptance {
        /// What they were given.
        #[schema(examples("pti_…"))]
        token: String,
        #[schema(schema_with = text::person_or_null)]
        name: Option<String>,
        #[schema(schema_with = text::password_or_null)]
        password: Option<String>,
    }
}

pub(super) fn noun() -> Noun {
    let listed =
        Described::lists::<render::Invitation>("listInvitations", "List an organization's live invitations");
    let made = Described::creates::<render::Invitation>("createInvitation", "Invite somebody")
        .about("It can be accepted once, within 72 hours, by whoever has its token. At most 100 are live.");
    let revoked = Described::removes("revokeInvitation", "Revoke an invitation");
    let accepted = Described::creates::<render::Member>("acceptInvitation", "Accept an invitation").about(
        "Whoever is no user yet becomes one, with the name and the password that are sent. A user with the address \
         of the invitation presents an access token with the scope `write_user`, and sends the invitation's alone.",
    );
    Noun {
        name: "Invitations",
        about: "How somebody comes to an organization: a token that makes its holder a member, once.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed.needs(members::READ), list),
            Route::takes(Method::POST, ALL, made.needs(members::WRITE), create),
            Route::asks(Method::DELETE, ONE, revoked.needs(members::WRITE), remove),
            Route::welcomes(Method::POST, ACCEPT, accepted, accept),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListInvitationsRequest { organization: asked.slug(0), page: Some(page) });
    let listed = answered(asked.sign_in().list_invitations(request)).await?;
    let told = listed.invitations.into_iter().map(|invitation| render::Invitation::new(invitation, None));
    let mut response = json(StatusCode::OK, &told.collect::<Vec<_>>());
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn create(asked: Asked, NewInvitation { email, role }: NewInvitation) -> Answered {
    let role = v1::Role::from(role).into();
    let request = asked.message(CreateInvitationRequest { organization: asked.slug(0), email, role });
    let created = answered(asked.sign_in().create_invitation(request)).await?;
    let invitation = present(created.invitation)?;
    let location = asked.url(&format!("{}/{}", asked.route, invitation.uuid));
    let itself = render::InvitationItself { token: created.token, url: asked.url(ACCEPT) };
    let mut response = json(StatusCode::CREATED, &render::Invitation::new(invitation, Some(itself)));
    insert(response.headers_mut(), header::LOCATION, &location);
    Ok(response)
}

async fn remove(asked: Asked) -> Answered {
    let request = DeleteInvitationRequest { organization: asked.slug(0), uuid: asked.uuid(1) };
    answered(asked.sign_in().delete_invitation(asked.message(request))).await?;
    Ok(no_content())
}

async fn accept(asked: Asked, Acceptance { token, name, password }: Acceptance) -> Answered {
    let request = asked.message(AcceptInvitationRequest { token, name, password });
    let accepted = answered(asked.sign_in().accept_invitation(request)).await?;
    let member = present(accepted.member)?;
    let user = member.user.as_ref().map(|user| user.uuid.clone()).unwrap_or_default();
    let url = asked.url(&format!("/v2/organizations/{}/members/{user}", accepted.organization));
    let mut response = json(StatusCode::CREATED, &render::Member::from(member));
    insert(response.headers_mut(), header::LOCATION, &url);
    Ok(response)
}
