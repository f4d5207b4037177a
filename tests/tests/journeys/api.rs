//! The HTTP API as an operator meets it: tokens and administrators, over loopback in clear and over TLS, with curl.

use sealwire_tests::certs::Authority;
use sealwire_tests::curl::{self, Answer};
use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::{place, schemathesis, wait};
use serde_json::{Value, json};

use super::scene::{ALICE, Scene, given};

/// A relay with the API at an address of loopback, in clear.
pub(super) fn in_clear(more: &str) -> (Scene, String) {
    let address = place::free_address();
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .config(&format!("[api]\naddress = \"{address}\"\n{more}\n"))
        .start();
    (scene, format!("http://{address}"))
}

pub(super) fn token(scene: &Scene, role: &str) -> String {
    let made = scene.relay.json(&["token", "create", "--name", role, "--role", role, "--expires", "1d"]);
    made["secret"].as_str().expect("a token").to_owned()
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[track_caller]
pub(super) fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, Some("application/problem+json")),
        "{answer:?}"
    );
    assert_eq!(answer.json()["status"], status, "{answer:?}");
}

#[test]
fn a_token_opens_what_its_role_may() {
    let (scene, url) = in_clear("");
    let (queue, auditor) = (bearer(&token(&scene, "queue")), bearer(&token(&scene, "auditor")));
    scene.submit(ALICE, &["bob@partner.test", "carol@partner.test"], "waits");
    scene.rounds("bob@partner.test", 1);

    let list = curl::ask(&["-H", &queue, &format!("{url}/api/v1/queue?recipient=bob")]);
    assert_eq!(list.status, 200, "{list:?}");
    let id = list.json()[0]["entry"]["id"].as_str().expect("an id").to_owned();
    let again = format!("If-None-Match: {}", list.header("etag").expect("a tag"));
    let known = curl::ask(&["-H", &queue, "-H", &again, &format!("{url}/api/v1/queue?recipient=bob")]);
    assert_eq!(known.status, 304, "{known:?}");
    for (name, value) in [
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(list.header(name), Some(value), "{list:?}");
    }
    assert_eq!(list.header("strict-transport-security"), None, "in clear it would say what is not so");

    // Each page leads to the next.
    scene.submit(ALICE, &["dave@partner.test"], "waits too");
    let page = curl::ask(&["-H", &queue, &format!("{url}/api/v1/queue?limit=1")]);
    let next = page.header("link").and_then(|link| link.strip_prefix('<')?.split_once('>')).expect("a link").0;
    let page = curl::ask(&["-H", &queue, &format!("{url}{next}")]);
    assert_eq!(page.json()[0]["recipients"][0]["mailbox"]["local"], "dave", "{page:?}");

    // The same POST twice is done once.
    let hold = json!({ "which": { "entry": id }, "reason": "gateway down" }).to_string();
    let post = |path: &str, who: &str, key: &str, body: &str| {
        let key = format!("Idempotency-Key: {key}");
        let arguments = ["-H", who, "-H", &key, "-H", "Content-Type: application/json", "-d", body];
        curl::ask(&[&arguments[..], &[&format!("{url}/api/v1{path}")]].concat())
    };
    let (first, second) = (post("/queue/hold", &queue, "one", &hold), post("/queue/hold", &queue, "one", &hold));
    assert_eq!((first.status, &first.body), (200, &second.body), "{first:?} {second:?}");
    let acts = scene.log(&["--message", &id, "--event", "operator"]);
    assert_eq!(acts.len(), 1, "{acts:?}");
    assert_eq!(acts[0]["by"], "token queue");
    assert_problem(&post("/queue/hold", &queue, "one", "{\"which\": \"all\", \"reason\": \"other\"}"), 422);

    // An auditor looks and moves nothing; the audit log has his attempt.
    assert_problem(&post("/queue/hold", &auditor, "two", &hold), 403);
    let audit = curl::ask(&["-H", &auditor, &format!("{url}/api/v1/audit?by=token%20auditor")]);
    assert_eq!(audit.json()[0]["record"]["object"], "POST /api/v1/queue/hold", "{audit:?}");
    assert_eq!(audit.json()[0]["record"]["result"], "refused", "{audit:?}");
    assert_eq!(audit.json()[0]["record"]["from"], "127.0.0.1", "{audit:?}");

    // What takes its time is a job.
    let asked = json!({ "recipients": ["bob@partner.test"] }).to_string();
    let begun = post("/tls-tests", &auditor, "three", &asked);
    assert_eq!(begun.status, 202, "{begun:?}");
    let job = format!("{url}{}", begun.header("location").expect("where it is"));
    let done = wait::until(wait::PATIENCE, "the job", || {
        let job = curl::ask(&["-H", &auditor, &job]).json();
        (job["state"] != "running").then_some(job)
    });
    assert_eq!((&done["state"], &done["done"], &done["total"]), (&json!("done"), &json!(1), &json!(1)), "{done:#}");
    assert_eq!(curl::ask(&["-H", &auditor, "-X", "DELETE", &job]).status, 200);
    assert_problem(&curl::ask(&["-H", &auditor, &job]), 404);

    // Revoked, it opens nothing.
    let tokens = scene.relay.json(&["token", "list"]);
    let found = tokens.as_array().expect("a list").iter().find(|token| token["name"] == "queue").expect("it is listed");
    assert!(scene.relay.run(&["token", "revoke", found["id"].as_str().expect("an id")]).status.success());
    let refused = curl::ask(&["-H", &queue, &format!("{url}/api/v1/queue")]);
    assert_problem(&refused, 401);
    assert!(refused.header("www-authenticate").is_some_and(|asks| asks.starts_with("Bearer")), "{refused:?}");
    let kept = std::fs::read(scene.relay.ground().path("data/sealwire.db")).unwrap_or_default();
    let secret = queue.rsplit('_').next().expect("a secret").as_bytes();
    assert!(!kept.windows(secret.len()).any(|octets| octets == secret), "no secret is kept");
}

