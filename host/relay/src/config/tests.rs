//! Tables: a file's text, and the problems or the meaning it must have.

use super::*;
use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::facts::TlsVersion;
use sealwire_core::floor::{Demand, PinKind};
use sealwire_core::plan::RouteTarget;

fn surroundings() -> Surroundings {
    let hostname = Domain::parse("host.example").expect("a domain");
    Surroundings { hostname, state_directory: "/state/sealwire".into() }
}

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    parse(text, "sealwire.toml", Path::new("/etc/sealwire"), &surroundings())
}

/// Each row: a text, and for each problem its line, key and a part of what it says.
#[test]
fn every_problem_is_told_with_line_key_and_remedy() {
    type Expected = &'static [(usize, &'static str, &'static str)];
    let rows: &[(&str, Expected)] = &[
        ("hostnam = \"a.example\"\n", &[(1, "hostnam", "no such key")]),
        ("hostname = 5\nlog-level = \"loud\"\n", &[(1, "hostname", "must be a text"), (2, "log-level", "debug")]),
        (
            "trusted-networks = [\"10.1.0.0/8\",\n \"ten\",\n \"::ffff:10.0.0.0/104\"]",
            &[
                (1, "trusted-networks", "10.0.0.0/8"),
                (2, "trusted-networks", "is no network"),
                (3, "trusted-networks", "write 10.0.0.0"),
            ],
        ),
        (
            "[[listener]]\naddress = \"127.0.0.1\"\n[[listener]]\nname = \"A\"",
            &[
                (1, "listener[1]", "needs a name"),
                (2, "listener[1].address", "with a port"),
                (3, "listener[2]", "needs an address"),
                (4, "listener[2].name", "a-z"),
            ],
        ),
        ("[api]\naddress = \"0.0.0.0:8443\"", &[(2, "api.address", "needs TLS: add certificate")]),
        ("[api]\naddress = \"[::]:8443\"", &[(2, "api.address", "bind it to 127.0.0.1")]),
        ("[api]\naddress = \"0.0.0.0:8443\"\ncertificate=\"c\"", &[(3, "api.certificate", "without a key")]),
        (
            "[api]\naddress = \"127.0.0.1\"\nkey=\"c\"",
            &[(2, "api.address", "with a port"), (3, "api.key", "certificate")],
        ),
        (
            "[[listener]]\nname=\"a\"\naddress=\"127.0.0.1:25\"\ncertificate=\"c\"",
            &[(4, "listener[1].certificate", "key")],
        ),
        (
            "[[route]]\nname = \"a\"\nhosts = [{ host = \"h.example\", prot = 26 }]\ntls = \"opportunistic\"\nvalidate-hostname = true",
            &[(3, "route[1].hosts[1].prot", "host, port, preference, weight"), (4, "route[1].tls", "contradicts")],
        ),
        (
            "[[route]]\nname=\"a\"\n[[route]]\nname=\"a\"\nmx=true\nhosts=[]",
            &[(1, "route[1]", "where its mail goes"), (3, "route[2]", "keep one"), (4, "route[2].name", "line 2")],
        ),
        (
            "[[route]]\nname=\"a\"\nmx=true\nalternate-secure=true",
            &[(4, "route[1].alternate-secure", "must demand TLS"), (4, "route[1].alternate-secure", "needs hosts")],
        ),
        (
            "[[route]]\nname=\"a\"\nmx=true\ndefault=true\n[[route]]\nname=\"b\"\nmx=true\ndefault=true",
            &[(8, "route[2].default", "second default")],
        ),
        (
            "[[route]]\nname=\"a\"\nmx=true\nmatch=[\"a.example\"]\n[[route]]\nname=\"mx\"\nmx=true\nmatch=[\"A.example\"]",
            &[(6, "route[2].name", "rename"), (8, "route[2].match", "line 4")],
        ),
        (
            "[[route]]\nname=\"a\"\nhosts=[{host=\"h.example\"}]\nauth-user=\"u\"\n[[route]]\nname=\"b\"\nmx=true\nauth-password-file=\"p\"",
            &[(4, "route[1].auth-user", "auth-password-file"), (8, "route[2].auth-password-file", "auth-user")],
        ),
        (
            "[[route]]\nname=\"a\"\nhosts=[{host=\"h.example\"}]\nrequire-revocation-check=true\nvalidate-hostname=true\ncrl=\"\"",
            &[
                (4, "route[1].require-revocation-check", "add require-ca-signed-certificate = true"),
                (6, "route[1].crl", "is no path"),
            ],
        ),
        (
            "[[route]]\nname=\"a\"\nhosts=[{host=\"h.example\"}]\nvalidate-hostname=true\nauth-user=\"u\"\nauth-password-file=\"p\"",
            &[(5, "route[1].auth-user", "add require-ca-signed-certificate = true and validate-hostname = true")],
        ),
        (
            "[[route]]\nname=\"a\"\nmx=true\nvalidate-hostname=true\nrequire-ca-signed-certificate=true\nauth-user=\"u\"\nauth-password-file=\"p\"",
            &[(6, "route[1].auth-user", "name hosts instead of mx")],
        ),
        (
            "[[route]]\nname=\"a\"\nmx=true\nclient-certificate=\"c\"\n[[route]]\nname=\"b\"\nmx=true\nclient-key=\"k\"",
            &[(4, "route[1].client-certificate", "client-key"), (8, "route[2].client-key", "client-certificate")],
        ),
        (
            "[[route]]\nname=\"a\"\nmx=true\ncipher-suites=[\"TLS_AES_256_GCM_SHA384\",\n\"TLS13_AES_128_GCM_SHA256\"]",
            &[(5, "route[1].cipher-suites", "those are TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256")],
        ),
        ("[[route]]\nname=\"a\"\nmx=true\ncipher-suites=[]", &[(4, "route[1].cipher-suites", "could never be met")]),
        (
            "[[route]]\nname=\"a\"\nmx=true\nminimum-tls-version=\"1.3\"\ncipher-suites=[\"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\"]",
            &[(4, "route[1].minimum-tls-version", "TLS_AES_256_GCM_SHA384")],
        ),
        (
            "[[route]]\nname=\"a\"\nhosts=[{host=\"h.example\"}]\npins=[\"sha256:12\",\n\"+\"]",
            &[(4, "route[1].pins", "64 hexadecimal"), (5, "route[1].pins", "sha256:")],
        ),
        ("[[route]]\nname=\"a\"\nhosts=[{host=\"h.example\"}]\npins=[]", &[(4, "route[1].pins", "could never be met")]),
        (
            "[[route]]\nname=\"a\"\nmx=true\npins=[\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"]",
            &[(1, "route[1]", "name hosts, or remove pins")],
        ),
        ("[route]\nname = \"a\"", &[(1, "route", "[[route]]")]),
        (
            "[[policy]]\nname = \"requiretls\"\nprofile = \"fast\"",
            &[
                (1, "policy[1]", "needs a component"),
                (2, "policy[1].name", "RFC 8689"),
                (3, "policy[1].profile", "scripted"),
            ],
        ),
        (
            "[schedule]\nfirst-retry = \"1d\"\nmax-interval = \"1h\"\nexpire-after = \"0s\"",
            &[(3, "schedule.max-interval", "first-retry"), (4, "schedule.expire-after", "365d")],
        ),
        (
            "[limits]\nrecipients = 0\nmessage-size = \"1kB\"",
            &[(2, "limits.recipients", "from 1"), (3, "limits.message-size", "65536")],
        ),
        (
            "[tls-reports]\nenabled = true\nfrom = \"a@b.example\"",
            &[
                (2, "tls-reports.enabled", "organization-name"),
                (2, "tls-reports.enabled", "contact"),
                (3, "tls-reports.from", "add dkim-selector and dkim-key"),
            ],
        ),
        (
            "[tls-reports]\nenabled = true\norganization-name = \"X\"\ncontact = \"x\"\ndkim-key = \"k\"",
            &[(5, "tls-reports.dkim-key", "add from and dkim-selector")],
        ),
        (
            "[tls-reports]\nenabled = true\norganization-name = \"X\"\ncontact = \"x\"\nfrom = \"a@b.example\"\ndkim-key = \"k\"\ndkim-selector = \"s\"\ndkim-domain = \"c.example\"",
            &[(8, "tls-reports.dkim-domain", "write b.example")],
        ),
        (
            "[tls-reports]\nfrom = \"a\"\ndkim-selector = \"a b\"\norganization-name = \"\"",
            &[
                (2, "tls-reports.from", "no mailbox"),
                (3, "tls-reports.dkim-selector", "no selector"),
                (4, "tls-reports.organization-name", "1 to 200"),
            ],
        ),
        // What the parser made up behind a fault of syntax is where its key is, not on line 1.
        ("log-level = \"info\"\nhostname = = 1", &[(2, "", "not TOML"), (2, "hostname", "must be a text")]),
        ("hostname = \"a\"\nhostname = \"b\"\nx = = 1\nlog = 1", &[(2, "", "not TOML"), (3, "", "not TOML")]),
    ];
    for (text, expected) in rows {
        let problems = read(text).expect_err(text);
        for (line, key, part) in *expected {
            let found = problems.iter().any(|p| p.line == *line && p.key == *key && p.text.contains(part));
            assert!(found, "{text}\nhas no {line} {key} {part:?} in {problems:#?}");
        }
        let syntax = expected.iter().any(|(_, key, _)| key.is_empty());
        assert!(syntax || problems.len() == expected.len(), "{text}\nhas more: {problems:#?}");
    }
}

