//! The folder that a server owns.
//!
//! It holds a lock, a small file that says what the folder is, and the store's own folder:
//!
//! ```text
//! lock      held by the one server that runs; names its process
//! format    the version, the kind of store, the cluster's id, the count of boots
//! store/    whatever the store keeps
//! ```
//!
//! While it is made of a backup, `format` is called `restoring`, so that it is no data folder yet.

mod format;
mod lock;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::format::Format;
use self::lock::Lock;
use crate::disk::sync_folder;
use crate::{
    Durability, Error, ErrorKind, JournalOptions, JournaledStore, MemoryStore, Result, Store, StoreKind,
};

/// The version of the folder that this server writes.
pub const FORMAT_VERSION: u32 = 1;

/// What the store's own folder is called.
const STORE: &str = "store";

/// Brings a folder from one version to the next. It may be cut short by a crash and is then run again.
type Migration = fn(&Path) -> Result<()>;

/// The step at index *n* leads from version *n* + 1 to *n* + 2.
const MIGRATIONS: &[Migration] = &[];

/// The identity of a cluster, made once and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A data folder, locked as long as this value lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    format: Format,
    _lock: Lock,
}

impl DataFolder {
    /// Opens the folder for a kind of store, making what is missing, and counts the boot.
    ///
    /// Refused if another server holds it, if a newer server wrote it, or if it was made for another kind of store.
    pub fn open(path: &Path, kind: StoreKind) -> Result<Self> {
        Self::open_as(path, kind, FORMAT_VERSION, MIGRATIONS)
    }

    /// As [`open`](Self::open), but makes nothing: for those who expect data in it.
    pub fn open_existing(path: &Path, kind: StoreKind) -> Result<Self> {
        if Format::read(path)?.is_none() {
            let message = format!(
                "{} is no data folder of Perper: name the one that a server keeps its data in",
                path.display()
            );
            return Err(Error::new(ErrorKind::Incompatible, message));
        }
        Self::open(path, kind)
    }

    fn open_as(path: &Path, kind: StoreKind, version: u32, migrations: &[Migration]) -> Result<Self> {
        if kind == StoreKind::Memory {
            return Err(Error::new(
                ErrorKind::Incompatible,
                "the memory store has no data folder; leave it out",
            ));
        }
        make_folder(path)?;
        let lock = Lock::take(path)?;
        let mut format = match Format::read(path)? {
            Some(format) => format,
            None => Format::new(path, kind, version)?,
        };
        format.check_store(path, kind)?;
        format.migrate(path, version, migrations)?;
        format.boot_epoch += 1;
        format.write(path)?;
        Ok(Self { path: path.to_owned(), format, _lock: lock })
    }

    /// Makes a folder whose store `fill` puts at the path that it is given. It becomes a data folder with the last step,
    /// when all of that is on the disk; until then no server opens it. If `fill` fails, it is empty as before.
    ///
    /// The folder must be missing, empty, or left half-made by a call that was cut short, which then begins anew.
    pub(crate) fn make(
        path: &Path,
        kind: StoreKind,
        cluster_id: ClusterId,
        boot_epoch: u64,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        make_folder(path)?;
        let _lock = Lock::take(path)?;
        if Format::read(path)?.is_some() {
            let message = format!("the folder {} holds data already; name an empty one", path.display());
            return Err(Error::new(ErrorKind::Incompatible, message));
        }
        let store = path.join(STORE);
        if Format::is_being_made(path) {
            tracing::info!(folder = %path.display(), "clearing away what was left half-made");
            remove_all(&store)?;
        } else {
            Format::check_empty(path)?;
        }
        let format = Format { version: FORMAT_VERSION, store: kind, cluster_id: cluster_id.0, boot_epoch };
        format.announce(path)?;
        let made = fs::create_dir(&store)
            .map_err(|error| Error::io(format!("making the folder {}", store.display()), &error))
            .and_then(|()| sync_folder(path))
            .and_then(|()| fill(&store))
            .and_then(|()| sync_folder(&store));
        match made {
            Ok(()) => Format::complete(path),
            Err(error) => {
                if let Err(error) = remove_all(&store).and_then(|()| Format::withdraw(path)) {
                    tracing::warn!(%error, "what is half-made could not be cleared away");
                }
                Err(error)
            }
        }
    }

    /// Opens the store inside.
    pub fn open_store(&self, durability: Durability) -> Result<Arc<dyn Store>> {
        let path = self.store_path();
        Ok(match self.format.store {
            StoreKind::Memory => Arc::new(MemoryStore::new()),
            StoreKind::Sled => Arc::new(JournaledStore::sled(&path, durability, JournalOptions::default())?),
            StoreKind::Fjall => {
                Arc::new(JournaledStore::fjall(&path, durability, JournalOptions::default())?)
            }
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the store keeps its files.
    pub fn store_path(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// The identity of the cluster, made when the folder was.
    pub fn cluster_id(&self) -> ClusterId {
        ClusterId(self.format.cluster_id)
    }

    /// How many times the folder was opened, this one included: what an earlier boot handed out and kept only in memory
    /// is told apart by it.
    pub fn boot_epoch(&self) -> u64 {
        self.format.boot_epoch
    }
}

/// Makes a folder that only its owner can look into, for what agents keep is nobody else's. One that is there stays as it
/// is: somebody may have given it to a group, as Kubernetes does with volumes.
fn make_folder(path: &Path) -> Result<()> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| folder.create(path))
        .map_err(|error| Error::io(format!("making the data folder {}", path.display()), &error))
}

fn remove_all(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("clearing away {}", folder.display()), &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
