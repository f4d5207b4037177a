//! `reload`: the configuration is read again; a bad one is refused and what was in force stays.

use sealwire_admin::Client;
use sealwire_relay::Replaced;

use crate::failure::Failure;
use crate::output::Output;

pub(crate) async fn run(client: &Client, output: &Output) -> Result<(), Failure> {
    let replaced: Replaced = client.post("/v1/reload", Vec::new()).await?;
    output.either(&replaced, |replaced| tell(replaced, output));
    Ok(())
}

/// Also what `settings apply` says.
pub(crate) fn tell(replaced: &Replaced, output: &Output) {
    let Replaced { generation, settings_revision, notes } = replaced;
    output.line(format!("in force: generation {generation}, settings revision {settings_revision}"));
    notes.iter().for_each(|note| output.line(format!("note: {note}")));
}
