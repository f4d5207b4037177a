//! Sessions that may be resumed, by the peer's name; and a view of them that resumes none and puts new ones in the place of old.

use std::sync::Arc;

use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;

/// Names; each session keeps the chain it was made with, some kilobytes.
const SESSIONS_MAX: usize = 1_000;

/// What resumes sessions, and what does not.
pub(super) fn sessions() -> (Resumption, Resumption) {
    let kept: Arc<dyn ClientSessionStore> = Arc::new(ClientSessionMemoryCache::new(SESSIONS_MAX));
    (Resumption::store(Arc::clone(&kept)), Resumption::store(Arc::new(Anew(kept))))
}

/// A handshake that was to show the peer's chain of today: the sessions before it tell of another.
#[derive(Debug)]
struct Anew(Arc<dyn ClientSessionStore>);

impl ClientSessionStore for Anew {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        while self.0.take_tls13_ticket(&server_name).is_some() {}
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        while self.0.take_tls13_ticket(&server_name).is_some() {}
        self.0.remove_tls12_session(&server_name);
        self.0.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}