/// One demand that any of the pins meets; a login needs no more proof than that.
#[test]
fn pins_are_one_demand_that_any_of_them_meets() {
    let (old, new) = ("ab".repeat(32), "CD".repeat(32));
    let text = format!(
        "[[route]]\nname=\"a\"\nhosts=[{{host=\"h.example\"}}]\npins=[\"sha256:{old}\", \"sha256:{new}\"]\n\
         auth-user=\"u\"\nauth-password-file=\"p\""
    );
    let config = read(&text).expect("no problem");
    let pins = std::collections::BTreeSet::from([[0xab; 32], [0xcd; 32]]);
    let demands = config.routes.by_name("a").expect("the route").demands();
    assert_eq!(demands, [Demand::Tls, Demand::Pin(PinKind::SpkiSha256, pins)]);
}

#[test]
fn a_problem_reads_as_editors_like_it() {
    let problem = &read("hostname = \"a b\"").expect_err("a blank")[0];
    let expected = "sealwire.toml:1: hostname: \"a b\": is not a valid domain; write one such as mail.example.com";
    assert_eq!(problem.to_string(), expected);
}

#[test]
fn nothing_written_is_loopback_and_opportunistic() {
    let config = Config::without_file(&surroundings());
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].address, ([127, 0, 0, 1], 2525).into());
    assert!(config.trusted_networks.iter().any(|network| network.contains([127, 0, 0, 1].into())));
    assert!(!config.trusted_networks.iter().any(|network| network.contains([192, 0, 2, 1].into())));
    assert!(config.hosted_domains.is_empty());
    assert_eq!(config.admin_socket, Path::new("/state/sealwire/admin/socket"));
    let default = config.routes.for_recipient(&Mailbox::parse("ann@anywhere.example").expect("a mailbox"));
    assert!(default.name() == IMPLICIT_ROUTE && default.demands().is_empty());
    assert_eq!(config.policies[0].component, Component::Builtin("secure-transport".into()));
}

