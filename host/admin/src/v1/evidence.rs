//! Evidence for a partner: the document that the relay has signed, the same as a page, and the key it is signed with.

use axum::http::header;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use sealwire_core::address::Domain;
use sealwire_core::canonical::canonical;
use sealwire_core::evidence::{Month, Signed, style_hash};
use serde::{Deserialize, Serialize};

use crate::http::ask::{Ask, Pairs};
use crate::http::endpoint::{Answer, Answered, JSON, Reply, Value};
use crate::http::problem::{Fault, Problem};

/// With whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct With {
    /// That domain and none below it.
    domain: String,
}

/// When.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    /// A month of UTC, such as 2026-11.
    #[schemars(regex(pattern = r"^[0-9]{4}-(0[1-9]|1[0-2])$"))]
    month: String,
}

/// As it is verified, byte for byte.
pub(super) struct Document(Signed);

/// For people.
pub(super) struct Page(String);

/// The public key that evidence is signed with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EvidenceKey {
    /// `ed25519:` and 32 octets in base64; to be told to partners by another way than the document.
    pub public_key: String,
}

impl Pairs for With {}
impl Pairs for When {}
impl Value for EvidenceKey {}

impl Answered for Document {
    const MEDIA: &'static str = JSON;

    fn octets(&self) -> Result<Vec<u8>, Problem> {
        let document = serde_json::to_value(&self.0);
        let document = document.map_err(|error| Problem::internal(format!("it cannot be written: {error}")))?;
        Ok((canonical(&document) + "\n").into_bytes())
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<Signed>())
    }
}

impl Answered for Page {
    const MEDIA: &'static str = "text/html";

    fn octets(&self) -> Result<Vec<u8>, Problem> {
        Ok(self.0.clone().into_bytes())
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<String>())
    }
}

pub(super) async fn document(ask: Ask<With, When>) -> Answer<Document> {
    let (signed, name) = made(ask).await?;
    Ok(Reply::new(Document(signed)).with(header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}.json\"")))
}

/// Nothing in it runs, nothing is fetched, and nothing may frame it: every word of it is a stranger's until proven otherwise.
pub(super) async fn page(ask: Ask<With, When>) -> Answer<Page> {
    let (signed, name) = made(ask).await?;
    let page = signed.html().map_err(Problem::internal)?;
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
        style_hash()
    );
    let reply = Reply::new(Page(page)).with(header::CONTENT_SECURITY_POLICY, &policy);
    Ok(reply.with(header::CONTENT_DISPOSITION, &format!("inline; filename=\"{name}.html\"")))
}

pub(super) async fn key(ask: Ask) -> Answer<EvidenceKey> {
    let (relay, actor) = (ask.api.relay.clone(), ask.caller.actor());
    let public_key = whole(async move { relay.evidence_public_key(&actor).await }).await?;
    Ok(Reply::new(EvidenceKey { public_key }))
}

/// The evidence, and what a file of it is called.
async fn made(ask: Ask<With, When>) -> Result<(Signed, String), Problem> {
    let (With { domain }, When { month }) = (ask.path, ask.query);
    let wrong = |parameter: &str, detail: String| {
        let fault = Fault { parameter: Some(parameter.to_owned()), detail, ..Fault::default() };
        Problem::unprocessable("a parameter will not do").with_fault(fault)
    };
    let domain = Domain::parse(&domain).map_err(|why| wrong("domain", format!("{domain:?} is no domain: {why}")))?;
    let month: Month = month.parse().map_err(|why| wrong("month", why))?;
    let name = file_name(&domain, month);
    let (relay, actor) = (ask.api.relay.clone(), ask.caller.actor());
    let signed = whole(async move { relay.evidence(&domain, month, &actor).await }).await?;
    Ok((signed, name))
}

/// To its end: the first asks for a key that is made and written down, though the client goes away.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, String>> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::spawn(work).await.map_err(|error| Problem::internal(error.to_string()))?;
    done.map_err(Problem::internal)
}

/// Letters, digits, hyphens and dots alone: a domain may be an address literal.
fn file_name(domain: &Domain, month: Month) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
    let domain: String = domain.as_str().chars().map(plain).collect();
    format!("evidence-{domain}-{month}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_ends_no_header() {
        let rows = [
            ("Partner.Example", "evidence-partner.example-2026-11"),
            ("[IPv6:2001:db8::1]", "evidence-_ipv6_2001_db8__1_-2026-11"),
            ("[a\"b]", "evidence-_a_b_-2026-11"),
        ];
        for (domain, expected) in rows {
            let domain = Domain::parse(domain).expect("a domain");
            assert_eq!(file_name(&domain, "2026-11".parse().expect("a month")), expected);
        }
    }
}
