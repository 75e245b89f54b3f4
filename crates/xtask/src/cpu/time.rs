//! The processor time that a process has had.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result};

/// What the system has given each of a process's threads so far, in nanoseconds.
pub(super) struct Times(HashMap<OsString, u64>);

impl Times {
    pub(super) fn of(process: u32) -> Result<Self> {
        let folder = format!("/proc/{process}/task");
        let mut times = HashMap::new();
        for thread in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
            let thread = thread?;
            let path = thread.path().join("schedstat");
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                // It has ended since it was listed.
                Err(_) if !thread.path().exists() => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            };
            let time = text.split(' ').next().and_then(|time| time.parse().ok());
            let time = time.with_context(|| format!("{} begins with no time", path.display()))?;
            times.insert(thread.file_name(), time);
        }
        Ok(Self(times))
    }

    /// What all threads have had since. A thread that has ended meanwhile has taken its time along, and that is an error.
    pub(super) fn since(&self, before: &Self) -> Result<u64> {
        let ended = before.0.keys().find(|thread| !self.0.contains_key(*thread));
        anyhow::ensure!(ended.is_none(), "a thread of the server has ended while it was measured");
        Ok(self.0.iter().map(|(thread, time)| time - before.0.get(thread).unwrap_or(&0)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(threads: &[(&str, u64)]) -> Times {
        Times(threads.iter().map(|&(thread, time)| (thread.into(), time)).collect())
    }

    #[test]
    fn old_threads_count_from_then_on_and_new_ones_from_their_start() {
        let before = times(&[("1", 100), ("2", 50)]);
        assert_eq!(times(&[("1", 130), ("2", 50), ("3", 7)]).since(&before).unwrap(), 37);
    }

    #[test]
    fn a_thread_that_has_ended_is_an_error() {
        let before = times(&[("1", 100), ("2", 50)]);
        let error = times(&[("1", 130)]).since(&before).unwrap_err();
        assert!(error.to_string().contains("ended"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_works_has_had_time_whichever_of_its_threads_end_meanwhile() {
        use std::thread;

        thread::scope(|scope| {
            let others = scope.spawn(|| (0..2_000).for_each(|_| thread::spawn(|| ()).join().unwrap()));
            while !others.is_finished() {
                let times = Times::of(std::process::id()).unwrap();
                assert!(times.0.values().any(|&time| time > 0));
            }
        });
    }
}
