//! A thousand of a browser's objects on one thread, against `sansocket serve` as its users run it.
//!
//! One test in a binary of its own: it counts the threads of its process.

#![cfg(unix)]

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sansocket_whatwg::{CloseEvent, EventLoop, ReadyState, WebSocket};

/// Each takes a file descriptor here and one in the server.
const OBJECTS: usize = 1000;
const MESSAGES: usize = 100;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// `sansocket serve` on a free port; killed if the test ends early. Its log is long, and goes to a file.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(log: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sansocket"))
            .args(["serve", "--bind", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect(&line).to_owned();
        Self { child, url }
    }

    /// Sends Ctrl-C's signal and waits.
    fn interrupt(mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many threads this process has, where that can be found out.
fn threads() -> Option<usize> {
    cfg!(target_os = "linux").then(|| std::fs::read_dir("/proc/self/task").unwrap().count())
}

/// What the listeners see, all of them on the loop's thread.
#[derive(Default)]
struct Seen {
    open: usize,
    messages: usize,
    closed: Vec<CloseEvent>,
    errors: usize,
    /// Which thread has called the listeners.
    callers: Vec<thread::ThreadId>,
    most_threads: Option<usize>,
}

impl Seen {
    fn count_threads(&mut self) {
        self.most_threads = self.most_threads.max(threads());
        let me = thread::current().id();
        if !self.callers.contains(&me) {
            self.callers.push(me);
        }
    }
}

/// What one object sends, so that no two messages are the same.
fn text(object: usize, message: usize) -> String {
    format!("{object}: {message} {}", "x".repeat(message))
}

fn listen(socket: &WebSocket, object: usize, seen: &Arc<Mutex<Seen>>, sockets: &Arc<Mutex<HashMap<usize, WebSocket>>>) {
    let (on_open, all) = (Arc::clone(seen), Arc::clone(sockets));
    socket.set_onopen(move |_, _| {
        let is_last = {
            let mut seen = on_open.lock().unwrap();
            seen.open += 1;
            seen.open == OBJECTS
        };
        if is_last {
            // Nobody has said a word, and all of them are open at the same time.
            on_open.lock().unwrap().count_threads();
            let all = std::mem::take(&mut *all.lock().unwrap());
            assert_eq!(all.len(), OBJECTS);
            assert!(all.values().all(|socket| socket.ready_state() == ReadyState::Open));
            all.iter().for_each(|(object, socket)| socket.send(text(*object, 0)).unwrap());
        }
    });
    let on_message = Arc::clone(seen);
    let mut received = 0;
    socket.set_onmessage(move |socket, event| {
        assert_eq!(event.data().as_text(), Some(&text(object, received)[..]));
        received += 1;
        {
            let mut seen = on_message.lock().unwrap();
            seen.messages += 1;
            if seen.messages.is_multiple_of(1000) {
                seen.count_threads();
            }
        }
        match received {
            MESSAGES => socket.close_with(1000, "that is all").unwrap(),
            _ => socket.send(text(object, received)).unwrap(),
        }
    });
    let on_error = Arc::clone(seen);
    socket.set_onerror(move |socket, _| {
        eprintln!("object {object}: {:?}", socket.failure());
        on_error.lock().unwrap().errors += 1;
    });
    let on_close = Arc::clone(seen);
    socket.set_onclose(move |_, event| on_close.lock().unwrap().closed.push(event.clone()));
}

#[test]
fn a_thousand_objects_are_open_at_once_on_one_thread_and_take_one_more() {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("objects.log");
    let server = Server::start(&log);
    // An event that got lost would leave the loop waiting.
    let (finished, is_finished) = mpsc::channel::<()>();
    let server_id = server.child.id().to_string();
    let watchdog = thread::spawn(move || {
        if is_finished.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("the objects are not over after {PATIENCE:?}");
            let _ = Command::new("kill").arg(server_id).status();
            std::process::abort();
        }
    });
    let before = threads();
    let by_name = server.url.replace("127.0.0.1", "localhost");
    assert_ne!(by_name, server.url);

    let seen = Arc::new(Mutex::new(Seen::default()));
    let sockets = Arc::new(Mutex::new(HashMap::new()));
    let events = EventLoop::new();
    for object in 0..OBJECTS {
        let socket = WebSocket::new(if object % 2 == 0 { &server.url } else { &by_name }).unwrap();
        listen(&socket, object, &seen, &sockets);
        events.add(&socket);
        sockets.lock().unwrap().insert(object, socket);
    }
    let started = Instant::now();
    events.run();
    assert!(events.is_empty());
    eprintln!("{OBJECTS} objects, {MESSAGES} messages each: {:?}", started.elapsed());

    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!((seen.open, seen.messages, seen.errors), (OBJECTS, OBJECTS * MESSAGES, 0));
    assert_eq!(seen.closed.len(), OBJECTS);
    let unclean: Vec<_> = seen.closed.iter().filter(|close| !close.was_clean() || close.code() != 1000).collect();
    assert!(unclean.is_empty(), "{unclean:?}");
    assert_eq!(seen.callers, [thread::current().id()]);
    // The network's, and at times one that looks up a name.
    let most = before.map(|before| before + 2);
    assert!(seen.most_threads <= most, "{:?} threads, and at most {most:?} were to be", seen.most_threads);

    // They end by themselves, when nobody needs them any more. The end of a thread is no event.
    let deadline = Instant::now() + PATIENCE;
    while threads() > before {
        assert!(Instant::now() < deadline, "{:?} threads are left, and there were {before:?}", threads());
        thread::yield_now();
    }

    drop(finished);
    watchdog.join().unwrap();
    let status = server.interrupt();
    let log = std::fs::read_to_string(&log).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    let counts = (count(" open 127.0.0.1:"), count(" closed by the client: 1000 \"that is all\""), log.lines().count());
    assert_eq!(counts, (OBJECTS, OBJECTS, OBJECTS * 2), "{log}");
}
