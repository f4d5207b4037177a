//! Pages: at most `limit` things behind `after`, and a link to what comes next (RFC 8288).

use axum::http::header::LINK;

use crate::http::BASE;
use crate::http::endpoint::Reply;
use crate::http::problem::Problem;

/// Of one page, unless fewer are asked for.
const PAGE_MAX: usize = 1000;
/// Of a page where nothing is said.
const PAGE: usize = 100;

/// A link to the page behind `after`, which has the same filters.
pub(super) fn linked<T>(reply: Reply<T>, path: &str, filters: &[(&str, Option<String>)], after: &str) -> Reply<T> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in filters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.append_pair("after", after).finish();
    reply.with(LINK, &format!("<{BASE}{path}?{query}>; rel=\"next\""))
}

/// How many were asked for.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(PAGE) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        _ => Err(Problem::at_parameter("limit", format!("must be from 1 to {PAGE_MAX}"))),
    }
}
