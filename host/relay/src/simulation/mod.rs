//! A relay in virtual time: what a test puts around it in the place of sockets.

#[allow(dead_code, reason = "the simulation that uses it comes in its own commit")]
mod pipe;

pub(crate) use pipe::Pipe;
