//! Hashes passwords and compares them: slow on purpose, so only a few at once, and never on a thread that serves.

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use model::{Fault, Password, Reason, Secret};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task};

/// How many are hashed at once; each takes 19 MiB.
const AT_ONCE: usize = 4;
/// How many are hashed or wait for it: a few seconds of work.
const SEATS: usize = 64;
/// When whoever was refused for lack of a seat may try again.
const RETRY: Duration = Duration::from_secs(2);

/// Compared with where there is no password, so that it takes the same time: made as others are, of nothing.
const STAND_IN: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Whoever hashes; shared by all calls.
pub(crate) struct Passwords {
    seats: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { seats: Arc::new(Semaphore::new(SEATS)), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// The hash of a password in PHC form: Argon2id with 19 MiB, 2 passes and 1 lane (RFC 9106, as OWASP asks for at
    /// least), under a salt of its own.
    ///
    /// # Errors
    ///
    /// OVERLOADED when too many wait.
    pub(crate) async fn hash(&self, password: Password) -> Result<Secret, Fault> {
        let hashed = self.work(move || Argon2::default().hash_password(password.expose().as_bytes())).await?;
        Ok(Secret::new(hashed.map_err(Fault::internal)?.to_string()))
    }

    /// Whether `sent` is the password of that hash. Where there is none it is not, after the same time.
    ///
    /// # Errors
    ///
    /// OVERLOADED when too many wait.
    pub(crate) async fn matches(&self, sent: Secret, hash: Option<&Secret>) -> Result<bool, Fault> {
        let hash = hash.map(|hash| hash.expose().to_owned());
        // What nobody can have chosen is not hashed, however long it is; something is.
        let sent = Password::parse(sent).ok();
        let compare = move || {
            let parsed = PasswordHash::new(hash.as_deref().unwrap_or(STAND_IN))?;
            let text = sent.as_ref().map_or("", Password::expose);
            let same = Argon2::default().verify_password(text.as_bytes(), &parsed);
            match same {
                Ok(()) => Ok(hash.is_some() && sent.is_some()),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.work(compare).await?.map_err(Fault::internal)
    }

    async fn work<Done: Send + 'static>(
        &self,
        work: impl FnOnce() -> Done + Send + 'static,
    ) -> Result<Done, Fault> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| {
            Fault::new(Reason::Overloaded, "too many passwords wait to be checked").retry_after(RETRY)
        })?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(Fault::internal)?;
        // They go with the work, which goes on when its caller has gone.
        let working = task::spawn_blocking(move || {
            let done = work();
            drop((seat, turn));
            done
        });
        working.await.map_err(Fault::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(Secret::new(text)).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_that_of_its_hash_and_no_other_is() {
        let passwords = Passwords::default();
        let hash = passwords.hash(password("correct horse battery")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
        let again = passwords.hash(password("correct horse battery")).await.unwrap();
        assert_ne!(hash, again, "each has a salt of its own");
        for (sent, same) in
            [("correct horse battery", true), ("Correct horse battery", false), ("short", false), ("", false)]
        {
            let told = passwords.matches(Secret::new(sent), Some(&hash)).await.unwrap();
            assert_eq!(told, same, "{sent}");
        }
        let long = Secret::new("a".repeat(1 << 20));
        assert!(!passwords.matches(long, Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nothing_is_the_password_of_who_has_none_and_to_say_so_takes_as_much_memory_and_passes() {
        let passwords = Passwords::default();
        for sent in ["", "correct horse battery"] {
            assert!(!passwords.matches(Secret::new(sent), None).await.unwrap(), "{sent}");
        }
        let params = |text: &str| text.split('$').nth(3).unwrap().to_owned();
        let hash = passwords.hash(password("correct horse battery")).await.unwrap();
        assert_eq!(params(STAND_IN), params(hash.expose()));
    }

    #[tokio::test]
    async fn more_than_can_wait_are_refused_until_there_is_a_seat() {
        let passwords = Passwords::default();
        let seats = Arc::clone(&passwords.seats).acquire_many_owned(64).await.unwrap();
        let fault = passwords.matches(Secret::new("correct horse battery"), None).await.unwrap_err();
        assert_eq!((fault.reason(), fault.wait()), (Reason::Overloaded, Some(RETRY)));
        drop(seats);
        assert!(passwords.matches(Secret::new("correct horse battery"), None).await.is_ok());
    }
}
