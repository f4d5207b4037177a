//! Journeys: mail over real sockets, in at the door, through the policies, out over TLS or back as a report.
//!
//! Each file is one promise of the mission, its cases in one table. [`scene`] holds what they share: a relay with routes,
//! settings and lists, the sender's mailbox, and what became of a message. No journey knows what a policy's code looks
//! like: it reads what was on the wire, in mailboxes, in the queue and in the ledger.

mod given;
mod scene;

mod alerts;
mod alternate_route;
mod api;
mod api_operations;
mod audit;
mod certificates;
mod check;
mod chunks;
mod client_certificates;
mod clock;
mod crash;
mod dane;
mod disk;
mod documented;
mod door;
mod downgrades;
mod dsn;
mod every_host;
mod evidence;
mod exhausted;
mod explained;
mod failed_decisions;
mod hostile;
mod inbound;
mod injection;
mod lanes;
mod live_settings;
mod login;
mod model;
mod mta_sts;
mod names;
mod one_attempt;
mod opportunistic;
mod postfix;
mod preview;
mod probes;
mod queue;
mod real_peers;
mod refuse_everything;
mod reports;
mod required_tls;
mod requiretls;
mod reuse;
mod revocation;
mod route_channels;
mod steered;
mod stopping;
mod strangers;
mod swaps;
mod tls_reports;
mod tls_test;
mod units;
mod via_another_setting;
