//! The socket: made in a folder of its own that only the relay's user may enter, and removed at the end.

use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use axum::extract::{ConnectInfo, Request};
use tokio::net::UnixListener;

use crate::api;
use crate::http::{self, Api};
use crate::peer::Peer;

/// A bound socket.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

/// Why the socket cannot be had.
#[derive(Debug)]
pub enum ServerError {
    /// Its folder cannot be made or closed to others.
    Folder(PathBuf, io::Error),
    /// Another relay answers there.
    Taken(PathBuf),
    /// Something that is no socket stands in its place.
    NoSocket(PathBuf),
    /// It cannot be bound.
    Bind(PathBuf, io::Error),
}

impl Server {
    /// Makes the folder (mode 0700) and the socket (mode 0600). A socket nobody answers at is a dead relay's and replaced.
    pub fn bind(path: &Path) -> Result<Server, ServerError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.exists() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|why| ServerError::Folder(folder.to_owned(), why))?;
        }
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(ServerError::NoSocket(path.to_owned()));
            }
            if UnixStream::connect(path).is_ok() {
                return Err(ServerError::Taken(path.to_owned()));
            }
            std::fs::remove_file(path).map_err(|why| ServerError::Bind(path.to_owned(), why))?;
        }
        let bind = |why| ServerError::Bind(path.to_owned(), why);
        let listener = UnixListener::bind(path).map_err(bind)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(bind)?;
        Ok(Server { listener, path: path.to_owned() })
    }

    /// Answers until `stop` is ready; requests under way are finished.
    pub async fn run(self, api: Api, stop: impl Future<Output = ()> + Send + 'static) {
        let upkeep = tokio::spawn(api.metrics.clone().upkeep());
        let router = api::router(&api).merge(http::router(&api, peer));
        let service = router.into_make_service_with_connect_info::<Peer>();
        if let Err(error) = axum::serve(self.listener, service).with_graceful_shutdown(stop).await {
            tracing::error!(%error, "the admin socket failed");
        }
        upkeep.abort();
        // It is ours, and nobody answers there any more.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Who is at the other end of a request's connection.
fn peer(request: &Request) -> Option<http::Peer> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<Peer>>()?;
    Some(http::Peer::Local(peer.name()))
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Folder(path, why) => {
                write!(f, "{}: the admin socket's folder cannot be made: {why}; set admin-socket", path.display())
            }
            ServerError::Taken(path) => {
                write!(f, "{}: another relay answers there; stop it, or set another data-directory", path.display())
            }
            ServerError::NoSocket(path) => {
                write!(f, "{}: is no socket; move it away, or set another admin-socket", path.display())
            }
            ServerError::Bind(path, why) => {
                write!(
                    f,
                    "{}: the admin socket cannot be made: {why}; set a shorter or other admin-socket",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for ServerError {}
