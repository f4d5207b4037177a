//! The program as an operator meets it: every command against a running relay, and those that need none.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const CONFIGURATION: &str = r#"
hostname = "relay.example"
data-directory = "data"
hosted-domains = ["ours.example"]
[[listener]]
name = "main"
address = "127.0.0.1:0"
[[route]]
name = "vault"
hosts = [{ host = "127.0.0.1", port = 1 }]
tls = "required"
alternate-secure = true
"#;

const SETTINGS: &str = r#"
[lists.partners]
file = "partners.txt"
[[policy.secure-transport.settings]]
description = "Partners"
scopes = ["inbound", "outbound"]
lists = ["partners"]
alternate-secure-route = "vault"
"#;

/// A folder with a configuration and settings, and the commands run in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().expect("a folder") };
        place.write("sealwire.toml", CONFIGURATION);
        place.write("settings.toml", SETTINGS);
        place.write("partners.txt", "bank.example\n");
        place
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealwire"));
        command.current_dir(self.folder.path()).args(["--config", "sealwire.toml"]).args(arguments);
        command.env_remove("RUST_LOG").env_remove("SEALWIRE_SOCKET");
        command
    }

    /// Runs a command: did it succeed, and all it said.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("the program runs");
        (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).arg("--json").output().expect("the program runs");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Starts the relay; ready once it says how to ask it.
    fn serve(&self) -> Relay {
        let mut child = self.command(&["serve"]).stdout(Stdio::piped()).spawn().expect("the program runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let said: Vec<String> =
            lines.map_while(Result::ok).take_while(|line| !line.starts_with("ask it with")).collect();
        assert!(said.iter().any(|line| line.starts_with("listens on 127.0.0.1:")), "{said:#?}");
        Relay(child)
    }
}

/// Every key in it, however deep.
fn keys(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => {
            let inner = members.values().flat_map(keys);
            members.keys().map(String::as_str).chain(inner).collect()
        }
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        _ => Vec::new(),
    }
}

struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn check_tells_everything_at_once() {
    let place = Place::new();
    let (sound, said) = place.run(&["check", "--settings", "settings.toml"]);
    assert!(sound && said.contains("all is well"), "{said}");
    place.write("partners.txt", "bank.example\n@bank.example\n");
    place.write("sealwire.toml", "hostnam = \"a\"\n[[policy]]\nname = \"p\"\n");
    // The fourth: the route that the settings name is not in this configuration.
    let (sound, said) = place.run(&["check", "--settings", "settings.toml"]);
    assert!(!sound);
    for part in
        ["sealwire.toml:1: hostnam:", "sealwire.toml:2: policy[1]:", "partners.txt:2: lists.partners:", "4 problems"]
    {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    place.write("sealwire.toml", CONFIGURATION);
    place.write("partners.txt", "bank.example\n");
    place.write("settings.toml", &SETTINGS.replace("\"vault\"", "\"cellar\""));
    let (sound, said) = place.run(&["check", "--settings", "settings.toml"]);
    let expected = "settings.toml:8: policy.secure-transport.settings[1].alternate-secure-route:";
    assert!(!sound && said.contains(expected) && said.contains("cellar"), "{said}");
}

#[test]
fn check_goes_on_behind_every_fault_and_tells_each_once_with_its_place() {
    let place = Place::new();
    place.write("text.wasm", "no component");
    // A component by its first octets, and by nothing behind them.
    std::fs::write(place.folder.path().join("hollow.wasm"), b"\0asm\x0d\0\x01\0\xff").expect("written");
    let chain = "[[policy]]\nname = \"secure-transport\"\ncomponent = \"builtin:secure-transport\"\n\
                 [[policy]]\nname = \"odd\"\ncomponent = \"text.wasm\"\n\
                 [[policy]]\nname = \"hollow\"\ncomponent = \"hollow.wasm\"\n";
    let sideways = SETTINGS.replace("\"inbound\", ", "\"sideways\", ").replace("\"vault\"", "\"cellar\"");
    let listless = sideways.replace("lists = [\"partners\"]", "lists = [\"friends\"]");
    let scope = "settings.toml:6: policy.secure-transport.settings[1].scopes";
    let list = "settings.toml:7: policy.secure-transport.settings[1].lists";
    let entry = "partners.txt:2: lists.partners:";
    let rows: [(&str, String, &[&str]); 3] = [
        (
            "an unknown key",
            format!("hostnam = \"a\"\n{CONFIGURATION}"),
            &["sealwire.toml:1: hostnam:", scope, list, entry],
        ),
        (
            "no components",
            format!("{CONFIGURATION}{chain}"),
            &["sealwire.toml:18: policy[2].component: ", "sealwire.toml:21: policy[3].component: ", scope, list, entry],
        ),
        ("no configuration at all", "[".to_owned(), &["sealwire.toml:1: this is not TOML", scope, list, entry]),
    ];
    place.write("settings.toml", &listless);
    place.write("partners.txt", "bank.example\n@bank.example\n");
    for (what, configuration, expected) in rows {
        place.write("sealwire.toml", &configuration);
        let (sound, said) = place.run(&["check", "--settings", "settings.toml"]);
        assert!(!sound, "{what}");
        for part in expected {
            assert_eq!(said.matches(part).count(), 1, "{what}: {part}\n{said}");
        }
    }
}

#[test]
fn decide_here_needs_no_relay() {
    let place = Place::new();
    let decide = |more: &[&str]| {
        let here = ["decide", "--settings", "settings.toml", "--from", "ann@bank.example"];
        place.json(&[&here[..], more].concat())["results"][0].clone()
    };
    let clear = decide(&["--to", "me@ours.example", "--clear"]);
    assert_eq!(clear["result"], "reject", "{clear:#}");
    assert_eq!(clear["reasons"][0]["rule"], "R1");
    assert_eq!(decide(&["--to", "me@ours.example", "--client-tls"])["result"], "accept");
    let plan = decide(&["--stage", "plan", "--to", "bob@bank.example"]);
    assert!(plan["lines"].to_string().contains("demands: TLS, by rule R2"), "{plan:#}");
    let (_, said) = place.run(&["decide", "--from", "a@b.example", "--to", "c@d.example"]);
    assert!(said.contains("no relay answers at") && said.contains("sealwire serve"), "{said}");
}

/// A host that real mail would not use is not cleared: the floor counts before any policy is asked.
#[test]
fn decide_judges_a_host_by_the_floor_too() {
    let place = Place::new();
    let strict = SETTINGS.replace("alternate-secure-route = \"vault\"", "require-ca-signed-certificate = true");
    place.write("settings.toml", &strict);
    let rows = [
        ("bob@bank.example", "clear", "floor-unmet", "unmet: TLS, by rule R2"),
        (
            "bob@bank.example",
            "tls-self-signed",
            "floor-unmet",
            "unmet: a certificate signed by a trusted CA, by rule R4",
        ),
        ("bob@bank.example", "tls-wrong-name", "cleared", "host: "),
        ("bob@bank.example", "tls-1.2", "cleared", "host: "),
        ("bob@other.example", "clear", "cleared", "host: "),
    ];
    for (to, hop, result, line) in rows {
        let asked = ["--from", "me@ours.example", "--stage", "judge", "--to", to, "--hop", hop];
        let answer = place.json(&[&["decide", "--settings", "settings.toml"], &asked[..]].concat());
        assert_eq!(answer["results"][0]["result"], result, "{to} {hop}: {answer:#}");
        assert!(answer["results"][0]["lines"].to_string().contains(line), "{to} {hop}: {answer:#}");
    }
    // Of several recipients each has its own floor.
    let both = ["--from", "a@b.example", "--stage", "judge", "--to", "x@other.example", "--to", "bob@bank.example"];
    let answer = place.json(&[&["decide", "--settings", "settings.toml", "--hop", "clear"], &both[..]].concat());
    let results: Vec<_> = (0..2).map(|index| &answer["results"][index]["result"]).collect();
    assert_eq!(results, ["cleared", "floor-unmet"], "{answer:#}");
}

#[test]
fn decide_reads_a_message_and_earlier_flags() {
    let place = Place::new();
    place.write("mail.eml", "Subject: hello\r\nFrom: Ann <ann@bank.example>\r\n\r\nFrom: <nobody@other.example>\r\n");
    let decide = |more: &[&str]| {
        let here = ["decide", "--settings", "settings.toml", "--message", "mail.eml", "--to", "me@other.example"];
        place.json(&[&here[..], more].concat())["results"][0].clone()
    };
    let receive = decide(&[]);
    assert_eq!((&receive["result"], &receive["reasons"][0]["rule"]), (&"reject".into(), &"R1".into()), "{receive:#}");
    let plan = decide(&["--stage", "plan"]);
    assert!(plan["lines"].to_string().contains("demands: none"), "{plan:#}");
    let plan = decide(&["--stage", "plan", "--flagged-by", "greylist"]);
    assert!(plan["lines"].to_string().contains("demands: TLS, by policy greylist"), "{plan:#}");
    let judge = decide(&["--stage", "judge", "--flagged-by", "greylist", "--hop", "clear"]);
    assert_eq!(judge["result"], "floor-unmet", "{judge:#}");
}

#[test]
fn a_running_relay_answers_every_command() {
    let place = Place::new();
    let relay = place.serve();
    let status = place.json(&["status"]);
    assert_eq!((&status["hostname"], &status["settings-revision"]), (&"relay.example".into(), &0.into()), "{status:#}");
    let snake: Vec<_> = keys(&status).into_iter().filter(|key| key.contains('_')).collect();
    assert!(snake.is_empty(), "one naming throughout: {snake:#?}");
    let refused = place.json(&["settings", "show"]);
    assert!(refused["error"].to_string().contains("settings apply"), "{refused}");
    let applied = place.json(&["settings", "apply", "settings.toml", "--note", "the first"]);
    assert_eq!(applied["settings-revision"], 1, "{applied:#}");
    assert_eq!(place.run(&["settings", "show"]).1.trim(), SETTINGS.trim());
    let revisions = place.json(&["settings", "revisions"]);
    assert_eq!(revisions[0]["note"], "the first");
    assert!(revisions[0]["by"].to_string().contains("uid"), "{revisions:#}");
    // A bad document names its line, and what was in force stays.
    place.write("bad.toml", &SETTINGS.replace("[\"inbound\", ", "[\"sideways\", "));
    let bad = place.json(&["settings", "apply", "bad.toml"]);
    assert_eq!((&bad["problems"][0]["line"], &bad["problems"][0]["file"]), (&6.into(), &"bad.toml".into()), "{bad:#}");
    assert_eq!(place.json(&["status"])["settings-revision"], 1);
    let asked = ["decide", "--from", "x@bank.example", "--to", "me@ours.example"];
    assert_eq!(place.json(&asked)["results"][0]["result"], "reject");
    assert_eq!(place.json(&["queue", "list"]), Value::Array(Vec::new()));
    assert_eq!(place.json(&["queue", "retry", "--all"])["recipients"], 0);
    assert_eq!(place.json(&["queue", "hold", "--all", "--reason", "why", "--for", "1h"])["recipients"], 0);
    assert_eq!(place.json(&["queue", "release", "--all"])["recipients"], 0);
    for wrong in [
        &["--all"][..],
        &["--reason", "why"],
        &["--all", "--reason", "why", "--until", "2020-01-01T00:00:00Z"],
        &["--all", "--domain", "a.example", "--reason", "why"],
        &["none", "--reason", "why"],
    ] {
        assert!(!place.run(&[&["queue", "hold"], wrong].concat()).0, "{wrong:?}");
    }
    assert!(!place.run(&["queue", "remove", "none"]).0);
    assert!(place.json(&["log"]).is_array());
    let (reloaded, said) = place.run(&["reload"]);
    assert!(reloaded && said.contains("settings revision 1"), "{said}");
    place.write("sealwire.toml", &(CONFIGURATION.to_owned() + "[tsl]\n"));
    let socket = place.folder.path().join("data/admin/socket");
    let (reloaded, said) = place.run(&["--socket", socket.to_str().expect("plain"), "reload"]);
    assert!(!reloaded && said.contains("tsl:"), "{said}");
    drop(relay);
}
