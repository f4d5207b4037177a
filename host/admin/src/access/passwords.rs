//! Passwords: kept as argon2id (RFC 9106), checked in the same time whoever is asked for.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sealwire_store::StoreError;

use super::tokens::random;

/// Characters of a password; length is what counts (NIST SP 800-63B §5.1.1.2).
pub(crate) const LENGTH_MIN: usize = 12;
/// Octets: more is no better, and costs time.
pub(crate) const LENGTH_MAX: usize = 512;
/// The second recommended option of RFC 9106 §4, for little memory: 64 MiB, three passes; one lane, for logins are rare.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
/// Octets of a salt (RFC 9106 §3.1).
const SALT_OCTETS: usize = 16;

/// What a password must be; the error says what it is not.
pub(crate) fn rules(password: &str, name: &str) -> Result<(), String> {
    if password.chars().count() < LENGTH_MIN || password.len() > LENGTH_MAX {
        return Err(format!("must have {LENGTH_MIN} characters at least and {LENGTH_MAX} octets at most"));
    }
    if password.to_lowercase().contains(&name.to_lowercase()) {
        return Err("must not contain the name".to_owned());
    }
    let mut letters: Vec<char> = password.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < 5 {
        return Err("must have five different characters at least".to_owned());
    }
    Ok(())
}

/// A password that nobody has thought of: 120 bits, in groups that can be read out.
pub fn made() -> Result<String, StoreError> {
    let digits = random(15)?;
    let groups: Vec<_> = digits.as_bytes().chunks(6).map(String::from_utf8_lossy).collect();
    Ok(groups.join("-"))
}

/// As it is kept: the algorithm's own form, with its salt and costs. Takes some tens of milliseconds of a thread.
pub(crate) fn hashed(password: &str) -> Result<String, String> {
    let mut salt = [0; SALT_OCTETS];
    OsRng.try_fill_bytes(&mut salt).map_err(|error| format!("the system's randomness cannot be had: {error}"))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| error.to_string())?;
    let hash = argon2id()?.hash_password(password.as_bytes(), &salt).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// Whether the password is the one that was hashed so. None: there is nothing to compare with, and that takes as long.
pub(crate) fn is_it(password: &str, kept: Option<&str>) -> bool {
    let nobodys = || hashed("nobody's password");
    match kept {
        None => {
            let _ = nobodys();
            false
        }
        Some(kept) => PasswordHash::new(kept)
            .is_ok_and(|hash| argon2id().is_ok_and(|argon| argon.verify_password(password.as_bytes(), &hash).is_ok())),
    }
}

fn argon2id() -> Result<Argon2<'static>, String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_passwords() {
        let rows = [
            ("correct horse battery", true),
            ("elf zeichen", false),
            ("zwölf zeiche", true),
            ("annannannann!?", false),
            ("aaaaaaaaaaaaaaaa", false),
            ("my name is ANN, hello", false),
        ];
        for (password, expected) in rows {
            assert_eq!(rules(password, "ann").is_ok(), expected, "{password:?}");
        }
        assert!(rules(&"abcdefgh".repeat(65), "ann").is_err());
    }

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let kept = hashed("correct horse battery").expect("hashed");
        assert!(kept.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{kept}");
        assert_ne!(Ok(kept.clone()), hashed("correct horse battery"), "each has a salt of its own");
        assert!(is_it("correct horse battery", Some(&kept)));
        assert!(!is_it("correct horse batterY", Some(&kept)));
        assert!(!is_it("correct horse battery", Some("no hash")));
        assert!(!is_it("nobody's password", None));
    }
}
