//! The harness: real peers and scripted ones around a real `sealwire`, each in a private folder on loopback.
//!
//! A journey reads: make certificates ([`certs`]), start peers ([`postfix`], [`exim`], [`aiosmtpd`], [`fake_peer`],
//! [`nsd`], [`web`]), start the relay ([`relay`]), send ([`swaks`], [`postfix::Postfix::submit`]), look at what the peers
//! saw. Everything stops when its value is dropped; when the test panics, every process prints its log first.
//!
//! The harness never sleeps a fixed time: what another process does is waited for in [`wait`], with a deadline. It never
//! skips: a missing program or a missing right is a panic that says how to mend it. It needs root, as Postfix does.

pub mod aiosmtpd;
pub mod certs;
pub mod curl;
pub mod dialogue;
pub mod documented;
pub mod exim;
pub mod fake_peer;
pub mod fake_session;
pub mod guests;
pub mod hostile;
pub mod nsd;
pub mod openssl;
pub mod place;
pub mod postfix;
pub mod process;
mod python;
pub mod relay;
pub mod schemathesis;
pub mod signed;
pub mod swaks;
pub mod tls_reports;
pub mod unbound;
pub mod wait;
pub mod web;
