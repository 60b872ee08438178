//! What the standard library leaves open about disks.

use std::fs::File;
use std::path::Path;

use crate::{Error, Result};

/// Makes the list of files in a folder durable.
///
/// Only where a folder is a file that can be flushed; elsewhere (on Windows) the file system sees to it.
pub fn sync_folder(path: &Path) -> Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    // A relative path of one part has an empty parent.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::io(format!("flushing the folder {}", path.display()), &error))
}
