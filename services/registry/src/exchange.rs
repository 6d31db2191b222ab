//! Exchanges what a caller holds for a token of a portal that ends by itself.
//!
//! Each way begins with what is held and ends with the portal, never the other way round: a refusal cannot depend on
//! whether the portal exists. It knows neither HTTP nor the words of OAuth.

mod client_credentials;
mod device_code;
mod ended_tokens;
mod guesses;
mod identity_token;
mod mint;
mod narrow;
pub(crate) mod refusals;

pub(crate) use ended_tokens::EndedToken;
pub(crate) use guesses::{Guessed, Guesses, Place};
pub(crate) use refusals::Refusals;

use crate::{
    caller::Origin, catalog::Catalog, change::Turns, codes::Codes, exchange::mint::Minted, identity::Issuers,
    record::Actor, usage::Usage,
};
use model::{Bearer, Fault, Reason};
use proto::registry::v1::{ExchangeTokenRequest, Restrictions, exchange_token_request::Grant};
use refusals::Refusal;
use std::time::Instant;

/// What it takes to exchange.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) turns: &'a Turns,
    pub(crate) usage: &'a Usage,
    pub(crate) guesses: &'a Guesses,
    pub(crate) refusals: &'a Refusals,
    pub(crate) issuers: &'a Issuers,
    pub(crate) codes: &'a Codes,
}

/// Which portal a caller names, how long the token is to last, and what it is to do less than what is held.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    organization: &'a str,
    portal: &'a str,
    minutes: Option<u32>,
    restrictions: Option<&'a Restrictions>,
    origin: &'a Origin,
}

/// Why nothing was exchanged, and whose try it was where that is known.
struct Refused {
    fault: Fault,
    actor: Option<Actor>,
}

impl<T: Into<Fault>> From<T> for Refused {
    fn from(fault: T) -> Self {
        Self { fault: fault.into(), actor: None }
    }
}

impl Exchange<'_> {
    /// Makes a token for whoever holds something that is worth one.
    ///
    /// # Errors
    ///
    /// RATE_LIMITED for an address that has guessed too often, and what each way says.
    pub(crate) async fn exchange(
        self,
        origin: &Origin,
        request: &ExchangeTokenRequest,
    ) -> Result<(Bearer, Minted), Fault> {
        self.guesses.admit(origin.address, Instant::now())?;
        let ExchangeTokenRequest { organization, portal, expires_in_minutes: minutes, grant, restrictions } =
            request;
        let restrictions = restrictions.as_ref();
        let wanted = Wanted { organization, portal, minutes: *minutes, restrictions, origin };
        let (grant_type, outcome) = match grant {
            Some(Grant::ClientCredentials(held)) => {
                ("client_credentials", self.client_credentials(wanted, held).await)
            }
            Some(Grant::IdentityToken(held)) => ("identity_token", self.identity_token(wanted, held).await),
            Some(Grant::DeviceCode(held)) => ("device_code", self.device_code(wanted, held).await),
            None => return Err(Fault::new(Reason::BadRequest, "what is to be exchanged is missing")),
        };
        outcome.map_err(|Refused { fault, actor }| {
            let reason = fault.reason();
            let is_guess = matches!(reason, Reason::InvalidClient | Reason::InvalidGrant);
            if is_guess {
                self.guesses.wrong(origin.address, Instant::now());
            }
            // What is not of the form, and what fails on our side, is nobody's try.
            if is_guess || matches!(reason, Reason::IpNotAllowed | Reason::RateLimited) {
                self.refusals.note(Refusal::new(wanted, grant_type, reason, actor));
            }
            fault
        })
    }
}
