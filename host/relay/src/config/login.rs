//! Who the relay logs in as at a route's hosts: the user in the configuration, the password in a file of its own.

use std::path::PathBuf;

use sealwire_core::auth::Credentials;

/// No password file is longer; the limit keeps a wrong path from filling memory.
const FILE_MAX: u64 = 4096;

/// A user, and where his password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// As the hosts know him.
    pub user: String,
    /// Holds the password in one line, and nothing else.
    pub password_file: PathBuf,
}

impl Login {
    /// Reads the password. Err: what is wrong with user or file; no part of the password is in it.
    pub fn read(&self) -> Result<Credentials, String> {
        let file = self.password_file.display();
        let unreadable = |why: std::io::Error| format!("{file}: cannot be read: {why}");
        let size = std::fs::metadata(&self.password_file).map_err(unreadable)?.len();
        if size > FILE_MAX {
            return Err(format!("{file}: has {size} octets, more than a password file may have ({FILE_MAX})"));
        }
        let text = std::fs::read(&self.password_file).map_err(unreadable)?;
        let text = String::from_utf8(text).map_err(|_| format!("{file}: is not UTF-8 (RFC 4616 section 2)"))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let password = line.strip_suffix('\r').unwrap_or(line);
        Credentials::new(self.user.as_str(), password).map_err(|why| format!("{file}: {why}"))
    }

    /// Whether every user of this machine may read the password.
    pub fn is_open_to_all(&self) -> bool {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(&self.password_file).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_of_its_file() {
        let folder = std::env::temp_dir().join(format!("sealwire-login-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let rows: [(&[u8], Result<&str, &str>); 7] = [
            (b"s3cret", Ok("s3cret")),
            (b"s3cret\n", Ok("s3cret")),
            (b" s3cret \r\n", Ok(" s3cret ")),
            (b"", Err("1 to 255 octets")),
            (b"s3cret\ns3cret\n", Err("one line")),
            (b"s3cr\xff", Err("UTF-8")),
            (&[b'x'; 5000], Err("more than a password file may have")),
        ];
        for (octets, expected) in rows {
            let login = Login { user: "relay".into(), password_file: folder.join("password") };
            std::fs::write(&login.password_file, octets).expect("written");
            match (login.read(), expected) {
                (Ok(found), Ok(password)) => assert_eq!(found, Credentials::new("relay", password).expect("good")),
                (Err(why), Err(part)) => assert!(why.contains(part) && !why.contains("s3cr"), "{why}"),
                (found, expected) => panic!("{found:?}, not {expected:?}"),
            }
        }
        let absent = Login { user: "relay".into(), password_file: folder.join("absent") };
        assert!(absent.read().expect_err("absent").contains("absent: cannot be read"));
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
