//! A message in one chunk (RFC 3030): once somebody was accepted, as long as was said, and no dot changed.

use super::*;

#[test]
fn a_message_goes_in_one_chunk_where_that_is_offered() {
    after_ehlo(
        "PIPELINING CHUNKING",
        "> send a@x.example b@x.example octets 14
         C: MAIL FROM:<>
         C: RCPT TO:<a@x.example>
         C: RCPT TO:<b@x.example>
         S: 250 ok
         S: 550 no
         S: 250 ok
         ! content
         > content A: 1\\r\\n\\r\\n.d
         > content ot\\r\\n
         > end
         C: BDAT 14 LAST
         C: A: 1
         C:
         C: .dot
         S: 250 taken
         ! finished: refused 550, delivered 250
         ! ready",
    );
    // One command at a time.
    after_ehlo(
        "CHUNKING",
        "> send a@x.example octets 2\nC: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<a@x.example>\nS: 250 ok\n! content
         > content \\r\\n\n> end\nC: BDAT 2 LAST\nC:\nS: 554 5.6.0 no\n! finished: refused 554\n! ready",
    );
    // Whose length is not known.
    after_ehlo("CHUNKING PIPELINING", "> send a@x.example\nC: MAIL FROM:<>\nC: RCPT TO:<a@x.example>\nC: DATA");
}

#[test]
fn nobody_accepted_is_no_chunk() {
    for (flight, end) in [
        ("S: 250 ok\nS: 550 no", "refused 550\nC: RSET\nS: 250 ok\n! ready"),
        ("S: 550 no\nS: 503 no", "refused 550\n! ready"),
        ("S: 451 no\nS: 250 ok", "deferred 451\n! ready"),
    ] {
        after_ehlo(
            "PIPELINING CHUNKING",
            &format!(
                "> send a@x.example octets 2\nC: MAIL FROM:<>\nC: RCPT TO:<a@x.example>\n{flight}\n! finished: {end}"
            ),
        );
    }
}

#[test]
fn a_chunk_is_as_long_as_was_said_or_does_not_end() {
    let begun =
        "> send a@x.example octets 4\nC: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<a@x.example>\nS: 250 ok\n! content";
    let over = "! finished: unanswered\n! failed: lost at DataBlock\n! closed";
    after_ehlo("CHUNKING", &format!("{begun}\n> content a\\r\\n\n> end\n! Miscounted\n{over}\nC: BDAT 4 LAST\nC: a"));
    after_ehlo(
        "CHUNKING",
        &format!("{begun}\n> content a\\r\\n\n> content b\\r\\n\n! Miscounted\n{over}\nC: BDAT 4 LAST\nC: a"),
    );
    // H11.
    after_ehlo(
        "CHUNKING",
        &format!(
            "{begun}\n> content a\\nb\\r\n! BareLineEnd\n! finished: unsent 5.6.0\n! failed: content at DataBlock\n! closed
             C: BDAT 4 LAST"
        ),
    );
}

#[test]
fn a_reply_before_the_end_of_the_chunk_ends_the_session() {
    let begun =
        "> send a@x.example octets 4\nC: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<a@x.example>\nS: 250 ok\n! content
                 > content a\\r\\n\nC: BDAT 4 LAST\nC: a";
    for (reply, result) in [("552 too much", "refused 552"), ("452 later", "deferred 452"), ("250 ok", "unanswered")] {
        let failed = "! failed: protocol at DataBlock\n! closed";
        after_ehlo("CHUNKING", &format!("{begun}\nS: {reply}\n! finished: {result}\n{failed}"));
    }
}
