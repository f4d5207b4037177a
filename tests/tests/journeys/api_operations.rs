//! What the command can do, by HTTP: previews, explanations, evidence, retries, each by whoever may.

use sealwire_tests::curl::{self, Answer};
use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::{place, wait};
use serde_json::{Value, json};

use super::api::{assert_problem, bearer, in_clear, token};
use super::scene::{ALICE, given, setting};

const TOML: &str = "application/toml";
const JSON: &str = "application/json";

fn send(url: &str, method: &str, who: &str, media: &str, body: &str) -> Answer {
    let media = format!("Content-Type: {media}");
    curl::ask(&["-X", method, "-H", who, "-H", &media, "--data-binary", body, url])
}

/// A job by its answer, once it has ended.
fn ended(url: &str, who: &str, begun: &Answer) -> Value {
    assert_eq!(begun.status, 202, "{begun:?}");
    let job = format!("{url}{}", begun.header("location").expect("where it is"));
    wait::until(wait::PATIENCE, "the job", || {
        let job = curl::ask(&["-H", who, &job]).json();
        (job["state"] != "running").then_some(job)
    })
}

#[test]
fn settings_are_previewed_as_a_job() {
    let (scene, url) = in_clear("");
    for from in ["carol@partner.test", "dave@partner.test"] {
        scene.swaks(from, "bob@sender.test", &[]).assert_accepted();
    }
    let (settings, queue) = (bearer(&token(&scene, "settings")), bearer(&token(&scene, "queue")));
    let preview = format!("{url}/api/v1/settings/preview");
    let document = setting("partners", "inbound", &["partner.test"], "");

    let done = ended(&url, &settings, &send(&format!("{preview}?days=2"), "POST", &settings, TOML, &document));
    assert_eq!(
        (&done["state"], &done["kind"], &done["done"]),
        (&json!("done"), &json!("settings-preview"), &done["total"])
    );
    let row = &done["result"]["differences"][0];
    assert_eq!((&row["change"], &row["count"]), (&json!("accepted -> refused (R1)"), &json!(2)), "{done:#}");
    // The command finds the same.
    let file = scene.relay.ground().path("preview.toml");
    place::write(&file, &document);
    let of_command = scene.relay.json(&["settings", "preview", &file.display().to_string()]);
    assert_eq!(of_command["differences"], done["result"]["differences"]);
    // So do the edits that make the document.
    let edits = json!([
        { "edit": "put-list", "list": "partners", "entries": [{ "text": "partner.test" }] },
        { "edit": "put-setting", "policy": "secure-transport", "id": "partners",
          "value": { "description": "partners", "scopes": ["inbound"], "lists": ["partners"] } },
    ]);
    let by_edits = format!("{url}/api/v1/settings/edits/preview");
    let done = ended(&url, &settings, &send(&by_edits, "POST", &settings, JSON, &edits.to_string()));
    assert_eq!(of_command["differences"], done["result"]["differences"]);

    // A time that is over before it begins, a document that will not do, a span that cannot be, a role that may not.
    let begun = send(&format!("{preview}?within=0"), "POST", &settings, TOML, &document);
    let done = ended(&url, &settings, &begun);
    assert_eq!((&done["state"], &done["result"]["state"]), (&json!("done"), &json!("out-of-time")), "{done:#}");
    let wrong = send(&preview, "POST", &settings, TOML, &document.replace("inbound", "sideways"));
    assert_problem(&wrong, 422);
    assert!(wrong.json()["errors"][0]["line"].is_u64(), "{wrong:?}");
    assert_problem(&send(&format!("{preview}?days=0"), "POST", &settings, TOML, &document), 400);
    assert_problem(&send(&preview, "POST", &queue, TOML, &document), 403);
    // Whoever may not begin one does not see what came of it.
    let job = format!("{url}{}", begun.header("location").expect("where it is"));
    assert_problem(&curl::ask(&["-H", &queue, &job]), 404);
    assert_problem(&curl::ask(&["-X", "DELETE", "-H", &queue, &job]), 404);
    assert_eq!(curl::ask(&["-X", "DELETE", "-H", &settings, &job]).status, 200);
    // Nothing of all this came into force.
    scene.swaks("carol@partner.test", "bob@sender.test", &[]).assert_accepted();
}

