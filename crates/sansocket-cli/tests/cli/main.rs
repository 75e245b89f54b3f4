//! The command as its users run it.

mod bench;
mod bench_rate;
mod connect;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;

use sansocket_std::{AcceptOptions, CloseCode, Message, OriginPolicy, Reject, connect};

fn sansocket() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sansocket"))
}

/// `sansocket serve` on a free port; killed if a test ends early.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = sansocket()
            .args(["serve", "--bind", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").expect(&line).to_owned();
        let scheme = if arguments.contains(&"--tls-cert") { "wss" } else { "ws" };
        assert!(url.starts_with(&format!("{scheme}://127.0.0.1:")), "{url}");
        Self { child, url }
    }

    /// Sends Ctrl-C's signal and waits; the exit status and the log.
    #[cfg(unix)]
    fn interrupt(mut self) -> (ExitStatus, String) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `sansocket connect` with an input.
fn connect_with(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = sansocket()
        .arg("connect")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may be gone before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// A server of one connection, in this process: what `serve` does with it, and its URL.
fn one_shot(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    (url, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn lines_in_a_pipe_come_back_and_the_exit_code_is_0() {
    let server = Server::start(&[]);
    let output = connect_with(&[&server.url], "hello\r\nwörld\n\nlast".as_bytes());
    assert_eq!(text(&output.stdout), "hello\nwörld\n\nlast\n");
    assert_eq!(text(&output.stderr), "closed: 1000\n");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn ctrl_c_closes_every_client_with_1001_and_the_log_says_who_came_and_went() {
    for arguments in
        [&[][..], &["--backend", "std"], &["--backend", "tokio"], &["--backend", "tokio", "--threads", "2"]]
    {
        ctrl_c_closes_every_client(arguments);
    }
}

#[cfg(unix)]
fn ctrl_c_closes_every_client(arguments: &[&str]) {
    let server = Server::start(arguments);
    let mut first = connect(&server.url).unwrap();
    first.send("x").unwrap();
    assert_eq!(first.read().unwrap(), Some(Message::Text("x")));
    first.close(CloseCode::new(3000).unwrap(), "enough").unwrap();
    let mut clients = [connect(&server.url).unwrap(), connect(&server.url).unwrap()];
    for client in &mut clients {
        client.send("y").unwrap();
        assert_eq!(client.read().unwrap(), Some(Message::Text("y")), "the connection is registered");
    }
    let ended = thread::spawn(move || server.interrupt());
    for client in &mut clients {
        assert_eq!(client.read().unwrap(), None);
        assert_eq!(client.peer_close().unwrap().code(), Some(CloseCode::GOING_AWAY));
    }
    let (status, log) = ended.join().unwrap();
    assert_eq!(status.code(), Some(0), "{arguments:?}: {log}");
    assert!(log.contains("#1 open 127.0.0.1:"), "{arguments:?}: {log}");
    assert!(log.contains("#1 closed by the client: 3000 \"enough\"\n"), "{arguments:?}: {log}");
    assert!(log.contains("#2 closed by us\n") && log.contains("#3 closed by us\n"), "{arguments:?}: {log}");
}

#[cfg(unix)]
#[test]
fn several_threads_share_out_the_connections_and_end_together() {
    let server = Server::start(&["--threads", "2", "--trace"]);
    // That the system gives all of them to one thread is as likely as that a coin falls on the same side so often.
    let mut clients: Vec<_> = (0..64).map(|_| connect(&server.url).unwrap()).collect();
    for client in &mut clients {
        client.send("x").unwrap();
        assert_eq!(client.read().unwrap(), Some(Message::Text("x")));
    }
    let ended = thread::spawn(move || server.interrupt());
    for client in &mut clients {
        assert_eq!(client.read().unwrap(), None);
        assert_eq!(client.peer_close().unwrap().code(), Some(CloseCode::GOING_AWAY));
    }
    let (status, log) = ended.join().unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    let opened = |name: &str| log.lines().filter(|line| line.starts_with(name) && line.contains(" open ")).count();
    assert!(opened("1#") > 0 && opened("2#") > 0, "{log}");
    assert_eq!(opened("1#") + opened("2#"), 64, "{log}");
    // The trace calls them the same.
    assert!(log.lines().any(|line| line.starts_with("2#1 ") && line.contains(" text ")), "{log}");
}

#[test]
fn options_that_make_no_sense_are_told() {
    for (arguments, told) in [
        (&["--threads", "0"][..], "from 1 to 1024"),
        (&["--threads", "1025"], "from 1 to 1024"),
        (&["--threads", "x"], "from 1 to 1024"),
        (&["--threads", "2", "--backend", "std"], "--threads is for the backends mio and tokio"),
        (&["--trace", "--backend", "tokio"], "--trace is for the backends mio and std"),
    ] {
        let output = sansocket().arg("serve").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(told), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_trace_shows_every_frame_in_one_line() {
    let server = Server::start(&[]);
    let output = connect_with(&[&server.url, "--trace"], b"hello\n");
    assert_eq!(text(&output.stdout), "hello\n");
    let mut lines: Vec<_> = text(&output.stderr).lines().collect();
    // The two directions are printed by two threads.
    lines.sort_unstable();
    let expected = [
        "< close 2 1000 \"\"",
        "< text 5 \"hello\"",
        "> close masked 2 1000 \"\"",
        "> text masked 5 \"hello\"",
        "closed: 1000",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn with_deflate_both_compress_what_is_worth_it_if_both_are_told_to() {
    let line = "so it goes; ".repeat(1000) + "\n";
    let input = line.clone() + "short\n" + &line;
    // What the client sends and gets, as its trace tells.
    let compressed = |serve: &[&str], connect: &[&str]| {
        let server = Server::start(serve);
        let output = connect_with(&[&[&server.url, "--trace"], connect].concat(), input.as_bytes());
        assert_eq!(text(&output.stdout), input);
        assert_eq!(output.status.code(), Some(0));
        let trace = text(&output.stderr).to_owned();
        ['>', '<'].map(|arrow| {
            let frames = trace.lines().filter(|line| line.starts_with(arrow));
            frames.filter(|line| line.contains(" text compressed")).count()
        })
    };
    for backend in ["mio", "std", "tokio"] {
        assert_eq!(compressed(&["--backend", backend, "--deflate"], &["--deflate"]), [2, 2], "{backend}");
        let takeover = ["--backend", backend, "--deflate", "--takeover"];
        assert_eq!(compressed(&takeover, &["--deflate", "--takeover", "--deflate-level", "9"]), [2, 2], "{backend}");
        let never = ["--backend", backend, "--deflate", "--deflate-threshold", "1000000"];
        assert_eq!(compressed(&never, &["--deflate"]), [2, 0], "{backend}");
        assert_eq!(compressed(&["--backend", backend], &["--deflate"]), [0, 0], "{backend} was not told to");
        assert_eq!(compressed(&["--backend", backend, "--deflate"], &[]), [0, 0], "the client was not told to");
    }
}

#[test]
fn options_of_deflate_without_it_or_out_of_range_are_told() {
    for (arguments, told) in [
        (&["serve", "--takeover"][..], "--deflate"),
        (&["connect", "--deflate-level", "3", "ws://127.0.0.1:1/"], "--deflate"),
        (&["serve", "--deflate", "--deflate-level", "10"], "0..=9"),
        (&["bench", "--deflate-threshold", "1", "ws://127.0.0.1:1/"], "--deflate"),
    ] {
        let output = sansocket().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(told), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn origins_are_let_in_as_told() {
    let server = Server::start(&["--origin", "https://a.example", "--origin", "https://b.example"]);
    for (origin, code) in [("https://a.example", 0), ("https://b.example", 0), ("https://c.example", 1)] {
        let output = connect_with(&[&server.url, "--origin", origin], b"");
        assert_eq!(output.status.code(), Some(code), "{origin}: {}", text(&output.stderr));
    }
    let output = connect_with(&[&server.url, "--origin", "null"], b"");
    assert_eq!(text(&output.stderr), "sansocket: the server refused: 403 Forbidden: the origin is not allowed\n");
}

#[test]
fn headers_and_subprotocols_are_sent_and_binary_messages_are_printed_in_hex() {
    let (url, server) = one_shot(|stream| {
        let options = AcceptOptions::new().origins(OriginPolicy::Any).protocols(&["b"]);
        let mut ws = {
            let pending = options.receive(stream).unwrap();
            assert_eq!(pending.request().header("x-token"), Some(&b"a:b"[..]));
            assert_eq!(pending.request().protocols().collect::<Vec<_>>(), ["a", "b"]);
            pending.accept(&sansocket_std::Accept::new().protocol("b")).unwrap()
        };
        ws.send(&[0x00, 0x0f, 0xff]).unwrap();
        ws.close(CloseCode::NORMAL, "").unwrap();
    });
    let output = connect_with(&[&url, "--header", "X-Token: a:b", "--protocol", "a", "--protocol", "b"], b"");
    assert_eq!((text(&output.stdout), output.status.code()), ("000fff\n", Some(0)), "{}", text(&output.stderr));
    server.join().unwrap();
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    // The connection cannot be opened.
    let (url, server) = one_shot(|stream| {
        let pending = AcceptOptions::new().receive(stream).unwrap();
        pending.reject(&Reject::new(404).body(b"not here")).unwrap();
    });
    let output = connect_with(&[&url], b"");
    assert_eq!(text(&output.stderr), "sansocket: the server refused: 404 Not Found: not here\n");
    assert_eq!(output.status.code(), Some(1));
    server.join().unwrap();

    // Wrong arguments, and input that is not text.
    assert_eq!(connect_with(&[], b"").status.code(), Some(2));
    assert_eq!(connect_with(&["ws://x", "--header", "no colon"], b"").status.code(), Some(2));
    let server = Server::start(&[]);
    let output = connect_with(&[&server.url], b"good\n\xff\n");
    assert_eq!((text(&output.stdout), output.status.code()), ("good\n", Some(2)));
    assert!(text(&output.stderr).contains("line 2 of the input is not UTF-8"), "{}", text(&output.stderr));

    // The server violates the protocol.
    let (url, server) = one_shot(|stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        ws.stream_mut().write_all(&[0x81, 0x80, 0, 0, 0, 0]).unwrap();
        let _ = ws.read();
    });
    let output = connect_with(&[&url], b"");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    server.join().unwrap();

    // The connection is lost.
    let (url, server) = one_shot(|stream| drop(AcceptOptions::new().accept(stream).unwrap()));
    let output = connect_with(&[&url], b"");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    server.join().unwrap();

    // The server closes because of an error.
    let (url, server) = one_shot(|stream| {
        let mut ws = AcceptOptions::new().accept(stream).unwrap();
        ws.close(CloseCode::INTERNAL_ERROR, "broken").unwrap();
    });
    let output = connect_with(&[&url], b"");
    assert_eq!((text(&output.stderr), output.status.code()), ("closed: 1011 \"broken\"\n", Some(5)));
    server.join().unwrap();
}

#[test]
fn an_address_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for threads in ["1", "2"] {
        let output = sansocket().args(["serve", "--bind", &address, "--threads", threads]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        assert!(told.starts_with(&format!("sansocket: cannot listen on {address}: ")), "{told}");
    }
}

#[test]
fn tls_is_served_and_connected_to_by_those_who_trust_the_certificate() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tls");
    fs::create_dir_all(&folder).unwrap();
    let [cert, key, rubbish] = ["cert.pem", "key.pem", "rubbish.pem"].map(|name| folder.join(name));
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(&cert, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    fs::write(&rubbish, "rubbish").unwrap();
    let [cert, key, rubbish] = [&cert, &key, &rubbish].map(|path| path.to_str().unwrap());

    let server = Server::start(&["--tls-cert", cert, "--tls-key", key]);
    let output = connect_with(&[&server.url, "--ca", cert], b"trusted\n");
    assert_eq!((text(&output.stdout), output.status.code()), ("trusted\n", Some(0)), "{}", text(&output.stderr));
    let output = connect_with(&[&server.url], b"unknown\n");
    assert_eq!((text(&output.stdout), output.status.code()), ("", Some(1)));
    assert!(text(&output.stderr).contains("self-signed or of an unknown issuer"), "{}", text(&output.stderr));
    let output = connect_with(&[&server.url, "--insecure"], b"anyhow\n");
    assert_eq!((text(&output.stdout), output.status.code()), ("anyhow\n", Some(0)));
    assert!(text(&output.stderr).contains("warning: --insecure trusts every server"), "{}", text(&output.stderr));
    let output = bench::run(&[&server.url, "--ca", cert, "--connections", "3", "--duration", "0.1"]);
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    let rate = ["--rate", "100", "--threads", "2"];
    let output =
        bench::run(&[&[&server.url, "--insecure", "--connections", "3", "--duration", "0.1"], &rate[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = bench::run(&[&server.url, "--connections", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("self-signed or of an unknown issuer"), "{}", text(&output.stderr));
    let output = connect_with(&[&server.url, "--ca", rubbish], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("rubbish.pem"), "{}", text(&output.stderr));

    let output = sansocket().args(["serve", "--tls-cert", rubbish, "--tls-key", key]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("rubbish.pem"), "{}", text(&output.stderr));
    let output = sansocket().args(["serve", "--tls-cert", cert]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "the key is missing");
}
