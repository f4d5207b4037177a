//! Deliver: one attempt over all hosts of its next hop becomes an outcome per recipient.
//!
//! 1. [`hosts_of`] finds the hosts; each is located, with what is published about it (`published`), when its turn has come. A
//!    look-up that failed is a host that could not be asked.
//! 2. For each address a connection is taken from the pool or opened (`connection`). Opportunistic mail whose handshake
//!    failed goes on in clear, on a new connection only (R9); mail with a floor never does: it needs a permit.
//! 3. [`TlsFloor::unmet`](sealwire_core::floor::TlsFloor::unmet) compares floor and proof, the chain judges the host, and both together make the permit.
//! 4. Where the route has a login, the host is logged in at (`login`), by a permit of its own.
//! 5. The client machine sends; replies become outcomes. What no host took is unmet or inconclusive.
//!
//! It decides nothing about time: that is settle's.

mod connection;
mod dane;
mod examine;
mod hosts;
mod learned;
mod login;
mod pool;
mod published;
mod sessions;
mod tally;
mod unmet;

pub(crate) use login::Logins;
pub(crate) use pool::Pool;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sealwire_core::address::Mailbox;
use sealwire_core::decision::Judgement;
use sealwire_core::facts::{ChannelFacts, ChannelState, HopFacts, MessageFacts};
use sealwire_core::floor::{ConnectionId, TlsProof};
use sealwire_core::ledger::DecisionRecord;
use sealwire_core::outcome::{HostUnmet, Outcome};
use sealwire_core::plan::{Attempt, HostName, NextHop};
use sealwire_core::smtp::client::{Outgoing, RecipientResult};
use sealwire_store::{BodyReader, Claim, StoreError};
use tokio::time::Instant;

use connection::{Body, Connection, OpenError, Opening, open};
use hosts::{HostToAsk, NotLocated, hosts_of};
use learned::Heard;
use pool::PoolKey;
use published::{Asked, Barred, Published};
use sessions::{Ends, channel_of};
use tally::Tally;

use crate::lanes::Place;
use crate::live::Live;
use crate::relay::Relay;

/// How long a round goes on to further hosts: twenty that are silent must not keep an entry for half a day.
const ASKING_TIME: Duration = Duration::from_secs(600);

/// Connections of this process, counted for [`ConnectionId`].
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// What became of an attempt.
pub(crate) struct Delivered {
    /// One for each recipient of the attempt, by index.
    pub(crate) outcomes: Vec<(u32, Outcome)>,
    /// One for each judge of each policy.
    pub(crate) decisions: Vec<DecisionRecord>,
}

/// Makes one attempt.
pub(crate) async fn deliver(
    relay: &Relay,
    live: &Arc<Live>,
    claim: &Claim,
    message: &Arc<MessageFacts>,
    attempt: &Attempt,
    place: &Place,
) -> Delivered {
    let mut delivering = Delivering {
        relay,
        live,
        claim,
        message,
        judges: live.scopes.judges(&claim.entry, attempt, message),
        attempt,
        place,
        tally: Tally::of(attempt),
        decisions: Vec::new(),
        heard: Heard::default(),
    };
    let me = [live.config.hostname.clone()];
    match hosts_of(&attempt.next_hop, &me, &*live.resolver, &*relay.world).await {
        Err(outcome) => delivering.tally.settle_rest(&outcome),
        Ok(hosts) => {
            let began = Instant::now();
            for host in &hosts {
                if began.elapsed() < ASKING_TIME {
                    delivering.ask(host).await;
                } else {
                    delivering.tally.not_asked(&host.host, "the time for this round was over".into());
                }
                if delivering.tally.is_complete() {
                    break;
                }
            }
        }
    }
    delivering.tell_pace();
    Delivered { outcomes: delivering.tally.into_outcomes(), decisions: delivering.decisions }
}

struct Delivering<'a> {
    relay: &'a Relay,
    live: &'a Arc<Live>,
    claim: &'a Claim,
    message: &'a Arc<MessageFacts>,
    /// Whose settings its hosts are judged by.
    judges: Vec<sealwire_policy::Asked>,
    attempt: &'a Attempt,
    place: &'a Place,
    tally: Tally,
    decisions: Vec<DecisionRecord>,
    heard: Heard,
}

