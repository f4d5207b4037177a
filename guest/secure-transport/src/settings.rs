//! The settings: as written, a JSON document; as meant, [`Settings`]. Read once, strictly: all problems at once, each with
//! its JSON Pointer. A disabled setting is checked like the others, so that enabling it holds no surprise, and then left
//! out.

use sealwire_sdk::settings::{self, Object, Problems};
use sealwire_sdk::{Host, Mailbox, OfDay, Problem, Route};

use crate::exceptions::{self, Exception};
use crate::rules::r11_scopes::Scopes;
use crate::rules::{r10_needs_list, r11_scopes};

/// What the operator wants.
#[derive(Debug)]
pub struct Settings {
    /// The enabled ones, in document order.
    enabled: Vec<Setting>,
    /// The others, which nothing but an explanation tells of.
    pub(crate) disabled: Vec<Setting>,
    /// Every list they name, once; [`Setting::lists`] are places in it.
    pub(crate) lists: Vec<String>,
    /// Receives our TLS reports; exempt from R1.
    pub(crate) tls_report_mailbox: Option<Mailbox>,
    /// R7 for recipients that no outbound setting lists; exists and demands TLS.
    pub(crate) unlisted_route: Option<String>,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// `setting "description"`, ready for the private part of reasons.
    pub detail: String,
    /// Which mail it is for (R11).
    pub scopes: Scopes,
    /// Places in [`Settings`]' lists; one or more (R10).
    pub lists: Vec<usize>,
    /// R4.
    pub require_ca_signed_certificate: bool,
    /// R4, and that the authority has not taken its word back; with [`Setting::require_ca_signed_certificate`] alone.
    pub require_revocation_check: bool,
    /// R5.
    pub validate_hostname: bool,
    /// As the wire has it: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3.
    pub minimum_version: Option<u16>,
    /// R7; exists and demands TLS.
    pub alternate_secure_route: Option<String>,
    /// Decides and records, and demands nothing.
    pub observe_only: bool,
    /// Not before.
    pub valid_from: Option<Moment>,
    /// Not from then on.
    pub valid_until: Option<Moment>,
    /// Who it does not hold for.
    pub exceptions: Vec<Exception>,
}

/// When a setting begins or ends.
#[derive(Debug)]
pub struct Moment {
    /// Seconds since the Unix epoch.
    pub at: u64,
    /// As the operator wrote it.
    pub written: String,
}

impl Setting {
    /// In force at that moment.
    pub fn is_valid(&self, now: u64) -> bool {
        let (from, until) = (self.valid_from.as_ref(), self.valid_until.as_ref());
        from.is_none_or(|from| from.at <= now) && until.is_none_or(|until| now < until.at)
    }
}

impl Settings {
    /// Reads the document; `host` knows which lists and routes there are.
    pub fn read(document: &str, host: &impl Host) -> Result<Settings, Vec<Problem>> {
        settings::read(document, |object, problems| {
            let mut lists = Vec::new();
            let all = object.objects("settings", |object| Some(setting(object, &mut lists, host, problems)));
            let (enabled, disabled): (Vec<_>, Vec<_>) = all.into_iter().partition(|(is_enabled, _)| *is_enabled);
            let settings = |all: Vec<(bool, Setting)>| all.into_iter().map(|(_, setting)| setting).collect();
            Settings {
                enabled: settings(enabled),
                disabled: settings(disabled),
                lists,
                tls_report_mailbox: mailbox(object, "tls-report-mailbox", problems),
                unlisted_route: secure_route(object, "alternate-secure-route-for-unlisted", host, problems),
            }
        })
    }

    /// Every enabled one, in document order.
    pub fn all(&self) -> impl Iterator<Item = &Setting> {
        self.enabled.iter()
    }

    /// Those for mail that arrives.
    pub fn inbound(&self) -> impl Iterator<Item = &Setting> {
        self.all().filter(|setting| setting.scopes.inbound)
    }

    /// Those for mail on its way out.
    pub fn outbound(&self) -> impl Iterator<Item = &Setting> {
        self.all().filter(|setting| setting.scopes.is_outbound())
    }
}

