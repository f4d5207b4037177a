//! `demo`: the relay at work on this machine alone: messages that must be delivered, refused or returned, and what the
//! ledger says of each. It ends with 0 only if all went as it must, so it is a test of the whole as well.
//!
//! 1. [`world`] starts a relay as `serve` does, and beside it what it delivers to ([`next_hop`], [`certificates`], [`names`]).
//! 2. [`scenes`] are the messages; [`sender`] hands each in, [`story`] reads from the ledger what became of it.
//! 3. [`rows`] compares the story with what must be, and with what the next hops saw; [`screen`] shows it.

mod world;

mod certificates;
mod names;
mod next_hop;

mod scenes;
mod sender;
mod story;

mod rows;
mod screen;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use crate::failure::Failure;
use crate::output::{Output, Tone};

use rows::{Ended, Row, subject};
use scenes::{SCENES, Scene};
use sender::{Letter, Sender};
use story::{End, Follower, PATIENCE};
use world::{HOME, RELAY, World};

/// What a shell makes of a command that was interrupted.
const INTERRUPTED: u8 = 130;
/// A report that is under way is looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Args)]
#[command(after_help = "\
Everything runs in this process, on loopback, at free ports, in a temporary folder that is
removed at the end. It reads no configuration and touches no other relay. Exit status 1 if
anything went otherwise than it must; the folder is left then, to look into.

Examples:
  sealwire demo
  sealwire demo --stay      then send messages of your own with swaks, and ask about them
  sealwire demo --json")]
pub(crate) struct Demo {
    /// Keep it running until Ctrl-C, with commands to try
    #[arg(long)]
    stay: bool,
}

impl Demo {
    pub(crate) async fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let mut signals = Signals::new()?;
        if !output.json {
            screen::introduce(output);
        }
        let world = tokio::select! {
            world = World::start() => world?,
            () = signals.told_to_stop() => return Ok(INTERRUPTED.into()),
        };
        let played = tokio::select! {
            played = play(&world, output) => played,
            () = signals.told_to_stop() => {
                world.stop(false).await;
                return Ok(INTERRUPTED.into());
            }
        };
        let rows = match played {
            Ok(rows) => rows,
            Err(failure) => {
                world.stop(false).await;
                return Err(failure);
            }
        };
        let as_expected = rows.iter().all(|row| row.wrong.is_none());
        // What went wrong can be looked at.
        let keep = !as_expected && !self.stay;
        let folder = (keep || self.stay).then(|| world.path(""));
        if output.json {
            let relay = world.address;
            output.value(&json!({ "as-expected": as_expected, "relay": relay, "folder": folder, "rows": rows }));
        } else {
            self.conclude(&world, &rows, keep, output);
        }
        if self.stay {
            signals.told_to_stop().await;
        }
        world.stop(keep).await;
        Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn conclude(&self, world: &World, rows: &[Row], keep: bool, output: &Output) {
        if let Some((row, text)) = rows.iter().rev().find_map(|row| Some((row, row.report.as_ref()?))) {
            screen::show_report(row.number, text, output);
        }
        output.line("");
        let wrong: Vec<String> =
            rows.iter().filter(|row| row.wrong.is_some()).map(|row| row.number.to_string()).collect();
        if wrong.is_empty() {
            output.toned(Tone::Good, "All messages went the way they must.");
        } else {
            output.toned(Tone::Bad, &format!("Not as expected: message {}.", wrong.join(", ")));
        }
        if keep {
            output.line(format!("Configuration, log and ledger are left in {}", world.path("").display()));
        }
        let program = screen::program();
        if self.stay {
            screen::invite(world, &program, output);
        } else {
            screen::look_further(&program, output);
        }
    }
}

/// Sends one message after the other and tells what became of it.
async fn play(world: &World, output: &Output) -> Result<Vec<Row>, Failure> {
    let sender = Sender::new(world.address, RELAY, &world.path("ca.pem")).map_err(|error| error.to_string())?;
    let mut follower = Follower::new(Arc::clone(world.relay.store()));
    let mut rows = Vec::new();
    for (scene, number) in SCENES.iter().zip(1..) {
        let row = one(number, scene, &sender, &mut follower, world).await?;
        if !output.json {
            screen::tell(&row, output);
        }
        rows.push(row);
    }
    Ok(rows)
}

async fn one(
    number: usize,
    scene: &Scene,
    sender: &Sender,
    follower: &mut Follower,
    world: &World,
) -> Result<Row, Failure> {
    let Scene { from, to, secured, .. } = *scene;
    let letter = Letter { from, to, subject: &subject(number, scene.shows), secured };
    let sent_at_ms = now_ms();
    let sent = timeout(PATIENCE, sender.send(&letter)).await.unwrap_or_else(|late| Err(late.into()));
    let reply = sent.map_err(|error| format!("message {number} could not be handed to the relay: {error}"))?;
    let story = follower.story(to).await.map_err(|error| error.to_string())?;
    let returned = matches!(story.end, Some(End::Reported(_)));
    let mut row = Row::new(number, scene, Ended { story, reply, sent_at_ms }, world);
    if returned && !report_is_home(world, to).await {
        row.wrong.get_or_insert_with(|| "its report never reached the sender".to_owned());
    }
    Ok(row)
}

/// The ledger knows of a report as soon as it is queued; here it must also arrive.
async fn report_is_home(world: &World, recipient: &str) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let named = format!("Final-Recipient: rfc822; {recipient}\r\n");
    while Instant::now() < deadline {
        let received = world.hop(HOME).map(|home| home.received()).unwrap_or_default();
        if received.iter().any(|message| message.text.contains(&named)) {
            return true;
        }
        sleep(LOOK_EVERY).await;
    }
    false
}

/// Ctrl-C, and what else asks a program of the terminal to end.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> Result<Signals, Failure> {
        let on = |kind: SignalKind| -> Result<Signal, Failure> {
            signal(kind).map_err(|error| Failure::Text(format!("signals cannot be received: {error}")))
        };
        Ok(Signals([on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?]))
    }

    async fn told_to_stop(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
