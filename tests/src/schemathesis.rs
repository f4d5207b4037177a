//! schemathesis: asks an HTTP API what its OpenAPI document promises, and much that it does not.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::{place, python};

/// schemathesis and all it needs.
const PACKAGES: &[&str] = &[
    "anyio==4.16.0",
    "certifi==2026.10.19.post1",
    "charset-normalizer==3.5.3",
    "click==8.5.1",
    "graphql-core==3.3.2",
    "harfile==0.6.0",
    "hypothesis==6.170.17",
    "hypothesis-graphql==0.13.5",
    "idna==3.20",
    "iniconfig==2.3.1",
    "jsonschema_rs==0.60.3",
    "markdown-it-py==4.3.0",
    "MarkupSafe==3.0.4",
    "mdurl==0.1.2",
    "packaging==26.4",
    "pluggy==1.7.0",
    "Pygments==2.21.0",
    "pyrate-limiter==4.5.1",
    "pytest==9.2.0",
    "PyYAML==6.0.4",
    "requests==2.34.2",
    "rich==15.0.0",
    "schemathesis==4.32.5",
    "sortedcontainers==2.4.0",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
    "Werkzeug==3.1.9",
];

/// Cases of each operation and phase: half a minute in all.
const CASES: &str = "15";

const CONFIGURATION: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 412, 422, 429]
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429]
[checks.missing_required_header]
expected-statuses = [400, 401, 403, 406, 415, 422, 428]
"#;

/// It knows no TOML: what it makes up is sent as it is.
const HOOKS: &str = r#"
import schemathesis

@schemathesis.serializer("application/toml")
def toml(ctx, value):
    return value.encode() if isinstance(value, str) else str(value).encode()
"#;

/// Runs it with all its checks against the API that serves this document, with this token, but for the operation `without`.
/// Whether it was content, and what it said.
#[must_use]
pub fn run(document: &str, token: &str, without: &str) -> (bool, String) {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let python = python::environment("schemathesis", PACKAGES, &["--only-binary=:all:"], "import schemathesis");
        python.with_file_name("schemathesis")
    });
    // Its own folder, for what it keeps between runs too. The seed is one, so that a failure is found again.
    let folder = place::folder();
    place::write(&folder.path().join("schemathesis.toml"), CONFIGURATION);
    place::write(&folder.path().join("hooks.py"), HOOKS);
    let mut command = Command::new(program);
    command.args(["run", document, "--header", &format!("Authorization: Bearer {token}"), "--no-color"]);
    command.args(["--seed", "1", "--max-examples", CASES, "--phases", "examples,coverage,fuzzing"]);
    command
        .args(["--exclude-operation-id", without])
        .arg("--continue-on-failure")
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", "hooks");
    command.env("HYPOTHESIS_STORAGE_DIRECTORY", folder.path()).env("PYTHONPATH", folder.path());
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}