#[test]
fn of_two_who_change_the_settings_one_is_told() {
    let (scene, url) = in_clear("");
    let (ann, bob) = (bearer(&token(&scene, "owner")), bearer(&token(&scene, "settings")));
    let settings = format!("{url}/api/v1/settings");
    let read = curl::ask(&["-H", &ann, &settings]);
    let tag = format!("If-Match: {}", read.header("etag").expect("a tag"));
    let put = |who: &str, more: &[&str], text: &str| {
        let arguments = ["-X", "PUT", "-H", who, "-H", "Content-Type: application/toml", "--data-binary", text];
        curl::ask(&[&arguments[..], more, &[&settings]].concat())
    };
    let text = "[lists.a]\nentries = [\"a.test\"]\n";
    assert_problem(&put(&ann, &[], text), 428);
    let applied = put(&ann, &["-H", &tag], text);
    assert_eq!(applied.status, 200, "{applied:?}");
    let late = put(&bob, &["-H", &tag], "[lists.b]\nentries = [\"b.test\"]\n");
    assert_problem(&late, 412);
    assert_eq!(late.json()["current"]["by"], "token owner", "{late:?}");
    assert_eq!(late.json()["current"]["revision"], applied.json()["settings-revision"], "{late:?}");
    // He is told what was changed, and the audit log that he came too late.
    let change = json!({ "what": "list a", "how": "added", "lines": ["entries added: 1 (a.test)"], "affects": [] });
    assert_eq!(late.json()["changed"], json!({ "since": 0, "changes": [change], "left-out": 0 }), "{late:?}");
    let audit = scene.relay.json(&["audit", "list", "--by", "token settings"]);
    assert_eq!(
        (&audit[0]["record"]["action"], &audit[0]["record"]["result"]),
        (&json!("settings-apply"), &json!("refused"))
    );
    // Of many things some are told, and the others counted.
    let lists: String = (0..60).map(|n| format!("[lists.l{n}]\nentries = []\n")).collect();
    let tag = format!("If-Match: {}", applied.header("etag").expect("a tag"));
    let applied = put(&ann, &["-H", &tag], &format!("{text}{lists}"));
    assert_eq!(applied.status, 200, "{applied:?}");
    let late = put(&bob, &["-H", &tag], "");
    assert_eq!(late.json()["changed"]["changes"].as_array().map(Vec::len), Some(50), "{late:?}");
    assert_eq!(late.json()["changed"]["left-out"], 10, "{late:?}");
    // Of what is no revision there is nothing to tell.
    let unknown = put(&bob, &["-H", "If-Match: \"5d41402abc\""], "");
    assert_problem(&unknown, 412);
    assert!(unknown.json()["changed"].is_null() && unknown.json()["current"]["revision"] == 2, "{unknown:?}");
    let later = put(&bob, &["-H", "If-Match: \"77\""], "");
    assert!(later.json()["changed"]["trouble"].to_string().contains("no revision 77"), "{later:?}");

    // A document that will not do is refused with line and key.
    let tag = format!("If-Match: {}", applied.header("etag").expect("a tag"));
    let wrong = put(&bob, &["-H", &tag], "[lists.a]\nentries = [\"a.test\", \"@\"]\n");
    assert_problem(&wrong, 422);
    assert_eq!(wrong.json()["errors"][0]["line"], 2, "{wrong:?}");
    assert!(wrong.json()["errors"][0]["key"].to_string().contains("lists.a"), "{wrong:?}");
    assert_eq!(curl::ask(&["-H", &ann, &settings]).json()["document"], format!("{text}{lists}"));
}

