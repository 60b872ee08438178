//! The file: a header, records, an end.
//!
//! ```text
//! magic      8 bytes
//! version    4 bytes
//! length     4 bytes, of the text
//! text       lines of `name = value`: which server wrote it, and whose data it is
//! checksum   8 bytes, over all of the above
//! records    as in a journal: length, checksum, operations; the checksum is seeded with that of the header and the
//!            number of the record, so that none can be missing, doubled or of another backup
//! end        a record of length 0
//! ```
//!
//! Numbers are little-endian. To apply the records in order, to an empty store, is to restore.

use std::io::{ErrorKind as IoErrorKind, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::journal::{HEADER_BYTES, Record, record_header};
use crate::{ClusterId, Error, ErrorKind, Result, StoreKind};

/// The version of backups that are written.
pub const BACKUP_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"perperBK";

/// The text is a few lines; more is no text.
const MAX_TEXT_BYTES: u32 = 64 << 10;

/// No group of commits is nearly as large; more is no length.
const MAX_RECORD_BYTES: u64 = 4 << 30;

/// What the checksum of the end is over.
const END: &[u8] = b"end of the backup";

/// Whose data a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupHeader {
    /// The version of the server that wrote it.
    pub server: String,
    /// The store that it was read from.
    pub store: StoreKind,
    /// The identity of the cluster.
    pub cluster_id: ClusterId,
    /// How many times the data had been opened.
    pub boot_epoch: u64,
    /// When it was begun, in seconds since the Unix epoch.
    pub taken: u64,
}

impl BackupHeader {
    /// Of a backup that begins now.
    pub(super) fn now(store: StoreKind, cluster_id: ClusterId, boot_epoch: u64) -> Self {
        let taken = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { server: env!("CARGO_PKG_VERSION").to_owned(), store, cluster_id, boot_epoch, taken }
    }

    /// The bytes of the header, and the checksum at their end.
    pub(super) fn encode(&self) -> (Vec<u8>, u64) {
        let text = format!(
            "server = {}\nstore = {}\ncluster_id = {}\nboot_epoch = {}\ntaken = {}\n",
            self.server, self.store, self.cluster_id, self.boot_epoch, self.taken
        );
        encode(BACKUP_VERSION, &text)
    }

    fn read(text: &str) -> Result<Self> {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(" = "));
            let value = lines.find(|(key, _)| *key == name).map(|(_, value)| value);
            value.ok_or_else(|| damaged(&format!("its header does not tell {name}")))
        };
        let number = |name| {
            value(name)?.parse().map_err(|_| damaged(&format!("its header tells no number as {name}")))
        };
        let id = u128::from_str_radix(value("cluster_id")?, 16);
        Ok(Self {
            server: value("server")?.to_owned(),
            store: value("store")?.parse()?,
            cluster_id: ClusterId(id.map_err(|_| damaged("its header tells no cluster_id"))?),
            boot_epoch: number("boot_epoch")?,
            taken: number("taken")?,
        })
    }
}

fn encode(version: u32, text: &str) -> (Vec<u8>, u64) {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    (bytes, checksum)
}

/// Gives records their place in a backup.
#[derive(Debug)]
pub(super) struct Numbering {
    /// The checksum of the header.
    seed: u64,
    /// Records so far.
    count: u64,
}

impl Numbering {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// What the checksum of the next record is seeded with.
    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.seed.wrapping_add(self.count)
    }

    /// The end.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let mut end = vec![0; 8];
        end.extend_from_slice(&self.end_checksum().to_le_bytes());
        end
    }

    fn end_checksum(&mut self) -> u64 {
        xxh3_64_with_seed(END, self.next())
    }
}

/// What was read of a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupSummary {
    /// Bytes of the file.
    pub bytes: u64,
    /// Records in it.
    pub records: u64,
    /// Operations in those: entries, and changes made to them while it was taken.
    pub operations: u64,
}

/// Reads a backup, and checks all of it on the way.
#[derive(Debug)]
pub struct BackupReader<R> {
    input: R,
    header: BackupHeader,
    numbering: Numbering,
    summary: BackupSummary,
}