#[test]
fn what_is_written_is_what_is_meant() {
    let text = r#"
        hostname = "Mail.Example.org"
        data-directory = "data"
        trusted-networks = []
        hosted-domains = ["bücher.example"]
        [[route]]
        name = "gateway"
        match = ["example.com", "*.example.com"]
        hosts = [{ host = "2001:DB8::1", preference = 20 }, { host = "GW.example.com.", port = 587 }]
        validate-hostname = true
        minimum-tls-version = "1.3"
        alternate-secure = true
        roots = "ca.pem"
    "#;
    let config = read(text).expect("no problem");
    assert_eq!(config.hostname.as_str(), "mail.example.org");
    assert_eq!(config.data_directory, Path::new("/etc/sealwire/data"));
    assert!(config.trusted_networks.is_empty(), "an empty list trusts nobody");
    let way = |to: &str| config.routes.for_recipient(&Mailbox::parse(to).expect("a mailbox")).name().to_owned();
    assert_eq!(["a@example.com", "a@b.example.com", "a@example.org"].map(way), ["gateway", "gateway", "mx"]);
    let route = config.routes.by_name("gateway").expect("the route");
    assert_eq!(route.demands(), [Demand::Tls, Demand::MinimumVersion(TlsVersion::TLS13), Demand::MatchingName]);
    assert_eq!(config.roots_of("gateway"), &Roots::File("/etc/sealwire/ca.pem".into()));
    assert_eq!(config.roots_of("mx"), &Roots::System);
    let RouteTarget::Hosts(hosts) = route.target() else { panic!("hosts were written") };
    let hosts: Vec<_> = hosts.iter().map(|host| (host.host.to_string(), host.port)).collect();
    assert_eq!(hosts, [("gw.example.com".into(), 587), ("2001:db8::1".into(), 25)], "lowest preference first");
}

const EXAMPLE: &str = include_str!("../../../../docs/examples/sealwire.toml");
const DOCUMENTATION: &str = include_str!("../../../../docs/configuration.md");