#[test]
fn over_tls_with_a_certificate_that_a_reload_renews() {
    let (authority, later) = (Authority::new("Test Authority"), Authority::new("Later Authority"));
    let (leaf, renewed) = (authority.leaf(&["127.0.0.1"]), later.leaf(&["127.0.0.1"]));
    let files = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (files.path().join("api.pem"), files.path().join("api.key"));
    let install = |leaf: &sealwire_tests::certs::Leaf| {
        std::fs::copy(leaf.cert_file(), &certificate).expect("copied");
        std::fs::copy(leaf.key_file(), &key).expect("copied");
    };
    install(&leaf);
    let address = place::free_address();
    let api = format!("[api]\naddress = \"{address}\"\ncertificate = {certificate:?}\nkey = {key:?}\n");
    let mut scene = given().config(&api).start();
    let owner = bearer(&token(&scene, "owner"));
    let status = format!("https://{address}/api/v1/status");
    let ca = |authority: &Authority| authority.file().display().to_string();
    let ask = |ca: &str| curl::try_asking(&["--cacert", ca, "-H", &owner, &status]);
    let answer = ask(&ca(&authority)).expect("it has a certificate of the authority's");
    assert_eq!((answer.status, answer.header("strict-transport-security").is_some()), (200, true), "{answer:?}");
    assert!(ask(&ca(&later)).is_err(), "it is not the other's yet");

    // A key that is another certificate's is refused, and the old one stays.
    std::fs::copy(renewed.key_file(), &key).expect("copied");
    let said = scene.relay.run(&["reload"]);
    assert!(!said.status.success() && said.err.contains("api.certificate"), "{said:?}");
    assert!(ask(&ca(&authority)).is_ok());
    install(&renewed);
    assert!(scene.relay.run(&["reload"]).status.success());
    assert_eq!(ask(&ca(&later)).expect("it was renewed").status, 200);
    let clear = format!("http://{address}/healthz");
    assert!(curl::try_asking(&[&clear]).is_err(), "there is nothing in clear");

    // Nor will there be on this socket, whatever the configuration says next: a port of loopback, or no API at all.
    let mut written = api;
    for (next, tls_answers) in
        [(format!("[api]\naddress = \"{}\"\n", place::free_address()), false), (String::new(), false)]
    {
        scene.written.before_listener = scene.written.before_listener.replace(&written, &next);
        written.clone_from(&next);
        scene.configure_policies("");
        let said = scene.relay.run(&["reload"]);
        assert!(said.status.success(), "{}", said.err);
        assert!(curl::try_asking(&[&clear]).is_err(), "in clear, with {next:?}");
        assert_eq!(ask(&ca(&later)).is_ok(), tls_answers, "{next:?}");
    }
}

#[test]
fn it_does_not_start_in_clear_where_others_reach_it() {
    let mut relay = sealwire_tests::relay::Relay::new(|ground| {
        format!(
            "data-directory = \"data\"\n[[listener]]\nname = \"main\"\naddress = \"{}\"\n[api]\naddress = \"0.0.0.0:0\"\n",
            ground.smtp
        )
    });
    assert!(!relay.start_in_vain().success());
    let log = relay.log();
    assert!(log.contains("api.address: others than this machine reach it, so it needs TLS: add certificate"), "{log}");
}

