//! Routes and tables: what they choose, and what is refused.

use super::*;

fn hosts(names: &[&str]) -> RouteTarget {
    let host = |name: &&str| RouteHost { preference: 10, weight: 1, host: name.parse().expect("a host"), port: 25 };
    RouteTarget::Hosts(names.iter().map(host).collect())
}

fn mx() -> RouteTarget {
    RouteTarget::Mx { port: 25 }
}

#[test]
fn a_route_has_the_kind_and_demands_that_follow() {
    let (name, chain) = ("out", [Demand::TrustedChain]);
    let words = |route: Result<Route, RouteProblem>| route.map(|route| (route.kind(), route.demand_words().join(" ")));
    let rows = [
        (Route::new(name, mx(), [], false, false), Ok((RouteKind::Mx, ""))),
        (Route::new(name, mx(), chain.clone(), false, false), Ok((RouteKind::Mx, "tls trusted-chain"))),
        (Route::new(name, mx(), [], true, false), Err(RouteProblem::ImplicitTlsForMx(name.into()))),
        (Route::new(name, hosts(&["gw.example"]), [], false, false), Ok((RouteKind::SmartHost, ""))),
        (Route::new(name, hosts(&["gw.example"]), [], true, false), Ok((RouteKind::SmartHost, "tls"))),
        (Route::new(name, hosts(&[]), [], false, false), Err(RouteProblem::NoHosts(name.into()))),
        (
            Route::new(name, hosts(&["gw.example"]), chain, false, true),
            Ok((RouteKind::AlternateSecure, "tls trusted-chain")),
        ),
        (
            Route::new(name, hosts(&["gw.example"]), [], false, true),
            Err(RouteProblem::AlternateSecureWithoutTls(name.into())),
        ),
    ];
    for (route, expected) in rows {
        let context = format!("{route:?}");
        assert_eq!(words(route), expected.map(|(kind, words)| (kind, words.to_owned())), "{context}");
    }
    for word in
        ["tls", "minimum-version-1.2", "minimum-version-1.3", "trusted-chain", "matching-name", "unrevoked-certificate"]
    {
        assert_eq!(demand_of_word(word).as_ref().map(demand_word).as_deref(), Some(word));
    }
    assert_eq!(demand_of_word("secure"), None);
}

fn table(rules: &[(&str, &str)], default: &str) -> Result<RouteTable, Vec<RouteProblem>> {
    let route = |name: &str| Route::new(name, hosts(&["gw.example"]), [], false, false).expect("a route");
    let rules = rules.iter().map(|(pattern, name)| (pattern.parse().expect("a pattern"), (*name).to_owned()));
    RouteTable::new(vec![route("a"), route("b"), route("mx")], rules.collect(), default)
}

#[test]
fn the_nearest_rule_gives_the_route() {
    let rules = [("x.example", "a"), ("*.x.example", "b"), ("*.deep.x.example", "a"), ("xn--bcher-kva.example", "b")];
    let table = table(&rules, "mx").expect("a table");
    let rows = [
        ("u@x.example", "a"),
        ("u@X.Example", "a"),
        ("u@y.x.example", "b"),
        ("u@y.z.x.example", "b"),
        ("u@deep.x.example", "b"),
        ("u@y.deep.x.example", "a"),
        ("u@yx.example", "mx"),
        ("u@example", "mx"),
        ("u@b\u{fc}cher.example", "b"),
        ("u@[192.0.2.1]", "mx"),
    ];
    for (recipient, expected) in rows {
        let recipient = Mailbox::parse(recipient).expect("a mailbox");
        assert_eq!(table.for_recipient(&recipient).name(), expected, "{recipient}");
    }
    assert_eq!(table.iter().count(), 3);
    assert!(table.by_name("a").is_some() && table.by_name("c").is_none());
}

#[test]
fn a_table_with_loose_ends_is_refused_with_all_of_them() {
    let problems = table(&[("x.example", "c"), ("y.example", "a"), ("Y.example", "b")], "d").expect_err("loose ends");
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains("x.example") && texts[1].contains("two routes") && texts[2].contains("default"));
}