#[test]
fn what_was_done_is_explained_within_one_s_units() {
    let (scene, url) = in_clear("");
    scene.submit(ALICE, &["bob@partner.test", "carol@partner.test"], "waits");
    let round = &scene.rounds("bob@partner.test", 1)[0];
    let id = round["message"].as_str().expect("an id");
    let auditor = bearer(&token(&scene, "auditor"));
    let explain = format!("{url}/api/v1/explain");
    let whole = curl::ask(&["-H", &auditor, &format!("{explain}/{id}")]);
    assert_eq!(whole.status, 200, "{whole:?}");
    let lines = |answer: &Answer| -> Vec<String> {
        let records = answer.json()["records"].clone();
        let records =
            records.as_array().expect("records").iter().flat_map(|record| record["lines"].as_array().cloned());
        records.flatten().filter_map(|line| line.as_str().map(ToOwned::to_owned)).collect()
    };
    assert_eq!(lines(&whole).join("\n"), scene.relay.run(&["explain", id]).out.trim_end(), "the command's words");
    let of_bob = curl::ask(&["-H", &auditor, &format!("{explain}/{id}?recipient=Bob@partner.test")]);
    let (of_bob, whole) = (lines(&of_bob), lines(&whole));
    assert!(of_bob.len() < whole.len() && of_bob.iter().all(|line| !line.contains("attempt for carol")), "{of_bob:#?}");
    assert_problem(&curl::ask(&["-H", &auditor, &format!("{explain}/nobody-knows")]), 404);

    // Nobody has sent it.
    let asked = json!({ "stage": "plan", "recipients": ["eve@partner.test"] }).to_string();
    let foretold = send(&explain, "POST", &auditor, JSON, &asked);
    let result = &foretold.json()["results"][0];
    assert_eq!(
        (&result["recipient"], &result["result"]),
        (&json!("eve@partner.test"), &json!("planned")),
        "{foretold:?}"
    );
    assert!(
        result["lines"].to_string().contains("plan by policy secure-transport: it demands nothing"),
        "{foretold:?}"
    );
    assert_eq!(result["tried"][0]["policy"], "secure-transport", "{foretold:?}");
    assert_problem(&send(&explain, "POST", &auditor, JSON, "{\"recipients\": [\"@\"]}"), 422);

    // Of a unit that the message is not of there is nothing.
    let made = ["token", "create", "--name", "sales", "--role", "auditor", "--unit", "sales", "--expires", "1d"];
    let sales = bearer(scene.relay.json(&made)["secret"].as_str().expect("a token"));
    assert_problem(&curl::ask(&["-H", &sales, &format!("{explain}/{id}")]), 404);
    assert_problem(&send(&explain, "POST", &sales, JSON, &asked), 403);
}

