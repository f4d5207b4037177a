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
    use sealwire_core::address::Domain;
    use sealwire_core::decision::{PlanCall, Standing, join_plans};
    use sealwire_core::facts::RouteKind;
    use sealwire_core::floor::{ConnectionId, Demand};
    use sealwire_core::plan::Target;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::time::advance;

    use super::super::connection::{Opening, open};
    use super::*;
    use crate::simulation::pipe;
    use crate::socket::Socket;
    use crate::tls::{Connector, Roots};
    use crate::world::{Connecting, World};

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

    /// A world with one host, in memory, that takes whatever is said.
    struct OneHost;

    impl World for OneHost {
        fn since_epoch(&self) -> Duration {
            Duration::ZERO
        }

        fn roll(&self) -> u64 {
            0
        }

        fn connect(&self, _: SocketAddr) -> Connecting {
            let (ours, theirs) = pipe(None);
            tokio::spawn(async move {
                let (heard, mut said) = tokio::io::split(theirs);
                let mut lines = BufReader::new(heard).lines();
                let mut answered = said.write_all(b"220 mx.test\r\n").await;
                while let (Ok(()), Ok(Some(_))) = (&answered, lines.next_line().await) {
                    answered = said.write_all(b"250 mx.test\r\n").await;
                }
            });
            Box::pin(async { Ok(Socket::Pipe(ours)) })
        }
    }

    /// The pool, one key, and connections for it.
    struct Scene {
        pool: Pool,
        connector: Connector,
    }

    impl Scene {
        fn new() -> Scene {
            Scene { pool: Pool::default(), connector: Connector::new(&Roots::System).expect("roots of the system") }
        }

        /// A new connection, over which so many messages went.
        async fn connection(&self, id: u64, sent: u32) -> Connection {
            let key = key("gw", "mx.test", 25, &[]);
            let opening = Opening {
                world: &OneHost,
                id: ConnectionId(id),
                hello_name: &Domain::parse("relay.test").expect("a domain"),
                host: &key.host,
                address: key.address,
                connector: &self.connector,
                dane: None,
                implicit_tls: false,
                afresh: false,
                must_authenticate: false,
                want_tls: true,
            };
            let Ok(mut connection) = open(opening).await else { panic!("it opens") };
            connection.served(sent);
            connection
        }

        async fn give_back(&self, port: u16, connection: Connection) {
            self.pool.give_back(key("gw", "mx.test", port, &[]), connection, 2).await;
        }

        /// The id of the one that is taken for another message.
        fn take(&self, port: u16) -> Option<u64> {
            self.pool.take(&key("gw", "mx.test", port, &[])).map(|connection| connection.id.0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_ten_seconds_and_no_longer() {
        for (waits, taken) in [(IDLE_TIME - Duration::from_millis(1), Some(7)), (IDLE_TIME, None)] {
            let scene = Scene::new();
            scene.give_back(25, scene.connection(7, 1).await).await;
            advance(waits).await;
            assert_eq!(scene.pool.take_idle(false).len(), usize::from(taken.is_none()), "{waits:?}");
            assert_eq!(scene.take(25), taken, "{waits:?}");
            // The same where nobody has looked for those that waited too long.
            scene.give_back(25, scene.connection(7, 1).await).await;
            advance(waits).await;
            assert_eq!(scene.take(25), taken, "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_serves_a_hundred_messages_and_five_minutes() {
        let second = Duration::from_secs(1);
        for (sent, age, kept) in [
            (1, second, true),
            (MESSAGES_MAX - 1, second, true),
            (MESSAGES_MAX, second, false),
            (1, AGE_MAX - second, true),
            (1, AGE_MAX, false),
        ] {
            let scene = Scene::new();
            let connection = scene.connection(1, sent).await;
            advance(age).await;
            scene.give_back(25, connection).await;
            assert_eq!(scene.take(25).is_some(), kept, "{sent} messages, {age:?} old");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_wait_for_the_same_and_so_many_in_all() {
        let scene = Scene::new();
        for id in 1..=3 {
            scene.give_back(1, scene.connection(id, 1).await).await;
        }
        assert_eq!(
            [scene.take(1), scene.take(1), scene.take(1)],
            [Some(2), Some(1), None],
            "two for each, the last first"
        );

        let most = u16::try_from(WAITING_MAX).expect("a small number");
        for port in 1..=most + 1 {
            scene.give_back(port, scene.connection(u64::from(port), 1).await).await;
            advance(Duration::from_millis(1)).await;
        }
        assert_eq!(scene.take(1), None, "the one that waited longest went");
        assert!((2..=most + 1).all(|port| scene.take(port) == Some(u64::from(port))));
    }
}
