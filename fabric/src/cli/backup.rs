//! `perper-fabric backup`: a copy of what a server keeps, made while it serves.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Buf, Bytes};
use perper_proto::v1;
use perper_store::{Backup, BackupReader, DataFolder, Durability, sync_folder};
use tokio::runtime::Runtime;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Streaming};
use v1::administration_client::AdministrationClient;

use super::restore::describe;
use crate::config::{BackupRequest, BackupSource, ServerAccess};
use crate::security::Tokens;

/// How long it may take to connect, and how long a server may be silent before it is asked whether it is still there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes a backup, checks it on the way, and says what was done. A file is there whole or not at all.
pub(super) fn take(request: &BackupRequest) -> anyhow::Result<String> {
    let mut output = Output::to(&request.to)?;
    let text = match &request.source {
        BackupSource::Server(server) => Incoming::ask(server)
            .and_then(|incoming| copy(incoming, &mut output))
            .with_context(|| format!("no backup of the server at {}", server.endpoint))?,
        BackupSource::Folder(path, store) => {
            let folder = DataFolder::open_existing(path, *store)?;
            let store = folder.open_store(Durability::Process)?;
            let backup = store.backup(folder.cluster_id(), folder.boot_epoch())?;
            let copied = copy(Making { backup, bytes: Bytes::new() }, &mut output);
            let closed = store.close();
            let text = copied?;
            closed?;
            text
        }
    };
    if output.complete()? {
        return Ok(format!("{text}\n"));
    }
    // Standard output has the backup.
    eprintln!("{text}");
    Ok(String::new())
}

/// Copies a backup, reading every byte as a restore would.
fn copy(input: impl Read, output: &mut Output) -> anyhow::Result<String> {
    let mut backup = BackupReader::open(Tee { input, output })?;
    let header = backup.header().clone();
    let summary = backup.check()?;
    Ok(describe(&header, summary))
}

/// Where a backup goes.
struct Output {
    writer: BufWriter<Box<dyn Write>>,
    /// None for standard output.
    unfinished: Option<Unfinished>,
}

impl Output {
    fn to(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                bail!("a backup is nothing to look at: redirect it, or name a file with --to");
            }
            let writer = BufWriter::new(Box::new(io::stdout()) as Box<dyn Write>);
            return Ok(Self { writer, unfinished: None });
        }
        let unfinished = Unfinished::begin(path)?;
        let file: Box<dyn Write> = Box::new(unfinished.file.try_clone()?);
        Ok(Self { writer: BufWriter::with_capacity(1 << 20, file), unfinished: Some(unfinished) })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).map_err(|error| {
            // Else it would seem that the backup could not be read.
            let place = self.unfinished.as_ref().map(|unfinished| unfinished.partial.display());
            let place = place.map_or_else(|| "standard output".to_owned(), |place| place.to_string());
            io::Error::new(error.kind(), format!("writing it to {place}: {error}"))
        })
    }

    /// Whether there is a file now.
    fn complete(mut self) -> anyhow::Result<bool> {
        self.writer.flush().context("the backup could not be written")?;
        self.unfinished.map_or(Ok(false), |unfinished| unfinished.complete().map(|()| true))
    }
}

/// A file that gets its name when it is whole, and goes with this value before that.
struct Unfinished {
    file: File,
    /// Its name in the end, and until then.
    path: PathBuf,
    partial: PathBuf,
    complete: bool,
}

impl Unfinished {
    fn begin(path: &Path) -> anyhow::Result<Self> {
        let mut name = path.file_name().context("--to names no file")?.to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let mut options = OpenOptions::new();
        // Not truncated when opened: what is in it is somebody else's until the lock is ours.
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = || format!("{} cannot be written", partial.display());
        let file = loop {
            let file = options.open(&partial).with_context(written)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let partial = partial.display();
                    bail!("another backup is being written to {partial}: wait for it, or name another file");
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(written),
            }
            if is_at(&file, &partial) {
                break file;
            }
        };
        only_for_its_owner(&file).and_then(|()| file.set_len(0)).with_context(written)?;
        Ok(Self { file, path: path.to_owned(), partial, complete: false })
    }

    fn complete(mut self) -> anyhow::Result<()> {
        let path = &self.path;
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.partial, path))
            .with_context(|| format!("{} could not be written", path.display()))?;
        self.complete = true;
        // Else a loss of power could still take the name back.
        Ok(sync_folder(path.parent().unwrap_or(Path::new("")))?)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.complete {
            // Still locked, and so nobody else's.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Whether a file still has this name: whoever had it locked may have given it its own, or deleted it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let named = fs::metadata(path).map(identity);
    file.metadata().is_ok_and(|metadata| named.is_ok_and(|named| named == identity(metadata)))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(unix)]
