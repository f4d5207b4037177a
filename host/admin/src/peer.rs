//! Who speaks to the socket, as the system tells (SO_PEERCRED): written beside every change.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use sealwire_relay::Actor;
use tokio::net::{UnixListener, UnixStream};

/// The user at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    uid: Option<u32>,
}

impl Peer {
    fn of(stream: &UnixStream) -> Peer {
        Peer { uid: stream.peer_cred().ok().map(|credentials| credentials.uid()) }
    }

    /// As the audit log has it.
    pub(crate) fn actor(&self) -> Actor {
        Actor::new(self.name(), "socket")
    }

    /// As the ledger and revisions name it: `ann (uid 1000)`.
    pub(crate) fn name(&self) -> String {
        let Some(uid) = self.uid else { return "unknown".to_owned() };
        // Users of other sources than the file are known by number, which is what counts.
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        match user_name(&users, uid) {
            Some(name) => format!("{name} (uid {uid})"),
            None => format!("uid {uid}"),
        }
    }
}

fn user_name(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, of) = (fields.next()?, fields.nth(1)?);
        (of.parse() == Ok(uid)).then_some(name)
    })
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Peer {
        Peer::of(stream.io())
    }
}

#[cfg(test)]
mod tests {
    use super::user_name;

    #[test]
    fn users_are_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:\n";
        let rows = [(0, Some("root")), (1000, Some("ann")), (7, None)];
        for (uid, expected) in rows {
            assert_eq!(user_name(users, uid), expected, "{uid}");
        }
    }
}
