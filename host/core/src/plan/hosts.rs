//! In which order the hosts of a next hop are asked (RFC 5321 §5.1, RFC 7505). Randomness is an argument.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::{AddressError, Domain};
use crate::plan::route::RouteHost;
use crate::reply::Reply;

/// A host by its name or its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostName {
    /// To be looked up; certificates are checked against it.
    Name(Domain),
    /// Connected to as it is.
    Address(IpAddr),
}

impl FromStr for HostName {
    type Err = AddressError;

    /// Reads `mx.example`, `192.0.2.1`, `2001:db8::1` and the literals `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
    fn from_str(text: &str) -> Result<HostName, AddressError> {
        if let Ok(address) = text.parse() {
            return Ok(HostName::Address(address));
        }
        let domain = Domain::parse(text)?;
        if domain.is_literal() {
            return literal_address(&domain).map(HostName::Address).ok_or(AddressError::Domain);
        }
        Ok(HostName::Name(domain))
    }
}

impl TryFrom<String> for HostName {
    type Error = AddressError;

    fn try_from(text: String) -> Result<HostName, AddressError> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> String {
        host.to_string()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostName::Name(name) => name.fmt(f),
            HostName::Address(address) => address.fmt(f),
        }
    }
}

/// The address of a literal such as `[192.0.2.1]` or `[ipv6:2001:db8::1]` (RFC 5321 §4.1.3); None: no literal of these.
pub fn literal_address(domain: &Domain) -> Option<IpAddr> {
    let inner = domain.as_str().strip_prefix('[')?.strip_suffix(']')?;
    match inner.strip_prefix("ipv6:") {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => inner.parse().ok().map(IpAddr::V4),
    }
}

/// Why a domain's MX records lead nowhere. None of these gets better by waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MxProblem {
    /// The domain takes no mail (RFC 7505).
    NullMx,
    /// The best hosts are this relay, so that the mail would come back.
    LoopsBack,
    /// Records there are, but none of them names a host.
    NoHost,
}

impl MxProblem {
    /// What the sender is told: a reply of our own, not a peer's.
    pub fn reply(self) -> Reply {
        match self {
            // RFC 7505 §4.2.
            MxProblem::NullMx => Reply::new(556, (1, 10), self.to_string()),
            MxProblem::LoopsBack => Reply::new(554, (4, 6), self.to_string()),
            MxProblem::NoHost => Reply::new(550, (1, 2), self.to_string()),
        }
    }
}

impl fmt::Display for MxProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MxProblem::NullMx => "the domain accepts no mail (its MX record is null)",
            MxProblem::LoopsBack => "the domain's MX records lead back to this relay",
            MxProblem::NoHost => "the domain's MX records name no usable host",
        })
    }
}

impl std::error::Error for MxProblem {}

/// The hosts to ask, best first. `mx` as looked up, (preference, exchange), the root as the empty text or `.`; `me`
/// are this relay's own names. Without any record the domain is its own host, the implicit MX.
pub fn order_hosts(
    domain: &Domain,
    mx: &[(u16, String)],
    me: &[Domain],
    shuffle: u64,
) -> Result<Vec<Domain>, MxProblem> {
    if mx.is_empty() {
        return if me.contains(domain) { Err(MxProblem::LoopsBack) } else { Ok(vec![domain.clone()]) };
    }
    let is_root = |exchange: &str| exchange.is_empty() || exchange == ".";
    // RFC 7505 §3: a null MX stands alone; beside other records it names no host and is passed over.
    if mx.iter().all(|(_, exchange)| is_root(exchange)) {
        return Err(MxProblem::NullMx);
    }
    let parsed = mx.iter().filter_map(|(preference, exchange)| Some((*preference, Domain::parse(exchange).ok()?)));
    let mut hosts: Vec<(u16, Domain)> = parsed.filter(|(_, host)| !host.is_literal()).collect();
    if hosts.is_empty() {
        return Err(MxProblem::NoHost);
    }
    // RFC 5321 §5.1: hosts no better than ourselves are dropped, or mail would travel in circles.
    if let Some(own) = hosts.iter().filter(|(_, host)| me.contains(host)).map(|(preference, _)| *preference).min() {
        hosts.retain(|(preference, _)| *preference < own);
    }
    if hosts.is_empty() {
        return Err(MxProblem::LoopsBack);
    }
    let mut hosts: Vec<Domain> =
        in_order(hosts, |(preference, _)| *preference, shuffle).into_iter().map(|(_, host)| host).collect();
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    Ok(hosts)
}

