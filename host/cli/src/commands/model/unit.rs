//! `unit`: organizational units, and what is in force in each.

use clap::{Args, Subcommand};
use sealwire_admin::Client;
use sealwire_core::units::{Standing, UnitPath};
use sealwire_relay::settings::{Configured, Edit, UnitView};
use serde_json::json;

use super::{Change, Keys, model, with, words};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  sealwire unit add sales --domain sales.example --network 192.0.2.128/25
  sealwire unit set sales --address boss@example.com
  sealwire unit set sales --disable partners     where that setting allows it
  sealwire unit show sales                       which settings are in force there, and why
  sealwire unit remove sales")]
pub(crate) enum Unit {
    /// List the tree
    List,
    /// What a unit has, and how every setting stands there
    Show {
        /// Such as sales/emea; `root` is the one above all
        unit: UnitPath,
    },
    /// Add a unit
    Add {
        /// Such as sales, or sales/emea below it
        unit: UnitPath,
        #[command(flatten)]
        has: Box<Has>,
        #[command(flatten)]
        change: Change,
    },
    /// Change what a unit has
    Set {
        /// Such as sales/emea
        unit: UnitPath,
        #[command(flatten)]
        has: Box<Has>,
        #[command(flatten)]
        change: Change,
    },
    /// Remove a unit; what stands below it or in it must go first
    Remove {
        /// Such as sales/emea
        unit: UnitPath,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Args)]
pub(crate) struct Has {
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A domain that anyone may send to; several are allowed
    #[arg(long, value_name = "DOMAIN")]
    domain: Vec<String>,
    /// A mailbox of a hosted domain that belongs here
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<String>,
    /// A network whose clients may send to any domain, by this unit's settings
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// An inherited setting, by id, that is not in force here
    #[arg(long, value_name = "ID")]
    disable: Vec<String>,
    /// Take out a domain, address, network or id that was disabled
    #[arg(long, value_name = "VALUE")]
    without: Vec<String>,
}

impl Has {
    fn keys(&self, current: Option<&UnitView>) -> Keys {
        let mut keys = Keys::default();
        keys.put_or_take("description", self.description.clone());
        let mut put = |key: &str, current: Option<&Vec<String>>, add: &[String]| {
            let current = current.map(|current| json!(current));
            keys.put(key, with(current.as_ref(), add, &self.without));
        };
        put("domains", current.map(|unit| &unit.domains), &self.domain);
        put("addresses", current.map(|unit| &unit.addresses), &self.address);
        put("trusted-networks", current.map(|unit| &unit.trusted_networks), &self.network);
        put("disables", current.map(|unit| &unit.disables), &self.disable);
        keys
    }
}

impl Unit {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            Unit::List => {
                let model = model(client).await?;
                output.either(&model.units, |units| {
                    let row = |unit: &UnitView| {
                        [
                            unit.unit.to_string(),
                            in_a_word(unit.configured).to_owned(),
                            words(&unit.domains),
                            words(&unit.trusted_networks),
                            unit.description.clone(),
                        ]
                    };
                    let rows: Vec<_> = units.iter().map(row).collect();
                    output.table(["unit", "settings", "domains", "trusted networks", "description"], &rows);
                });
                Ok(())
            }
            Unit::Show { unit } => {
                let model = model(client).await?;
                let view = model.units.iter().find(|view| view.unit == unit);
                let view = view.ok_or_else(|| Failure::Text(format!("there is no unit {unit}")))?;
                output.either(view, |view| show(view, output));
                Ok(())
            }
            Unit::Add { unit, has, change } => {
                if model(client).await?.units.iter().any(|view| view.unit == unit && view.unit != UnitPath::root()) {
                    return Err(Failure::Text(format!("there is a unit {unit} already; change it with `unit set`")));
                }
                change.make(vec![Edit::PutUnit { unit, value: has.keys(None).0 }], client, output).await
            }
            Unit::Set { unit, has, change } => {
                let model = model(client).await?;
                let value = has.keys(model.units.iter().find(|view| view.unit == unit)).0;
                change.make(vec![Edit::SetUnit { unit, value }], client, output).await
            }
            Unit::Remove { unit, change } => change.make(vec![Edit::RemoveUnit { unit }], client, output).await,
        }
    }
}

fn show(unit: &UnitView, output: &Output) {
    output.pairs(&[
        ("unit", unit.unit.to_string()),
        ("description", unit.description.clone()),
        ("settings", in_a_word(unit.configured).to_owned()),
        ("domains", words(&unit.domains)),
        ("addresses", words(&unit.addresses)),
        ("trusted networks", words(&unit.trusted_networks)),
    ]);
    for (id, stands) in &unit.settings {
        output.line(format!("  {id}: {}", stands_in_words(stands)));
    }
}

/// In the words of the console this is the model of.
fn in_a_word(configured: Configured) -> &'static str {
    match configured {
        Configured::NotConfigured => "Not configured",
        Configured::Inherited => "Inherited",
        Configured::LocallyApplied => "Locally applied",
    }
}

pub(super) fn stands_in_words(standing: &Standing) -> String {
    match standing {
        Standing::LocallyApplied => "Locally applied".to_owned(),
        Standing::Inherited => "Inherited".to_owned(),
        Standing::Off => "off".to_owned(),
        Standing::Disabled(by) => format!("disabled by {by}"),
        Standing::Overridden(by) => format!("overridden by {by}"),
    }
}