#[test]
fn evidence_is_signed_and_its_page_does_nothing() {
    let (scene, url) = in_clear("");
    scene.swaks("carol@partner.test", "bob@sender.test", &[]).assert_accepted();
    let auditor = bearer(&token(&scene, "auditor"));
    let at_ms = scene.log(&["--event", "accepted"])[0]["at_ms"].as_u64().expect("a time");
    let month = sealwire_core::time::rfc3339(at_ms / 1000)[..7].to_owned();
    let evidence = format!("{url}/api/v1/evidence/partner.test");
    let signed = curl::ask(&["-H", &auditor, &format!("{evidence}?month={month}")]);
    assert_eq!((signed.status, signed.header("content-type")), (200, Some("application/json")), "{signed:?}");
    let name = format!("attachment; filename=\"evidence-partner.test-{month}.json\"");
    assert_eq!(signed.header("content-disposition"), Some(&*name));
    assert_eq!(signed.json()["evidence"]["inbound"]["accepted"], 1, "{signed:?}");

    // It is what the command verifies, by the key that the API tells.
    let key = curl::ask(&["-H", &auditor, &format!("{url}/api/v1/evidence-key")]).json();
    let (key, file) = (key["public-key"].as_str().expect("a key"), scene.relay.ground().path("evidence.json"));
    place::write(&file, &signed.body);
    let verify = |file: &str| scene.relay.run(&["evidence", "verify", file, "--key", key]);
    let said = verify(&file.display().to_string());
    assert!(said.status.success() && said.out.contains("1 accepted, 1 in clear"), "{}{}", said.out, said.err);
    place::write(&file, signed.body.replace("\"accepted\":1", "\"accepted\":2"));
    assert!(!verify(&file.display().to_string()).status.success());
    let made = scene.relay.json(&["audit", "list", "--action", "evidence-key-make"]);
    assert_eq!(made[0]["record"]["by"], "token auditor", "{made:#}");

    let page = curl::ask(&["-H", &auditor, &format!("{evidence}/page?month={month}")]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{page:?}");
    let name = format!("inline; filename=\"evidence-partner.test-{month}.html\"");
    assert_eq!(page.header("content-disposition"), Some(&*name));
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    for directive in
        ["default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "form-action 'none'", "; sandbox"]
    {
        assert!(policy.contains(directive) && !policy.contains("unsafe"), "{directive}: {policy}");
    }
    assert!(page.header("x-content-type-options") == Some("nosniff") && page.header("x-frame-options") == Some("DENY"));
    assert!(page.body.starts_with("<!DOCTYPE html>") && !page.body.contains("<script"), "{page:?}");
    // The page bears the same for its style, so that it says so from a file too.
    let hash = policy.split("style-src ").nth(1).and_then(|rest| rest.split(';').next()).expect("a hash");
    assert!(page.body.contains(&format!("default-src 'none'; style-src {hash}\"")), "{hash}: {page:?}");

    assert_problem(
        &curl::ask(&["-H", &auditor, "-H", "Accept: application/json", &format!("{evidence}/page?month={month}")]),
        406,
    );
    assert_problem(&curl::ask(&["-H", &auditor, &format!("{evidence}?month=2026-13")]), 422);
    assert_problem(&curl::ask(&["-H", &auditor, &evidence]), 400);
    let queue = bearer(&token(&scene, "queue"));
    for path in ["evidence/partner.test?month=2026-11", "evidence/partner.test/page?month=2026-11", "evidence-key"] {
        assert_problem(&curl::ask(&["-H", &queue, &format!("{url}/api/v1/{path}")]), 403);
    }
}

/// Who has the role in a unit edits that unit's settings and lists by HTTP, sees them, and nothing of others.
#[test]
fn a_unit_s_settings_are_its_own_administrators_business() {
    let (scene, url) = in_clear("");
    let settings = "\
        [units.sales]\ndomains = [\"sales.test\"]\n[units.it]\ndomains = [\"it.test\"]\n\
        [lists.theirs]\nentries = [\"secret.test\"]\n[lists.everyone]\nentries = [\"x.test\"]\n\
        [[policy.secure-transport.settings]]\nid = \"of-all\"\ndescription = \"All\"\nscopes = [\"inbound\"]\n\
        lists = [\"everyone\"]\nmay-be-disabled = true\n\
        [[policy.secure-transport.settings]]\nid = \"of-it\"\nunit = \"it\"\ndescription = \"IT\"\n\
        scopes = [\"inbound\"]\nlists = [\"theirs\"]\n";
    scene.swaks("carol@partner.test", "bob@sales.test", &[]).assert_accepted();
    assert!(scene.apply(settings).status.success());
    let made = ["token", "create", "--name", "sales", "--role", "settings", "--unit", "sales", "--expires", "1d"];
    let sales = bearer(scene.relay.json(&made)["secret"].as_str().expect("a token"));
    let model = || curl::ask(&["-H", &sales, &format!("{url}/api/v1/model")]);
    let edit = |edits: Value| {
        let tag = format!("If-Match: {}", model().header("etag").expect("a tag"));
        let (media, edits) = (format!("Content-Type: {JSON}"), edits.to_string());
        curl::ask(&["-H", &sales, "-H", &tag, "-H", &media, "-d", &edits, &format!("{url}/api/v1/settings/edits")])
    };
    let refusing = |mail_from: &str, to: &str| !scene.swaks(mail_from, to, &[]).accepted();

    // A list and a setting of theirs; one that is inherited and may be switched off; what they have is what they see.
    let done = edit(json!([
        { "edit": "put-list", "list": "ours", "entries": [{ "text": "partner.test" }] },
        { "edit": "put-setting", "policy": "secure-transport", "id": "of-sales", "value": {
            "unit": "sales", "description": "Sales", "scopes": ["inbound"], "lists": ["ours"] } },
        { "edit": "set-unit", "unit": "sales", "value": { "disables": ["of-all"] } },
    ]));
    assert_eq!(done.status, 200, "{done:?}");
    assert!(refusing("carol@partner.test", "bob@sales.test") && !refusing("carol@partner.test", "bob@it.test"));
    let seen = model();
    let names = |key: &str, name: &str| -> Vec<String> {
        let all = seen.json()[key].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| one[name].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names("settings", "id"), ["of-sales"], "{seen:?}");
    assert_eq!(
        (names("lists", "name"), names("units", "unit")),
        (vec!["ours".to_owned()], vec!["root/sales".to_owned()])
    );
    assert!(
        seen.json()["units"][0]["settings"].to_string().contains("[\"of-all\",{\"disabled\":\"root/sales\"}]"),
        "{seen:?}"
    );
    let entries = |list: &str| curl::ask(&["-H", &sales, &format!("{url}/api/v1/lists/{list}/entries")]);
    assert_eq!(entries("ours").json()["total"], 1);
    assert_problem(&entries("theirs"), 404);
    assert_problem(&entries("everyone"), 404);

    // What is of others is refused by its name, nothing of the edit is done, and the audit log has it.
    let rows = [
        (json!({ "edit": "set-setting", "id": "of-it", "value": { "enabled": false } }), "setting of-it"),
        (json!({ "edit": "set-setting", "id": "of-sales", "value": { "unit": "root" } }), "setting of-sales"),
        (json!({ "edit": "add-entries", "list": "theirs", "entries": [{ "text": "y.test" }] }), "list theirs"),
        (
            json!({ "edit": "set-unit", "unit": "sales", "value": { "trusted-networks": ["203.0.113.0/24"] } }),
            "trusted network 203.0.113.0/24",
        ),
        (
            json!({ "edit": "set-unit", "unit": "sales", "value": { "domains": ["sales.test", "new.test"] } }),
            "domain new.test",
        ),
    ];
    let before = model().body;
    for (row, object) in &rows {
        let refused = edit(json!([{ "edit": "add-entries", "list": "ours", "entries": [{ "text": "z.test" }] }, row]));
        assert_problem(&refused, 403);
        let said = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(said.starts_with(&format!("{object} is not of the units")) && !said.contains("secret.test"), "{said}");
        assert_eq!(model().body, before, "{row}");
    }
    let audit = scene.relay.json(&["audit", "list", "--by", "token sales", "--action", "settings-edit"]);
    let refused = audit.as_array().expect("entries").iter().filter(|entry| entry["record"]["result"] == "refused");
    assert_eq!(refused.count(), rows.len(), "{audit:#}");

    // Of what has changed since, one is told one's own.
    let tag = format!("If-Match: {}", model().header("etag").expect("a tag"));
    for list in ["theirs", "ours"] {
        assert!(scene.relay.run(&["address-list", "add", list, "late.test"]).status.success());
    }
    let edits = json!([{ "edit": "set-setting", "id": "of-sales", "value": { "note": "late" } }]).to_string();
    let media = format!("Content-Type: {JSON}");
    let late =
        curl::ask(&["-H", &sales, "-H", &tag, "-H", &media, "-d", &edits, &format!("{url}/api/v1/settings/edits")]);
    assert_problem(&late, 412);
    let changed = late.json()["changed"]["changes"].clone();
    assert_eq!(changed[0]["what"], "list ours", "{late:?}");
    assert_eq!(
        (changed.as_array().map(Vec::len), &late.json()["changed"]["left-out"]),
        (Some(1), &json!(0)),
        "{late:?}"
    );
    // The whole document is the root's.
    for path in ["settings", "settings/revisions"] {
        assert_problem(&curl::ask(&["-H", &sales, &format!("{url}/api/v1/{path}")]), 403);
    }
}

/// Everything that happens to a unit's message, and what operators do to it, is there for that unit's auditor and no other.
#[test]
fn a_unit_s_auditor_reads_the_whole_of_its_mail() {
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let address = place::free_address();
    let scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .config(&format!("[api]\naddress = \"{address}\"\n"))
        .start();
    let url = format!("http://{address}");
    let units = "[units.sales]\ntrusted-networks = [\"127.0.0.1/32\"]\n[units.it]\n";
    let settings = format!("{units}{}", setting("vault", "outbound", &["eve@partner.test"], ""));
    assert!(scene.apply(&settings).status.success());
    scene.submit(ALICE, &["bob@partner.test", "eve@partner.test"], "one waits, one comes back");
    scene.report("eve@partner.test");
    let round = &scene.rounds("bob@partner.test", 1)[0];
    let id = round["message"].as_str().expect("an id").to_owned();
    for act in [&["queue", "hold", &id, "--reason", "why"][..], &["queue", "release", &id], &["queue", "retry", &id]] {
        assert!(scene.relay.run(act).status.success(), "{act:?}");
    }
    let read = |unit: &str| -> Vec<String> {
        let made = ["token", "create", "--name", unit, "--role", "auditor", "--unit", unit, "--expires", "1d"];
        let who = bearer(scene.relay.json(&made)["secret"].as_str().expect("a token"));
        let log = curl::ask(&["-H", &who, &format!("{url}/api/v1/log?message={id}&limit=1000")]);
        assert_eq!(log.status, 200, "{log:?}");
        let records = log.json().as_array().cloned().expect("records");
        let kind = |record: &Value| {
            let event = record["event"].as_str().unwrap_or_default();
            if event == "operator" {
                format!("operator {}", record["action"].as_str().unwrap_or_default())
            } else {
                event.to_owned()
            }
        };
        let mut kinds: Vec<String> = records.iter().map(kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    };
    let all = ["accepted", "attempted", "decision", "operator hold", "operator release", "operator retry", "reported"];
    assert_eq!(read("sales"), all);
    assert_eq!(read("root"), all);
    assert!(read("it").is_empty());
}

#[test]
fn a_queue_is_retried_as_a_job() {
    let (scene, url) = in_clear("");
    let units = "[units.sales]\ntrusted-networks = [\"127.0.0.1/32\"]\n";
    scene.submit(ALICE, &["dave@partner.test"], "of the root");
    assert!(scene.apply(units).status.success());
    scene.submit(ALICE, &["bob@partner.test", "carol@partner.test"], "of sales");
    for recipient in ["dave@partner.test", "bob@partner.test", "carol@partner.test"] {
        scene.rounds(recipient, 1);
    }
    let made = ["token", "create", "--name", "sales", "--role", "queue", "--unit", "sales", "--expires", "1d"];
    let sales = bearer(scene.relay.json(&made)["secret"].as_str().expect("a token"));
    let (queue, auditor) = (bearer(&token(&scene, "queue")), bearer(&token(&scene, "auditor")));
    let retries = format!("{url}/api/v1/queue/retries");
    let all = "{\"which\": \"all\"}";

    // One's own alone; a job of one's units is there for those who may retry in them.
    let begun = send(&retries, "POST", &sales, JSON, all);
    let done = ended(&url, &sales, &begun);
    assert_eq!((&done["state"], &done["done"], &done["total"]), (&json!("done"), &json!(1), &json!(1)), "{done:#}");
    assert_eq!(done["result"], json!({ "recipients": 2, "on-hold": 0 }), "{done:#}");
    scene.rounds("bob@partner.test", 2);
    assert_eq!(scene.log(&["--event", "operator"]).len(), 1);
    let job = format!("{url}{}", begun.header("location").expect("where it is"));
    assert_eq!(curl::ask(&["-H", &queue, &job]).status, 200);
    assert_problem(&curl::ask(&["-H", &auditor, &job]), 404);

    let done = ended(&url, &queue, &send(&retries, "POST", &queue, JSON, all));
    assert_eq!((&done["total"], &done["result"]["recipients"]), (&json!(2), &json!(3)), "{done:#}");
    scene.rounds("dave@partner.test", 2);
    assert_problem(&send(&retries, "POST", &auditor, JSON, all), 403);
    let audit = scene.relay.json(&["audit", "list", "--action", "queue-retry-begin"]);
    assert_eq!((&audit[0]["record"]["by"], &audit[0]["record"]["object"]), (&json!("token sales"), &json!("all")));
}
