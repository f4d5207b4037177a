//! A relay and its API for tests, with objects of one unit for every endpoint to be asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use sealwire_core::address::Mailbox;
use sealwire_core::entry::Entry;
use sealwire_core::ledger::{ArrivalRecord, LedgerEvent, LedgerRecord};
use sealwire_core::units::{UnitPath, Within};
use sealwire_relay::config::{Surroundings, parse};
use sealwire_relay::{Actor, Builtins, Changing, Start};
use sealwire_store::{Content, NewEntry, QueueFilter};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::access::admins::{Administrator, Record};
use crate::access::{Caller, Grant, Role};
use crate::http::endpoint::Endpoint;
use crate::http::jobs::{For, Job, JobState};
use crate::http::{self, Api, Peer, now};
use crate::metrics::Metrics;

/// The unit that every object is of.
pub(super) const THEIRS: &str = "root/theirs";
/// Stands in everything that is of [`THEIRS`], and nowhere else.
pub(super) const MARK: &str = "secret-of-theirs";
pub(super) const SETTINGS: &str = r#"
[lists.tls]
entries = ["tls.example"]
[lists.theirs]
entries = ["secret-of-theirs.example"]
[units.theirs]
description = "secret-of-theirs"
[units."theirs/below"]
[units.others]
[[policy.secure-transport.settings]]
id = "theirs"
unit = "theirs"
description = "secret-of-theirs"
scopes = ["inbound"]
lists = ["theirs"]
"#;

pub(super) const PEER: Peer =
    Peer::Remote { address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), is_tls: true };

/// A relay that listens no more, and its API.
pub(super) struct World {
    pub(super) api: Api,
    router: Router,
    objects: std::sync::atomic::AtomicU64,
    _folder: TempDir,
}

