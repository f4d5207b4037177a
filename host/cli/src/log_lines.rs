//! The process's own log, on standard error: one event is one line. Fields hold what strangers say (the words of hosts, names in
//! certificates, errors that quote them), so each is made visible before it is written.

use std::fmt;
use std::fs::File;
use std::io::IsTerminal;
use std::sync::Mutex;

use sealwire_core::visible::visible;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Begins logging at this level, unless RUST_LOG says otherwise.
pub(crate) fn begin(level: &str) {
    // The libraries speak only when something is wrong: their inner workings are nobody's log.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn,sealwire={level}")));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(fields())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// The same in a file, whatever the libraries say too.
pub(crate) fn begin_in(file: File) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).fmt_fields(fields()).with_ansi(false);
    let _ = log.with_writer(Mutex::new(file)).try_init();
}

/// The message and `name=value` of each field, parted by blanks.
fn fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        let value = visible(&format!("{value:?}"));
        match field.name() {
            "message" => writer.write_str(&value),
            name => write!(writer, "{name}={value}"),
        }
    })
    .delimited(" ")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").write(octets)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_event_is_one_line_whatever_it_quotes() {
        let strange = "a\r\n2026-11-25T00:00:00Z ERROR forged\u{1b}[2J\u{9b}1m\u{7}\0\u{202e}";
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(fields())
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(display = %strange, debug = ?strange, plain = strange, "said {strange}");
            let _inside = tracing::error_span!("of", peer = %strange).entered();
            tracing::error!(alert = strange);
        });
        let log = String::from_utf8(kept.0.lock().expect("no panic").clone()).expect("UTF-8");
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(!log.chars().any(|c| sealwire_core::visible::speaks(c) && c != '\n'), "{log:?}");
        assert!(log.contains(r"said a\r\n2026-11-25T00:00:00Z ERROR forged\u{1b}[2J"), "{log}");
        assert!(log.contains(r"display=a\r\n2026"), "{log}");
    }
}
