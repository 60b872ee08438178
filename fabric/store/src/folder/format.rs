//! The file that says what a data folder is.

use std::fs::{self, File};
use std::io::{ErrorKind as IoErrorKind, Write};
use std::path::{Path, PathBuf};

use super::Migration;
use crate::disk::sync_folder;
use crate::{Error, ErrorKind, Result, StoreKind};

/// The content of the file: lines of `name = value`, for people to read as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) version: u32,
    pub(super) store: StoreKind,
    pub(super) cluster_id: u128,
    pub(super) boot_epoch: u64,
}

impl Format {
    /// Of a folder that is new: refused if it holds anything that is not ours.
    pub(super) fn new(folder: &Path, store: StoreKind, version: u32) -> Result<Self> {
        Self::check_empty(folder)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| Error::new(ErrorKind::Io, format!("making the cluster's id: {error}")))?;
        Ok(Self { version, store, cluster_id: u128::from_be_bytes(id), boot_epoch: 0 })
    }

    /// Refuses a folder that holds anything.
    pub(super) fn check_empty(folder: &Path) -> Result<()> {
        if Self::is_being_made(folder) {
            let message = format!(
                "the folder {} holds half of a backup, whose restore was cut short: restore it again, or empty the folder",
                folder.display()
            );
            return Err(Error::new(ErrorKind::Incompatible, message));
        }
        let entries = fs::read_dir(folder)
            .map_err(|error| Error::io(format!("reading the data folder {}", folder.display()), &error))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name != "lock" && name != "format.new" && name != "lost+found" {
                let message = format!(
                    "the folder {} is not empty (it holds {name:?}) and no data folder of Perper: \
                     name an empty one, or restore its file \"format\"",
                    folder.display()
                );
                return Err(Error::new(ErrorKind::Incompatible, message));
            }
        }
        Ok(())
    }

    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = path(folder);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(format!("reading {}", path.display()), &error)),
        };
        let value = |name: &str| {
            let values = text.lines().filter_map(|line| line.split_once('='));
            let value = values.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).next();
            value.ok_or_else(|| malformed(&path, name))
        };
        Ok(Some(Self {
            version: value("version")?.parse().map_err(|_| malformed(&path, "version"))?,
            store: value("store")?.parse().map_err(|_| malformed(&path, "store"))?,
            cluster_id: u128::from_str_radix(value("cluster_id")?, 16)
                .map_err(|_| malformed(&path, "cluster_id"))?,
            boot_epoch: value("boot_epoch")?.parse().map_err(|_| malformed(&path, "boot_epoch"))?,
        }))
    }

    /// Replaces the file, durably: whatever happens, there is the old one or the new one.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        self.write_to(folder, path(folder))
    }

    /// Says, durably, that the folder is being made.
    pub(super) fn announce(&self, folder: &Path) -> Result<()> {
        self.write_to(folder, being_made(folder))
    }

    /// Whether the folder is being made, or was when somebody stopped.
    pub(super) fn is_being_made(folder: &Path) -> bool {
        being_made(folder).exists()
    }

    /// Makes what was announced a data folder.
    pub(super) fn complete(folder: &Path) -> Result<()> {
        let path = path(folder);
        fs::rename(being_made(folder), &path)
            .map_err(|error| Error::io(format!("writing {}", path.display()), &error))?;
        sync_folder(folder)
    }

    /// Takes back what was announced.
    pub(super) fn withdraw(folder: &Path) -> Result<()> {
        let path = being_made(folder);
        fs::remove_file(&path).map_err(|error| Error::io(format!("deleting {}", path.display()), &error))?;
        sync_folder(folder)
    }

    fn write_to(&self, folder: &Path, path: PathBuf) -> Result<()> {
        let new = folder.join("format.new");
        let text = format!(
            "version = {}\nstore = {}\ncluster_id = {:032x}\nboot_epoch = {}\n",
            self.version, self.store, self.cluster_id, self.boot_epoch
        );
        File::create(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| Error::io(format!("writing {}", path.display()), &error))?;
        sync_folder(folder)
    }

    pub(super) fn check_store(&self, folder: &Path, wanted: StoreKind) -> Result<()> {
        if self.store == wanted {
            return Ok(());
        }
        let message = format!(
            "the data folder {} was made with the store {}, not {wanted}: choose {} or another folder",
            folder.display(),
            self.store,
            self.store
        );
        Err(Error::new(ErrorKind::Incompatible, message))
    }

    /// Brings an older folder up to `version`, noting each step as it is done; a newer one is refused.
    pub(super) fn migrate(&mut self, folder: &Path, version: u32, migrations: &[Migration]) -> Result<()> {
        if self.version > version {
            let message = format!(
                "the data folder {} has format version {}, this server knows versions up to {version}: \
                 use a newer server, or another folder",
                folder.display(),
                self.version
            );
            return Err(Error::new(ErrorKind::Incompatible, message));
        }
        while self.version < version {
            let step = (self.version as usize).checked_sub(1).and_then(|index| migrations.get(index));
            let step = step.ok_or_else(|| {
                let message = format!(
                    "the data folder {} has format version {}, which this server cannot migrate to {version}",
                    folder.display(),
                    self.version
                );
                Error::new(ErrorKind::Incompatible, message)
            })?;
            tracing::info!(folder = %folder.display(), from = self.version, to = self.version + 1, "migrating");
            step(folder)?;
            self.version += 1;
            self.write(folder)?;
        }
        Ok(())
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("format")
}

fn being_made(folder: &Path) -> PathBuf {
    folder.join("restoring")
}

fn malformed(path: &Path, name: &str) -> Error {
    let message = format!("{} says nothing sensible about {name}; restore it from a backup", path.display());
    Error::new(ErrorKind::Corrupt, message)
}