impl World {
    pub(super) async fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "data-directory = {:?}\n[[listener]]\nname = \"main\"\naddress = \"127.0.0.1:0\"\n\
             [api]\naddress = \"127.0.0.1:0\"\nrequests-per-minute = 1000000\n\
             [dns]\nservers = [\"127.0.0.1:1\"]\ndnssec = \"off\"\n\
             [tls]\nroots = {:?}\n\
             [[policy]]\nname = \"secure-transport\"\ncomponent = {:?}\n",
            folder.path().join("data"),
            roots(folder.path()),
            guest("secure-transport"),
        );
        let config = parse(&text, "test", Path::new(""), &Surroundings::of_this_process()).expect("well written");
        let start = Start { config, configuration: None, builtins: Builtins::new() };
        let running = sealwire_relay::start(start).await.unwrap_or_else(|problems| panic!("{problems:?}"));
        let relay = Arc::clone(&running.relay);
        // What is queued here is to stay where it is.
        running.stop().await;
        let actor = Actor::new("test", "test");
        let how = Changing { actor: &actor, note: String::new(), expected: None, within: None, reload: false };
        relay.apply_settings(SETTINGS.to_owned(), how).await.expect("applied");
        let api = Api::of(relay, Metrics::apart()).await.expect("the store answers");
        let router = http::network_router(&api);
        World { api, router, objects: Default::default(), _folder: folder }
    }

    pub(super) async fn token(&self, role: Role, unit: &str, name: &str) -> (String, String) {
        let grants = vec![Grant { role, unit: unit.parse().expect("a path") }];
        let made =
            self.api.tokens.create(name.to_owned(), grants, "test".to_owned(), now(), now() + 1000, |_| None).await;
        let (token, secret) = made.expect("made");
        (token.id, secret)
    }

    /// What a path's parameter stands for, of [`THEIRS`] where it has a unit.
    pub(super) async fn object(&self, endpoint: &Endpoint) -> String {
        match endpoint.path {
            "/queue/{id}" | "/queue/hold" | "/queue/retry" | "/queue/retries" | "/queue/release" | "/queue"
            | "/log" | "/explain/{message}" => self.queued().await,
            "/tokens/{id}" | "/tokens" => self.token(Role::Queue, THEIRS, MARK).await.0,
            "/jobs/{id}" | "/jobs" => {
                let units = Within::new(vec![THEIRS.split('/').map(ToOwned::to_owned).collect()]);
                let of = (MARK.to_owned(), For { roles: &Role::ALL, units, begun_by: "somebody else".to_owned() });
                self.api.jobs.begin("test", of, 1, |_| std::future::pending()).expect("begun").id
            }
            "/admins/{name}" | "/admins" => self.admin(THEIRS).await,
            "/settings/revisions/{revision}" => "1".to_owned(),
            "/lists/{list}/entries" => "theirs".to_owned(),
            "/tls-reports/{domain}"
            | "/downgrades/{destination}"
            | "/evidence/{domain}"
            | "/evidence/{domain}/page" => "partner.example".to_owned(),
            path => {
                assert!(!path.contains('{'), "{path}: say here what its parameter stands for");
                String::new()
            }
        }
    }

    /// A body that asks for the object by name, or for everything.
    pub(super) fn body(endpoint: &Endpoint, object: &str, all: bool) -> Option<String> {
        endpoint.media?;
        let which = if all { json!("all") } else { json!({ "entry": object }) };
        let body = match endpoint.id {
            "queueRetry" | "queueRetryBegin" | "queueRelease" => json!({ "which": which }),
            "queueHold" => json!({ "which": which, "reason": "why" }),
            "tlsTest" => json!({ "recipients": ["a@partner.example"] }),
            "decide" | "explainFacts" => json!({ "recipients": ["a@b.example"] }),
            "tlsReportsSend" => json!({}),
            "tokenCreate" => {
                let grants = json!([{ "role": "queue", "unit": THEIRS }]);
                json!({ "name": "new", "grants": grants, "expires-at": now() + 1000 })
            }
            "login" => json!({ "name": "nobody", "password": "not a password" }),
            "passwordChange" => json!({ "old": "not a password", "new": "a better password" }),
            "adminCreateFirst" => json!({ "code": "", "name": "first", "password": "a better password" }),
            "adminCreate" => {
                let grants = json!([{ "role": "queue", "unit": THEIRS }]);
                json!({ "name": format!("new-{object}"), "password": "a better password", "grants": grants })
            }
            "adminChange" => json!({ "disabled": true }),
            "settingsApply" | "settingsDiff" | "settingsPreview" => return Some(SETTINGS.to_owned()),
            // In its list there stays what it is known by.
            "settingsEdit" | "settingsEditPreview" => json!([
                { "edit": "set-setting", "id": "theirs", "value": { "note": "edited" } },
                { "edit": "add-entries", "list": "theirs", "entries": [{ "text": "more.example" }] },
            ]),
            id => panic!("{id}: say here what its body is"),
        };
        Some(body.to_string())
    }

    async fn admin(&self, unit: &str) -> String {
        let number = self.objects.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let administrator = Administrator {
            name: format!("admin-{number}"),
            grants: vec![Grant { role: Role::Queue, unit: unit.parse().expect("a path") }],
            disabled: false,
            created_at: now(),
            created_by: MARK.to_owned(),
            changed_at: now(),
        };
        let record = Record { administrator: administrator.clone(), hash: String::new() };
        self.api.admins.put(record, now(), None).await.expect("made");
        administrator.name
    }

    async fn queued(&self) -> String {
        let number = self.objects.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = format!("entry-{number}");
        let path = THEIRS.parse::<UnitPath>().expect("a path").names().to_vec();
        let header = format!("Subject: {MARK}\r\n").into_bytes();
        let entry = Entry::of_our_own(&id, now(), &path, 1, header, b"body\r\n");
        let recipient = Mailbox::parse(&format!("{MARK}@partner.example")).expect("a mailbox");
        let arrival = ArrivalRecord {
            noted: Vec::new(),
            unit: path,
            client: None,
            tls: None,
            envelope_sender: None,
            recipients: vec![recipient.clone()],
            header_from: Vec::new(),
            generation: 1,
            flagged_by: Vec::new(),
            size: None,
        };
        let record = LedgerRecord { at_ms: 1, message: id.clone(), event: LedgerEvent::Accepted(arrival) };
        let content = Content::from(b"body\r\n".to_vec());
        let new = NewEntry { entry, recipients: vec![recipient], content, records: vec![record] };
        self.api.relay.store().commit(new).await.expect("committed");
        id
    }

    /// No object is left for the next request.
    pub(super) async fn clear(&self, object: &str) {
        let owner = Caller::operator("test".to_owned());
        let retries = |job: &Job| job.kind == "queue-retry" && job.state == JobState::Running;
        while self.api.jobs.all(&owner).iter().any(retries) {
            tokio::task::yield_now().await;
        }
        let _ = self.api.relay.store().remove(object, 1, "test".into()).await;
        while self.api.jobs.end(object, &owner).is_some_and(|ended| ended.is_ok()) {}
    }

    /// What a request that is refused must leave as it is.
    pub(super) async fn state(&self) -> Value {
        let (store, owner) = (self.api.relay.store(), Caller::operator("test".to_owned()));
        let filter = QueueFilter { limit: 10_000, ..QueueFilter::default() };
        let revision = store.settings(None).await.expect("settings").map(|revision| revision.revision);
        json!({
            "queue": store.list(filter).await.expect("listed"),
            "jobs": self.api.jobs.all(&owner).into_iter().filter(|job| job.by == MARK).collect::<Vec<_>>(),
            "tokens": self.api.tokens.all(),
            "admins": self.api.admins.all(),
            "revision": revision,
            "generation": self.api.relay.live().generation.number(),
        })
    }

    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        object: &str,
        body: Option<String>,
        token: Option<&str>,
    ) -> Said {
        let mut path = endpoint.path.to_owned();
        if let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            path.replace_range(from..=to, object);
        }
        let mut request =
            Request::builder().method(&endpoint.method).uri(format!("{}{path}", http::BASE)).extension(PEER);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(media) = endpoint.media {
            request = request.header(header::CONTENT_TYPE, media);
        }
        if endpoint.conditional {
            request = request.header(header::IF_MATCH, "*");
        }
        self.said(request.body(Body::from(body.unwrap_or_default())).expect("a request")).await
    }

    pub(super) async fn said(&self, request: Request<Body>) -> Said {
        let (parts, body) = self.router.clone().oneshot(request).await.expect("it answers").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        Said {
            status: parts.status,
            media: header(header::CONTENT_TYPE),
            asks: header(header::WWW_AUTHENTICATE),
            allow: header(header::ALLOW),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) media: Option<String>,
    pub(super) asks: Option<String>,
    pub(super) allow: Option<String>,
    pub(super) body: String,
}

impl Said {
    /// It is refused so, as problem details.
    #[track_caller]
    pub(super) fn assert_problem(&self, status: StatusCode, what: &str) {
        assert_eq!(
            (self.status, self.media.as_deref()),
            (status, Some("application/problem+json")),
            "{what}: {self:?}"
        );
        let details: Value =
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{what}: {error}: {self:?}"));
        assert_eq!(details["status"], status.as_u16(), "{what}");
        assert_eq!(details["type"], "about:blank", "{what}");
        assert!(details["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}: {self:?}");
    }
}

/// Roots that nobody's certificate leads to.
fn roots(folder: &Path) -> PathBuf {
    let file = folder.join("roots.pem");
    let root = rcgen::generate_simple_self_signed(["root.example".to_owned()]).expect("made");
    std::fs::write(&file, root.cert.pem()).expect("written");
    file
}

/// A guest of this workspace as a component; cargo builds it when it has to.
fn guest(package: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("simulation-guests")));
    guest_build::component(here, package, &target.expect("a target folder")).unwrap_or_else(|error| panic!("{error}"))
}
