//! `openapi`: what the HTTP API is, for programs that make clients of it. No relay is asked.

use crate::output::Output;

pub(crate) fn run(output: &Output) {
    output.value(&sealwire_admin::openapi());
}
