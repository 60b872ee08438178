//! What a process takes of the machine, from `/proc`.

use std::{fs, time::Duration};

use anyhow::Context as _;

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
