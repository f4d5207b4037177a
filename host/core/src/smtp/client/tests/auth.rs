//! Logins, as they should go and as hosts spoil them. `AHJlbGF5AHMzY3JldA==` is relay and s3cret by PLAIN.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// EHLO done inside TLS from the first octet, with these lines; mail goes after a login alone.
fn inside_tls(offered: &str, rest: &str) {
    let greeting = "S: 220 mx\nC: EHLO relay.example\nS: 250-mx\n";
    play(&format!("> implicit\n> after login\n{greeting}S: 250-{offered}\nS: 250 HELP\n! ready\n{rest}"));
}

#[test]
fn a_login_by_plain_goes_before_mail() {
    inside_tls(
        "auth LOGIN plain XOAUTH2",
        "> send a@x.example
         ! NotAuthenticated
         > auth relay s3cret
         C: AUTH PLAIN AHJlbGF5AHMzY3JldA==
         S: 235 2.7.0 welcome
         ! authenticated
         > auth relay s3cret
         ! NotReady
         > send a@x.example
         C: MAIL FROM:<>
         S: 250 ok
         C: RCPT TO:<a@x.example>
         S: 550 no
         ! finished: refused 550
         C: RSET
         S: 250 ok
         ! ready",
    );
}

#[test]
fn login_serves_where_plain_is_not_offered() {
    inside_tls(
        "AUTH CRAM-MD5 LOGIN",
        "> auth relay s3cret
         C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: cmVsYXk=
         S: 334 UGFzc3dvcmQ6
         C: czNjcmV0
         S: 235 2.7.0 welcome
         ! authenticated",
    );
}

/// RFC 4954 §4: the initial response must fit the command line; else it waits for its 334.
#[test]
fn a_long_response_waits_for_its_turn() {
    let user = "u".repeat(200);
    let response = STANDARD.encode(format!("\0{user}\0{}", "x".repeat(250)));
    inside_tls(
        "AUTH PLAIN",
        &format!("> auth {user} LONG\nC: AUTH PLAIN\nS: 334 \nC: {response}\nS: 235 ok\n! authenticated"),
    );
}

#[test]
fn a_host_that_cannot_be_logged_in_at_is_told_nothing() {
    let rows = [
        ("SIZE", "the host does not offer AUTH"),
        ("AUTH=PLAIN", "the host does not offer AUTH"),
        ("AUTH CRAM-MD5 XOAUTH2", "the host offers AUTH with CRAM-MD5 XOAUTH2, and neither PLAIN nor LOGIN"),
    ];
    for (offered, why) in rows {
        inside_tls(
            offered,
            &format!(
                "> auth relay s3cret
                 ! not authenticated: {why}
                 > send a@x.example
                 ! NotAuthenticated
                 > quit
                 C: QUIT
                 S: 221 bye
                 ! closed"
            ),
        );
    }
}

#[test]
fn a_refused_login_sends_no_mail() {
    for refusal in ["535 5.7.8 wrong", "454 4.7.0 later", "530 5.7.0 no", "504 5.5.4 which"] {
        inside_tls(
            "AUTH PLAIN",
            &format!(
                "> auth relay s3cret
                 C: AUTH PLAIN AHJlbGF5AHMzY3JldA==
                 S: {refusal}
                 ! not authenticated: the host refused the login: {refusal}
                 > send a@x.example
                 ! NotAuthenticated
                 > quit
                 C: QUIT
                 S: 221 bye
                 ! closed"
            ),
        );
    }
}

/// What is not understood is given up, and no part of the credentials answers it.
#[test]
fn a_challenge_that_is_not_understood_is_given_up() {
    let given_up = "C: *
         S: 501 5.7.0 given up
         ! not authenticated: the host asked for what the mechanism does not know";
    // PLAIN asks nothing more once it has been told all.
    let plain = "> auth relay s3cret\nC: AUTH PLAIN AHJlbGF5AHMzY3JldA==\nS: 334 TW9yZT8=\n";
    let login = "> auth relay s3cret\nC: AUTH LOGIN\n";
    inside_tls("AUTH PLAIN", &format!("{plain}{given_up}"));
    inside_tls("AUTH LOGIN", &format!("{login}S: 334 %%%\n{given_up}"));
    let asked = "S: 334 VXNlcm5hbWU6\nC: cmVsYXk=\nS: 334 UGFzc3dvcmQ6\nC: czNjcmV0\n";
    inside_tls("AUTH LOGIN", &format!("{login}{asked}S: 334 TW9yZT8=\n{given_up}"));
    // A host that welcomes whoever has given up is not believed.
    inside_tls("AUTH PLAIN", &format!("{plain}C: *\nS: 235 fine\n! failed: protocol at Auth\n! closed"));
}

#[test]
fn what_has_no_place_ends_the_session() {
    let plain = "> auth relay s3cret\nC: AUTH PLAIN AHJlbGF5AHMzY3JldA==\n";
    let rows = [("250 ok", "protocol"), ("354 go", "protocol"), ("421 4.3.2 closing", "closing"), ("what", "protocol")];
    for (reply, end) in rows {
        inside_tls("AUTH PLAIN", &format!("{plain}S: {reply}\n! failed: {end} at Auth\n! closed"));
    }
    let login = "> auth relay s3cret\nC: AUTH LOGIN\n";
    inside_tls("AUTH LOGIN", &format!("{login}S: 235 fine\n! failed: protocol at Auth\n! closed"));
    inside_tls("AUTH LOGIN", &format!("{login}> lost gone\n! failed: lost at Auth\n! closed"));
}

#[test]
fn credentials_stay_where_their_permit_is_from() {
    let credentials = Credentials::new("relay", "s3cret").expect("good ones");
    let mut other = client(true, true);
    assert_eq!(other.authenticate(auth_permit(ConnectionId(8)), &credentials), Err(Misuse::WrongConnection));
    let mut clear = client(false, true);
    clear.input(b"220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n");
    while !matches!(clear.poll(), ClientStep::Ready) {}
    clear.output().clear();
    assert_eq!(clear.authenticate(auth_permit(CONNECTION), &credentials), Err(Misuse::WrongConnection), "in clear");
    assert!(clear.output().is_empty());
}

#[test]
fn no_password_is_in_what_is_written_for_people() {
    let mut client = client(true, true);
    client.input(b"220 mx\r\n250-mx\r\n250 AUTH LOGIN\r\n");
    while !matches!(client.poll(), ClientStep::Ready) {}
    let credentials = Credentials::new("relay", "s3cret").expect("good ones");
    client.authenticate(auth_permit(CONNECTION), &credentials).expect("ready");
    let waiting = format!("{:?}", client.state);
    client.input(b"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n");
    assert_eq!(client.poll(), ClientStep::NeedInput);
    let said = String::from_utf8_lossy(client.output()).into_owned();
    assert!(said.contains("czNjcmV0"), "{said}");
    let shown = format!("{client:?} {waiting}");
    assert!(!shown.contains("czNj") && !shown.contains("s3cret") && !shown.contains("99, 122"), "{shown}");
}
