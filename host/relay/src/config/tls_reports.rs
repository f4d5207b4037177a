//! `[tls-reports]`, as meant: who reports, and whether by mail too.

use sealwire_core::address::Domain;
use sealwire_core::tlsrpt::Submitter;

use super::meaning::value;
use super::meant::{ReportsByMail, TlsReports};
use super::reader::{At, Faults};
use super::written::WrittenTlsReports;

/// None where they are not enabled; what is missing then does not matter, what is wrong does.
pub(super) fn of(written: WrittenTlsReports, hostname: &Domain, faults: &Faults) -> Option<TlsReports> {
    let WrittenTlsReports { enabled, organization, contact, from, dkim_domain, dkim_selector, dkim_key, .. } = written;
    let enabled = enabled.filter(|at| at.value)?;
    if organization.is_none() {
        faults
            .note_at(&enabled, "needs organization-name = \"NAME\": reports say who sends them (RFC 8460 section 4.4)");
    }
    if contact.is_none() {
        faults.note_at(&enabled, "needs contact = \"MAILBOX\": reports say whom to ask (RFC 8460 section 4.4)");
    }
    let of_mail = [at_of(&from), at_of(&dkim_domain), at_of(&dkim_selector), at_of(&dkim_key)];
    let mail = match (from, dkim_selector, dkim_key) {
        (Some(from), Some(selector), Some(key)) => by_mail(from, dkim_domain, selector.value, key.value, faults),
        (from, selector, key) => {
            let keys = [("from", from.is_none()), ("dkim-selector", selector.is_none()), ("dkim-key", key.is_none())];
            let missing: Vec<&str> = keys.into_iter().filter_map(|(key, missing)| missing.then_some(key)).collect();
            if let Some(at) = of_mail.iter().flatten().next() {
                let text = format!(
                    "reports by mail must be signed (RFC 8460 section 3): add {}, or leave from and all dkim keys out \
                     to report by HTTPS alone",
                    missing.join(" and ")
                );
                faults.note_at(at, text);
            }
            None
        }
    };
    let domain = mail.as_ref().map_or_else(|| hostname.clone(), |mail: &ReportsByMail| mail.from.domain.clone());
    let (organization, contact) = (value(organization)?, value(contact)?);
    Some(TlsReports { submitter: Submitter { organization, contact, domain }, mail })
}

fn by_mail(
    from: At<sealwire_core::address::Mailbox>,
    dkim_domain: Option<At<Domain>>,
    dkim_selector: String,
    dkim_key: std::path::PathBuf,
    faults: &Faults,
) -> Option<ReportsByMail> {
    let own = &from.value.domain;
    if let Some(at) = &dkim_domain
        && at.value != *own
        && !own.parents().any(|parent| parent == at.value.as_str())
    {
        faults.note_at(
            at,
            format!("receivers trust a signature of the domain of from alone; write {own} or leave it out"),
        );
    }
    let dkim_domain = value(dkim_domain).unwrap_or_else(|| own.clone());
    Some(ReportsByMail { from: from.value, dkim_domain, dkim_selector, dkim_key })
}

/// Where it stands, whatever it is.
fn at_of<T>(at: &Option<At<T>>) -> Option<At<()>> {
    at.as_ref().map(|at| At { value: (), line: at.line, key: at.key.clone() })
}