#[test]
fn watchers_need_no_token_where_none_is_wanted() {
    let (mut scene, url) = in_clear("");
    assert_eq!(curl::ask(&[&format!("{url}/healthz")]).status, 200);
    wait::until(wait::PATIENCE, "the relay to be ready", || {
        (curl::ask(&[&format!("{url}/readyz")]).status == 200).then_some(())
    });
    assert_problem(&curl::ask(&[&format!("{url}/metrics")]), 401);
    let queue = bearer(&token(&scene, "queue"));
    assert_problem(&curl::ask(&["-H", &queue, &format!("{url}/metrics")]), 403);
    let auditor = bearer(&token(&scene, "auditor"));
    scene.submit(ALICE, &["bob@partner.test"], "counted");
    let metrics = curl::ask(&["-H", &auditor, &format!("{url}/metrics")]);
    assert!(metrics.status == 200 && metrics.body.contains("sealwire_"), "{metrics:?}");
    scene.relay.stop();

    let (scene, url) = in_clear("metrics-without-token = true");
    assert_eq!(curl::ask(&[&format!("{url}/metrics")]).status, 200);
    drop(scene);
}

#[test]
fn the_first_administrator_is_made_once_and_logs_in() {
    let (mut scene, url) = in_clear("");
    let code = wait::until(wait::PATIENCE, "the code", || {
        let log = scene.relay.log();
        let line = log.lines().find(|line| line.starts_with("first administrator"))?.to_owned();
        line.rsplit(' ').next().map(ToOwned::to_owned)
    });
    let post = |path: &str, body: Value, more: &[&str]| {
        let body = body.to_string();
        let arguments = ["-H", "Content-Type: application/json", "-d", &body];
        curl::ask(&[&arguments[..], more, &[&format!("{url}/api/v1{path}")]].concat())
    };
    let (first, password) = ("/first-administrator", "correct horse battery");
    assert_problem(&post(first, json!({ "code": "0", "name": "ann", "password": password }), &[]), 401);
    assert_problem(&post(first, json!({ "code": code, "name": "ann", "password": "too short" }), &[]), 422);
    let made = post(first, json!({ "code": code, "name": "ann", "password": password }), &[]);
    assert_eq!(made.status, 201, "{made:?}");
    assert_problem(&post(first, json!({ "code": code, "name": "eve", "password": password }), &[]), 401);

    // Wrong password, unknown name: the same answer.
    let wrong = post("/session", json!({ "name": "ann", "password": "wrong horse battery" }), &[]);
    let unknown = post("/session", json!({ "name": "eve", "password": "wrong horse battery" }), &[]);
    assert_problem(&wrong, 401);
    assert_eq!(wrong.body, unknown.body);
    let login = post("/session", json!({ "name": "ANN", "password": password }), &[]);
    assert_eq!(login.status, 200, "{login:?}");
    let set = login.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && set.contains("Path=/"), "{set}");
    let cookie = format!("Cookie: {}", set.split(';').next().expect("a pair"));
    let csrf = format!("X-CSRF-Token: {}", login.json()["csrf-token"].as_str().expect("a token"));

    assert_eq!(curl::ask(&["-H", &cookie, &format!("{url}/api/v1/me")]).json()["name"], "admin ann");
    assert_problem(&post("/reload", json!({}), &["-H", &cookie]), 403);
    assert_problem(&post("/reload", json!({}), &["-H", &cookie, "-H", "X-CSRF-Token: 0"]), 403);
    assert_eq!(post("/reload", json!({}), &["-H", &cookie, "-H", &csrf]).status, 200);

    // Disabled, her session is over and she cannot log in; a new password lets her in again.
    assert!(scene.relay.run(&["admin", "disable", "ann"]).status.success());
    assert_problem(&curl::ask(&["-H", &cookie, &format!("{url}/api/v1/me")]), 401);
    assert_problem(&post("/session", json!({ "name": "ann", "password": password }), &[]), 401);
    let reset = scene.relay.run(&["admin", "reset", "ann"]);
    let new = reset.err.trim().rsplit(' ').next().expect("a password").to_owned();
    let login = post("/session", json!({ "name": "ann", "password": new }), &[]);
    assert_eq!(login.status, 200, "{login:?}");
    let cookie =
        format!("Cookie: {}", login.header("set-cookie").and_then(|set| set.split(';').next()).expect("a pair"));
    let csrf = format!("X-CSRF-Token: {}", login.json()["csrf-token"].as_str().expect("a token"));
    let logout = curl::ask(&["-X", "DELETE", "-H", &cookie, "-H", &csrf, &format!("{url}/api/v1/session")]);
    assert_eq!(logout.status, 204, "{logout:?}");
    assert_problem(&curl::ask(&["-H", &cookie, &format!("{url}/api/v1/me")]), 401);

    // Guessing is slowed down.
    let guesses: Vec<_> =
        (0..8).map(|_| post("/session", json!({ "name": "bob", "password": "wrong horse" }), &[])).collect();
    assert!(guesses.iter().any(|guess| guess.status == 429 && guess.header("retry-after").is_some()), "{guesses:?}");

    let audit = scene.relay.json(&["audit", "list"]).to_string();
    for words in ["\"login\"", "admin-create-first", "admin-change", "name or password is not right"] {
        assert!(audit.contains(words), "{words}: {audit}");
    }
    assert!(
        !audit.contains("horse") && !scene.relay.log().contains("horse") && !audit.contains(&new),
        "no password is told"
    );
    scene.relay.stop();
    scene.relay.start();
    wait::until(wait::PATIENCE, "the API again", || (scene.relay.log().matches("\nAPI: ").count() == 2).then_some(()));
    wait::until(wait::PATIENCE, "an answer", || curl::try_asking(&[&format!("{url}/healthz")]).ok());
    let starts = scene.relay.log().matches("first administrator").count();
    assert_eq!(starts, 1, "there is one now");
}

