//! Logging in at a route's host, once on a connection, before its first message (RFC 4954).
//!
//! A login that does not come about says nothing of the message: it waits, by the ordinary schedule, and an operator is told.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sealwire_core::auth::AuthPermit;
use sealwire_core::plan::{HostName, Route};
use tokio::time::Instant;

use crate::alerts::Audience;

use super::Delivering;
use super::connection::Connection;

/// A login that was refused is not repeated for so long, and then twice as long each time: hundreds of them within a minute would
/// have the account locked.
const REST: Duration = Duration::from_secs(60);
const REST_MAX: Duration = Duration::from_secs(900);

/// Routes whose login was refused of late.
#[derive(Default)]
pub(crate) struct Logins(Mutex<HashMap<String, Refused>>);

struct Refused {
    /// Another may have another password.
    generation: u64,
    times: u32,
    until: Instant,
}

impl Logins {
    /// Whether this route's hosts are to be left alone.
    fn rests(&self, route: &str, generation: u64) -> bool {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(route).is_some_and(|refused| refused.generation == generation && Instant::now() < refused.until)
    }

    fn refused(&self, route: &str, generation: u64) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = refused.get(route).filter(|before| before.generation == generation);
        let times = before.map_or(0, |before| before.times + 1);
        let until = Instant::now() + REST.saturating_mul(1 << times.min(10)).min(REST_MAX);
        refused.insert(route.to_owned(), Refused { generation, times, until });
    }

    fn worked(&self, route: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(route);
    }

    /// An operator wants to see at once.
    pub(crate) fn end_rests(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Delivering<'_> {
    /// The route's login was refused a moment ago: nobody is connected for the next.
    pub(super) fn login_rests(&self) -> bool {
        let route = &self.attempt.next_hop.route;
        self.live.login(route).is_some() && self.relay.logins.rests(route, self.live.generation.number())
    }

    /// True: mail may follow, for the route has no login or the host knows us. False: it may not, which the tally knows.
    pub(super) async fn log_in(&mut self, connection: &mut Connection, host: &HostName) -> bool {
        let route = &self.attempt.next_hop.route;
        let Some(login) = self.live.login(route) else { return true };
        if connection.is_authenticated() {
            return true;
        }
        let demands = self.live.config.routes.by_name(route).map(Route::demands).unwrap_or_default();
        let logged_in = match AuthPermit::of(&connection.proof, demands) {
            Ok(permit) => connection.authenticate(permit, login).await,
            Err(unmet) => {
                let lacks: Vec<String> = unmet.iter().map(ToString::to_string).collect();
                Err(format!("it is told no password, for it lacks {}", lacks.join(", ")))
            }
        };
        let Err(why) = logged_in else {
            self.relay.logins.worked(route);
            return true;
        };
        self.relay.logins.refused(route, self.live.generation.number());
        let text = format!("mail by route {route} waits: no login as {:?} at {host}: {why}", login.user());
        // The mail of alerts that waits for this login begets none.
        let recipients = self.attempt.recipients.iter().map(|recipient| self.relay.audience_of(&recipient.mailbox));
        let audience = recipients.min().unwrap_or(Audience::All);
        self.relay.alert_once_to(audience, &format!("login {route} {host}"), text);
        self.tally.not_logged_in(host, &why);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refused_login_rests_longer_each_time_until_something_changes() {
        let logins = Logins::default();
        for seconds in [60, 120, 240, 480, 900, 900] {
            assert!(!logins.rests("gw", 1));
            logins.refused("gw", 1);
            assert!(logins.rests("gw", 1) && !logins.rests("gw", 2) && !logins.rests("other", 1));
            tokio::time::advance(Duration::from_secs(seconds - 1)).await;
            assert!(logins.rests("gw", 1), "{seconds}");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        logins.refused("gw", 1);
        logins.worked("gw");
        assert!(!logins.rests("gw", 1));
        logins.refused("gw", 1);
        logins.end_rests();
        assert!(!logins.rests("gw", 1));
    }
}
