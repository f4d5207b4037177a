//! The body of a message: on its way in, at rest, and on its way out.
//!
//! A small body stays in memory and goes into the group commit; a large one is written to a file and synced before its
//! row is committed, so that no transaction waits for a client. Until then nothing refers to it: dropped, it is freed.
//! This module never touches the database.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::api::{Answer, ContentWriter};
use crate::error::StoreError;
use crate::folder::{Folder, OpenFile, StagedFile};

/// Largest body in octets that is kept in the database itself. Beyond it, rewriting the body in the log and again in the
/// database costs more than a file and its own sync.
pub const CONTENT_INLINE_MAX: usize = 256 * 1024;

/// Octets in one piece of a large body.
const PIECE: usize = 64 * 1024;

/// A whole body, not yet committed.
pub struct Content {
    pub(crate) kept: Kept,
    octets: u64,
}

/// Where a body is.
pub(crate) enum Kept {
    /// In memory, to go into the database; of any size until [`Content::apart`].
    Memory(Bytes),
    /// In a file that is synced.
    File(StagedFile),
}

impl Content {
    /// Octets of the body.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Writes a large body that came as octets in memory to a file, as [`ContentWriter`] would have.
    pub(crate) async fn apart(self, folder: &Arc<Folder>) -> Result<Content, StoreError> {
        match self.kept {
            Kept::Memory(octets) if octets.len() > CONTENT_INLINE_MAX => {
                let mut writer = Box::new(BodyWriter::new(Arc::clone(folder)));
                writer.write(octets.into()).await?;
                writer.finish().await
            }
            kept => Ok(Content { kept, octets: self.octets }),
        }
    }
}

/// A body that is in memory already, such as a report's.
impl From<Vec<u8>> for Content {
    fn from(octets: Vec<u8>) -> Content {
        Content { octets: octets.len() as u64, kept: Kept::Memory(octets.into()) }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} octets)", self.octets)
    }
}

/// Memory up to [`CONTENT_INLINE_MAX`], then a file.
pub(crate) struct BodyWriter {
    folder: Arc<Folder>,
    arriving: bool,
    memory: Vec<u8>,
    file: Option<(StagedFile, tokio::fs::File)>,
    octets: u64,
}

impl BodyWriter {
    /// Of a message that arrives; it leaves room for what is queued.
    pub(crate) fn arriving(folder: Arc<Folder>) -> BodyWriter {
        BodyWriter { arriving: true, ..BodyWriter::new(folder) }
    }

    fn new(folder: Arc<Folder>) -> BodyWriter {
        BodyWriter { folder, arriving: false, memory: Vec::new(), file: None, octets: 0 }
    }

    /// What arrives grows no file into what is kept for the queue.
    fn leave_room(&self) -> Result<(), StoreError> {
        if self.arriving { self.folder.has_room(0) } else { Ok(()) }
    }

    async fn add(&mut self, octets: Vec<u8>) -> Result<(), StoreError> {
        self.octets += octets.len() as u64;
        if self.file.is_none() {
            if self.memory.len() + octets.len() <= CONTENT_INLINE_MAX {
                if self.memory.is_empty() {
                    self.memory = octets;
                } else {
                    self.memory.extend_from_slice(&octets);
                }
                return Ok(());
            }
            self.leave_room()?;
            self.file = Some(self.folder.stage().await?);
        }
        self.leave_room()?;
        let Some((staged, file)) = &mut self.file else { return Ok(()) };
        let failed = |error| StoreError::file("write", staged.path(), &error);
        let before = std::mem::take(&mut self.memory);
        file.write_all(&before).await.map_err(failed)?;
        file.write_all(&octets).await.map_err(failed)
    }
}

impl ContentWriter for BodyWriter {
    fn write(&mut self, octets: Vec<u8>) -> Answer<'_, ()> {
        Box::pin(self.add(octets))
    }

    fn finish(self: Box<Self>) -> Answer<'static, Content> {
        Box::pin(async move {
            let Some((staged, mut file)) = self.file else {
                return Ok(Content { kept: Kept::Memory(self.memory.into()), octets: self.octets });
            };
            let failed = |error| StoreError::file("sync", staged.path(), &error);
            file.flush().await.map_err(failed)?;
            file.sync_all().await.map_err(failed)?;
            self.folder.sync().await?;
            Ok(Content { kept: Kept::File(staged), octets: self.octets })
        })
    }
}

/// Gives the body of a queued entry piece by piece.
pub struct BodyReader {
    rest: Rest,
    octets: u64,
}

enum Rest {
    Memory(Bytes),
    File { file: tokio::fs::File, open: OpenFile, left: u64 },
}

impl BodyReader {
    /// Octets of the whole body.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The next octets; None at the end. An error where the content is shorter than it was: never a shortened body
    /// that looks whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match &mut self.rest {
            Rest::Memory(octets) if octets.is_empty() => Ok(None),
            Rest::Memory(octets) => Ok(Some(std::mem::take(octets))),
            Rest::File { left: 0, .. } => Ok(None),
            Rest::File { file, open, left } => {
                let mut piece = vec![0; PIECE.min(usize::try_from(*left).unwrap_or(PIECE))];
                file.read_exact(&mut piece).await.map_err(|error| StoreError::file("read", open.path(), &error))?;
                *left -= piece.len() as u64;
                Ok(Some(piece.into()))
            }
        }
    }

    /// The rest of the body in one piece; for small bodies and for tests.
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// Of a body that is in memory, such as a claim's.
    pub fn memory(octets: Bytes) -> BodyReader {
        BodyReader { octets: octets.len() as u64, rest: Rest::Memory(octets) }
    }

    pub(crate) fn file(file: std::fs::File, open: OpenFile, octets: u64) -> BodyReader {
        let file = tokio::fs::File::from_std(file);
        BodyReader { rest: Rest::File { file, open, left: octets }, octets }
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyReader({} octets)", self.octets)
    }
}
