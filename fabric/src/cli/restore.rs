//! `perper-fabric restore`: a data folder made of a backup.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use perper_store::{BackupHeader, BackupReader, BackupSummary, ClusterId, WriteBatch, restore};

use crate::config::RestoreRequest;
use crate::engine::new_life;

/// Makes a data folder of a backup, and says what was done.
pub(super) fn put_back(request: &RestoreRequest) -> anyhow::Result<String> {
    let mut backup = open(&request.from)?;
    let header = backup.header().clone();
    let (cluster_id, last) = if request.keep_identity {
        (header.cluster_id, WriteBatch::new())
    } else {
        (new_cluster_id()?, new_life())
    };
    let summary =
        restore(&mut backup, &request.data, request.store, cluster_id, &last).with_context(|| {
            format!("{} was not restored to {}", request.from.display(), request.data.display())
        })?;
    let life = if request.keep_identity {
        format!("it goes on as cluster {cluster_id}, with the sessions of its clients")
    } else {
        format!("it begins anew as cluster {cluster_id}; former sessions are over")
    };
    Ok(format!(
        "restored to {}, with the store {}: {}\n{life}\n",
        request.data.display(),
        request.store,
        describe(&header, summary)
    ))
}

/// Reads a backup whole, and says what it holds.
pub(super) fn check(from: &Path) -> anyhow::Result<String> {
    let mut backup = open(from)?;
    let header = backup.header().clone();
    let summary = backup.check().with_context(|| from.display().to_string())?;
    Ok(format!("{}\n", describe(&header, summary)))
}

/// What a backup holds, in a line.
pub(super) fn describe(header: &BackupHeader, summary: BackupSummary) -> String {
    format!(
        "a backup of cluster {}, begun {} by a server {} on {}: {} bytes, {} records of {} operations",
        header.cluster_id,
        date(header.taken),
        header.server,
        header.store,
        summary.bytes,
        summary.records,
        summary.operations
    )
}

/// A time in seconds since the Unix epoch, for people.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin with March, so that the day of a leap year is the last; eras of 400 years repeat.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    format!(
        "{:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        era * 400 + year,
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

fn open(from: &Path) -> anyhow::Result<BackupReader<Box<dyn Read>>> {
    let input: Box<dyn Read> = if from == Path::new("-") {
        Box::new(BufReader::with_capacity(1 << 20, io::stdin()))
    } else {
        let file = File::open(from).with_context(|| format!("{} cannot be read", from.display()))?;
        Box::new(BufReader::with_capacity(1 << 20, file))
    };
    BackupReader::open(input).with_context(|| from.display().to_string())
}

fn new_cluster_id() -> anyhow::Result<ClusterId> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).context("the system gives no random bytes")?;
    Ok(ClusterId(u128::from_be_bytes(id)))
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_078_099_199, "2004-02-29 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (1_798_761_599, "2026-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
