//! The cookie of a session (RFC 6265): out of reach of scripts and of other sites' requests.

use axum::http::{HeaderMap, header};

use crate::access::sessions::LIFE_SECS;

/// Over TLS: the prefix has browsers insist on Secure, on this host and on the path `/`.
const OVER_TLS: &str = "__Host-sealwire-session";
/// In clear, on loopback alone.
const IN_CLEAR: &str = "sealwire-session";

fn name(is_tls: bool) -> &'static str {
    if is_tls { OVER_TLS } else { IN_CLEAR }
}

fn attributes(is_tls: bool) -> &'static str {
    if is_tls { "Path=/; HttpOnly; SameSite=Strict; Secure" } else { "Path=/; HttpOnly; SameSite=Strict" }
}

/// Set-Cookie of a session that begins.
pub(crate) fn begun(is_tls: bool, secret: &str) -> String {
    format!("{}={secret}; Max-Age={LIFE_SECS}; {}", name(is_tls), attributes(is_tls))
}

/// Set-Cookie of one that has ended.
pub(crate) fn ended(is_tls: bool) -> String {
    format!("{}=; Max-Age=0; {}", name(is_tls), attributes(is_tls))
}

/// What a request's cookie holds. None: there is none, or there are several, of which one may be planted.
pub(crate) fn session(headers: &HeaderMap, is_tls: bool) -> Option<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(known, _)| *known == name(is_tls)).map(|(_, value)| value.to_owned());
    let first = found.next()?;
    if found.next().is_some() { None } else { Some(first) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn one_cookie_counts_and_two_do_not() {
        let rows = [
            (true, "a=b; __Host-sealwire-session=x1", Some("x1")),
            (true, "sealwire-session=x1", None),
            (false, "sealwire-session=x1; c", Some("x1")),
            (false, "__Host-sealwire-session=x1", None),
            (true, "__Host-sealwire-session=x1; __Host-sealwire-session=x2", None),
            (true, "", None),
        ];
        for (is_tls, cookie, expected) in rows {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(cookie))]);
            assert_eq!(session(&headers, is_tls).as_deref(), expected, "{cookie}");
        }
        assert_eq!(
            begun(true, "x"),
            "__Host-sealwire-session=x; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(!ended(false).contains("Secure") && ended(false).contains("Max-Age=0"));
    }
}
