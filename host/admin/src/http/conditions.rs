//! Conditional requests (RFC 9110 §13): what is unchanged is not sent again, and what has changed is not overwritten.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// Entity tags in one field.
const TAGS_MAX: usize = 32;

/// `If-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: whatever is there, if anything is.
    Any,
    /// One of these opaque tags, compared strongly: weak ones never match (RFC 9110 §13.1.1).
    Tags(Vec<String>),
}

impl IfMatch {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<IfMatch>, Problem> {
        let Some(tags) = tags(headers, header::IF_MATCH)? else { return Ok(None) };
        let strong = |tag: &String| !tag.starts_with("W/");
        Ok(Some(match tags {
            Tags::Any => IfMatch::Any,
            Tags::These(tags) => IfMatch::Tags(tags.into_iter().filter(strong).collect()),
        }))
    }

    /// Whether what is there, None for nothing, is one of them.
    pub(crate) fn holds(&self, found: Option<&str>) -> bool {
        match (self, found) {
            (IfMatch::Any, found) => found.is_some(),
            (IfMatch::Tags(tags), Some(found)) => tags.iter().any(|tag| tag == found),
            (IfMatch::Tags(_), None) => false,
        }
    }
}

/// What a change needs where another's change must not be overwritten unseen (RFC 6585 §3).
pub(crate) fn required(if_match: Option<IfMatch>) -> Result<IfMatch, Problem> {
    if_match.ok_or_else(|| {
        let text = "say what this change was made from: If-Match with the ETag that was read, or * for the first";
        Problem::new(StatusCode::PRECONDITION_REQUIRED, text)
    })
}

/// Whether `If-None-Match` names what is there: compared weakly (RFC 9110 §13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, found: &str) -> Result<bool, Problem> {
    Ok(match tags(headers, header::IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::These(tags)) => tags.iter().any(|tag| tag.trim_start_matches("W/") == found),
    })
}

/// The tag of a body: equal bodies have equal tags.
pub(crate) fn tag_of(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let text: String = digest.iter().take(16).map(|octet| format!("{octet:02x}")).collect();
    format!("\"{text}\"")
}

enum Tags {
    Any,
    These(Vec<String>),
}

/// Entity tags, quotes and weakness kept.
fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Tags>, Problem> {
    let mut found = Vec::new();
    for value in headers.get_all(&name) {
        let wrong = || Problem::at_header(&name, "is no list of entity tags; write them as they were given, in quotes");
        let mut rest = value.to_str().map_err(|_| wrong())?.trim();
        if rest == "*" {
            return Ok(Some(Tags::Any));
        }
        while !rest.is_empty() {
            let weak = rest.strip_prefix("W/");
            let tag = weak.unwrap_or(rest).strip_prefix('"').ok_or_else(wrong)?;
            let (tag, behind) = tag.split_once('"').ok_or_else(wrong)?;
            found.push(format!("{}\"{tag}\"", if weak.is_some() { "W/" } else { "" }));
            rest = behind.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(rest) => rest.trim_start(),
                None if rest.is_empty() => rest,
                None => return Err(wrong()),
            };
        }
    }
    if headers.contains_key(&name) && (found.is_empty() || found.len() > TAGS_MAX) {
        return Err(Problem::at_header(&name, format!("must name 1 to {TAGS_MAX} entity tags")));
    }
    Ok(if headers.contains_key(&name) { Some(Tags::These(found)) } else { None })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn entity_tags_are_compared_as_rfc_9110_says() {
        // The field, whether If-Match holds for "3", whether If-None-Match knows it; None: refused.
        let rows = [
            ("\"3\"", Some((true, true))),
            ("\"2\", \"3\"", Some((true, true))),
            ("W/\"3\"", Some((false, true))),
            ("*", Some((true, true))),
            ("\"4\"", Some((false, false))),
            ("", None),
            ("3", None),
            ("\"3", None),
            ("\"3\" \"4\"", None),
        ];
        for (text, expected) in rows {
            let headers = |name: HeaderName| HeaderMap::from_iter([(name, HeaderValue::from_static(text))]);
            let found = IfMatch::of(&headers(header::IF_MATCH)).ok().flatten().map(|asked| asked.holds(Some("\"3\"")));
            assert_eq!(found, expected.map(|(holds, _)| holds), "If-Match: {text}");
            let found = is_known(&headers(header::IF_NONE_MATCH), "\"3\"").ok();
            assert_eq!(found, expected.map(|(_, known)| known), "If-None-Match: {text}");
        }
        assert!(!IfMatch::Any.holds(None), "* wants something to be there (RFC 9110 section 13.1.1)");
    }
}
