//! Logging in at a route's host, once on a connection, before its first message (RFC 4954).
//!
//! A login that does not come about says nothing of the message: it waits, by the ordinary schedule, and an operator is told.

use sealwire_core::auth::AuthPermit;
use sealwire_core::plan::{HostName, Route};

use super::Delivering;
use super::connection::Connection;

impl Delivering<'_> {
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
        let Err(why) = logged_in else { return true };
        let text = format!("mail by route {route} waits: no login as {:?} at {host}: {why}", login.user());
        self.relay.alert_once(&format!("login {route} {host}"), text);
        self.tally.not_logged_in(host, &why);
        false
    }
}
