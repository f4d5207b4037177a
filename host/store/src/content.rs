//! The body of a message: on its way in, at rest, and on its way out.
//!
//! A small body stays in memory and goes into the group commit; a large one is written to a file and synced before its
//! row is committed, so that no transaction waits for a client. Until then nothing refers to it: dropped, it is freed.
//! This module never touches the database.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use crate::api::{Answer, ContentWriter};
use crate::error::StoreError;
use crate::folder::{Folder, OpenFile, StagedFile};

/// Largest body in octets that is kept in the database itself. Beyond it, rewriting the body in the log and again in the
/// database costs more than a file and its own sync.
pub const CONTENT_INLINE_MAX: usize = 256 * 1024;

/// Octets in one piece of a large body, written or read: each costs a way to a thread that may wait for the disk.
pub(crate) const PIECE: usize = 512 * 1024;

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
                for piece in octets.chunks(PIECE) {
                    writer.write(piece.to_vec()).await?;
                }
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

/// Memory up to [`CONTENT_INLINE_MAX`], then a file that grows by [`PIECE`].
pub(crate) struct BodyWriter {
    folder: Arc<Folder>,
    arriving: bool,
    /// What is in no file yet.
    memory: Vec<u8>,
    file: Option<StagedFile>,
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

    async fn add(&mut self, octets: Vec<u8>) -> Result<(), StoreError> {
        self.octets += octets.len() as u64;
        if self.memory.is_empty() {
            self.memory = octets;
        } else {
            self.memory.extend_from_slice(&octets);
        }
        if self.memory.len() < PIECE { Ok(()) } else { self.grow().await }
    }

    /// Writes what is in memory to the file and syncs it.
    async fn grow(&mut self) -> Result<(), StoreError> {
        // What arrives grows no file into what is kept for the queue.
        if self.arriving {
            self.folder.has_room(0)?;
        }
        let piece = std::mem::take(&mut self.memory);
        let file = match self.file.take() {
            Some(file) => file,
            None => self.folder.stage().await?,
        };
        self.file = Some(file.grow(piece).await?);
        Ok(())
    }
}

impl ContentWriter for BodyWriter {
    fn write(&mut self, octets: Vec<u8>) -> Answer<'_, ()> {
        Box::pin(self.add(octets))
    }

    fn finish(mut self: Box<Self>) -> Answer<'static, Content> {
        Box::pin(async move {
            if self.file.is_none() && self.memory.len() <= CONTENT_INLINE_MAX {
                return Ok(Content { kept: Kept::Memory(self.memory.into()), octets: self.octets });
            }
            if !self.memory.is_empty() {
                self.grow().await?;
            }
            let Some(file) = self.file else { return Err(StoreError::Closed) };
            self.folder.sync().await?;
            Ok(Content { kept: Kept::File(file), octets: self.octets })
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
