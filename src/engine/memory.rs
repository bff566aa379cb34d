//! Memory of this process, as the operating system counts it.

use serde::Serialize;

/// Memory in bytes. Linux only, where the kernel keeps file pages and anonymous ones apart; 0 elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MemoryUse {
    /// Most that was ever resident.
    pub peak_rss_bytes: u64,
    /// Resident pages of mapped files: the model as it lies on disk, shared with other processes.
    pub file_bytes: u64,
    /// Resident pages that are this process's own: KV, compute buffers, repacked weights.
    pub anonymous_bytes: u64,
}

/// Reads the counters now.
#[must_use]
pub fn memory_use() -> MemoryUse {
    fs_err::read_to_string("/proc/self/status")
        .map(|status| parse(&status))
        .unwrap_or_default()
}

/// Bytes that may be had without pushing others out; `None` where the system does not tell.
#[must_use]
pub fn available_memory() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn parse(status: &str) -> MemoryUse {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            .map_or(0, |kib| kib.saturating_mul(1024))
    };
    MemoryUse {
        peak_rss_bytes: field("VmHWM"),
        file_bytes: field("RssFile"),
        anonymous_bytes: field("RssAnon"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernel_s_format() {
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nRssAnon:\t 8 kB\nRssFile:\t16 kB\n";
        let expected = MemoryUse {
            peak_rss_bytes: 2048 << 10,
            file_bytes: 16 << 10,
            anonymous_bytes: 8 << 10,
        };
        assert_eq!(parse(status), expected);
        assert_eq!(parse("nonsense"), MemoryUse::default());
    }
}
