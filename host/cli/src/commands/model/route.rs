//! `route`: mail hosts, and the test of their TLS.

use clap::{Args, Subcommand};
use sealwire_admin::Client;
use sealwire_relay::settings::{Edit, RouteView};
use serde_json::{Value, json};

use super::{Change, Keys, model, words};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  sealwire route put vault --host gw.example.net:465 --implicit-tls --ca-signed --hostname \\
      --alternate-secure
  sealwire route put ours --match example.com --host mail.example.com
  sealwire tls-test ann@partner.example --route vault     Test TLS connection
  sealwire route list
  sealwire route remove vault

Routes with client certificates or logins name files and stand in the configuration.")]
pub(crate) enum Route {
    /// List routes, those of the configuration too
    List,
    /// Add a route, or put it in the place of what it was
    Put(Put),
    /// Remove a route of the settings
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Args)]
pub(crate) struct Put {
    /// Its name: a-z, 0-9 and -
    name: String,
    /// Recipients' domains: example.com, or *.example.com for all below it; several are allowed
    #[arg(long = "match", value_name = "DOMAIN")]
    matches: Vec<String>,
    /// Take what no other route does
    #[arg(long)]
    default: bool,
    /// To the mail exchangers of the recipient's domain
    #[arg(long, conflicts_with = "host")]
    mx: bool,
    /// A host, with a port if it is not 25; several are allowed, the first is asked first
    #[arg(long, value_name = "HOST[:PORT]")]
    host: Vec<String>,
    /// Require TLS
    #[arg(long)]
    tls: bool,
    /// Require a CA signed certificate
    #[arg(long)]
    ca_signed: bool,
    /// Validate the certificate's hostname
    #[arg(long)]
    hostname: bool,
    /// The minimum TLS version: 1.2 or 1.3
    #[arg(long, value_name = "VERSION")]
    min_tls: Option<String>,
    /// TLS from the first octet
    #[arg(long)]
    implicit_tls: bool,
    /// Settings may name it as alternate secure route
    #[arg(long)]
    alternate_secure: bool,
    #[command(flatten)]
    change: Change,
}

impl Route {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            Route::List => {
                let model = model(client).await?;
                output.either(&model.routes, |routes| {
                    let row = |route: &RouteView| {
                        let of = if route.of_settings { "settings" } else { "configuration" };
                        [route.name.clone(), route.kind.clone(), words(&route.demands), of.to_owned()]
                    };
                    let rows: Vec<_> = routes.iter().map(row).collect();
                    output.table(["route", "kind", "demands", "written in"], &rows);
                });
                Ok(())
            }
            Route::Put(put) => put.run(client, output).await,
            Route::Remove { name, change } => change.make(vec![Edit::RemoveRoute { name }], client, output).await,
        }
    }
}

impl Put {
    async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let ticked = |flag: bool| flag.then_some(true);
        let hosts = self.host.iter().zip(1..).map(|(text, at)| host(text, at * 10)).collect::<Result<Vec<_>, _>>()?;
        let mut keys = Keys::default();
        keys.put_all("match", self.matches);
        keys.put("default", ticked(self.default));
        keys.put("mx", ticked(self.mx));
        keys.put("hosts", (!hosts.is_empty()).then_some(hosts));
        keys.put("tls", self.tls.then_some("required"));
        keys.put("require-ca-signed-certificate", ticked(self.ca_signed));
        keys.put("validate-hostname", ticked(self.hostname));
        keys.put_or_take("minimum-tls-version", self.min_tls);
        keys.put("implicit-tls", ticked(self.implicit_tls));
        keys.put("alternate-secure", ticked(self.alternate_secure));
        self.change.make(vec![Edit::PutRoute { name: self.name, value: keys.0 }], client, output).await
    }
}

/// `gw.example:465`; an IPv6 address in brackets, or without a port.
fn host(text: &str, preference: u16) -> Result<Value, String> {
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("{text:?} is no port"));
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(port(rest.trim_start_matches(':'))?)),
        None => match text.rsplit_once(':') {
            Some((host, number)) if !host.contains(':') => (host, Some(port(number)?)),
            _ => (text, None),
        },
    };
    let mut value = json!({ "host": host, "preference": preference });
    if let Some(port) = port {
        value["port"] = port.into();
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_with_their_ports() {
        let rows = [
            ("gw.example", json!({"host": "gw.example", "preference": 10})),
            ("gw.example:465", json!({"host": "gw.example", "port": 465, "preference": 10})),
            ("[2001:db8::1]:465", json!({"host": "2001:db8::1", "port": 465, "preference": 10})),
            ("[2001:db8::1]", json!({"host": "2001:db8::1", "preference": 10})),
            ("2001:db8::1", json!({"host": "2001:db8::1", "preference": 10})),
        ];
        for (text, expected) in rows {
            assert_eq!(host(text, 10).expect("a host"), expected, "{text}");
        }
        assert!(host("gw.example:smtp", 10).is_err());
    }
}
