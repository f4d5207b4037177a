//! `setting`: what mail of and to listed addresses must have on its way.

use clap::{Args, Subcommand, ValueEnum};
use sealwire_admin::Client;
use sealwire_relay::config::BUILTIN_POLICY;
use sealwire_relay::settings::{Edit, SettingView};
use serde_json::Value;

use super::{Change, Keys, model, words};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  sealwire setting add partners --description 'Partners: TLS both ways' \\
      --scope inbound --scope outbound --list partners --ca-signed --hostname
  sealwire setting set partners --min-tls 1.3
  sealwire setting observe partners     decide and record, and demand nothing
  sealwire setting enforce partners
  sealwire setting disable partners
  sealwire setting list --unit sales")]
pub(crate) enum Setting {
    /// List settings, of all units or those that stand in one
    List {
        /// Such as sales/emea
        #[arg(long)]
        unit: Option<String>,
    },
    /// One setting, as it was written
    Show {
        /// Its id
        id: String,
    },
    /// Add a setting
    Add {
        /// Its id: a-z, 0-9 and -
        id: String,
        /// The policy it is for
        #[arg(long, default_value = BUILTIN_POLICY)]
        policy: String,
        #[command(flatten)]
        says: Box<Says>,
        #[command(flatten)]
        change: Change,
    },
    /// Change some of a setting; an empty text takes a key out
    Set {
        /// Its id
        id: String,
        #[command(flatten)]
        says: Box<Says>,
        #[command(flatten)]
        change: Change,
    },
    /// Switch a setting on
    Enable(One),
    /// Switch a setting off; it is kept, and checked
    Disable(One),
    /// Decide and record what it would do, and demand nothing
    Observe(One),
    /// Demand what it says
    Enforce(One),
    /// Remove a setting
    Remove(One),
}

#[derive(Args)]
pub(crate) struct One {
    /// The setting's id
    id: String,
    #[command(flatten)]
    change: Change,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scope {
    /// Messages that arrive, by header From
    Inbound,
    /// Every recipient's way out
    Outbound,
    /// Only what a route or another policy sends securely already
    OutboundViaAnotherSetting,
}

#[derive(Args)]
pub(crate) struct Says {
    /// For people; stands beside whatever the setting causes
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Which mail it is for; several are allowed
    #[arg(long, value_enum)]
    scope: Vec<Scope>,
    /// A list of whom it is for; several are allowed
    #[arg(long, value_name = "NAME")]
    list: Vec<String>,
    /// The unit it is in force in, and below [default: root]
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Outbound: require a CA signed certificate
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    ca_signed: Option<bool>,
    /// Outbound: validate the certificate's hostname
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    hostname: Option<bool>,
    /// The minimum TLS version: 1.2 or 1.3
    #[arg(long, value_name = "VERSION")]
    min_tls: Option<String>,
    /// The alternate secure route, where no host gives what is demanded
    #[arg(long, value_name = "ROUTE")]
    alternate_route: Option<String>,
    /// Not in force before: a day, or a date and time with its offset
    #[arg(long, value_name = "WHEN")]
    valid_from: Option<String>,
    /// Not in force afterwards
    #[arg(long, value_name = "WHEN")]
    valid_until: Option<String>,
    /// Decide and record, and demand nothing
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    observe_only: Option<bool>,
    /// Who answers for it
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Why it is there
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Stands in the place of this inherited setting
    #[arg(long, value_name = "ID")]
    overrides: Option<String>,
    /// Units below may switch it off
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    may_be_disabled: Option<bool>,
    /// Units below may put another in its place
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    may_be_overridden: Option<bool>,
    /// Not in force for mail whose client and recipient are both ours
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    exempt_internal_mail: Option<bool>,
}

impl Says {
    fn keys(self) -> Keys {
        let mut keys = Keys::default();
        let name = |scope: &Scope| scope.to_possible_value().map(|value| value.get_name().to_owned());
        keys.put_or_take("description", self.description);
        keys.put_all("scopes", self.scope.iter().filter_map(name).collect());
        keys.put_all("lists", self.list);
        keys.put_or_take("unit", self.unit);
        keys.put("require-ca-signed-certificate", self.ca_signed);
        keys.put("validate-hostname", self.hostname);
        keys.put_or_take("minimum-tls-version", self.min_tls);
        keys.put_or_take("alternate-secure-route", self.alternate_route);
        keys.put_or_take("valid-from", self.valid_from);
        keys.put_or_take("valid-until", self.valid_until);
        keys.put("observe-only", self.observe_only);
        keys.put_or_take("owner", self.owner);
        keys.put_or_take("note", self.note);
        keys.put_or_take("overrides", self.overrides);
        keys.put("may-be-disabled", self.may_be_disabled);
        keys.put("may-be-overridden", self.may_be_overridden);
        keys.put("exempt-internal-mail", self.exempt_internal_mail);
        keys
    }
}

impl Setting {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let (one, key, value) = match self {
            Setting::List { unit } => return list(unit, client, output).await,
            Setting::Show { id } => return show(&id, client, output).await,
            Setting::Add { id, policy, says, change } => {
                if model(client).await?.settings.iter().any(|setting| setting.id == id) {
                    let text = format!("there is a setting {id} already; change it with `setting set`");
                    return Err(Failure::Text(text));
                }
                let edit = Edit::PutSetting { policy, id, value: says.keys().0 };
                return change.make(vec![edit], client, output).await;
            }
            Setting::Set { id, says, change } => {
                return change.make(vec![Edit::SetSetting { id, value: says.keys().0 }], client, output).await;
            }
            Setting::Remove(One { id, change }) => {
                return change.make(vec![Edit::RemoveSetting { id }], client, output).await;
            }
            Setting::Enable(one) => (one, "enabled", true),
            Setting::Disable(one) => (one, "enabled", false),
            Setting::Observe(one) => (one, "observe-only", true),
            Setting::Enforce(one) => (one, "observe-only", false),
        };
        let mut keys = Keys::default();
        keys.put(key, Some(value));
        one.change.make(vec![Edit::SetSetting { id: one.id, value: keys.0 }], client, output).await
    }
}