/// A route's hosts, best first: by preference, and within one preference at random, each as likely to be next as its weight
/// is to the sum of those that are left (RFC 2782, "Usage rules").
pub fn order_route_hosts(hosts: &[RouteHost], shuffle: u64) -> Vec<&RouteHost> {
    let mut state = shuffle;
    // Weights are of 16 bits and hosts are few: what the remainder favours is less than one in 2^40.
    by_weight(hosts, |sides| next_random(&mut state) % sides)
}

/// The same with dice: `roll(n)` gives one of 0 to n - 1.
fn by_weight(hosts: &[RouteHost], mut roll: impl FnMut(u64) -> u64) -> Vec<&RouteHost> {
    let mut left: Vec<&RouteHost> = hosts.iter().collect();
    // Sorted, so that equal dice give equal orders however the hosts were written.
    left.sort();
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(best) = left.first().map(|host| host.preference) {
        let candidates =
            || left.iter().take_while(|host| host.preference == best).map(|host| u64::from(host.weight.max(1)));
        let mut rolled = roll(candidates().sum());
        let passed =
            candidates().take_while(|weight| rolled.checked_sub(*weight).inspect(|rest| rolled = *rest).is_some());
        let chosen = passed.count();
        ordered.push(left.remove(chosen.min(left.len() - 1)));
    }
    ordered
}

/// By preference, equal ones in random order (RFC 5321 §5.1: "the sender-SMTP MUST randomize them").
fn in_order<T: Ord>(mut hosts: Vec<T>, preference: impl Fn(&T) -> u16, shuffle: u64) -> Vec<T> {
    // Sorted whole first, so that equal arguments give equal orders whatever order the DNS answered in.
    hosts.sort();
    let mut state = shuffle;
    for unshuffled in (1..hosts.len()).rev() {
        let chosen = next_random(&mut state) % (unshuffled as u64 + 1);
        hosts.swap(unshuffled, chosen as usize);
    }
    hosts.sort_by_key(|host| preference(host));
    hosts
}

