//! Signing in with an identity provider: who it is here for whom the provider vouches, and their session.

use super::Administration;
use crate::{caller::Origin, record::User};
use metrics::counter;
use model::{Bearer, Email, Fault, Reason};
use proto::registry::v1::{BeginSignInRequest, FinishSignInRequest, RedeemSignInRequest};
use std::time::{Instant, SystemTime};
use uuid::Uuid;

impl Administration<'_> {
    /// Where somebody is sent who wants to sign in.
    ///
    /// # Errors
    ///
    /// What [`crate::openid::SignIns::begin`] says.
    pub(crate) async fn begin_sign_in(
        &self,
        origin: &Origin,
        request: BeginSignInRequest,
    ) -> Result<String, Fault> {
        self.sign_ins.begin(origin, request).await
    }

    /// Where somebody is sent whom the provider has sent back, with a code or with the reason why there is none.
    ///
    /// # Errors
    ///
    /// BAD_REQUEST for a sign-in that is not under way.
    pub(crate) async fn finish_sign_in(
        &self,
        origin: &Origin,
        request: FinishSignInRequest,
    ) -> Result<String, Fault> {
        let FinishSignInRequest { state, code, error } = request;
        let sent = code.as_deref().ok_or(error.as_deref().unwrap_or_default());
        let (back, email) = self.sign_ins.vouched(self.issuers, &state, sent).await?;
        let finished = email.and_then(|email| self.known(&email));
        let finished = finished.and_then(|user| self.sign_ins.finish(origin, &back, user));
        let outcome = finished.as_ref().map_or_else(|fault| fault.reason().code(), |_| "VOUCHED");
        counter!("portals_registry_openid_sign_ins_total", "outcome" => outcome).increment(1);
        Ok(finished.unwrap_or_else(|fault| {
            tracing::info!(code = outcome, error = %model::fault::Chain(&fault), "nobody was signed in by the identity provider");
            back.refused(&fault)
        }))
    }

    /// The user of an address for which the provider vouches.
    fn known(&self, email: &str) -> Result<Uuid, Fault> {
        let parsed: Option<Email> = email.parse().ok();
        let found = parsed.map(|email| self.catalog.user_at(&email)).transpose()?.flatten();
        let unknown = || {
            let message = format!("no user has the address {email}: ask an administrator for an invitation");
            Fault::new(Reason::AccessDenied, message)
        };
        Ok(found.ok_or_else(unknown)?.0.uuid)
    }

    /// Makes a session for whoever comes back with the code of a sign-in.
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED for a code or a verifier that is none's; RATE_LIMITED for who guesses too often.
    pub(crate) async fn redeem_sign_in(
        &self,
        origin: &Origin,
        request: RedeemSignInRequest,
    ) -> Result<(User, Bearer, SystemTime), Fault> {
        self.guesses.admit(origin.address, Instant::now())?;
        let redeemed = self.sign_ins.redeem(&request.code, &request.code_verifier);
        let user = redeemed.inspect_err(|_| self.guesses.wrong(origin.address, Instant::now()))?;
        let gone = || Fault::new(Reason::Unauthenticated, "the user who signed in has ended since");
        let (user, _) = self.catalog.user(user)?.ok_or_else(gone)?;
        let (bearer, expires_at) = self.begin_session(origin, &user, None).await?;
        Ok((user, bearer, expires_at))
    }
}
