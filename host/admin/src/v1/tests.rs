//! Every endpoint, asked by everyone: made from the table that the router is made from, so that no row can be left out.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};

use sealwire_store::{Retried, Retry};

use super::endpoints;
use super::world::{MARK, PEER, SETTINGS, THEIRS, World};
use crate::access::{Grant, Role};
use crate::http::endpoint::Access;
use crate::http::{self, now};

/// Units that callers come from, and whether they see what is of [`THEIRS`].
const UNITS: [(&str, bool); 4] = [("root", true), (THEIRS, true), ("root/others", false), ("root/theirs/below", false)];

/// Whether a role is enough for an endpoint.
fn is_for(access: Access, role: Role) -> bool {
    match access {
        Access::Open | Access::Known => true,
        Access::Root(roles) | Access::Units(roles) => role == Role::Owner || roles.contains(&role),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_may_what_the_table_says_and_nothing_else() {
    let world = World::new().await;
    let mut asked = 0;
    for role in Role::ALL {
        for (unit, sees) in UNITS {
            let (_, token) = world.token(role, unit, "caller").await;
            for endpoint in endpoints() {
                // By name, and where the body may say so, all there is.
                for all in [false, true]
                    .into_iter()
                    .take(1 + usize::from(endpoint.path.starts_with("/queue/") && endpoint.media.is_some()))
                {
                    let what = format!("{} {} by {} in {unit}", endpoint.method, endpoint.path, role.as_str());
                    let object = world.object(&endpoint).await;
                    let before = world.state().await;
                    let body = World::body(&endpoint, &object, all);
                    let said = world.ask(&endpoint, &object, body, Some(&token)).await;
                    asked += 1;
                    let may = match endpoint.access {
                        Access::Root(_) => is_for(endpoint.access, role) && unit == "root",
                        _ => is_for(endpoint.access, role),
                    };
                    if !may {
                        said.assert_problem(StatusCode::FORBIDDEN, &what);
                    } else if endpoint.id == "jobEnd" && sees && role == Role::Auditor {
                        // He sees it, and it is another's.
                        said.assert_problem(StatusCode::FORBIDDEN, &what);
                        assert_eq!(world.state().await, before, "{what} ends it");
                        world.clear(&object).await;
                        continue;
                    } else if endpoint.id == "settingsEdit" && !sees {
                        // Its body names the object, and so does the refusal.
                        said.assert_problem(StatusCode::FORBIDDEN, &what);
                        assert!(said.body.contains("setting theirs is not of the units"), "{what}: {said:?}");
                    } else {
                        let open = matches!(endpoint.access, Access::Open);
                        let wrong = if open { &[500][..] } else { &[401, 403, 500] };
                        assert!(!wrong.contains(&said.status.as_u16()), "{what}: {said:?}");
                    }
                    let is_of_units = matches!(endpoint.access, Access::Units(_));
                    if is_of_units && may && sees {
                        assert!(said.status.is_success(), "{what}: {said:?}");
                    }
                    if !may || (is_of_units && !sees) {
                        assert!(!said.body.contains(MARK), "{what} is shown what is not his: {said:?}");
                        assert_eq!(world.state().await, before, "{what} moves what is not his");
                    }
                    if is_of_units && may && !sees && endpoint.path.contains('{') {
                        said.assert_problem(StatusCode::NOT_FOUND, &what);
                    }
                    if is_of_units && may && sees && endpoint.method == Method::GET {
                        assert!(said.body.contains(MARK), "{what} is not shown what is his: {said:?}");
                    }
                    world.clear(&object).await;
                }
            }
        }
    }
    assert!(asked >= 500, "only {asked} requests were made");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_may_anything() {
    let world = World::new().await;
    let (revoked, of_revoked) = world.token(Role::Owner, "root", "revoked").await;
    world.api.tokens.revoke(&revoked, now(), |_| None).await.expect("revoked");
    let grants = vec![Grant { role: Role::Owner, unit: "root".parse().expect("a path") }];
    let expired = world.api.tokens.create("expired".to_owned(), grants, "test".to_owned(), 1, now(), |_| None).await;
    let (_, of_expired) = expired.expect("made");
    let (id, good) = world.token(Role::Owner, "root", "good").await;
    let guessed = format!("swt_{id}_{}", "0".repeat(64));
    let shortened = good[..good.len() - 1].to_owned();
    let wrong = [&of_revoked, &of_expired, &guessed, &shortened, "swt__", "x"].map(Some);
    for endpoint in endpoints() {
        for token in [None].into_iter().chain(wrong) {
            let what = format!("{} {} with {token:?}", endpoint.method, endpoint.path);
            let object = world.object(&endpoint).await;
            let before = world.state().await;
            let body = World::body(&endpoint, &object, true);
            let said = world.ask(&endpoint, &object, body, token.map(|token| token as &str)).await;
            let after = world.state().await;
            world.clear(&object).await;
            if matches!(endpoint.access, Access::Open) {
                assert!(!said.status.is_server_error(), "{what}: {said:?}");
                continue;
            }
            said.assert_problem(StatusCode::UNAUTHORIZED, &what);
            assert!(said.asks.is_some_and(|asks| asks.starts_with("Bearer")), "{what}");
            assert_eq!(after, before, "{what}");
        }
    }
    let audit = world.api.relay.store().audit_log(Default::default()).await.expect("the audit log");
    let of = |name: &str| audit.iter().filter(|line| line.text.contains(name) && line.text.contains("refused")).count();
    let rows = endpoints().iter().filter(|endpoint| !matches!(endpoint.access, Access::Open)).count();
    assert_eq!((of("token revoked"), of("token expired")), (rows, rows), "who was known is told of");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_by_lots_tells_how_far_it_is_and_stops_where_it_is_told_to() {
    let world = World::new().await;
    let queue = endpoints().into_iter().find(|endpoint| endpoint.id == "queueRetryBegin").expect("a row");
    for _ in 0..250 {
        world.object(&queue).await;
    }
    let by_lots = async |lots: usize| {
        let mut heard = Vec::new();
        let told = |done, total, retried: Retried| {
            heard.push((done, total, retried.recipients));
            heard.len() <= lots
        };
        let retried = world.api.relay.retry_by_lots(Retry::All, "test".to_owned(), told).await.expect("retried");
        (retried.recipients, heard)
    };
    assert_eq!(by_lots(0).await, (0, vec![(0, 250, 0)]), "it is stopped before it begins");
    assert_eq!(by_lots(1).await, (200, vec![(0, 250, 0), (200, 250, 200)]));
    assert_eq!(by_lots(9).await, (250, vec![(0, 250, 0), (200, 250, 200), (250, 250, 250)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_do_is_told_as_problem_details() {
    let world = World::new().await;
    let (_, token) = world.token(Role::Owner, "root", "owner").await;
    let json = Some("application/json");
    let long = format!("{{\"which\": {:?}}}", "x".repeat(2 << 20));
    // Method, path, Content-Type, body, status.
    let rows: &[(&str, &str, Option<&str>, &str, u16)] = &[
        ("GET", "/nothing", None, "", 404),
        ("GET", "/queue/nothing", None, "", 404),
        ("GET", "/queue/%ff", None, "", 400),
        ("GET", "/settings/revisions/one", None, "", 400),
        ("PUT", "/queue", None, "", 405),
        ("GET", "/queue?limit=ten", None, "", 400),
        ("GET", "/queue?limit=0", None, "", 400),
        ("GET", "/queue?limit=1&limit=2", None, "", 400),
        ("GET", "/queue?unit=root", None, "", 400),
        ("GET", "/queue?within=root", None, "", 400),
        ("GET", "/status?a=b", None, "", 400),
        ("POST", "/queue/retry", json, "{", 400),
        ("POST", "/queue/retry", json, "", 400),
        ("POST", "/queue/retry", json, "{\"which\": \"all\"} x", 400),
        ("POST", "/queue/retry", json, "{\"which\": \"every\"}", 422),
        ("POST", "/queue/retry", json, "{\"which\": {\"within\": [[], \"all\"]}}", 422),
        ("POST", "/queue/retry", json, "{\"which\": \"all\", \"more\": 1}", 422),
        ("POST", "/queue/retry", json, &long, 413),
        ("POST", "/queue/retry", Some("text/plain"), "{}", 415),
        ("POST", "/queue/retry", None, "{}", 415),
        ("POST", "/queue/hold", json, "{\"which\": \"all\", \"reason\": \"two\\nlines\"}", 422),
        ("PUT", "/settings", Some("application/toml"), SETTINGS, 428),
        (
            "POST",
            "/tokens",
            json,
            "{\"name\": \"a\\r\\nb\", \"grants\": [{\"role\": \"queue\"}], \"expires-at\": 1}",
            422,
        ),
    ];
    for (method, path, media, body, status) in rows {
        let mut request = Request::builder().method(*method).uri(format!("{}{path}", http::BASE));
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        if let Some(media) = media {
            request = request.header(header::CONTENT_TYPE, *media);
        }
        let request = request.extension(PEER).body(Body::from((*body).to_owned()));
        let said = world.said(request.expect("a request")).await;
        let status = StatusCode::from_u16(*status).expect("a status");
        said.assert_problem(status, &format!("{method} {path} {}", &body[..body.len().min(60)]));
        assert_eq!(said.allow.is_some(), status == StatusCode::METHOD_NOT_ALLOWED, "{said:?}");
    }
}
