//! `perper-fabric backup`: a copy of what a server keeps, made while it serves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Buf, Bytes};
use perper_proto::v1;
use perper_store::{Backup, BackupReader, DataFolder, Durability};
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
    let copied = match &request.source {
        BackupSource::Server(server) => Incoming::ask(server)
            .and_then(|incoming| copy(incoming, &mut output))
            .with_context(|| format!("no backup of the server at {}", server.endpoint)),
        BackupSource::Folder(path, store) => {
            let folder = DataFolder::open(path, *store)?;
            let store = folder.open_store(Durability::Process)?;
            let backup = store.backup(folder.cluster_id(), folder.boot_epoch())?;
            let copied = copy(Making { backup, bytes: Bytes::new() }, &mut output);
            store.close()?;
            copied
        }
    };
    match copied.and_then(|text| output.complete().map(|()| text)) {
        Ok(text) if output.path.is_none() => {
            // Standard output has the backup.
            eprintln!("{text}");
            Ok(String::new())
        }
        Ok(text) => Ok(format!("{text}\n")),
        Err(error) => {
            output.discard();
            Err(error)
        }
    }
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
    file: Option<File>,
    /// The file's name in the end, and until then.
    path: Option<(PathBuf, PathBuf)>,
}

impl Output {
    fn to(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                bail!("a backup is nothing to look at: redirect it, or name a file with --to");
            }
            let writer = BufWriter::new(Box::new(io::stdout()) as Box<dyn Write>);
            return Ok(Self { writer, file: None, path: None });
        }
        let mut name = path.file_name().context("--to names no file")?.to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file =
            options.open(&partial).with_context(|| format!("{} cannot be written", partial.display()))?;
        let writer = BufWriter::with_capacity(1 << 20, Box::new(file.try_clone()?) as Box<dyn Write>);
        Ok(Self { writer, file: Some(file), path: Some((path.to_owned(), partial)) })
    }

    fn complete(&mut self) -> anyhow::Result<()> {
        self.writer.flush().context("the backup could not be written")?;
        let (Some(file), Some((path, partial))) = (&self.file, &self.path) else { return Ok(()) };
        file.sync_all()
            .and_then(|()| fs::rename(partial, path))
            .with_context(|| format!("{} could not be written", path.display()))
    }

    fn discard(&self) {
        if let Some((_, partial)) = &self.path {
            let _ = fs::remove_file(partial);
        }
    }
}

/// Reads, and passes on what it read.
struct Tee<'a, R> {
    input: R,
    output: &'a mut Output,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(bytes)?;
        self.output.writer.write_all(&bytes[..count])?;
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
