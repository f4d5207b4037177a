//! The sans-IO heart of sealwire.
//!
//! Time, randomness, names and addresses are arguments; there is no clock, socket, file or thread in this crate, and
//! `clippy.toml` keeps it so. Read in this order.

pub mod address;
pub mod alert_mail;
pub mod audit;
pub mod auth;
pub mod canonical;
pub mod dane;
pub mod decision;
pub mod dkim;
pub mod downgrade;
pub mod dsn;
pub mod entry;
pub mod evidence;
pub mod explain;
pub mod facts;
pub mod floor;
pub mod header;
pub mod ledger;
pub mod list;
pub mod network;
pub mod outcome;
pub mod plan;
pub mod reason;
pub mod reply;
pub mod report;
pub mod schedule;
pub mod settle;
pub mod smtp;
pub mod sts;
pub mod time;
pub mod tlsrpt;
pub mod trace;
pub mod units;
pub mod visible;
