//! The one test binary: each module is a journey, a rule's table, or a check of the harness itself.
//!
//! One binary, because linking one takes a second and linking twenty takes minutes.

mod bench_counts;
mod demo;
mod harness_self_test;
mod journeys;
