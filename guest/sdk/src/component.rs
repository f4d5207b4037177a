//! The traits over the component's imports, and the component's exports over a [`Policy`]. Policies do not see this:
//! they get here through [`export_policy!`](crate::export_policy).
//!
//! Compiled natively too, so that the bindings and the traits cannot drift apart unnoticed; it runs in components only.

use std::sync::OnceLock;

use crate::bindings::exports::sealwire::policy::explanation;
use crate::bindings::exports::sealwire::policy::hooks::Guest;
use crate::bindings::sealwire::policy::{decisions as calls, facts as imports};
use crate::{Header, Mailbox, Policy, Problem, Reason, Reply, Tried};

/// The configured policy, in static memory so that the snapshot carries it into every decision.
pub type Configured<P> = OnceLock<P>;

/// What [`export_policy!`](crate::export_policy) implements.
pub trait Component {
    /// The policy.
    type Policy: Policy;
    /// Where it is kept.
    fn configured() -> &'static Configured<Self::Policy>;
}

impl<C: Component> Guest for C {
    fn configure(settings: String) -> Result<(), Vec<Problem>> {
        let policy = C::Policy::configure(&settings, &Imports)?;
        C::configured().set(policy).map_err(|_| vec![Problem::new("", "configure was called twice")])?;
        #[cfg(target_arch = "wasm32")]
        crate::allocator::mark();
        Ok(())
    }

    fn receive(message: &imports::Message, verdict: &calls::Verdict) -> Result<(), String> {
        configured::<C>()?.receive(message, &Imports, verdict)
    }

    fn plan(
        message: &imports::Message,
        destination: &imports::Destination,
        floor: &calls::Floor,
    ) -> Result<(), String> {
        configured::<C>()?.plan(message, destination, &Imports, floor)
    }

    fn judge(message: &imports::Message, hop: &imports::Hop, objections: &calls::Objections) -> Result<(), String> {
        configured::<C>()?.judge(message, hop, &Imports, objections)
    }
}

impl<C: Component> explanation::Guest for C {
    fn receive(message: &imports::Message) -> Result<Vec<Tried>, String> {
        configured::<C>()?.explain_receive(message, &Imports)
    }

    fn plan(message: &imports::Message, destination: &imports::Destination) -> Result<Vec<Tried>, String> {
        configured::<C>()?.explain_plan(message, destination, &Imports)
    }

    fn judge(message: &imports::Message, hop: &imports::Hop) -> Result<Vec<Tried>, String> {
        configured::<C>()?.explain_judge(message, hop, &Imports)
    }
}

fn configured<C: Component>() -> Result<&'static C::Policy, String> {
    C::configured().get().ok_or_else(|| "not configured".to_owned())
}

/// The host, by the component's imports.
struct Imports;

impl crate::Host for Imports {
    type List = imports::AddressList;
    type Route = imports::Route;

    fn list(&self, name: &str) -> Option<imports::AddressList> {
        imports::get_list(name)
    }

    fn route(&self, name: &str) -> Option<imports::Route> {
        imports::get_route(name)
    }
}

/// Inherent methods come before trait methods, so `self.id()` below is the import, not a recursion.
macro_rules! forward {
    ($kind:ident { $(type $name:ident = $target:ty;)* $(fn $method:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)* }
     for $resource:ty) => {
        impl crate::$kind for $resource {
            $(type $name = $target;)*
            $(fn $method(&self, $($arg: $type),*) $(-> $result)? { self.$method($($arg),*) })*
        }
    };
}

forward!(Message {
    type Client = imports::Client;
    fn id() -> String;
    fn header_from() -> Vec<Mailbox>;
    fn header_from_doubtful() -> bool;
    fn envelope_sender() -> Option<Mailbox>;
    fn recipients() -> Vec<Mailbox>;
    fn header(name: &str) -> Vec<String>;
    fn headers() -> Vec<Header>;
    fn header_octets(name: &str) -> Vec<Vec<u8>>;
    fn declared_size() -> Option<u64>;
    fn size() -> Option<u64>;
    fn sender_is_ours() -> bool;
    fn is_report() -> bool;
    fn organizational_unit() -> Vec<String>;
    fn secure_transport_required_by() -> Vec<String>;
    fn tls_not_required() -> bool;
    fn now() -> u64;
    fn arrived_at() -> u64;
    fn client() -> Option<imports::Client>;
} for imports::Message);

forward!(Client {
    type Channel = imports::Channel;
    fn address() -> String;
    fn greeting_name() -> String;
    fn authenticated_as() -> Option<String>;
    fn listener() -> String;
    fn channel() -> imports::Channel;
} for imports::Client);

forward!(Destination {
    fn recipient() -> Mailbox;
    fn recipient_is_ours() -> bool;
    fn route_kind() -> String;
    fn route_name() -> String;
    fn route_demands() -> Vec<String>;
    fn round() -> u32;
} for imports::Destination);

forward!(Hop {
    type Channel = imports::Channel;
    fn recipients() -> Vec<Mailbox>;
    fn route_kind() -> String;
    fn route_name() -> String;
    fn host() -> String;
    fn address() -> String;
    fn extensions() -> Vec<String>;
    fn channel() -> imports::Channel;
    fn published() -> Vec<(String, String)>;
} for imports::Hop);

forward!(Channel {
    type Handshake = imports::Handshake;
    fn state() -> String;
    fn detail() -> String;
    fn handshake() -> Option<imports::Handshake>;
} for imports::Channel);

forward!(Handshake {
    type Certificate = imports::Certificate;
    fn version() -> u16;
    fn cipher_suite() -> String;
    fn key_exchange() -> String;
    fn server_name() -> Option<String>;
    fn implicit() -> bool;
    fn resumed() -> bool;
    fn chain() -> String;
    fn name_matches() -> bool;
    fn revocation_status() -> String;
    fn certificates() -> Vec<imports::Certificate>;
} for imports::Handshake);

forward!(Certificate {
    fn subject() -> String;
    fn issuer() -> String;
    fn dns_names() -> Vec<String>;
    fn not_before() -> u64;
    fn not_after() -> u64;
    fn sha256() -> Vec<u8>;
    fn spki_sha256() -> Vec<u8>;
    fn der() -> Vec<u8>;
} for imports::Certificate);

forward!(AddressList {
    type Entry = imports::Entry;
    fn find(who: &Mailbox) -> Option<imports::Entry>;
} for imports::AddressList);

forward!(Entry {
    fn text() -> String;
    fn authenticated_sender_only() -> bool;
} for imports::Entry);

forward!(Route {
    fn kind() -> String;
    fn demands() -> Vec<String>;
} for imports::Route);

forward!(Decision {
    fn because(reason: &Reason);
    fn conclude();
} for calls::Verdict);

forward!(Verdict {
    fn reject(reply: &Reply);
    fn defer(reply: &Reply);
    fn require_secure_transport();
} for calls::Verdict);

forward!(Decision {
    fn because(reason: &Reason);
    fn conclude();
} for calls::Floor);

forward!(Floor {
    fn require_tls();
    fn require_minimum_version(version: u16);
    fn require_trusted_chain();
    fn require_matching_name();
    fn require_unrevoked_certificate();
    fn require_pin(kind: &str, digests: &[Vec<u8>]);
    fn require_cipher_suite(names: &[String]);
    fn take_route(name: &str);
    fn fallback(step: &str, name: Option<&str>);
} for calls::Floor);

forward!(Decision {
    fn because(reason: &Reason);
    fn conclude();
} for calls::Objections);

forward!(Objections {
    fn object(reply: &Reply);
} for calls::Objections);
