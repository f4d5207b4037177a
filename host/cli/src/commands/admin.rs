//! `admin`: people who log in at the HTTP API.

use std::io::BufRead;

use clap::{Args, Subcommand};
use sealwire_admin::v1::{AdministratorChange, NewAdministrator};
use sealwire_admin::{Administrator, Client, Grant, Role, encoded, random_password};
use sealwire_core::units::UnitPath;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Subcommand)]
#[command(after_help = "\
An administrator has roles, each in an organizational unit and everything below it: owner,
settings, policies, queue, auditor. A password is made and shown once, unless one is given on
standard input.

Examples:
  sealwire admin create ann --role owner
  sealwire admin create bob --role queue --role auditor --unit root/sales
  sealwire admin reset ann
  sealwire admin disable bob
  sealwire admin list")]
pub(crate) enum Admin {
    /// Make an administrator
    Create(Create),
    /// List administrators
    List,
    /// An administrator cannot log in any more; his sessions end
    Disable {
        /// As in the list
        name: String,
    },
    /// Give an administrator a new password, and let him log in; his sessions end
    Reset {
        /// As in the list
        name: String,
        /// Read the password from standard input, up to the first line end
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Args)]
pub(crate) struct Create {
    /// What he logs in with
    name: String,
    /// What he may: owner, settings, policies, queue or auditor; may be given again
    #[arg(long = "role", required = true, value_name = "ROLE")]
    roles: Vec<Role>,
    /// Where: an organizational unit, and everything below it
    #[arg(long, default_value = "root", value_name = "PATH")]
    unit: UnitPath,
    /// Read the password from standard input, up to the first line end
    #[arg(long)]
    password_stdin: bool,
}

impl Admin {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            Admin::Create(Create { name, roles, unit, password_stdin }) => {
                let (password, shown) = password(password_stdin)?;
                let grants = roles.into_iter().map(|role| Grant { role, unit: unit.clone() }).collect();
                let body = json(&NewAdministrator { name, password, grants })?;
                let made: Administrator = client.post("/api/v1/admins", body).await?;
                output.either(&made, |made| output.line(format!("{} may log in", made.name)));
                show(shown, output);
            }
            Admin::List => {
                let admins: Vec<Administrator> = client.get("/api/v1/admins").await?;
                output.either(&admins, |admins| tell(admins, output));
            }
            Admin::Disable { name } => {
                let change = AdministratorChange { disabled: Some(true), ..AdministratorChange::default() };
                let changed = changed(client, &name, &change).await?;
                output.either(&changed, |changed| output.line(format!("{} cannot log in any more", changed.name)));
            }
            Admin::Reset { name, password_stdin } => {
                let (password, shown) = password(password_stdin)?;
                let change = AdministratorChange {
                    disabled: Some(false),
                    password: Some(password),
                    ..AdministratorChange::default()
                };
                let changed = changed(client, &name, &change).await?;
                output.either(&changed, |changed| output.line(format!("{} has a new password", changed.name)));
                show(shown, output);
            }
        }
        Ok(())
    }
}

async fn changed(client: &Client, name: &str, change: &AdministratorChange) -> Result<Administrator, Failure> {
    Ok(client.patch(&format!("/api/v1/admins/{}", encoded(name)), json(change)?).await?)
}

/// The password, and what of it is to be shown.
fn password(from_input: bool) -> Result<(String, Option<String>), Failure> {
    if !from_input {
        let made = random_password().map_err(|error| error.to_string())?;
        return Ok((made.clone(), Some(made)));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| format!("no password could be read: {error}"))?;
    Ok((line.trim_end_matches(['\r', '\n']).to_owned(), None))
}

/// On standard error, so that `--json` stays what it is.
fn show(password: Option<String>, output: &Output) {
    if let Some(password) = password {
        output.aside(&format!("password, shown this once: {password}"));
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

fn tell(admins: &[Administrator], output: &Output) {
    if admins.is_empty() {
        output.line("there are no administrators");
        return;
    }
    let row = |admin: &Administrator| {
        let grants: Vec<_> = admin.grants.iter().map(ToString::to_string).collect();
        let state = if admin.disabled { "disabled" } else { "may log in" };
        [admin.name.clone(), grants.join(", "), state.to_owned(), admin.created_by.clone()]
    };
    let rows: Vec<_> = admins.iter().map(row).collect();
    output.table(["name", "may", "state", "made by"], &rows);
}
