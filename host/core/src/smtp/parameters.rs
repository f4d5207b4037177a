//! The parameters of MAIL and RCPT, extension by extension (RFC 1870, 6152, 6531, 8689, 3461).

use crate::dsn::{RecipientDsn, Ret, envid};
use crate::smtp::command::CommandError;

/// The parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// SIZE= (RFC 1870), octets. A number too large for u64 is u64::MAX.
    pub size: Option<u64>,
    /// BODY= (RFC 6152); true for 8BITMIME.
    pub eight_bit: Option<bool>,
    /// SMTPUTF8 (RFC 6531 §3.4).
    pub smtp_utf8: bool,
    /// REQUIRETLS (RFC 8689 §3).
    pub require_tls: bool,
    /// RET= (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// ENVID= (RFC 3461 §4.4), decoded.
    pub envid: Option<String>,
}

/// Reads those of MAIL.
pub(super) fn of_mail(text: &str) -> Result<MailParameters, CommandError> {
    let mut read = MailParameters::default();
    for parameter in text.split_ascii_whitespace() {
        let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        match () {
            () if is("SIZE") => once(&mut read.size, size(value)?)?,
            () if is("BODY") => once(&mut read.eight_bit, body(value)?)?,
            () if is("RET") => {
                let ret = value.parse().map_err(|_| CommandError::ParameterValue("RET is FULL or HDRS"))?;
                once(&mut read.ret, ret)?;
            }
            () if is("ENVID") => {
                const WANTED: &str = "ENVID wants up to 100 characters of xtext, which mean printable ASCII";
                once(&mut read.envid, envid(value).map_err(|_| CommandError::ParameterValue(WANTED))?)?;
            }
            () if parameter.eq_ignore_ascii_case("REQUIRETLS") => flag(&mut read.require_tls)?,
            () if parameter.eq_ignore_ascii_case("SMTPUTF8") => flag(&mut read.smtp_utf8)?,
            () => return Err(CommandError::Parameter),
        }
    }
    Ok(read)
}

/// Reads those of RCPT.
pub(super) fn of_rcpt(text: &str) -> Result<RecipientDsn, CommandError> {
    let mut read = RecipientDsn::default();
    for parameter in text.split_ascii_whitespace() {
        let (keyword, value) = parameter.split_once('=').ok_or(CommandError::Parameter)?;
        if keyword.eq_ignore_ascii_case("NOTIFY") {
            const WANTED: &str = "NOTIFY is NEVER, or some of SUCCESS, FAILURE, DELAY with commas between";
            once(&mut read.notify, value.parse().map_err(|_| CommandError::ParameterValue(WANTED))?)?;
        } else if keyword.eq_ignore_ascii_case("ORCPT") {
            const WANTED: &str = "ORCPT wants an address type, a semicolon and up to 500 characters of xtext";
            once(&mut read.orcpt, value.parse().map_err(|_| CommandError::ParameterValue(WANTED))?)?;
        } else {
            return Err(CommandError::Parameter);
        }
    }
    Ok(read)
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), CommandError> {
    if slot.replace(value).is_some() { Err(CommandError::DuplicateParameter) } else { Ok(()) }
}

fn flag(slot: &mut bool) -> Result<(), CommandError> {
    if std::mem::replace(slot, true) { Err(CommandError::DuplicateParameter) } else { Ok(()) }
}

/// 1 to 20 digits (RFC 1870 §3).
pub(super) fn size(value: &str) -> Result<u64, CommandError> {
    if value.is_empty() || value.len() > 20 || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CommandError::ParameterValue("SIZE wants 1 to 20 digits"));
    }
    Ok(value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Result<bool, CommandError> {
    match value {
        _ if value.eq_ignore_ascii_case("7BIT") => Ok(false),
        _ if value.eq_ignore_ascii_case("8BITMIME") => Ok(true),
        _ => Err(CommandError::ParameterValue("BODY is 7BIT or 8BITMIME")),
    }
}