async fn list(unit: Option<String>, client: &Client, output: &Output) -> Result<(), Failure> {
    let unit = unit.map(|unit| unit.parse()).transpose().map_err(|why: String| format!("--unit {why}"))?;
    let mut settings = model(client).await?.settings;
    settings.retain(|setting| unit.as_ref().is_none_or(|unit| setting.unit == *unit));
    output.either(&settings, |settings| {
        let row = |setting: &SettingView| {
            let texts = |key: &str| -> Vec<String> {
                let array = setting.value.get(key).and_then(Value::as_array).into_iter().flatten();
                array.filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let is = |key: &str| setting.value.get(key).and_then(Value::as_bool);
            let state = match (is("enabled"), is("observe-only")) {
                (Some(false), _) => "off",
                (_, Some(true)) => "observed",
                _ => "enforced",
            };
            let description = setting.value.get("description").and_then(Value::as_str).unwrap_or_default();
            [
                setting.id.clone(),
                setting.unit.to_string(),
                state.to_owned(),
                words(&texts("scopes")),
                words(&texts("lists")),
                description.to_owned(),
            ]
        };
        let rows: Vec<_> = settings.iter().map(row).collect();
        output.table(["id", "unit", "state", "scopes", "lists", "description"], &rows);
    });
    Ok(())
}

async fn show(id: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let model = model(client).await?;
    let setting = model.settings.iter().find(|setting| setting.id == id);
    let setting = setting.ok_or_else(|| Failure::Text(format!("there is no setting {id:?}")))?;
    output.either(setting, |setting| {
        output.line(format!("{} of policy {}, in {}", setting.id, setting.policy, setting.unit));
        for (key, value) in setting.value.as_object().into_iter().flatten() {
            output.line(format!("  {key} = {value}"));
        }
        for view in &model.units {
            if let Some((_, stands)) = view.settings.iter().find(|(of, _)| *of == setting.id) {
                output.line(format!("  {}: {}", view.unit, super::unit::stands_in_words(stands)));
            }
        }
    });
    Ok(())
}
