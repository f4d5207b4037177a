//! `check` on certificates: what would make mail fail tomorrow is told today, with file, line and key.

use std::time::{Duration, SystemTime};

use sealwire_tests::certs::{Authority, Leaf};
use sealwire_tests::relay::Relay;

const DAY: Duration = Duration::from_secs(86_400);

/// A relay called relay.test, not started, with this certificate and this key.
fn relay(certificate: &Leaf, key: &Leaf) -> Relay {
    Relay::new(|ground| {
        format!(
            "hostname = \"relay.test\"\ndata-directory = \"data\"\n[[listener]]\nname = \"main\"\n\
             address = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
            ground.smtp,
            certificate.cert_file().display(),
            key.key_file().display(),
        )
    })
}

#[test]
fn a_certificate_that_will_not_do_is_told_with_its_place() {
    let authority = Authority::new("Test Authority");
    let now = SystemTime::now();
    let soon = authority.leaf_valid(&["relay.test"], now - DAY, now + DAY * 7 / 2);
    let (good, other) = (authority.leaf(&["relay.test"]), authority.leaf(&["relay.test"]));
    let expired = authority.expired(&["relay.test"]);
    let early = authority.leaf_valid(&["relay.test"], now + DAY * 7 / 2, now + DAY * 90);
    let elsewhere = authority.leaf(&["mail.other.test"]);
    // Certificate, key, whether it is sound all the same, what is told.
    let rows: [(&Leaf, &Leaf, bool, &str); 6] = [
        (&good, &good, true, "all is well"),
        (&expired, &expired, false, "days ago; renew it"),
        (&early, &early, false, "is valid only in 3 days; check this machine's clock"),
        (&good, &other, false, "certificate and key cannot be used"),
        (&soon, &soon, true, "expires in 3 days; renew it"),
        (&elsewhere, &elsewhere, true, "names \"mail.other.test\", not this relay's hostname relay.test"),
    ];
    for (certificate, key, sound, words) in rows {
        let said = relay(certificate, key).run(&["check"]);
        let told = format!("{}{}", said.out, said.err);
        assert_eq!(said.status.success(), sound, "{words}:\n{told}");
        assert!(told.contains(words), "{words}:\n{told}");
        let place = "sealwire.toml:6: listener[1].certificate: ";
        assert!(told.contains(place) || words == "all is well", "{words}:\n{told}");
    }
}
