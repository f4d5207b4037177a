//! TLS reports as others read them: dkimpy verifies the signature, Python's own modules take the message apart.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use crate::{place, python};

const READ: &str = "\
import dkim, email, gzip, json, sys
from email import policy
octets = sys.stdin.buffer.read()
record = sys.argv[1].encode()
verified = dkim.verify(octets, dnsfunc=lambda name, timeout=5: record, tlsrpt='strict')
message = email.message_from_bytes(octets, policy=policy.default)
part, = [part for part in message.walk() if part.get_content_type() == 'application/tlsrpt+gzip']
json.dump({
    'verified': verified,
    'header': {name.lower(): str(value) for name, value in message.items()},
    'content_type': message.get_content_type(),
    'report_type': message.get_param('report-type'),
    'parts': [part.get_content_type() for part in message.iter_parts()],
    'file': part.get_filename(),
    'report': json.loads(gzip.decompress(part.get_content())),
}, sys.stdout)
";

const WRITE: &str = "\
import dkim, gzip, sys
from email.message import EmailMessage
from email import policy
key, kind, sender, to = sys.argv[1:]
payload = sys.stdin.buffer.read()
message = EmailMessage(policy=policy.SMTP)
message['From'], message['To'], message['Subject'] = sender, to, 'Report Domain: x'
message['Message-ID'] = '<1@' + sender.split('@')[1] + '>'
message.set_content('A report.')
message.add_attachment(gzip.compress(payload) if kind == 'gzip' else payload, maintype='application', subtype='tlsrpt+gzip')
octets = message.as_bytes().replace(b'multipart/mixed;', b'multipart/report; report-type=tlsrpt;', 1)
signature = dkim.sign(octets, b's1', sender.split('@')[1].encode(), open(key, 'rb').read(), tlsrpt=True)
sys.stdout.buffer.write(signature + octets)
";

/// A report by mail.
#[derive(Clone, Debug, Deserialize)]
pub struct ByMail {
    /// The DKIM signature is good, and its record is one for TLS reports.
    pub verified: bool,
    /// Fields by their names in lower case.
    pub header: std::collections::BTreeMap<String, String>,
    /// Of the message.
    pub content_type: String,
    /// Its parameter.
    pub report_type: String,
    /// Content types.
    pub parts: Vec<String>,
    /// Name of the report's file.
    pub file: String,
    /// The report.
    pub report: Value,
}

/// Reads a message with a report; `record` is what the selector's TXT record says.
#[track_caller]
pub fn by_mail(message: &[u8], record: &str) -> ByMail {
    let read = python::run_on(READ, &[record], message);
    serde_json::from_slice(&read).expect("the program writes what is read here")
}

/// Reads a report as it is posted.
#[track_caller]
pub fn posted(octets: &[u8]) -> Value {
    let read = python::run_on(
        "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))",
        &[],
        octets,
    );
    serde_json::from_slice(&read).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&read)))
}

/// A message with this report from `sender`, signed by dkimpy with this key of his domain, selector `s1`; line ends are LF.
/// `compressed`: as GZIP, as it should be.
#[track_caller]
pub fn written(key: &Path, sender: &str, to: &str, json: &str, compressed: bool) -> String {
    let kind = if compressed { "gzip" } else { "plain" };
    let octets = python::run_on(WRITE, &[&key.display().to_string(), kind, sender, to], json.as_bytes());
    String::from_utf8(octets).expect("a message in ASCII").replace("\r\n", "\n")
}

/// A key for DKIM, of 2048 bits, by openssl; its public half as the record of its selector.
#[track_caller]
pub fn dkim_key(folder: &Path) -> (PathBuf, String) {
    let file = folder.join("dkim.key");
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new(place::program("openssl"));
        let output = command.args(arguments).arg(&file).stdin(Stdio::null()).output().expect("openssl can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    openssl(&["genrsa", "-out"]);
    let public = String::from_utf8(openssl(&["pkey", "-pubout", "-in"])).expect("PEM");
    let base64: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    (file, format!("v=DKIM1; k=rsa; s=tlsrpt; p={base64}"))
}
