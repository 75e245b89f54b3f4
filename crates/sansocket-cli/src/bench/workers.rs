//! The threads: they open their connections, start together, and what they count is added up.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use sansocket_mio::{ClientRequest, Stream};

use super::clients::{Clients, Window};
use super::counts::Counts;
use super::progress::Progress;
use super::tally::Tally;
use super::target::Target;
use super::task::Task;

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    /// How many connections could be opened.
    pub(super) opened: u32,
    /// How many of them are with compression.
    pub(super) compressed: u32,
    /// How long the opening has taken.
    pub(super) opening: Duration,
    /// How long messages were sent.
    pub(super) elapsed: Duration,
    pub(super) counts: Counts,
}

/// What one thread has to say at its end.
struct Share {
    opened: u32,
    compressed: u32,
    opening: Duration,
    /// `None`: nothing was measured.
    elapsed: Option<Duration>,
    /// Connections whose Close the server has not answered.
    unanswered: usize,
}

/// A thread's ends of what it is told and tells.
struct Line {
    /// How many connections are open, once all were tried.
    opened: Sender<usize>,
    /// Comes when all threads are that far; never, if nothing is to be measured.
    start: Receiver<()>,
    windows: Sender<Window>,
}

/// Runs all threads. `dial` begins to connect; a line about each second goes to the standard error if `shows_progress`.
pub(super) fn run<S: Stream>(
    task: &Task,
    mut target: Target,
    dial: impl Fn(&mut Target) -> io::Result<S> + Sync,
    request: &ClientRequest<'_>,
    shows_progress: bool,
) -> anyhow::Result<Outcome> {
    let dial = &dial;
    let (windows_in, windows) = mpsc::channel();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..task.threads)
            .map(|number| {
                let (opened_in, opened) = mpsc::channel();
                let (start, start_out) = mpsc::channel();
                let line = Line { opened: opened_in, start: start_out, windows: windows_in.clone() };
                let target = target.share();
                (opened, start, scope.spawn(move || work(task, number, target, dial, request, line)))
            })
            .collect();
        drop(windows_in);

        // A thread that has failed does not tell; then there is nothing to be measured.
        let open: Result<Vec<usize>, _> = workers.iter().map(|(opened, ..)| opened.recv()).collect();
        let is_measured = open.is_ok_and(|open| open.into_iter().sum::<usize>() > 0);
        let mut handles = Vec::with_capacity(workers.len());
        for (_, start, handle) in workers {
            if is_measured {
                // It waits for this.
                let _ = start.send(());
            }
            handles.push(handle);
        }

        let mut counts = Counts::new();
        let mut progress = Progress::new(task.threads);
        for window in windows {
            counts.add(&window.counts);
            if let Some(second) = progress.add(&window)
                && shows_progress
            {
                eprintln!("{second}  errors {}", task.errors().count());
            }
        }
        let shares = handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect::<Vec<_>>();
        sum(task, shares, counts)
    })
}

fn work<S: Stream>(
    task: &Task,
    number: usize,
    mut target: Target,
    dial: impl Fn(&mut Target) -> io::Result<S>,
    request: &ClientRequest<'_>,
    line: Line,
) -> anyhow::Result<Share> {
    let mut clients = Clients::new(task, number, line.windows)?;
    let opening = clients.open(&mut target, dial, request);
    if opening.is_ok() {
        // Whoever does not listen has seen another thread fail.
        let _ = line.opened.send(clients.tally().open);
    }
    drop(line.opened);
    let elapsed = match line.start.recv() {
        Ok(()) => Some(clients.measure()?),
        Err(_) => None,
    };
    // However it went, whoever is open gets a Close.
    let unanswered = clients.close()?;
    let &Tally { opened, compressed, .. } = clients.tally();
    Ok(Share { opened, compressed, opening: opening?, elapsed, unanswered })
}

fn sum(task: &Task, shares: Vec<anyhow::Result<Share>>, counts: Counts) -> anyhow::Result<Outcome> {
    let shares = shares.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    match shares.iter().map(|share| share.unanswered).sum() {
        0 => {}
        unanswered => eprintln!("sansocket: connections whose Close was not answered: {unanswered}"),
    }
    task.errors().tell_rest();
    let Some(elapsed) = shares.iter().filter_map(|share| share.elapsed).max() else {
        bail!("there is no connection to be measured");
    };
    Ok(Outcome {
        opened: shares.iter().map(|share| share.opened).sum(),
        compressed: shares.iter().map(|share| share.compressed).sum(),
        opening: shares.iter().map(|share| share.opening).max().unwrap_or_default(),
        elapsed,
        counts,
    })
}
