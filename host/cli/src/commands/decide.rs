//! `decide`: a message's facts before the policies, in the sandbox, with result and reasons. Nothing is sent or stored.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use sealwire_admin::decide::{ChannelAsked, Decision, decide};
use sealwire_admin::{DecideAnswer, DecideRequest, Stage};
use sealwire_core::units::UnitPath;
use sealwire_policy::{Sandbox, SandboxConfig};
use sealwire_relay::config::Config;
use sealwire_relay::generation::{Components, build_generation};
use sealwire_relay::settings::{SettingsDocument, gather};

use crate::args::Place;
use crate::builtins::builtins;
use crate::failure::Failure;
use crate::output::{Output, Tone};

/// Longest message read; only its header counts.
const MESSAGE_MAX: u64 = 1 << 20;

#[derive(Args)]
#[command(after_help = "\
The running relay is asked, with the settings in force. With --settings or --local the
configuration is read and the policies run here, and no relay needs to run.

Examples:
  sealwire decide --from ann@bank.example --to me@ours.example --clear
  sealwire decide --stage plan --from me@ours.example --to ann@bank.example
  sealwire decide --stage judge --from me@ours.example --to ann@bank.example --hop tls-1.2
  sealwire decide --message mail.eml --to me@ours.example --client-tls --settings new.toml")]
pub(crate) struct Decide {
    /// What to ask
    #[arg(long, value_enum, default_value_t = AskedStage::Receive)]
    stage: AskedStage,
    /// Header From; several make several mailboxes
    #[arg(long, value_name = "ADDRESS", conflicts_with = "message", required_unless_present = "message")]
    from: Vec<String>,
    /// A file with a message; its header counts
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
    /// Envelope sender [default: the first --from]; empty for <>
    #[arg(long, value_name = "ADDRESS")]
    envelope_from: Option<String>,
    /// A recipient; several are allowed
    #[arg(long, value_name = "ADDRESS", required = true)]
    to: Vec<String>,
    /// The client came over TLS
    #[arg(long, conflicts_with = "clear")]
    client_tls: bool,
    /// The client came in clear [default]
    #[arg(long)]
    clear: bool,
    /// The client is on a trusted network
    #[arg(long)]
    trusted: bool,
    /// The organizational unit a trusted client brings, such as sales/emea [default: the root]
    #[arg(long, value_name = "UNIT", requires = "trusted")]
    unit: Option<UnitPath>,
    /// A policy that asked for secure transport on arrival
    #[arg(long, value_name = "POLICY")]
    flagged_by: Vec<String>,
    /// It came with REQUIRETLS (RFC 8689)
    #[arg(long)]
    requiretls: bool,
    /// Plan and judge: this route instead of the recipient's own
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Judge: name of the host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Judge: what the host's channel gives
    #[arg(long, value_enum, default_value_t = AskedHop::Tls)]
    hop: AskedHop,
    /// Decide here, with these settings
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Decide here, without settings
    #[arg(long)]
    local: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum AskedStage {
    /// May it come in?
    Receive,
    /// What must the next hop give?
    Plan,
    /// Will this host do?
    Judge,
}

#[derive(Clone, Copy, ValueEnum)]
enum AskedHop {
    /// No STARTTLS
    Clear,
    /// TLS 1.3, a certificate that is trusted and names the host
    Tls,
    /// TLS 1.2, the same
    #[value(name = "tls-1.2")]
    Tls12,
    /// TLS 1.3, a certificate of no trusted CA
    TlsSelfSigned,
    /// TLS 1.3, a trusted certificate of another name
    TlsWrongName,
    /// As tls, of a host that offers REQUIRETLS
    TlsRequiretls,
}

impl Decide {
    pub(crate) async fn run(self, place: &Place, output: &Output) -> Result<(), Failure> {
        let request = self.request()?;
        let answer = if self.local || self.settings.is_some() {
            let (config, _) = place.configuration()?;
            here(config, self.settings, request).await?
        } else {
            let body = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
            place.client()?.post("/v1/decide", body).await?
        };
        output.either(&answer, |answer| answer.results.iter().for_each(|decision| tell(decision, output)));
        Ok(())
    }

    fn request(&self) -> Result<DecideRequest, Failure> {
        let header = match &self.message {
            Some(file) => read_message(file)?,
            None => format!("From: {}\n", self.from.join(", ")),
        };
        let envelope_sender = self.envelope_from.clone().or_else(|| self.from.first().cloned()).unwrap_or_default();
        Ok(DecideRequest {
            stage: match self.stage {
                AskedStage::Receive => Stage::Receive,
                AskedStage::Plan => Stage::Plan,
                AskedStage::Judge => Stage::Judge,
            },
            header,
            envelope_sender,
            recipients: self.to.clone(),
            client: if self.client_tls { ChannelAsked::Tls } else { ChannelAsked::Clear },
            trusted: self.trusted,
            unit: self.unit.clone(),
            flagged_by: self.flagged_by.clone(),
            requiretls: self.requiretls,
            route: self.route.clone(),
            host: self.host.clone(),
            hop: match self.hop {
                AskedHop::Clear => ChannelAsked::Clear,
                AskedHop::Tls => ChannelAsked::Tls,
                AskedHop::Tls12 => ChannelAsked::Tls12,
                AskedHop::TlsSelfSigned => ChannelAsked::TlsSelfSigned,
                AskedHop::TlsWrongName => ChannelAsked::TlsWrongName,
                AskedHop::TlsRequiretls => ChannelAsked::TlsRequiretls,
            },
        })
    }
}

/// The header alone; octets that are not UTF-8 become U+FFFD, which leaves a doubtful From doubtful.
fn read_message(file: &PathBuf) -> Result<String, Failure> {
    use std::io::Read;
    let cannot = |why: std::io::Error| Failure::Text(format!("{}: cannot be read: {why}", file.display()));
    let mut octets = Vec::new();
    std::fs::File::open(file).map_err(cannot)?.take(MESSAGE_MAX).read_to_end(&mut octets).map_err(cannot)?;
    let text = String::from_utf8_lossy(&octets).replace("\r\n", "\n");
    Ok(text.split("\n\n").next().unwrap_or_default().to_owned())
}

async fn here(config: Config, settings: Option<PathBuf>, request: DecideRequest) -> Result<DecideAnswer, Failure> {
    let built = tokio::task::spawn_blocking(move || {
        let settings = match settings {
            Some(file) => SettingsDocument::parse(&gather(&file)?)?,
            None => SettingsDocument::empty(),
        };
        let sandbox = Sandbox::start(SandboxConfig::default()).map_err(|error| Failure::Text(error.to_string()))?;
        let (config, units) = settings.meant(&config)?;
        let components = Components::read(&config, &builtins());
        let (generation, scopes) = build_generation(1, &config, &settings, units, &components, &sandbox, None)?;
        Ok::<_, Failure>((config, sandbox, Arc::new(generation), scopes))
    });
    let (config, sandbox, generation, scopes) = built.await.map_err(|error| error.to_string())??;
    Ok(decide(&sandbox, &generation, &scopes, &config, &request).await?)
}

fn tell(decision: &Decision, output: &Output) {
    let tone = match decision.result.as_str() {
        "accept" | "planned" | "cleared" => Tone::Good,
        _ => Tone::Bad,
    };
    let recipient = decision.recipient.as_ref().map(|recipient| format!("  {recipient}")).unwrap_or_default();
    output.pieces(&[(Some(tone), &decision.result), (None, &recipient)]);
    decision.explained().iter().for_each(|line| output.line(format!("  {line}")));
}
