//! Trees, who belongs where, and what is in force.

use super::*;

fn path(text: &str) -> UnitPath {
    text.parse().expect("a path")
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn unit(domains: &[&str], addresses: &[&str], networks: &[&str]) -> Unit {
    Unit {
        domains: domains.iter().map(|text| domain(text)).collect(),
        addresses: addresses.iter().map(|text| mailbox(text)).collect(),
        networks: networks.iter().map(|text| text.parse().expect("a network")).collect(),
        ..Unit::default()
    }
}

fn tree(units: &[(&str, Unit)]) -> Result<Units, Vec<UnitProblem>> {
    Units::new(units.iter().map(|(at, unit)| (path(at), unit.clone())).collect())
}

#[test]
fn paths_are_read_with_and_without_the_root() {
    let rows = [
        ("root", Ok("root")),
        ("sales", Ok("root/sales")),
        ("root/sales/emea", Ok("root/sales/emea")),
        ("sales/emea-2", Ok("root/sales/emea-2")),
        ("", Err("is no unit")),
        ("Sales", Err("is no unit")),
        ("sales//emea", Err("is no unit")),
        ("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", Err("is deeper")),
    ];
    for (text, expected) in rows {
        match (text.parse::<UnitPath>(), expected) {
            (Ok(path), Ok(expected)) => assert_eq!(path.to_string(), expected, "{text}"),
            (Err(why), Err(expected)) => assert!(why.starts_with(expected), "{text}: {why}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }
    assert!(path("sales/emea").is_below(&path("sales")) && path("sales").is_within(&path("sales")));
    assert!(!path("sales").is_below(&path("sales")) && !path("salesforce").is_within(&path("sales")));
    assert_eq!((path("sales").parent(), path("root").parent()), (Some(UnitPath::root()), None));
}

#[test]
fn clients_and_recipients_belong_to_the_nearest_unit() {
    let units = tree(&[
        ("root", unit(&["example.com"], &[], &["192.0.2.0/24"])),
        ("sales", unit(&["sales.example"], &["Ann@Example.com"], &["192.0.2.128/25"])),
        ("sales/emea", unit(&[], &[], &["2001:db8::/32"])),
    ])
    .expect("a tree");
    let recipients = [
        ("bob@example.com", Some("root")),
        ("ANN@example.com", Some("root/sales")),
        ("x@sales.example", Some("root/sales")),
        ("ann@elsewhere.example", None),
    ];
    for (recipient, expected) in recipients {
        let found = units.of_recipient(&mailbox(recipient)).map(ToString::to_string);
        assert_eq!(found.as_deref(), expected, "{recipient}");
    }
    let clients = [
        ("192.0.2.1", Some("root")),
        ("192.0.2.200", Some("root/sales")),
        ("::ffff:192.0.2.200", Some("root/sales")),
        ("2001:db8::1", Some("root/sales/emea")),
        ("198.51.100.1", None),
    ];
    for (client, expected) in clients {
        let found = units.of_client(client.parse().expect("an address")).map(ToString::to_string);
        assert_eq!(found.as_deref(), expected, "{client}");
    }
    let gone = path("sales/emea/gone/deeper");
    assert_eq!(units.nearest(gone.names()), path("sales/emea"), "units may go while mail waits");
    assert_eq!(units.nearest(&[]), UnitPath::root());
}

#[test]
fn every_problem_of_a_tree_is_told() {
    let problems = tree(&[
        ("a", unit(&["example.com"], &["ann@nowhere.example"], &["192.0.2.0/24"])),
        ("b", unit(&["Example.COM"], &[], &["192.0.2.0/24"])),
        ("c/d", unit(&[], &[], &[])),
    ])
    .expect_err("problems");
    let told: Vec<String> = problems.iter().map(|p| format!("{} {} {}: {}", p.unit, p.key, p.value, p.text)).collect();
    let expected = [
        "root/b domains example.com: example.com belongs to root/a already",
        "root/b trusted-networks 192.0.2.0/24: 192.0.2.0/24 belongs to root/a already",
        "root/c/d  : stands below root/c, which does not exist; add that first",
        "root/a addresses ann@nowhere.example: nowhere.example is hosted by no unit; add it to the domains of one",
    ];
    assert_eq!(told, expected);
}

fn setting(id: &str, unit: &str) -> SettingScope {
    SettingScope {
        id: id.to_owned(),
        unit: path(unit),
        enabled: true,
        overrides: None,
        may_be_disabled: false,
        may_be_overridden: false,
        exempt_internal_mail: false,
        id_is_written: true,
    }
}

fn disabling(ids: &[&str]) -> Unit {
    Unit { disables: ids.iter().map(|id| (*id).to_owned()).collect(), ..Unit::default() }
}

#[test]
fn parity_9_a_child_inherits_and_adds_and_changes_only_what_it_may() {
    let units =
        tree(&[("sales", disabling(&["soft", "hard"])), ("sales/emea", unit(&[], &[], &[])), ("it", Unit::default())])
            .expect("a tree");
    let settings = [
        SettingScope { may_be_disabled: true, ..setting("soft", "root") },
        setting("hard", "root"),
        SettingScope { may_be_overridden: true, ..setting("base", "root") },
        SettingScope { overrides: Some("base".into()), ..setting("emea", "sales/emea") },
        SettingScope { overrides: Some("base".into()), enabled: false, ..setting("off", "it") },
        SettingScope { exempt_internal_mail: true, ..setting("outside", "it") },
    ];
    let rows: [(&str, &[usize], &[usize]); 4] = [
        ("root", &[0, 1, 2], &[0, 1, 2]),
        ("sales", &[1, 2], &[1, 2]),
        ("sales/emea", &[1, 3], &[1, 3]),
        ("it", &[0, 1, 2, 5], &[0, 1, 2]),
    ];
    let settled = ByUnit::of(&settings);
    for (unit, expected, internal) in rows {
        assert_eq!(settled.in_force(&units, &path(unit), false), expected, "{unit}");
        assert_eq!(settled.in_force(&units, &path(unit), true), internal, "{unit}, internal");
    }
    let stands = settled.standing(&units, &path("sales/emea"));
    let expected = [
        (0, Standing::Disabled(path("sales"))),
        (1, Standing::Inherited),
        (2, Standing::Overridden("emea".into())),
        (3, Standing::LocallyApplied),
    ];
    assert_eq!(stands, expected);
    assert_eq!(settled.standing(&units, &path("it"))[3], (4, Standing::Off));
    // What may not be disabled is told, not passed over.
    let told: Vec<_> = problems(&settings, &units).into_iter().map(|problem| (problem.place, problem.text)).collect();
    let (sales, text) = (path("sales"), "\"hard\" does not allow it; set may-be-disabled = true there first");
    assert_eq!(told, [(Place::Disables(&sales, "hard"), text.to_owned())]);
}

/// What stands in another's place and is switched off itself leaves the place to the other.
#[test]
fn an_override_that_is_not_in_force_replaces_nothing() {
    let units = tree(&[
        ("sales", Unit::default()),
        ("sales/emea", disabling(&["middle"])),
        ("sales/apac", Unit::default()),
        ("sales/apac/jp", disabling(&["lowest"])),
    ])
    .expect("a tree");
    let overriding = |id: &str, of: &str, unit: &str| SettingScope {
        overrides: Some(of.into()),
        may_be_disabled: true,
        may_be_overridden: true,
        ..setting(id, unit)
    };
    let settings = [
        SettingScope { may_be_overridden: true, ..setting("base", "root") },
        overriding("middle", "base", "sales"),
        overriding("lowest", "middle", "sales/apac"),
    ];
    let rows: [(&str, &[usize]); 4] =
        [("sales", &[1]), ("sales/emea", &[0]), ("sales/apac", &[2]), ("sales/apac/jp", &[1])];
    for (unit, expected) in rows {
        assert_eq!(ByUnit::of(&settings).in_force(&units, &path(unit), false), expected, "{unit}");
    }
    // Below a chain of which nothing is left, the first stands.
    let none = disabling(&["middle", "lowest"]);
    let tree = tree(&[("sales", Unit::default()), ("sales/apac", Unit::default()), ("sales/apac/jp", none)]);
    assert_eq!(ByUnit::of(&settings).in_force(&tree.expect("a tree"), &path("sales/apac/jp"), false), [0]);
}

#[test]
fn every_problem_of_where_settings_stand_is_told() {
    let units = tree(&[("sales", disabling(&["nobody", "local"]))]).expect("a tree");
    let settings = [
        setting("one", "root"),
        setting("one", "nowhere"),
        setting("local", "sales"),
        SettingScope { overrides: Some("one".into()), ..setting("two", "sales") },
        SettingScope { overrides: Some("local".into()), ..setting("three", "sales") },
        SettingScope { may_be_overridden: true, id_is_written: false, ..setting("made", "root") },
        SettingScope { overrides: Some("made".into()), ..setting("four", "sales") },
    ];
    let told: Vec<String> = problems(&settings, &units).iter().map(|p| format!("{:?}: {}", p.place, p.text)).collect();
    let expected = [
        "Setting(1, \"id\"): another setting has the id \"one\"; give each its own",
        "Setting(1, \"unit\"): there is no unit root/nowhere; add [units.\"nowhere\"]",
        "Setting(3, \"overrides\"): \"one\" is not inherited here: it stands in root/nowhere",
        "Setting(4, \"overrides\"): \"local\" is not inherited here: it stands in root/sales",
        "Setting(6, \"overrides\"): \"made\" is made of a description and may become another's; write id = \"made\" there first",
        "Disables(root/sales, \"local\"): \"local\" is not inherited here: it stands in root/sales",
        "Disables(root/sales, \"nobody\"): there is no setting of the id \"nobody\"",
    ];
    assert_eq!(told, expected);
}
