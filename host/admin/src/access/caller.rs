//! Who asks, and what he may.

use std::net::{IpAddr, Ipv6Addr};

use sealwire_core::units::{UnitPath, Within};
use sealwire_relay::Actor;

use super::role::{Grant, Role};
use crate::http::Peer;

/// One who has said who he is.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) grants: Vec<Grant>,
    /// From where; None: the Unix socket.
    pub(crate) from: Option<IpAddr>,
    /// Over TLS.
    pub(crate) is_tls: bool,
}

/// By what he is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody: he has not said, or need not say.
    Nobody,
    /// The user at the other end of the Unix socket, as the system names him.
    Peer(String),
    /// An administrator who has logged in.
    Admin {
        /// His.
        name: String,
        /// What his cookie holds.
        session: String,
    },
    /// The holder of a token.
    Token {
        /// Stable, public.
        id: String,
        /// As its maker called it.
        name: String,
    },
}

/// What the keys of those begin with whom nobody knows.
pub(crate) const STRANGER: &str = "address ";

/// Where an address belongs: of IPv6 its first 64 bits, for one subscriber has all that follows (RFC 6177 section 2).
pub(crate) fn place_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

impl Caller {
    /// The relay's own user: he could read the store itself.
    pub(crate) fn operator(name: String) -> Caller {
        let grants = vec![Grant { role: Role::Owner, unit: UnitPath::root() }];
        Caller { who: Who::Peer(name), grants, from: None, is_tls: false }
    }

    /// Somebody at this end of a connection.
    pub(crate) fn nobody(peer: &Peer) -> Caller {
        let (from, is_tls) = match peer {
            Peer::Local(_) => (None, false),
            Peer::Remote { address, is_tls } => (Some(*address), *is_tls),
        };
        Caller { who: Who::Nobody, grants: Vec::new(), from, is_tls }
    }

    /// Every unit in which he has any role.
    pub(crate) fn everywhere(&self) -> Within {
        self.scope(&Role::ALL)
    }

    /// As the audit log has him.
    pub(crate) fn actor(&self) -> Actor {
        Actor::new(self.name(), self.from.map_or_else(|| "socket".to_owned(), |from| from.to_string()))
    }

    /// As ledger and revisions name him.
    pub(crate) fn name(&self) -> String {
        match &self.who {
            Who::Nobody => "nobody".to_owned(),
            Who::Peer(name) => name.clone(),
            Who::Token { name, .. } => format!("token {name}"),
            Who::Admin { name, .. } => format!("admin {name}"),
        }
    }

    /// What limits are counted by.
    pub(crate) fn counted_by(&self) -> String {
        match (&self.who, self.from) {
            (Who::Nobody, Some(from)) => format!("{STRANGER}{}", place_of(from)),
            _ => self.key(),
        }
    }

    /// What remembered answers are kept by: nobody can take another's.
    pub(crate) fn key(&self) -> String {
        match &self.who {
            Who::Nobody => self.from.map_or_else(|| "nobody".to_owned(), |from| format!("{STRANGER}{from}")),
            Who::Peer(name) => format!("peer {name}"),
            Who::Token { id, .. } => format!("token {id}"),
            Who::Admin { name, .. } => format!("admin {name}"),
        }
    }

    /// The units in which he has one of the roles. An owner has them all.
    pub(crate) fn scope(&self, roles: &[Role]) -> Within {
        let has = |grant: &&Grant| grant.role == Role::Owner || roles.contains(&grant.role);
        Within::new(self.grants.iter().filter(has).map(|grant| grant.unit.names().to_vec()).collect())
    }

    /// Whether he has one of the roles for the whole relay.
    pub(crate) fn is_everywhere(&self, roles: &[Role]) -> bool {
        self.scope(roles).is_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_holds_for_its_role_and_below_its_unit() {
        let grant = |role, unit: &str| Grant { role, unit: unit.parse().expect("a path") };
        let caller = |grants: &[Grant]| Caller {
            who: Who::Token { id: "1".to_owned(), name: "ci".to_owned() },
            grants: grants.to_vec(),
            from: None,
            is_tls: false,
        };
        let queue = [grant(Role::Queue, "root/sales")];
        let owner = [grant(Role::Owner, "root/sales")];
        let both = [grant(Role::Auditor, "root"), grant(Role::Queue, "root/sales")];
        // Grants, roles asked for, unit, whether they hold.
        let rows: [(&[Grant], &[Role], &str, bool); 9] = [
            (&queue, &[Role::Queue], "root/sales", true),
            (&queue, &[Role::Auditor, Role::Queue], "root/sales/emea", true),
            (&queue, &[Role::Queue], "root", false),
            (&queue, &[Role::Queue], "root/salesmen", false),
            (&queue, &[Role::Auditor], "root/sales", false),
            (&owner, &[Role::Auditor], "root/sales", true),
            (&owner, &[Role::Auditor], "root/it", false),
            (&both, &[Role::Auditor], "root/it", true),
            (&both, &[Role::Queue], "root/it", false),
        ];
        for (grants, roles, unit, expected) in rows {
            let unit: UnitPath = unit.parse().expect("a path");
            assert_eq!(caller(grants).scope(roles).holds(unit.names()), expected, "{grants:?} {roles:?} {unit:?}");
        }
        assert!(Caller::operator("ann (uid 0)".to_owned()).is_everywhere(&[Role::Policies]));
    }
}
