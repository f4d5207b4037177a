//! Threads that read: each has a connection of its own and sees the last commit, whatever the writer is doing.
//!
//! One serves delivery, one serves people: a search through years of ledger never delays a body.

use std::path::PathBuf;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::StoreError;

/// Requests that may wait; beyond it whoever asks waits instead.
const WAITING: usize = 256;

type Work = Box<dyn FnOnce(&Connection) + Send>;

/// The door to one reading thread; dropped, it finishes what waits and ends.
pub(crate) struct Reader {
    requests: Option<mpsc::Sender<Work>>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(crate) fn start(name: &str, connection: Connection, path: PathBuf) -> Result<Reader, StoreError> {
        let (requests, mut waiting) = mpsc::channel::<Work>(WAITING);
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                while let Some(work) = waiting.blocking_recv() {
                    work(&connection);
                }
            })
            .map_err(|error| StoreError::file("start a thread for", &path, &error))?;
        Ok(Reader { requests: Some(requests), path, thread: Some(thread) })
    }

    /// Reads from one snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            if answer.is_closed() {
                return; // Whoever asked has gone.
            }
            let _ = answer.send(in_snapshot(connection, work));
        });
        let requests = self.requests.as_ref().ok_or(StoreError::Closed)?;
        requests.send(work).await.map_err(|_| StoreError::Closed)?;
        match answered.await.map_err(|_| StoreError::Closed)? {
            Ok(value) => Ok(value),
            Err(ReadError::Store(error)) => Err(error),
            Err(ReadError::Engine(error)) => Err(StoreError::sqlite(&self.path, &error)),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Several statements see the same state only within a transaction.
fn in_snapshot<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let snapshot = connection.unchecked_transaction()?;
    let result = work(&snapshot)?;
    snapshot.commit()?;
    Ok(result)
}

/// Lets queries use `?` for what the engine says and for what a row says.
pub(crate) enum ReadError {
    /// To be told with the place of the database.
    Engine(rusqlite::Error),
    /// Told already.
    Store(StoreError),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> ReadError {
        ReadError::Engine(error)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> ReadError {
        ReadError::Store(error)
    }
}
