//! `perper-fabric backup`: a copy of what a server keeps, made while it serves.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytes::{Buf, Bytes};
use perper_proto::v1;
use perper_store::{Backup, BackupReader, DataFolder, Durability};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Streaming};
use v1::administration_client::AdministrationClient;

use super::output::Output;
use super::restore::describe;
use crate::config::{BackupRequest, BackupSource, ServerAccess};
use crate::security::Tokens;

/// How long it may take to connect, and how long a server may be silent before it is asked whether it is still there.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server that is still there may send nothing: twice as long as it waits for us.
const SILENCE: Duration = Duration::from_secs(120);

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
            let backup = store.backup(folder.cluster_id(), folder.boot_epoch(), 0)?;
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
    silence: Duration,
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
            let mut client = AdministrationClient::new(channel);
            let answer = timeout(SILENCE, client.backup(request)).await.map_err(|_| silent(SILENCE))?;
            anyhow::Ok(answer.map_err(refused)?.into_inner())
        })?;
        Ok(Self { runtime, messages, bytes: Bytes::new(), silence: SILENCE })
    }
}

impl Read for Incoming {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.bytes.is_empty() {
            let (messages, silence) = (&mut self.messages, self.silence);
            match self.runtime.block_on(async { timeout(silence, messages.message()).await }) {
                Ok(Ok(Some(message))) => self.bytes = message.data,
                Ok(Ok(None)) => return Ok(0),
                Ok(Err(status)) => return Err(io::Error::other(refused(status))),
                Err(_) => return Err(io::Error::other(silent(silence))),
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

fn silent(silence: Duration) -> anyhow::Error {
    anyhow::anyhow!("the server has sent nothing for {silence:?}; look after its disk, and try again")
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::{Response, Status};
    use v1::administration_server::{Administration, AdministrationServer};

    use super::*;

    /// Begins a backup, and sends nothing of it.
    struct Stuck;

    #[tonic::async_trait]
    impl Administration for Stuck {
        type BackupStream = tokio_stream::Pending<Result<v1::BackupResponse, Status>>;

        async fn backup(
            &self,
            _: Request<v1::BackupRequest>,
        ) -> Result<Response<Self::BackupStream>, Status> {
            Ok(Response::new(tokio_stream::pending()))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_sends_nothing_is_not_waited_for_without_end() {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(AdministrationServer::new(Stuck))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        let access = ServerAccess { endpoint, ca_file: None, identity: None, token: None, token_file: None };
        let heard = tokio::task::spawn_blocking(move || {
            let mut incoming = Incoming::ask(&access).expect("it begins");
            incoming.silence = Duration::from_secs(1);
            incoming.read(&mut [0; 8])
        });
        let error = heard.await.unwrap().expect_err("it sends nothing").to_string();
        assert!(error.contains("the server has sent nothing for 1s"), "{error}");
    }
}