impl Delivering<'_> {
    async fn ask(&mut self, host: &HostToAsk) {
        if self.login_rests() {
            return self
                .tally
                .not_logged_in(&host.host, "its last login was refused, and it is left alone for a while");
        }
        let tls_not_required = self.message.tls_not_required;
        let located = match host.locate(&*self.live.resolver, !tls_not_required, self.relay.world.now()).await {
            Ok(located) => located,
            Err(NotLocated { why, tlsa_base }) => {
                if let Some(base) = tlsa_base {
                    self.count(host, |_| vec![sessions::without_tlsa(base, &host.host, &why)]);
                }
                return self.tally.not_asked(&host.host, why);
            }
        };
        let asked = Asked { host, floor: &self.attempt.floor, tls_not_required, everything: false };
        let published = Published::look(self.relay, self.live, asked, located.dane).await;
        if let Some(Barred { unmet, found, conclusive }) = published.barred() {
            self.count(host, |_| published.unlisted(&host.host).into_iter().collect());
            return self.tally.unmet(HostUnmet {
                host: host.host.to_string(),
                address: String::new(),
                channel: ChannelState::Inconclusive,
                unmet,
                objection: None,
                withdrawn: false,
                found,
                conclusive,
            });
        }
        let mark = self.tally.mark();
        for address in &located.addresses {
            self.ask_address(host, &published, SocketAddr::new(*address, host.port)).await;
            if self.tally.is_complete() {
                return;
            }
        }
        self.tally.host_done(&host.host, mark);
        // That a host gives no TLS is known when all of its addresses have said so (RFC 5321 §5.1, H9).
        if let Some(why) = located.more {
            self.tally.not_asked(&host.host, why);
        }
    }

    async fn ask_address(&mut self, host: &HostToAsk, published: &Published, address: SocketAddr) {
        // What the host itself demands is known only now. It raises the floor, and no message goes by less.
        let floor = published.raise(&self.attempt.floor);
        let key = PoolKey {
            generation: self.live.generation.number(),
            next_hop: self.attempt.next_hop.clone(),
            host: host.host.clone(),
            address,
            floor,
        };
        // A connection that waited may have been closed by the peer meanwhile; that is known at the first command.
        if let Some(connection) = self.relay.pool.take(&key)
            && self.send_over(connection, &key, published).await == Sent::Settled
        {
            return;
        }
        // A resumed session that will not do tells of the certificate that the host had: it is asked for the one it has.
        for afresh in [false, true] {
            match self.open(&key, host, published, afresh).await {
                Ok(connection) => {
                    self.note_protection(&host.host, &connection.channel);
                    if self.send_over(connection, &key, published).await == Sent::Settled {
                        return;
                    }
                }
                Err(OpenError::NoWay(why)) => return self.tally.no_way(why),
                Err(OpenError::NotAnswered(why, reply)) => {
                    self.note_pace(reply.as_ref());
                    return self.tally.not_asked(&host.host, why);
                }
                Err(OpenError::Handshake { state, detail, .. }) => {
                    let channel = ChannelFacts { state, detail, handshake: None };
                    self.note_protection(&host.host, &channel);
                    let proof = TlsProof::of_nothing(ConnectionId(0));
                    return self.unmet(&key, &channel, &proof);
                }
            }
        }
    }

    /// Opens a connection; for opportunistic mail a second one in clear if the first one's handshake failed.
    async fn open(
        &self,
        key: &PoolKey,
        to_ask: &HostToAsk,
        published: &Published,
        afresh: bool,
    ) -> Result<Connection, OpenError> {
        let PoolKey { host, address, floor, .. } = key;
        let address = *address;
        let connector = self.live.connector(&self.attempt.next_hop.route);
        let opening = |want_tls| Opening {
            world: &*self.relay.world,
            id: ConnectionId(CONNECTIONS.fetch_add(1, Ordering::Relaxed)),
            hello_name: &self.live.config.hostname,
            host,
            address,
            connector,
            dane: published.dane_check(),
            implicit_tls: self.attempt.next_hop.implicit_tls,
            afresh,
            must_authenticate: self.live.login(&self.attempt.next_hop.route).is_some(),
            want_tls,
        };
        let opened = open(opening(true)).await;
        // A resumed session that will not do is asked again, and that counts.
        let counts = opened.as_ref().map_or(true, |it| !it.is_resumed() || floor.unmet(&it.proof).is_empty());
        if let Some((channel, from)) = channel_of(&opened).filter(|_| counts) {
            self.count(to_ask, |about| published.sessions(about, &channel, host, Ends { from, to: address.ip() }));
        }
        match opened {
            Err(OpenError::Handshake { state, detail, .. }) if !floor.requires_tls() => {
                tracing::info!(%host, %address, %detail, "TLS failed, opportunistic mail goes on in clear");
                let mut connection = open(opening(false)).await?;
                connection.channel = ChannelFacts { state, detail, handshake: None };
                Ok(connection)
            }
            opened => opened,
        }
    }

    async fn send_over(&mut self, mut connection: Connection, key: &PoolKey, published: &Published) -> Sent {
        let was_used = connection.sent > 0;
        let floor = &key.floor;
        #[cfg(test)]
        let floor = &crate::simulation::planted::floor(floor.clone());
        // What the floor refuses needs no opinion of a policy: the host is out either way.
        let resumed = connection.is_resumed();
        if !floor.unmet(&connection.proof).is_empty() {
            if resumed {
                connection.quit().await;
                return Sent::NotAtAll;
            }
            self.unmet(key, &connection.channel, &connection.proof);
            connection.quit().await;
            return Sent::Settled;
        }
        let recipients = self.attempt.recipients.iter().map(|r| r.mailbox.clone()).collect();
        let hop = Arc::new(hop_facts(recipients, &self.attempt.next_hop, &connection, &key.host, published));
        let now = self.relay.world.now();
        let decided = self.relay.sandbox.judge(&self.live.generation, &self.judges, hop, now).await;
        self.decisions.extend(decided.records);
        let cleared = match decided.result {
            Judgement::Cleared(cleared) => cleared,
            Judgement::Failed(failed) => {
                self.tally.settle_rest(&Outcome::FailedDecision(failed));
                connection.quit().await;
                return Sent::Settled;
            }
            Judgement::Objected { .. } if resumed => {
                connection.quit().await;
                return Sent::NotAtAll;
            }
            Judgement::Objected { reply, reasons, .. } => {
                let conclusive = reply.is_permanent();
                let found = format!("a policy objects: {reply}");
                self.tally.unmet(HostUnmet {
                    host: key.host.to_string(),
                    address: key.address.to_string(),
                    channel: connection.channel.state,
                    unmet: Vec::new(),
                    objection: Some((reply, reasons)),
                    withdrawn: false,
                    found,
                    conclusive,
                });
                connection.quit().await;
                return Sent::Settled;
            }
        };
        let permit = match floor.permit(&connection.proof, cleared) {
            Ok(permit) => permit,
            Err(_) => {
                self.unmet(key, &connection.channel, &connection.proof);
                connection.quit().await;
                return Sent::Settled;
            }
        };
        if !self.log_in(&mut connection, &key.host).await {
            connection.quit().await;
            return Sent::Settled;
        }
        let entry = &self.claim.entry;
        let mut body = match self.body().await {
            Ok(reader) => Body { reader, place: self.place },
            Err(error) => {
                tracing::error!(message = %entry.id, %error, "content cannot be read");
                self.tally.settle_rest(&Outcome::Inconclusive { host: None, why: error.to_string(), reply: None });
                connection.quit().await;
                return Sent::Settled;
            }
        };
        let recipients = self.tally.remaining();
        let head = [entry.trace.as_bytes(), &entry.header, b"\r\n"].concat();
        let message = Outgoing {
            sender: entry.envelope_sender.clone(),
            recipients: recipients.iter().map(|(_, mailbox)| mailbox.clone()).collect(),
            size: entry.size + entry.trace.len() as u64,
            octets: Some(head.len() as u64 + body.reader.octets()),
            eight_bit: entry.eight_bit,
            require_tls: entry.require_tls,
            international: entry.is_international(),
            dsn: entry.dsn.of(recipients.iter().map(|(index, _)| *index)),
        };
        match connection.send(permit, &message, &head, &mut body).await {
            // It was closed while it waited: nothing was sent, so a new connection may try.
            Ok(result) if was_used && result.recipients.iter().all(is_untouched) => Sent::NotAtAll,
            Err(_) if was_used => Sent::NotAtAll,
            Ok(result) => {
                self.note_results(&result.recipients);
                self.tally.results(&recipients, result, &key.host, &connection, published);
                let most = self.live.config.limits.deliveries_per_destination;
                self.relay.pool.give_back(key.clone(), connection, most).await;
                Sent::Settled
            }
            Err(misuse) => {
                self.tally.not_asked(&key.host, misuse.to_string());
                Sent::Settled
            }
        }
    }

    /// Read back, unless the message has just arrived.
    async fn body(&self) -> Result<BodyReader, StoreError> {
        match &self.claim.body {
            Some(octets) => Ok(BodyReader::memory(octets.clone())),
            None => self.relay.store.body(&self.claim.entry.id).await,
        }
    }
}

/// What policies are told of a host.
fn hop_facts(
    recipients: Vec<Mailbox>,
    next_hop: &NextHop,
    connection: &Connection,
    host: &HostName,
    published: &Published,
) -> HopFacts {
    HopFacts {
        recipients,
        route_kind: next_hop.kind,
        route_name: next_hop.route.clone(),
        host: host.to_string(),
        address: connection.address.ip(),
        extensions: connection.extensions(),
        channel: connection.channel.clone(),
        published: published.verdicts(&connection.channel),
    }
}

/// The peer closed the session before it heard of the message, with a word (421) or without one.
fn is_untouched(result: &RecipientResult) -> bool {
    match result {
        RecipientResult::Unanswered { maybe_delivered, .. } => !maybe_delivered,
        RecipientResult::Deferred(reply) => reply.code == 421,
        RecipientResult::Delivered(_) | RecipientResult::Refused { .. } => false,
    }
}

/// Whether a connection's use has told anything about the host.
#[derive(PartialEq, Eq)]
enum Sent {
    /// Outcomes or the host's state are in the tally.
    Settled,
    /// Nothing was sent, and a new connection may tell more: this one had been closed while it waited, or was a resumed session
    /// that will not do.
    NotAtAll,
}