impl<R: Read> BackupReader<R> {
    /// Reads the header.
    pub fn open(mut input: R) -> Result<Self> {
        let mut bytes = vec![0; MAGIC.len()];
        let foreign = || Error::new(ErrorKind::Incompatible, "this is no backup of a Fabric");
        read_whole(&mut input, &mut bytes, "in its header").map_err(|error| match error.kind() {
            ErrorKind::Corrupt => foreign(),
            _ => error,
        })?;
        if bytes != MAGIC {
            return Err(foreign());
        }
        let mut numbers = [0; 8];
        read_whole(&mut input, &mut numbers, "in its header")?;
        bytes.extend_from_slice(&numbers);
        let numbers = u64::from_le_bytes(numbers);
        let (version, length) = (numbers as u32, (numbers >> 32) as u32);
        if version > BACKUP_VERSION {
            let message = format!(
                "the backup has version {version}, this program knows versions up to {BACKUP_VERSION}: use that of a \
                 newer server"
            );
            return Err(Error::new(ErrorKind::Incompatible, message));
        }
        if version == 0 || length > MAX_TEXT_BYTES {
            return Err(damaged("its header cannot be read"));
        }
        let mut text = vec![0; length as usize];
        read_whole(&mut input, &mut text, "in its header")?;
        bytes.extend_from_slice(&text);
        let mut checksum = [0; 8];
        read_whole(&mut input, &mut checksum, "in its header")?;
        let seed = xxh3_64(&bytes);
        if u64::from_le_bytes(checksum) != seed {
            return Err(damaged("its header is not what was written"));
        }
        let text = std::str::from_utf8(&text).map_err(|_| damaged("its header cannot be read"))?;
        let header = BackupHeader::read(text)?;
        let summary = BackupSummary { bytes: bytes.len() as u64 + 8, ..BackupSummary::default() };
        Ok(Self { input, header, numbering: Numbering::new(seed), summary })
    }

    /// Whose data it holds.
    pub fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// What was read so far.
    pub fn summary(&self) -> BackupSummary {
        self.summary
    }

    /// Reads and checks what is left.
    pub fn check(&mut self) -> Result<BackupSummary> {
        while self.next_record()?.is_some() {}
        Ok(self.summary)
    }

    /// The next record. There is none once the end was found where it belongs.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>> {
        let place = format!("after {} records, at byte {}", self.summary.records, self.summary.bytes);
        let mut header = [0; HEADER_BYTES];
        read_whole(&mut self.input, &mut header, &place)?;
        let (length, checksum) = record_header(header);
        self.summary.bytes += HEADER_BYTES as u64;
        if length == 0 {
            if checksum != self.numbering.end_checksum() {
                return Err(damaged(&format!("the end that it has {place} is not its own")));
            }
            return self.expect_nothing().map(|()| None);
        }
        let altered = || damaged(&format!("the record {place} is not what was written"));
        if length > MAX_RECORD_BYTES {
            return Err(altered());
        }
        let mut ops = Vec::new();
        let read = (&mut self.input).take(length).read_to_end(&mut ops);
        read.map_err(|error| Error::io("reading the backup", &error))?;
        if (ops.len() as u64) < length {
            return Err(cut_short(&place));
        }
        let record = Record::check(ops, self.numbering.next(), checksum).ok_or_else(altered)?;
        self.summary.bytes += length;
        self.summary.records += 1;
        for op in record.ops() {
            op.map_err(|_| altered())?;
            self.summary.operations += 1;
        }
        Ok(Some(record))
    }

    fn expect_nothing(&mut self) -> Result<()> {
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(damaged("more follows after its end")),
            Err(error) if error.kind() == IoErrorKind::Interrupted => self.expect_nothing(),
            Err(error) => Err(Error::io("reading the backup", &error)),
        }
    }
}

fn read_whole(input: &mut impl Read, bytes: &mut [u8], place: &str) -> Result<()> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        IoErrorKind::UnexpectedEof => cut_short(place),
        _ => Error::io("reading the backup", &error),
    })
}

fn cut_short(place: &str) -> Error {
    let message = format!("the backup is not whole: it breaks off {place}; take another one");
    Error::new(ErrorKind::Corrupt, message)
}

fn damaged(how: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the backup is damaged: {how}; take another one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BackupHeader {
        BackupHeader::now(StoreKind::Sled, ClusterId(7), 3)
    }

    #[test]
    fn a_header_says_whose_data_it_is() {
        let (mut bytes, seed) = header().encode();
        bytes.extend(Numbering::new(seed).end());
        let mut reader = BackupReader::open(&bytes[..]).unwrap();
        assert_eq!(*reader.header(), header());
        assert_eq!(
            reader.check().unwrap(),
            BackupSummary { bytes: bytes.len() as u64, ..BackupSummary::default() }
        );
    }

    #[test]
    fn a_newer_version_is_refused_before_anything_else_is_read() {
        let (bytes, _) = encode(BACKUP_VERSION + 1, "nobody here knows what this says");
        let error = BackupReader::open(&bytes[..20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains("version 2, this program knows versions up to 1"), "{error}");
    }

    #[test]
    fn other_files_are_told_apart() {
        for bytes in [&b""[..], b"PK", b"something else entirely, and long enough"] {
            let error = BackupReader::open(bytes).unwrap_err();
            assert_eq!(error.to_string(), "this is no backup of a Fabric");
        }
    }
}