/// SplitMix64: small, and good enough to spread load.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(mx: &[(u16, &str)], me: &[&str], shuffle: u64) -> Result<Vec<String>, MxProblem> {
        let domain = |text: &str| Domain::parse(text).expect("a domain");
        let mx: Vec<(u16, String)> = mx.iter().map(|(preference, host)| (*preference, (*host).to_owned())).collect();
        let me: Vec<Domain> = me.iter().map(|name| domain(name)).collect();
        let hosts = order_hosts(&domain("d.example"), &mx, &me, shuffle)?;
        Ok(hosts.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn mx_records_become_hosts_in_order() {
        type Row =
            (&'static [(u16, &'static str)], &'static [&'static str], Result<&'static [&'static str], MxProblem>);
        let rows: &[Row] = &[
            (&[], &[], Ok(&["d.example"])),
            (&[], &["d.example"], Err(MxProblem::LoopsBack)),
            (&[(20, "B.example."), (10, "a.example.")], &[], Ok(&["a.example", "b.example"])),
            (&[(10, "a.example"), (20, "a.example"), (10, "A.example.")], &[], Ok(&["a.example"])),
            (&[(0, "")], &[], Err(MxProblem::NullMx)),
            (&[(0, ".")], &[], Err(MxProblem::NullMx)),
            (&[(0, "."), (10, "a.example")], &[], Ok(&["a.example"])),
            (&[(10, "not a name")], &[], Err(MxProblem::NoHost)),
            (&[(10, "[192.0.2.1]")], &[], Err(MxProblem::NoHost)),
            (
                &[(10, "a.example"), (20, "me.example"), (20, "b.example"), (30, "c.example")],
                &["me.example"],
                Ok(&["a.example"]),
            ),
            (&[(10, "ME.example."), (20, "b.example")], &["other.example", "me.example"], Err(MxProblem::LoopsBack)),
        ];
        for (mx, me, expected) in rows {
            let expected = expected.map(|hosts| hosts.iter().map(ToString::to_string).collect::<Vec<_>>());
            for shuffle in 0..20 {
                assert_eq!(order(mx, me, shuffle), expected, "{mx:?} as {me:?}");
            }
        }
        for (problem, code) in [(MxProblem::NullMx, "556 5.1.10"), (MxProblem::LoopsBack, "554 5.4.6")] {
            assert!(problem.reply().to_string().starts_with(code));
        }
    }

    #[test]
    fn equal_preference_is_shuffled_and_only_it() {
        let mx = [(10, "a.example"), (10, "b.example"), (10, "c.example"), (5, "first.example")];
        let mut firsts = std::collections::BTreeMap::new();
        for shuffle in 0..3000 {
            let hosts = order(&mx, &[], shuffle).expect("hosts");
            assert_eq!(hosts[0], "first.example");
            *firsts.entry(hosts[1].clone()).or_insert(0) += 1;
            let mut answered_otherwise = mx;
            answered_otherwise.reverse();
            assert_eq!(order(&answered_otherwise, &[], shuffle).expect("hosts"), hosts);
        }
        assert!(firsts.len() == 3 && firsts.values().all(|count| (800..1200).contains(count)), "{firsts:?}");
    }

    fn weighted(hosts: &[(&str, u16, u16)]) -> Vec<RouteHost> {
        let host = |(host, preference, weight): &(&str, u16, u16)| RouteHost {
            preference: *preference,
            weight: *weight,
            host: host.parse().expect("a host"),
            port: 25,
        };
        hosts.iter().map(host).collect()
    }

    /// Every roll of the dice, each once: the orders come out in the proportion of the weights, exactly.
    #[test]
    fn weights_share_out_what_one_preference_gets() {
        let hosts = weighted(&[("c.example", 10, 3), ("z.example", 20, 9), ("a.example", 10, 1), ("b.example", 10, 2)]);
        let mut orders = std::collections::BTreeMap::new();
        // 6 sides, then as many as are left after the first; padded to 60 so that each order weighs alike.
        for (first, second) in (0..6).flat_map(|first| (0..60).map(move |second| (first, second))) {
            let mut dice = [first, second].into_iter();
            let mut sides = Vec::new();
            let ordered = by_weight(&hosts, |of| {
                sides.push(of);
                dice.next().unwrap_or(0) % of
            });
            assert_eq!((sides[0], *sides.last().expect("rolled")), (6, 9), "better hosts come first");
            let names: Vec<_> = ordered.iter().map(|host| host.host.to_string()).collect();
            *orders.entry(names.join(" ").replace(".example", "")).or_insert(0) += 1;
        }
        let expected = [
            // (order, of 360): P(first) * P(second) = w1/6 * w2/(6 - w1).
            ("a b c z", 24),
            ("a c b z", 36),
            ("b a c z", 30),
            ("b c a z", 90),
            ("c a b z", 60),
            ("c b a z", 120),
        ];
        let expected = expected.map(|(order, count)| (order.to_owned(), count));
        assert_eq!(orders, std::collections::BTreeMap::from(expected));
    }

    #[test]
    fn equal_dice_give_equal_orders_however_the_hosts_are_written() {
        let mut hosts = weighted(&[("a.example", 10, 1), ("b.example", 10, 9), ("c.example", 5, 1)]);
        let names = |hosts: &[RouteHost], shuffle| -> Vec<String> {
            order_route_hosts(hosts, shuffle).iter().map(|host| host.host.to_string()).collect()
        };
        let orders: Vec<_> = (0..100).map(|shuffle| names(&hosts, shuffle)).collect();
        assert!(orders.iter().all(|order| order[0] == "c.example"));
        let heavy = orders.iter().filter(|order| order[1] == "b.example").count();
        assert!((80..=97).contains(&heavy), "{heavy} of 100");
        hosts.reverse();
        assert_eq!((0..100).map(|shuffle| names(&hosts, shuffle)).collect::<Vec<_>>(), orders);
        assert!(order_route_hosts(&[], 7).is_empty());
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        let rows = [
            ("MX.Example.", Some("mx.example")),
            ("192.0.2.1", Some("192.0.2.1")),
            ("2001:DB8::1", Some("2001:db8::1")),
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("[IPv6:2001:db8::1]", Some("2001:db8::1")),
            ("[mx.example]", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let host = text.parse::<HostName>().ok().map(|host| host.to_string());
            assert_eq!(host.as_deref(), expected, "{text:?}");
        }
    }
}
