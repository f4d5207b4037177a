//! Sessions of administrators: a cookie for a browser, in memory, ended by time, by logging out, or by a change of what its
//! administrator is. A restart ends them all.

use std::collections::HashMap;
use std::sync::Mutex;

use sealwire_store::StoreError;
use subtle::ConstantTimeEq;

use super::tokens::{digest, random};

/// Not used for so long, it is over.
pub(crate) const IDLE_SECS: u64 = 30 * 60;
/// Whatever its use, it is over.
pub(crate) const LIFE_SECS: u64 = 12 * 3600;
/// Of one administrator; the oldest makes room.
const OF_ADMIN_MAX: usize = 10;
/// Of all.
const SESSIONS_MAX: usize = 5000;
/// Octets of what the cookie holds, and of what a request that changes something must repeat.
const SECRET_OCTETS: usize = 32;

/// All sessions, by the digest of what the cookie holds: memory that leaks lets nobody in.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

/// One.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Whose.
    pub(crate) name: String,
    /// Digest of the password's hash that it was checked by: with another password it is over, however the two crossed.
    password: String,
    csrf: String,
    pub(crate) began_at: u64,
    used_at: u64,
}

/// What a browser is given.
pub(crate) struct Begun {
    /// For the cookie.
    pub(crate) secret: String,
    /// To be repeated in a header of each request that changes something.
    pub(crate) csrf: String,
}

impl Session {
    fn is_over(&self, now: u64) -> bool {
        now >= self.began_at + LIFE_SECS || now >= self.used_at + IDLE_SECS
    }

    /// Whether it began by the password of this hash.
    pub(crate) fn is_by(&self, hash: &str) -> bool {
        self.password == digest(hash)
    }

    /// Whether this repeats what the session was given at login.
    pub(crate) fn is_repeated(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(digest(csrf).as_bytes()).into()
    }
}

impl Sessions {
    /// A new one, whatever cookie the browser had before: nobody can plant one. `hash`: of the password that was right.
    pub(crate) fn begin(&self, name: &str, hash: &str, now: u64) -> Result<Begun, StoreError> {
        let begun = Begun { secret: random(SECRET_OCTETS)?, csrf: random(SECRET_OCTETS)? };
        let csrf = digest(&begun.csrf);
        if let Ok(mut sessions) = self.0.lock() {
            sessions.retain(|_, session| !session.is_over(now));
            let is_full = |sessions: &HashMap<String, Session>| {
                let of_this = sessions.values().filter(|session| session.name == name).count();
                (of_this >= OF_ADMIN_MAX, sessions.len() >= SESSIONS_MAX)
            };
            let (of_this, all) = is_full(&sessions);
            if of_this || all {
                let candidates = sessions.iter().filter(|(_, session)| !of_this || session.name == name);
                let oldest = candidates.min_by_key(|(_, session)| session.used_at).map(|(key, _)| key.clone());
                oldest.and_then(|key| sessions.remove(&key));
            }
            let session = Session { name: name.to_owned(), password: digest(hash), csrf, began_at: now, used_at: now };
            sessions.insert(digest(&begun.secret), session);
        }
        Ok(begun)
    }

    /// The session of a cookie, which is used by this.
    pub(crate) fn of_cookie(&self, secret: &str, now: u64) -> Option<Session> {
        let mut sessions = self.0.lock().ok()?;
        let key = digest(secret);
        let session = sessions.get_mut(&key)?;
        if session.is_over(now) {
            sessions.remove(&key);
            return None;
        }
        session.used_at = now;
        Some(session.clone())
    }

    /// Logging out.
    pub(crate) fn end(&self, secret: &str) {
        if let Ok(mut sessions) = self.0.lock() {
            sessions.remove(&digest(secret));
        }
    }

    /// Ends all of one administrator.
    pub(crate) fn end_all_of(&self, name: &str) {
        if let Ok(mut sessions) = self.0.lock() {
            sessions.retain(|_, session| session.name != name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_time_and_by_word() {
        let sessions = Sessions::default();
        let begun = sessions.begin("ann", "h", 0).expect("begun");
        assert!(sessions.of_cookie(&begun.secret, IDLE_SECS - 1).is_some());
        assert!(sessions.of_cookie(&begun.secret, 2 * IDLE_SECS - 2).is_some(), "it was used");
        assert!(sessions.of_cookie(&begun.secret, 4 * IDLE_SECS).is_none(), "idle");

        let begun = sessions.begin("ann", "h", 0).expect("begun");
        let used = (0..LIFE_SECS / IDLE_SECS * 2).map(|half| half * IDLE_SECS / 2);
        assert!(used.into_iter().all(|at| sessions.of_cookie(&begun.secret, at).is_some()));
        assert!(sessions.of_cookie(&begun.secret, LIFE_SECS).is_none(), "whatever its use");

        let session = sessions.of_cookie(&sessions.begin("ann", "h", 0).expect("begun").secret, 0).expect("it goes on");
        assert!(session.is_by("h") && !session.is_by("another"), "a login may cross a change of the password");

        let (one, other) =
            (sessions.begin("ann", "h", 0).expect("begun"), sessions.begin("bob", "h", 0).expect("begun"));
        sessions.end(&one.secret);
        assert!(sessions.of_cookie(&one.secret, 1).is_none() && sessions.of_cookie(&other.secret, 1).is_some());
        sessions.end_all_of("bob");
        assert!(sessions.of_cookie(&other.secret, 1).is_none());
        assert!(sessions.of_cookie("", 1).is_none());
    }

    #[test]
    fn one_administrator_has_so_many_and_each_its_own_word() {
        let sessions = Sessions::default();
        let begun: Vec<_> =
            (0..=OF_ADMIN_MAX as u64).map(|at| sessions.begin("ann", "h", at).expect("begun")).collect();
        let now = OF_ADMIN_MAX as u64;
        assert!(sessions.of_cookie(&begun[0].secret, now).is_none(), "the oldest made room");
        let first = sessions.of_cookie(&begun[1].secret, now).expect("it goes on");
        assert!(first.is_repeated(&begun[1].csrf));
        assert!(!first.is_repeated(&begun[2].csrf) && !first.is_repeated(&begun[1].secret) && !first.is_repeated(""));
    }
}
