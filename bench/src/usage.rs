//! What a process takes of the machine, from `/proc`.

use std::{fs, time::Duration};

use anyhow::Context as _;

use crate::report::Cost;

/// Bytes of memory that a process has resident now.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path)
        .with_context(|| format!("{path} cannot be read; memory is measured on Linux only"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .with_context(|| format!("{path} has no VmRSS"))?;
    Ok(kib * 1024)
}

/// Time on a processor that the threads of a process have had so far.
///
/// From `schedstat`, which counts nanoseconds: `utime` and `stime` count in steps of 10 ms, and an idle server stays
/// below one step for minutes. A thread that ends takes its time out of the sum.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let folder = format!("/proc/{pid}/task");
    let mut nanoseconds = 0;
    let tasks = fs::read_dir(&folder)
        .with_context(|| format!("{folder} cannot be read; processor time is measured on Linux only"))?;
    for task in tasks {
        let path = task?.path().join("schedstat");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let first = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        nanoseconds += first.with_context(|| format!("{} has no time in it", path.display()))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Processes whose processor time is taken at the begin and at the end of a window.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    processes: Vec<(String, u32)>,
}

impl Meter {
    /// Of these processes, each with what it is.
    pub fn new<'a>(processes: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        Meter { processes: processes.into_iter().map(|(name, pid)| (name.to_owned(), pid)).collect() }
    }

    /// Reads the clocks of the processes.
    pub fn read(&self) -> anyhow::Result<Vec<Duration>> {
        self.processes.iter().map(|(_, pid)| cpu_time(*pid)).collect()
    }

    /// What each process took for one of `count` operations between two readings.
    pub fn costs(&self, before: &[Duration], after: &[Duration], count: u64) -> Vec<Cost> {
        let times = before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before));
        let microseconds = times.map(|time| time.as_secs_f64() * 1e6 / count.max(1) as f64);
        let names = self.processes.iter().map(|(name, _)| name.clone());
        names.zip(microseconds).map(|(process, microseconds)| Cost { process, microseconds }).collect()
    }
}

/// The machine, in a line: processors, their model, memory, load.
pub fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let find = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let model = find("/proc/cpuinfo", "model name");
    let memory = find("/proc/meminfo", "MemTotal");
    let memory = memory.strip_suffix(" kB").and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{processors} × {model}, {:.1} GiB, load {load} at the start", memory / 1024.0 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100 << 10);
        let mut sum = 0_u64;
        let before = cpu_time(pid).unwrap();
        while cpu_time(pid).unwrap() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }
}