/// schemathesis asks every operation what its schemas promise and forbid; all its checks, but that 412 and 422 may answer what
/// fits a schema: no schema says that a time is to come, or which tag is current; and 428 is for a missing If-Match. It
/// reads which tokens there are, and would revoke its own.
#[test]
fn schemathesis_finds_nothing() {
    let (scene, url) = in_clear("requests-per-minute = 1000000");
    let owner = token(&scene, "owner");
    let (content, said) = schemathesis::run(&format!("{url}/api/v1/openapi.json"), &owner, "tokenRevoke");
    assert!(content, "{said}");
    let tested = said.lines().find_map(|line| line.trim().strip_prefix("Tested: ")).expect("a tally");
    assert!(tested.parse::<u32>().is_ok_and(|tested| tested >= 38), "{said}");
    assert_eq!(curl::ask(&["-H", &bearer(&owner), &format!("{url}/api/v1/me")]).status, 200, "it is still there");
}

/// What strangers write in headers, paths, bodies and names ends no line and no header of ours.
#[test]
fn nothing_a_client_writes_breaks_out() {
    let (scene, url) = in_clear("");
    let owner = bearer(&token(&scene, "owner"));
    let rows = [
        "/api/v1/queue/x%0d%0aInjected:%20yes",
        "/api/v1/queue?recipient=%0d%0aInjected:%20yes&limit=1",
        "/api/v1/log?message=%1b%5b2J%0aforged",
        "/api/v1/downgrades/%0d%0aInjected:%20yes",
        "/api/v1/queue/%00",
    ];
    for path in rows {
        let answer = curl::ask(&["-H", &owner, "--path-as-is", &format!("{url}{path}")]);
        assert!(answer.header("injected").is_none() && answer.status < 500, "{path}: {answer:?}");
        assert!(answer.body.bytes().all(|octet| octet >= b' '), "{path}: a control character as it is: {answer:?}");
    }
    let name = json!({ "name": "ci\r\nforged", "grants": [{ "role": "queue" }], "expires-at": 4_000_000_000_u64 });
    let asked = [
        "-H",
        &owner,
        "-H",
        "Content-Type: application/json",
        "-d",
        &name.to_string(),
        &format!("{url}/api/v1/tokens"),
    ];
    assert_problem(&curl::ask(&asked), 422);
    let login = json!({ "name": "eve\r\nforged \u{1b}[2J", "password": "wrong horse battery" }).to_string();
    let asked = ["-H", "Content-Type: application/json", "-d", &login, &format!("{url}/api/v1/session")];
    assert_problem(&curl::ask(&asked), 401);
    let said = scene.relay.run(&["audit", "list"]);
    assert!(said.out.contains("eve") && !said.out.contains('\u{1b}'), "{}", said.out);
    assert!(!said.out.lines().any(|line| line.starts_with("forged")), "{}", said.out);
    assert!(!scene.relay.log().lines().any(|line| line.starts_with("forged")));
}