fn only_for_its_owner(file: &File) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn only_for_its_owner(_: &File) -> io::Result<()> {
    Ok(())
}

/// Reads, and passes on what it read.
struct Tee<'a, R> {
    input: R,
    output: &'a mut Output,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(bytes)?;
        self.output.write(&bytes[..count])?;
        Ok(count)
    }
}

/// A backup that this process makes of a folder.
struct Making {
    backup: Backup,
    bytes: Bytes,
}

impl Read for Making {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.bytes.is_empty() {
            match self.backup.next() {
                Some(next) => self.bytes = next.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        Ok(take_some(&mut self.bytes, bytes))
    }
}

/// A backup that a server sends.
struct Incoming {
    runtime: Runtime,
    messages: Streaming<v1::BackupResponse>,
    bytes: Bytes,
}

impl Incoming {
    fn ask(server: &ServerAccess) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let messages = runtime.block_on(async {
            let channel = connect(server).await?;
            let mut request = Request::new(v1::BackupRequest {});
            if let Some(token) = token(server)? {
                let mut value: MetadataValue<_> = format!("Bearer {token}")
                    .parse()
                    .context("the token has characters that no header can have")?;
                value.set_sensitive(true);
                request.metadata_mut().insert("authorization", value);
            }
            let answer = AdministrationClient::new(channel).backup(request).await;
            anyhow::Ok(answer.map_err(refused)?.into_inner())
        })?;
        Ok(Self { runtime, messages, bytes: Bytes::new() })
    }
}

impl Read for Incoming {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.bytes.is_empty() {
            match self.runtime.block_on(self.messages.message()) {
                Ok(Some(message)) => self.bytes = message.data,
                Ok(None) => return Ok(0),
                Err(status) => return Err(io::Error::other(refused(status))),
            }
        }
        Ok(take_some(&mut self.bytes, bytes))
    }
}

fn take_some(from: &mut Bytes, into: &mut [u8]) -> usize {
    let count = from.len().min(into.len());
    from.copy_to_slice(&mut into[..count]);
    count
}

/// What the server says, without what gRPC adds.
fn refused(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("{} ({:?})", status.message(), status.code())
}

async fn connect(server: &ServerAccess) -> anyhow::Result<Channel> {
    let ServerAccess { endpoint, ca_file, identity, .. } = server;
    let read = |path: &Path| fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let mut connection = Endpoint::from_shared(endpoint.clone())
        .with_context(|| format!("{endpoint:?} is no address; give one like http://127.0.0.1:40400"))?
        .connect_timeout(PATIENCE)
        .http2_keep_alive_interval(PATIENCE)
        .keep_alive_timeout(PATIENCE);
    if connection.uri().scheme_str() == Some("https") {
        let mut tls = ClientTlsConfig::new();
        tls = match ca_file {
            Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
            None => tls.with_native_roots(),
        };
        if let Some((cert, key)) = identity {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        connection = connection.tls_config(tls)?;
    }
    Ok(connection.connect().await?)
}

fn token(server: &ServerAccess) -> anyhow::Result<Option<String>> {
    Ok(match (&server.token, &server.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(path)) => Some(Tokens::load(path)?.first()),
        (None, None) => None,
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn begin(path: &Path) -> Unfinished {
        Unfinished::begin(path).expect("nobody else writes it")
    }

    #[test]
    fn two_backups_never_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let mut first = begin(&path);
        first.file.write_all(b"the first").unwrap();
        let error = Unfinished::begin(&path).err().expect("the first is not whole yet").to_string();
        assert!(error.contains("another backup is being written to"), "{error}");
        first.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the first");

        // One that fails leaves neither anything behind nor the former one damaged.
        let mut second = begin(&path);
        second.file.write_all(b"half of").unwrap();
        drop(second);
        assert_eq!(fs::read(&path).unwrap(), b"the first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_left_by_one_that_was_killed_is_begun_anew_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
        fs::write(&partial, "a longer rest of another one").unwrap();
        fs::set_permissions(&partial, fs::Permissions::from_mode(0o644)).unwrap();
        let mut next = begin(&path);
        next.file.write_all(b"whole").unwrap();
        next.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_has_got_its_name_is_not_taken_for_an_unfinished_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
        let first = begin(&path);
        let opened = File::open(&partial).unwrap();
        assert!(is_at(&opened, &partial));
        first.complete().unwrap();
        assert!(!is_at(&opened, &partial));
    }

    #[test]
    fn a_disk_without_room_is_told_of_as_what_is_written_to() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let writer = BufWriter::with_capacity(0, Box::new(full) as Box<dyn Write>);
        let error = Output { writer, unfinished: None }.write(b"a byte").expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("writing it to standard output: "), "{error}");
    }
}