#[test]
fn the_complete_example_is_free_of_problems() {
    let config = read(EXAMPLE).expect("the example");
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.routes.iter().count(), 3);
}

#[test]
fn alerts_go_to_mailboxes_and_webhooks() {
    let config =
        read("[alerts]\nto = [\"mailto:ops@b.example\", \"https://hooks.example/x\"]\nrepeat-after = \"1d\"\n");
    let alerts = config.expect("well written").alerts;
    let to: Vec<String> = alerts.to.iter().map(ToString::to_string).collect();
    assert_eq!(
        (to.join(" ").as_str(), alerts.repeat_after_secs),
        ("mailto:ops@b.example https://hooks.example/x", 86_400)
    );
    let none = read("").expect("nothing is needed").alerts;
    assert!(none.to.is_empty() && !none.refusals, "nobody asked for more");
    assert!(read("[alerts]\nrefusals = true\n").expect("well written").alerts.refusals);
    for wrong in ["ops@b.example", "http://hooks.example/", "https://", "mailto:ops"] {
        let problems = read(&format!("[alerts]\nto = [\"{wrong}\"]\n")).expect_err(wrong);
        assert!(
            problems[0].key.starts_with("alerts.to") && problems[0].text.contains("mailto:MAILBOX"),
            "{problems:?}"
        );
    }
}

#[test]
fn reports_are_signed_by_mail_and_go_by_https_without() {
    let head = "hostname = \"mail.b.example\"\n[tls-reports]\norganization-name = \"X\"\ncontact = \"x\"\n";
    let by_mail = "from = \"a@b.example\"\ndkim-selector = \"s\"\ndkim-key = \"k\"\n";
    for (text, domain, mail) in [
        (format!("{head}{by_mail}"), None, false),
        (format!("{head}enabled = true"), Some("mail.b.example"), false),
        (format!("{head}enabled = true\n{by_mail}"), Some("b.example"), true),
    ] {
        let reports = read(&text).expect("well written").tls_reports;
        assert_eq!(reports.as_ref().map(|reports| reports.submitter.domain.as_str()), domain, "{text}");
        let by_mail = reports.and_then(|reports| reports.mail);
        assert_eq!(by_mail.as_ref().map(|mail| mail.dkim_domain.as_str()), mail.then_some("b.example"), "{text}");
        assert!(by_mail.is_none_or(|mail| mail.dkim_key == Path::new("/etc/sealwire/k")));
    }
}

/// The reader itself says which keys it knows: each stands in the example and in its table of the documentation.
#[test]
fn every_key_is_documented_and_exemplified() {
    let stranger = "stranger = 1\n";
    let unknown: String = EXAMPLE
        .lines()
        .map(|line| line.replacen("{ host", "{ stranger = 1, host", 1) + "\n")
        .flat_map(|line| if line.starts_with('[') { [line, stranger.to_owned()] } else { [line, String::new()] })
        .collect();
    let problems = read(&(stranger.to_owned() + &unknown)).expect_err("strangers");
    let mut tables = std::collections::BTreeSet::new();
    for problem in &problems {
        let keys = problem.text.split("known are: ").nth(1).expect("the reader names the keys it knows");
        let tables_of_config = [
            "listener",
            "route",
            "policy",
            "api",
            "tls",
            "dns",
            "mta-sts",
            "tls-reports",
            "alerts",
            "probes",
            "ledger",
            "audit",
            "limits",
            "schedule",
        ];
        for key in keys.split(", ").filter(|key| !tables_of_config.contains(key)) {
            assert!(DOCUMENTATION.contains(&format!("| `{key}` |")), "{}: {key} is not documented", problem.key);
            let written = |line: &str| line.contains(&format!("{key} = "));
            assert!(EXAMPLE.lines().any(written), "{}: {key} is not in the example", problem.key);
        }
        tables.insert(keys.to_owned());
    }
    assert_eq!(tables.len(), 15, "every kind of table was met: {tables:#?}");
}

/// The parser alone would take minutes for this one; a text of dots is none of a key.
#[test]
fn a_key_without_an_end_is_told_at_once() {
    let problems = read(&format!("hostname = \"a.example\"\n{}", "a.".repeat(500_000))).expect_err("endless");
    let told: Vec<(usize, &str)> = problems.iter().map(|problem| (problem.line, problem.key.as_str())).collect();
    assert!(told == [(2, "")] && problems[0].text.contains("500 dots"), "{:?}", &problems[..1]);
    let config = read(&format!("hostname = \"a.example\" # {}", ".".repeat(1_000))).expect("a comment");
    assert_eq!(config.hostname.as_str(), "a.example");
}
