//! The facts as plain structs: fill in what the test is about, leave the rest to `..Default::default()`.

use std::collections::BTreeMap;

use crate::{Header, Mailbox};

/// Declares a struct whose public fields are the facts, and the trait that hands out copies of them.
macro_rules! fake {
    ($(#[$doc:meta])* $kind:ident { $(type $name:ident = $target:ty;)* } $($field:ident: $type:ty,)*) => {
        fake!($(#[$doc])* $kind { $(type $name = $target;)* } $($field: $type,)* ; );
    };
    ($(#[$doc:meta])* $kind:ident { $(type $name:ident = $target:ty;)* } $($field:ident: $type:ty,)* ; $($rest:item)*) => {
        $(#[$doc])*
        #[derive(Clone, Default, Debug)]
        pub struct $kind {
            $(
                /// The fact of this name.
                pub $field: $type,
            )*
        }

        impl crate::$kind for $kind {
            $(type $name = $target;)*
            $(fn $field(&self) -> $type { self.$field.clone() })*
            $($rest)*
        }
    };
}

fake!(
    /// A message. `headers` answers `header` and `header_octets` too.
    Message { type Client = Client; }
    id: String,
    header_from: Vec<Mailbox>,
    header_from_doubtful: bool,
    envelope_sender: Option<Mailbox>,
    recipients: Vec<Mailbox>,
    headers: Vec<Header>,
    declared_size: Option<u64>,
    size: Option<u64>,
    sender_is_ours: bool,
    is_report: bool,
    organizational_unit: Vec<String>,
    secure_transport_required_by: Vec<String>,
    tls_not_required: bool,
    now: u64,
    arrived_at: u64,
    client: Option<Client>,
    ;
    fn header(&self, name: &str) -> Vec<String> {
        let fields = self.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value.clone()).collect()
    }
    fn header_octets(&self, name: &str) -> Vec<Vec<u8>> {
        self.header(name).into_iter().map(String::into_bytes).collect()
    }
);

fake!(
    /// The connection a message came by.
    Client { type Channel = Channel; }
    address: String,
    greeting_name: String,
    authenticated_as: Option<String>,
    listener: String,
    channel: Channel,
);

fake!(
    /// Where one recipient's copy would go.
    Destination {}
    recipient: Mailbox,
    recipient_is_ours: bool,
    route_kind: String,
    route_name: String,
    route_demands: Vec<String>,
    round: u32,
);

fake!(
    /// One host.
    Hop { type Channel = Channel; }
    recipients: Vec<Mailbox>,
    route_kind: String,
    route_name: String,
    host: String,
    address: String,
    extensions: Vec<String>,
    channel: Channel,
    published: Vec<(String, String)>,
);

fake!(
    /// A channel. The default has an unknown state, which means: not secured.
    Channel { type Handshake = Handshake; }
    state: String,
    detail: String,
    handshake: Option<Handshake>,
);

fake!(
    /// A completed handshake.
    Handshake { type Certificate = Certificate; }
    version: u16,
    cipher_suite: String,
    key_exchange: String,
    server_name: Option<String>,
    implicit: bool,
    resumed: bool,
    chain: String,
    name_matches: bool,
    revocation_status: String,
    certificates: Vec<Certificate>,
);

fake!(
    /// One certificate.
    Certificate {}
    subject: String,
    issuer: String,
    dns_names: Vec<String>,
    not_before: u64,
    not_after: u64,
    sha256: Vec<u8>,
    spki_sha256: Vec<u8>,
    der: Vec<u8>,
);

fake!(
    /// An entry of a list.
    Entry {}
    text: String,
    authenticated_sender_only: bool,
);

fake!(
    /// A route of the configuration.
    Route {}
    kind: String,
    demands: Vec<String>,
);

/// Lists and routes by name.
#[derive(Clone, Default, Debug)]
pub struct Host {
    /// What [`crate::Host::list`] finds.
    pub lists: BTreeMap<String, List>,
    /// What [`crate::Host::route`] finds.
    pub routes: BTreeMap<String, Route>,
}

impl Host {
    /// This host with one list more; entries are `user@domain`, `domain` or `*.domain`, with ` sender=authenticated` behind them
    /// for authenticated senders alone.
    #[must_use]
    pub fn with_list(mut self, name: &str, entries: &[&str]) -> Host {
        let entry = |text: &&str| {
            let alone = text.strip_suffix(" sender=authenticated");
            Entry { text: alone.unwrap_or(text).to_owned(), authenticated_sender_only: alone.is_some() }
        };
        self.lists.insert(name.to_owned(), List(entries.iter().map(entry).collect()));
        self
    }

    /// This host with one route more.
    #[must_use]
    pub fn with_route(mut self, name: &str, kind: &str, demands: &[&str]) -> Host {
        let demands = demands.iter().map(|&demand| demand.to_owned()).collect();
        self.routes.insert(name.to_owned(), Route { kind: kind.to_owned(), demands });
        self
    }
}

impl crate::Host for Host {
    type List = List;
    type Route = Route;

    fn list(&self, name: &str) -> Option<List> {
        self.lists.get(name).cloned()
    }

    fn route(&self, name: &str) -> Option<Route> {
        self.routes.get(name).cloned()
    }
}

/// A list that matches as the host's does, as far as tests of policies need: entries are in lower case, in A-labels.
#[derive(Clone, Default, Debug)]
pub struct List(pub Vec<Entry>);

impl crate::AddressList for List {
    type Entry = Entry;

    fn find(&self, who: &Mailbox) -> Option<Entry> {
        let address = format!("{}@{}", who.local_part.to_ascii_lowercase(), who.domain);
        let matches = |text: &str| match text.strip_prefix("*.") {
            Some(parent) => who.domain.strip_suffix(parent).is_some_and(|sub| sub.ends_with('.')),
            None => text == address || text == who.domain,
        };
        self.0.iter().find(|entry| matches(&entry.text)).cloned()
    }
}