/// Whether it is enabled, and what it says.
fn setting(object: &mut Object<'_>, lists: &mut Vec<String>, host: &impl Host, problems: &Problems) -> (bool, Setting) {
    let description = object.required_text("description").unwrap_or_default();
    let detail = format!("setting \"{description}\"");
    let setting = Setting {
        scopes: r11_scopes::read(object, problems),
        lists: r10_needs_list::read(object, lists, host, problems),
        require_ca_signed_certificate: object.flag("require-ca-signed-certificate", false),
        require_revocation_check: object.flag("require-revocation-check", false),
        validate_hostname: object.flag("validate-hostname", false),
        minimum_version: minimum_version(object, problems),
        alternate_secure_route: secure_route(object, "alternate-secure-route", host, problems),
        observe_only: object.flag("observe-only", false),
        valid_from: moment(object, "valid-from", OfDay::Start),
        valid_until: moment(object, "valid-until", OfDay::End),
        exceptions: exceptions::read(object, &detail, lists, host, problems),
        detail,
    };
    let span = setting.valid_from.as_ref().zip(setting.valid_until.as_ref());
    if span.is_some_and(|(from, until)| until.at <= from.at) {
        problems.add(object.path("valid-until"), "ends before valid-from begins");
    }
    if setting.require_revocation_check && !setting.require_ca_signed_certificate {
        let text = "asks for the word of an authority that nobody need trust; \
            add `require-ca-signed-certificate`: true, or remove it";
        problems.add(object.path("require-revocation-check"), text.to_owned());
    }
    (object.flag("enabled", true), setting)
}

fn moment(object: &mut Object<'_>, key: &'static str, of_day: OfDay) -> Option<Moment> {
    let at = object.moment(key, of_day)?;
    Some(Moment { at, written: object.text(key)? })
}

fn minimum_version(object: &mut Object<'_>, problems: &Problems) -> Option<u16> {
    match &*object.text("minimum-tls-version")? {
        "1.2" => Some(0x0303),
        "1.3" => Some(0x0304),
        other => {
            let path = object.path("minimum-tls-version");
            problems.add(path, format!("`{other}` is no TLS version to ask for; write \"1.2\" or \"1.3\""));
            None
        }
    }
}

/// A route that does not demand TLS would lose what it is named for.
fn secure_route(object: &mut Object<'_>, key: &'static str, host: &impl Host, problems: &Problems) -> Option<String> {
    let name = object.text(key)?;
    let path = object.path(key);
    match host.route(&name) {
        None => problems.add(path, format!("there is no route `{name}`; write it in the configuration first")),
        Some(route) if route.demands().is_empty() => {
            problems.add(path, format!("route `{name}` does not demand TLS, so it is no alternate secure route"));
        }
        Some(_) => {}
    }
    Some(name)
}

/// In the form facts have: domain in A-labels, lower case, without a trailing dot.
fn mailbox(object: &mut Object<'_>, key: &'static str, problems: &Problems) -> Option<Mailbox> {
    let text = object.text(key)?;
    let mailbox = Mailbox::new(text.trim_end_matches('.'));
    let in_form = !mailbox.local_part.is_empty()
        && !mailbox.domain.is_empty()
        && text.bytes().all(|octet| octet.is_ascii_graphic());
    if !in_form {
        problems.add(object.path(key), format!("`{text}` is no address; write user@domain, the domain in A-labels"));
    }
    Some(Mailbox { domain: mailbox.domain.to_ascii_lowercase(), ..mailbox })
}

#[cfg(test)]
mod tests {
    use crate::testing::{problems, read_settings};

