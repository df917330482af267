//! What a process takes of the machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// What the system says of a process.
#[derive(Clone)]
pub struct Vitals {
    folder: PathBuf,
}

impl Vitals {
    pub fn of(process: u32) -> Vitals {
        Vitals { folder: PathBuf::from(format!("/proc/{process}")) }
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(self.folder.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// KiB in memory files, mapped or not.
    pub fn memory_files(&self) -> u64 {
        let Ok(entries) = fs::read_dir(self.folder.join("fd")) else { return 0 };
        let is_memory = |path: &PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("memfd:"));
        let paths = entries.flatten().map(|entry| entry.path()).filter(is_memory);
        paths.filter_map(|path| fs::metadata(path).ok()).map(|file| file.blocks() / 2).sum()
    }

    pub fn threads(&self) -> usize {
        fs::read_dir(self.folder.join("task")).unwrap().count()
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.folder.join("fd")).unwrap().count()
    }

    /// Bytes that the system holds for this port's connections (IPv4) until the other ends take them.
    pub fn unsent(port: u16) -> u64 {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let queue = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, queues, ..] = fields[..] else { return None };
            // A listener has its backlog in that place.
            let is_ours = local.ends_with(&format!(":{port:04X}")) && state != "0A";
            is_ours.then(|| u64::from_str_radix(queues.split(':').next().unwrap(), 16).unwrap())
        };
        table.lines().skip(1).filter_map(queue).sum()
    }

    /// Processor time so far, of all threads.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.folder.join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}
