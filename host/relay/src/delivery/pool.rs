//! Connections that wait for another message. One serves only what has the same next hop, floor and client identity (H7). Who
//! we are, by login and by certificate, is the route's word in one generation; both are part of the key.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use sealwire_core::floor::TlsFloor;
use sealwire_core::plan::{HostName, NextHop};
use tokio::time::Instant;

use super::connection::Connection;

/// How long a connection may wait; peers close theirs after minutes, and count ours until then.
const IDLE_TIME: Duration = Duration::from_secs(10);
/// Messages over one connection; peers limit it, and fresh look-ups should have their turn.
const MESSAGES_MAX: u32 = 100;

/// The oldest connection that another message goes over: what was looked up for it should not count for ever.
const AGE_MAX: Duration = Duration::from_secs(300);

/// Connections that wait for anything: each takes memory here and a session there.
const WAITING_MAX: usize = 500;

/// What a connection is good for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    /// A verdict on a chain is as good as the roots of its generation.
    pub(crate) generation: u64,
    pub(crate) next_hop: NextHop,
    pub(crate) host: HostName,
    pub(crate) address: SocketAddr,
    pub(crate) floor: TlsFloor,
}

/// The waiting connections.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<PoolKey, Vec<(Instant, Connection)>>>);

impl Pool {
    /// The one that was used last.
    pub(crate) fn take(&self, key: &PoolKey) -> Option<Connection> {
        let mut waiting = self.0.lock().ok()?;
        let connections = waiting.get_mut(key)?;
        let (since, connection) = connections.pop()?;
        (since.elapsed() < IDLE_TIME).then_some(connection)
    }

    /// Keeps it for the next message unless `most` wait for the same already, or ends it.
    pub(crate) async fn give_back(&self, key: PoolKey, mut connection: Connection, most: u32) {
        if connection.sent < MESSAGES_MAX && connection.age() < AGE_MAX && connection.is_ready().await {
            let Some(unwanted) = self.keep(key, connection, most) else { return };
            connection = unwanted;
        }
        connection.quit().await;
    }

    /// The one that is not kept: this one, where enough wait for the same, or the one that has waited longest of all.
    fn keep(&self, key: PoolKey, connection: Connection, most: u32) -> Option<Connection> {
        let Ok(mut waiting) = self.0.lock() else { return Some(connection) };
        let connections = waiting.entry(key).or_default();
        if connections.len() >= most as usize {
            return Some(connection);
        }
        connections.push((Instant::now(), connection));
        if waiting.values().map(Vec::len).sum::<usize>() <= WAITING_MAX {
            return None;
        }
        // A vector is in the order of waiting; ids make a tie repeatable.
        let first =
            |(_, waits): &(&PoolKey, &mut Vec<(Instant, Connection)>)| waits.first().map(|(since, c)| (*since, c.id));
        let (_, longest) = waiting.iter_mut().filter(|(_, waits)| !waits.is_empty()).min_by_key(first)?;
        Some(longest.remove(0).1)
    }

    /// No connection waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_ok_and(|waiting| waiting.values().all(Vec::is_empty))
    }

    /// Takes out what has waited too long, longest first; with `all`, everything: roots and routes may have changed.
    pub(crate) fn take_idle(&self, all: bool) -> Vec<Connection> {
        let Ok(mut waiting) = self.0.lock() else { return Vec::new() };
        let mut ended = Vec::new();
        waiting.retain(|_, connections| {
            for (since, connection) in std::mem::take(connections) {
                if all || since.elapsed() >= IDLE_TIME {
                    ended.push((since, connection));
                } else {
                    connections.push((since, connection));
                }
            }
            !connections.is_empty()
        });
        // A map has no order, and what a relay does must not depend on any: a run in virtual time has to repeat.
        ended.sort_by_key(|(since, connection)| (*since, connection.id));
        ended.into_iter().map(|(_, connection)| connection).collect()
    }
}

#[cfg(test)]
mod tests {
    use sealwire_core::decision::{PlanCall, Standing, join_plans};
    use sealwire_core::facts::RouteKind;
    use sealwire_core::floor::Demand;
    use sealwire_core::plan::Target;

    use super::*;

    /// The floor of a policy that demands these.
    fn floor(demands: &[Demand]) -> TlsFloor {
        let call = PlanCall {
            policy: "test".into(),
            demands: demands.iter().map(|demand| (demand.clone(), "R2".to_owned())).collect(),
            take_route: None,
            fallback: Vec::new(),
            reasons: Vec::new(),
        };
        join_plans(&Standing::default(), vec![Ok(call)]).expect("no failure").floor
    }

    fn key(route: &str, host: &str, port: u16, demands: &[Demand]) -> PoolKey {
        let next_hop = NextHop {
            route: route.into(),
            kind: RouteKind::SmartHost,
            target: Target::Hosts(Vec::new()),
            implicit_tls: false,
        };
        let host = host.parse().expect("a host name");
        PoolKey {
            generation: 1,
            next_hop,
            host,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            floor: floor(demands),
        }
    }

    #[test]
    fn h7_a_connection_serves_only_the_same_next_hop_host_address_and_floor() {
        let one = || key("gw", "mx.test", 25, &[Demand::Tls]);
        assert!(one() == one(), "the same serves again");
        let others = [
            ("another route", key("out", "mx.test", 25, &[Demand::Tls])),
            ("another host", key("gw", "mx2.test", 25, &[Demand::Tls])),
            ("another port", key("gw", "mx.test", 26, &[Demand::Tls])),
            ("no floor", key("gw", "mx.test", 25, &[])),
            ("another generation", PoolKey { generation: 2, ..one() }),
            ("a higher floor", key("gw", "mx.test", 25, &[Demand::Tls, Demand::TrustedChain])),
        ];
        for (what, other) in others {
            assert!(one() != other, "{what}");
        }
    }
}
