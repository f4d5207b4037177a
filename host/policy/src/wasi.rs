//! WASI 0.2 for vendors' components: inert, deterministic, and only what a language's start-up code reaches for.
//!
//! The clock stands at the decision's time, and waiting for it ends at once. Randomness is drawn from the decision's
//! id. Standard error goes to the log, bounded; standard output is thrown away; input is closed. There are no files,
//! sockets, environment or arguments. The built-in policies import none of this.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWrite;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sync};
use wasmtime_wasi::p2::{self, DynPollable, OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, async_trait};

use crate::limits;
use crate::state::{State, over};

/// What the host offers of WASI 0.2, without the version.
pub(crate) const OFFERED: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/",
];

/// One instance's WASI.
pub(crate) struct Inert {
    ctx: WasiCtx,
    table: ResourceTable,
    log: Log,
    now: u64,
    seed: [u8; 32],
    drawn: u64,
}

impl Inert {
    fn new(now: u64, id: &str) -> Inert {
        let log = Log::default();
        let ctx = WasiCtxBuilder::new().stderr(log.clone()).build();
        let seed = Sha256::digest(id.as_bytes()).into();
        Inert { ctx, table: ResourceTable::new(), log, now, seed, drawn: 0 }
    }

    /// What it wrote to standard error: at most [`limits::LOG_LINES`] lines.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// SHA-256 in counter mode: equal decisions draw equal randomness.
    fn draw(&mut self, octets: u64) -> Result<Vec<u8>> {
        if octets > limits::RANDOM_OCTETS {
            return Err(over(format!("it asked for {octets} random octets; it may have {}", limits::RANDOM_OCTETS)));
        }
        let wanted = usize::try_from(octets).unwrap_or_default();
        let mut out = Vec::with_capacity(wanted + 32);
        while out.len() < wanted {
            self.drawn += 1;
            out.extend_from_slice(
                &Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_le_bytes()).finalize(),
            );
        }
        out.truncate(wanted);
        Ok(out)
    }

    fn draw_u64(&mut self) -> Result<u64> {
        let octets = self.draw(8)?;
        Ok(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }
}

impl State {
    fn inert(&mut self) -> &mut Inert {
        let (now, question) = (self.now, &self.question);
        self.wasi.get_or_insert_with(|| Box::new(Inert::new(now, &question.id())))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let inert = self.inert();
        WasiCtxView { ctx: &mut inert.ctx, table: &mut inert.table }
    }
}

/// Chooses the clocks and randomness above instead of the real ones.
struct Standing;

impl HasData for Standing {
    type Data<'a> = &'a mut Inert;
}

struct Tables;

impl HasData for Tables {
    type Data<'a> = &'a mut ResourceTable;
}

/// Puts [`OFFERED`] into the linker, and nothing else.
pub(crate) fn offer(linker: &mut Linker<State>) -> Result<()> {
    let l = linker;
    clocks::wall_clock::add_to_linker::<State, Standing>(l, State::inert)?;
    clocks::monotonic_clock::add_to_linker::<State, Standing>(l, State::inert)?;
    random::random::add_to_linker::<State, Standing>(l, State::inert)?;
    random::insecure::add_to_linker::<State, Standing>(l, State::inert)?;
    random::insecure_seed::add_to_linker::<State, Standing>(l, State::inert)?;
    cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    sync::filesystem::types::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    sync::io::error::add_to_linker::<State, Tables>(l, |state| &mut state.inert().table)?;
    sync::io::poll::add_to_linker::<State, Tables>(l, |state| &mut state.inert().table)?;
    sync::io::streams::add_to_linker::<State, Tables>(l, |state| &mut state.inert().table)
}

impl clocks::wall_clock::Host for Inert {
    fn now(&mut self) -> Result<clocks::wall_clock::Datetime> {
        Ok(clocks::wall_clock::Datetime { seconds: self.now, nanoseconds: 0 })
    }

    fn resolution(&mut self) -> Result<clocks::wall_clock::Datetime> {
        Ok(clocks::wall_clock::Datetime { seconds: 1, nanoseconds: 0 })
    }
}

impl clocks::monotonic_clock::Host for Inert {
    fn now(&mut self) -> Result<u64> {
        Ok(self.now.saturating_mul(1_000_000_000))
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(1_000_000_000)
    }

    /// A real wait would hold a decision thread beyond the reach of the time limit.
    fn subscribe_instant(&mut self, _: u64) -> Result<Resource<DynPollable>> {
        let past = self.table.push(Past)?;
        p2::subscribe(&mut self.table, past)
    }

    fn subscribe_duration(&mut self, _: u64) -> Result<Resource<DynPollable>> {
        self.subscribe_instant(0)
    }
}

struct Past;

#[async_trait]
impl Pollable for Past {
    async fn ready(&mut self) {}
}

impl random::random::Host for Inert {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.draw(len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        self.draw_u64()
    }
}

impl random::insecure::Host for Inert {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.draw(len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.draw_u64()
    }
}

impl random::insecure_seed::Host for Inert {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((self.draw_u64()?, self.draw_u64()?))
    }
}

/// Standard error. What does not fit is taken and dropped: a guest that cannot print panics.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> Vec<String> {
        let octets = self.lock();
        let text = String::from_utf8_lossy(&octets);
        let lines = text.lines().filter(|line| !line.trim().is_empty()).take(limits::LOG_LINES);
        lines.map(|line| limits::bounded(line, limits::LOG_LINE_OCTETS)).collect()
    }
}

impl OutputStream for Log {
    fn write(&mut self, octets: Bytes) -> StreamResult<()> {
        let mut log = self.lock();
        let room = (limits::LOG_LINES * limits::LOG_LINE_OCTETS).saturating_sub(log.len());
        log.extend_from_slice(&octets[..octets.len().min(room)]);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(limits::LOG_LINE_OCTETS)
    }
}

#[async_trait]
impl Pollable for Log {
    async fn ready(&mut self) {}
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// WASI 0.3 alone asks for this, and is not offered.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_decisions_draw_equal_randomness() {
        let drawn = |id: &str| Inert::new(0, id).draw(40).expect("within limits");
        assert_eq!(drawn("receive/a"), drawn("receive/a"));
        assert_ne!(drawn("receive/a"), drawn("receive/b"));
        assert!(Inert::new(0, "a").draw(limits::RANDOM_OCTETS + 1).is_err());
    }

    #[test]
    fn the_log_is_bounded_and_has_no_forged_lines() {
        let mut log = Log::default();
        for _ in 0..100 {
            log.write(Bytes::from_static(b"a line\x1b[2J\n")).expect("always taken");
        }
        assert_eq!(log.lines().len(), limits::LOG_LINES);
        assert_eq!(log.lines()[0], "a line [2J");
        log.write(vec![b'x'; 100_000].into()).expect("always taken");
        assert!(log.lock().len() <= limits::LOG_LINES * limits::LOG_LINE_OCTETS);
    }
}
