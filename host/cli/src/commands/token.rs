//! `token`: what scripts and monitors say who they are with, at the HTTP API.

use clap::{Args, Subcommand};
use sealwire_admin::v1::{CreatedToken, NewToken};
use sealwire_admin::{Client, Grant, Role, Token as Known, encoded};
use sealwire_core::time::rfc3339;
use sealwire_core::units::UnitPath;
use sealwire_relay::config::values::seconds;

use crate::failure::Failure;
use crate::output::{Output, now, span};

#[derive(Subcommand)]
#[command(after_help = "\
A token stands for a role in an organizational unit and everything below it, until a day. It is
shown once, when it is made; the relay keeps a digest of it. Roles: owner, settings, policies,
queue, auditor.

Examples:
  sealwire token create --name monitoring --role auditor --expires 90d
  sealwire token create --name desk --role queue --unit root/sales --expires 30d
  sealwire token list
  sealwire token revoke ID")]
pub(crate) enum Token {
    /// Make a token
    Create(Create),
    /// List tokens, those that ended lately too
    List,
    /// A token is no good from now on
    Revoke {
        /// As in the list; also the middle of the token itself
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct Create {
    /// What it is for; the audit log names it so
    #[arg(long)]
    name: String,
    /// What it may: owner, settings, policies, queue or auditor; may be given again
    #[arg(long = "role", required = true, value_name = "ROLE")]
    roles: Vec<Role>,
    /// Where: an organizational unit, and everything below it
    #[arg(long, default_value = "root", value_name = "PATH")]
    unit: UnitPath,
    /// When it ends, from now
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    expires: u64,
}

impl Token {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            Token::Create(create) => {
                let body = serde_json::to_vec(&create.meant()).map_err(|error| error.to_string())?;
                let created: CreatedToken = client.post("/api/v1/tokens", body).await?;
                output.either(&created, |created| {
                    output.line(&created.secret);
                    let until = rfc3339(created.token.expires_at);
                    output.line(format!("It is shown this once, and is good until {until}: keep it as a password."));
                });
            }
            Token::List => {
                let tokens: Vec<Known> = client.get("/api/v1/tokens").await?;
                output.either(&tokens, |tokens| tell(tokens, output));
            }
            Token::Revoke { id } => {
                let revoked: Known = client.delete(&format!("/api/v1/tokens/{}", encoded(&id))).await?;
                output.either(&revoked, |revoked| output.line(format!("{} is no good any more", revoked.name)));
            }
        }
        Ok(())
    }
}

impl Create {
    fn meant(self) -> NewToken {
        let Create { name, roles, unit, expires } = self;
        let grants = roles.into_iter().map(|role| Grant { role, unit: unit.clone() }).collect();
        NewToken { name, grants, expires_at: now().saturating_add(expires) }
    }
}

fn tell(tokens: &[Known], output: &Output) {
    if tokens.is_empty() {
        output.line("there are no tokens");
        return;
    }
    let row = |token: &Known| {
        let grants: Vec<_> = token.grants.iter().map(ToString::to_string).collect();
        [token.id.clone(), token.name.clone(), grants.join(", "), state(token), token.created_by.clone()]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    output.table(["id", "name", "may", "state", "made by"], &rows);
}

fn state(token: &Known) -> String {
    match token.revoked_at {
        Some(at) => format!("revoked {} ago", span(now().saturating_sub(at))),
        None if token.expires_at <= now() => format!("expired {} ago", span(now() - token.expires_at)),
        None => format!("good for {}", span(token.expires_at - now())),
    }
}