    const COMPLETE: &str = r#"{
        "tls-report-mailbox": "TLSRPT@Ours.Example.",
        "alternate-secure-route-for-unlisted": "tunnel",
        "settings": [
            {"description": "Partners", "scopes": ["inbound", "outbound"], "lists": ["partners", "banks"],
             "require-ca-signed-certificate": true, "require-revocation-check": true,
             "validate-hostname": true, "minimum-tls-version": "1.3",
             "alternate-secure-route": "vault", "enabled": true, "observe-only": false,
             "valid-from": "2026-01-01", "valid-until": "2026-12-31",
             "exceptions": [{"lists": ["late"], "until": "2026-06-30", "reason": "they move", "owner": "ann"}]},
            {"description": "Off", "scopes": ["inbound"], "lists": ["partners"], "enabled": false},
            {"description": "Banks", "scopes": ["outbound-via-another-setting"], "lists": ["banks"]}
        ]
    }"#;

    #[test]
    fn a_complete_document_is_read() {
        let settings = read_settings(COMPLETE);
        assert_eq!(settings.lists, ["partners", "banks", "late"], "shared lists are named once");
        let mailbox = settings.tls_report_mailbox.as_ref().expect("given");
        assert_eq!((&*mailbox.local_part, &*mailbox.domain), ("TLSRPT", "ours.example"));
        assert_eq!(settings.unlisted_route.as_deref(), Some("tunnel"));
        let all: Vec<_> = settings.all().collect();
        assert_eq!(all.len(), 2, "the disabled one is left out");
        assert_eq!(all[0].lists, [0, 1]);
        assert_eq!(all[0].minimum_version, Some(0x0304));
        assert_eq!(all[0].alternate_secure_route.as_deref(), Some("vault"));
        assert!(all[0].require_ca_signed_certificate && all[0].validate_hostname && all[0].require_revocation_check);
        assert!(!all[0].observe_only && all[0].is_valid(1_767_225_600) && all[0].is_valid(1_798_761_599));
        assert!(!all[0].is_valid(1_767_225_599) && !all[0].is_valid(1_798_761_600) && all[1].is_valid(0));
        let exception = &all[0].exceptions[0];
        assert_eq!(exception.detail, "setting \"Partners\", exception until 2026-06-30, by ann: they move");
        assert!(exception.counts(1_782_863_999) && !exception.counts(1_782_864_000));
        assert_eq!(all[1].lists, [1]);
        assert!(!all[1].require_ca_signed_certificate && !all[1].validate_hostname && all[1].minimum_version.is_none());
        assert_eq!((settings.inbound().count(), settings.outbound().count()), (1, 2));
        assert_eq!(read_settings("{}").all().count(), 0);
    }

    #[test]
    fn all_problems_come_at_once_each_with_its_place() {
        let document = r#"{
            "tls-report-mailbox": "tlsrpt",
            "alternate-secure-route-for-unlisted": "open",
            "Settings": [],
            "settings": [
                {"description": " ", "scopes": ["inbound", "sideways"], "lists": ["gone"], "minimum-tls-version": "1.1",
                 "alternate-secure-route": "nowhere", "require-ca": true,
                 "valid-from": "2026-12-31", "valid-until": "2026-01-01", "exceptions": [{"lists": []}]},
                {"scopes": [], "alternate-secure-route": "open", "enabled": "yes", "validate-hostname": 1,
                 "require-revocation-check": true},
                "text"
            ]
        }"#;
        let expected = [
            "/settings/0/description: `description` must be given",
            "/settings/0/scopes/1: unknown scope `sideways`",
            "/settings/0/lists/0: there is no list `gone`",
            "/settings/0/minimum-tls-version: `1.1` is no TLS version",
            "/settings/0/alternate-secure-route: there is no route `nowhere`",
            "/settings/0/exceptions/0/lists: A setting must name at least one list",
            "/settings/0/exceptions/0/reason: `reason` must be given",
            "/settings/0/exceptions/0/until: `until` must be given",
            "/settings/0/valid-until: ends before valid-from begins",
            "/settings/0/require-ca: unknown key",
            "/settings/1/description: `description` must be given",
            "/settings/1/scopes: A setting must be for",
            "/settings/1/lists: A setting must name at least one list",
            "/settings/1/validate-hostname: `validate-hostname` must be true or false",
            "/settings/1/alternate-secure-route: route `open` does not demand TLS",
            "/settings/1/require-revocation-check: asks for the word of an authority",
            "/settings/1/enabled: `enabled` must be true or false",
            "/settings/2: must be an object",
            "/tls-report-mailbox: `tlsrpt` is no address",
            "/alternate-secure-route-for-unlisted: route `open` does not demand TLS",
            "/Settings: unknown key",
        ];
        let found = problems(document);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found} should start with {expected}");
        }
    }
}
