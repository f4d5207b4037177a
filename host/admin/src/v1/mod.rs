//! The endpoints of `/api/v1`: the table, and a file of handlers for each resource.
//!
//! A handler gets who asks, for which units, and values; it asks the relay or its store, and decides nothing. What is of a unit
//! that the caller has no role in is not there for him: it is neither shown nor counted, and asking for it by name is answered as
//! if there were no such thing.

mod admins;
mod audit;
mod decide;
mod downgrades;
mod evidence;
mod explain;
mod jobs;
mod log;
mod model;
mod openapi;
mod page;
mod preview;
mod queue;
mod relay;
mod session;
mod settings;
mod tls_reports;
mod tls_tests;
mod tokens;

use axum::http::Method;

use crate::access::Role::{self, Auditor, Policies, Queue, Settings};
use crate::http::bodies::DOCUMENT_MAX;
use crate::http::endpoint::Access::{Known, Open, Root, Units};
use crate::http::endpoint::{Endpoint, endpoint};

pub use admins::{AdministratorChange, FirstAdministrator, NewAdministrator};
pub use audit::AuditPage;
pub use evidence::EvidenceKey;
pub use explain::{Explained, Explanation, Foretold, ForetoldDecision};
pub use log::LogPage;
pub use queue::{QueueQuery, ReleaseRequest, RetryRequest};
pub use relay::Whoami;
pub use session::{LoggedIn, Login, NewPassword};
pub use tls_reports::{SendRequest, TlsReport};
pub use tls_tests::TlsTestRequest;
pub use tokens::{CreatedToken, NewToken};

const GET: fn(&'static str) -> (Method, &'static str) = |path| (Method::GET, path);
const POST: fn(&'static str) -> (Method, &'static str) = |path| (Method::POST, path);
const PUT: fn(&'static str) -> (Method, &'static str) = |path| (Method::PUT, path);
const PATCH: fn(&'static str) -> (Method, &'static str) = |path| (Method::PATCH, path);
const DELETE: fn(&'static str) -> (Method, &'static str) = |path| (Method::DELETE, path);

/// Whoever has any role looks at how the relay does.
const ANY: &[Role] = &Role::ALL;
/// Whoever looks at settings.
const LOOKS_AT_SETTINGS: &[Role] = &[Settings, Policies, Auditor];
/// Whoever moves what is in the queue.
const MOVES: &[Role] = &[Queue];

/// Every endpoint. A role of the owner's holds everywhere, without being named.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(GET("/openapi.json"), "openapi", "This document", Open, openapi::show),
        endpoint(GET("/me"), "whoAmI", "Who asks, and what he may", Known, relay::me),
        endpoint(GET("/status"), "status", "How the relay does", Root(ANY), relay::status),
        endpoint(POST("/reload"), "reload", "Read the configuration again", Root(&[Settings, Policies]), relay::reload)
            .tells_itself(),
        endpoint(GET("/queue"), "queueList", "What waits, oldest first", Units(&[Queue, Auditor]), queue::list).paged(),
        endpoint(GET("/queue/{id}"), "queueShow", "One message with its header", Units(&[Queue, Auditor]), queue::show),
        endpoint(
            DELETE("/queue/{id}"),
            "queueRemove",
            "Take a message out of the queue; its sender is not told",
            Units(MOVES),
            queue::remove,
        ),
        endpoint(POST("/queue/retry"), "queueRetry", "Make recipients due at once", Units(MOVES), queue::retry),
        endpoint(
            POST("/queue/retries"),
            "queueRetryBegin",
            "Make recipients due at once, as a job: a part of the queue at a time, the oldest first",
            Units(MOVES),
            queue::begin_retry,
        )
        .begins(),
        endpoint(
            POST("/queue/hold"),
            "queueHold",
            "Keep what is in the queue from leaving",
            Units(MOVES),
            queue::hold,
        ),
        endpoint(POST("/queue/release"), "queueRelease", "End holds of operators", Units(MOVES), queue::release),
        endpoint(
            GET("/log"),
            "logRead",
            "What happened to messages: decisions, deliveries, refusals, reports",
            Units(&[Queue, Auditor]),
            log::read,
        )
        .paged(),
        endpoint(
            GET("/explain/{message}"),
            "explainMessage",
            "Why a message met the end it met, in words: settings, entries met, facts, rules, demands",
            Units(&[Queue, Auditor]),
            explain::of_message,
        ),
        endpoint(
            POST("/explain"),
            "explainFacts",
            "What the policies would decide on a message that nobody has sent, and why, in words",
            Root(ANY),
            explain::of_facts,
        )
        .looks(),
        endpoint(GET("/audit"), "auditList", "Who changed what, or tried to", Root(&[Auditor]), audit::read).paged(),
        endpoint(
            GET("/audit/anchor"),
            "auditAnchor",
            "What the audit log as it is kept begins behind",
            Root(&[Auditor]),
            audit::anchor,
        ),
        endpoint(
            GET("/audit/verify"),
            "auditVerify",
            "Walk along the whole audit log: whether anything was changed, taken out or put in",
            Root(&[Auditor]),
            audit::verify,
        ),
        endpoint(
            GET("/evidence/{domain}"),
            "evidence",
            "What the log has of the mail with a domain in a month, signed",
            Root(&[Auditor]),
            evidence::document,
        ),
        endpoint(
            GET("/evidence/{domain}/page"),
            "evidencePage",
            "The same, as a page for people",
            Root(&[Auditor]),
            evidence::page,
        ),
        endpoint(
            GET("/evidence-key"),
            "evidenceKey",
            "The public key that evidence is signed with",
            Root(&[Auditor]),
            evidence::key,
        ),
        endpoint(
            POST("/decide"),
            "decide",
            "Put a message before the policies and see what they decide, and why; nothing is sent",
            Root(ANY),
            decide::decide,
        )
        .looks(),
        endpoint(
            GET("/settings"),
            "settingsShow",
            "The newest revision of the settings; number 0 and empty before the first",
            Root(LOOKS_AT_SETTINGS),
            settings::show,
        ),
        endpoint(
            PUT("/settings"),
            "settingsApply",
            "Put these settings in the place of the revision that If-Match names",
            Root(&[Settings]),
            settings::apply,
        )
        .takes(DOCUMENT_MAX)
        .conditional()
        .tells_itself(),
        endpoint(
            GET("/settings/revisions"),
            "settingsRevisions",
            "The newest revisions, without their documents",
            Root(LOOKS_AT_SETTINGS),
            settings::revisions,
        ),
        endpoint(
            GET("/settings/revisions/{revision}"),
            "settingsRevision",
            "One revision",
            Root(LOOKS_AT_SETTINGS),
            settings::revision,
        ),
        endpoint(
            POST("/settings/edits"),
            "settingsEdit",
            "Edit the revision that If-Match names: units, settings, lists, routes; all of it or nothing; what is of one's units alone",
            Units(&[Settings]),
            model::edit,
        )
        .takes(DOCUMENT_MAX)
        .conditional()
        .tells_itself(),
        endpoint(
            POST("/settings/undo"),
            "settingsUndo",
            "Put an older revision into force again, as a new one",
            Root(&[Settings]),
            model::undo,
        )
        .conditional()
        .tells_itself(),
        endpoint(
            POST("/settings/diff"),
            "settingsDiff",
            "What a document would change of what is in force; nothing is changed",
            Root(LOOKS_AT_SETTINGS),
            model::diff,
        )
        .takes(DOCUMENT_MAX)
        .looks(),
        endpoint(
            POST("/settings/preview"),
            "settingsPreview",
            "See what a document would have done to the mail of the last days, as a job; nothing is changed",
            Root(LOOKS_AT_SETTINGS),
            preview::of_document,
        )
        .takes(DOCUMENT_MAX)
        .begins()
        .looks(),
        endpoint(
            POST("/settings/edits/preview"),
            "settingsEditPreview",
            "See what edits of the settings in force would have done, as a job; nothing is changed",
            Root(LOOKS_AT_SETTINGS),
            preview::of_edits,
        )
        .takes(DOCUMENT_MAX)
        .begins()
        .looks(),
        endpoint(
            GET("/model"),
            "modelShow",
            "What is in force: units, settings and how they stand, lists and where they are used, routes",
            Units(LOOKS_AT_SETTINGS),
            model::show,
        ),
        endpoint(
            GET("/lists/{list}/entries"),
            "listEntries",
            "Entries of a list, as they were written",
            Units(LOOKS_AT_SETTINGS),
            model::entries,
        )
        .paged(),
        endpoint(
            GET("/downgrades"),
            "downgradesList",
            "Hosts that give less protection than they gave",
            Root(ANY),
            downgrades::list,
        ),
        endpoint(
            DELETE("/downgrades/{destination}"),
            "downgradesAccept",
            "Expect of a destination from now on what it gives now",
            Root(&[Settings, Queue]),
            downgrades::accept,
        ),
        endpoint(
            GET("/tls-reports"),
            "tlsReportsList",
            "What is being counted for the domains that ask for TLS reports",
            Root(ANY),
            tls_reports::list,
        ),
        endpoint(
            GET("/tls-reports/{domain}"),
            "tlsReportsShow",
            "Today's report about a domain, as it would be sent now",
            Root(ANY),
            tls_reports::show,
        ),
        endpoint(
            POST("/tls-reports/send"),
            "tlsReportsSend",
            "Send what is counted at once",
            Root(&[Queue]),
            tls_reports::send,
        ),
        endpoint(
            POST("/tls-tests"),
            "tlsTest",
            "Test how mail to a destination would leave, as a job; nothing is sent",
            Root(ANY),
            tls_tests::begin,
        )
        .begins()
        .looks(),
        endpoint(GET("/jobs"), "jobList", "Jobs that go on, or ended within the hour", Units(ANY), jobs::list),
        endpoint(GET("/jobs/{id}"), "jobShow", "One job: how far it is, or what came of it", Units(ANY), jobs::show),
        endpoint(
            DELETE("/jobs/{id}"),
            "jobEnd",
            "End a job that goes on; forget one that has ended",
            Units(ANY),
            jobs::end,
        ),
        endpoint(POST("/session"), "login", "Begin a session, for pages in a browser", Open, session::login)
            .tells_itself(),
        endpoint(DELETE("/session"), "logout", "End this session", Known, session::logout),
        endpoint(
            POST("/me/password"),
            "passwordChange",
            "Change one's own password; every session of one's own ends",
            Known,
            session::change_password,
        ),
        endpoint(
            POST("/first-administrator"),
            "adminCreateFirst",
            "Make the first administrator, with the code that the relay told at its start",
            Open,
            admins::create_first,
        )
        .creates(),
        endpoint(GET("/admins"), "adminList", "Administrators within the caller's units", Units(&[]), admins::list),
        endpoint(POST("/admins"), "adminCreate", "Make an administrator", Units(&[]), admins::create).creates(),
        endpoint(GET("/admins/{name}"), "adminShow", "One administrator", Units(&[]), admins::show),
        endpoint(
            PATCH("/admins/{name}"),
            "adminChange",
            "Disable an administrator, or change his password or what he may; his sessions end",
            Units(&[]),
            admins::change,
        ),
        endpoint(GET("/tokens"), "tokenList", "Tokens within the caller's units", Units(&[]), tokens::list),
        endpoint(
            POST("/tokens"),
            "tokenCreate",
            "Make a token; its secret is told this once",
            Units(&[]),
            tokens::create,
        )
        .creates(),
        endpoint(GET("/tokens/{id}"), "tokenShow", "One token", Units(&[]), tokens::show),
        endpoint(DELETE("/tokens/{id}"), "tokenRevoke", "A token is no good from now on", Units(&[]), tokens::revoke),
    ]
}

#[cfg(test)]
mod sockets;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
