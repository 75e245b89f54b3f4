//! `cargo xtask upgrades`: WebSockets inside other people's HTTP servers. The examples of our adapters to hyper, axum and h2, each in a process of
//! its own, against other people's clients: Node's `ws`, and Chromium over HTTP/2.

mod chromium;
mod example;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use self::example::Example;
use crate::folder;
use crate::interop::{Library, Peer};

/// The sizes of the messages, in bytes: the ends of the three forms of a frame's length, and a large one.
const SIZES: [usize; 7] = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];

/// How long a client may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Runs all clients against all examples; whether all went well.
pub(crate) fn run() -> Result<bool> {
    let target = folder::target()?;
    let node = Peer::ready(Library::Ws, &target.join("interop"))?;
    crate::chromium::find_or_install()?;
    example::build()?;
    let folder = target.join("upgrades");
    folder::empty(&folder)?;

    let (mut cases, mut failed) = (0, 0);
    let mut run = |name: &str, client: &dyn Fn() -> Result<()>| {
        let start = Instant::now();
        cases += 1;
        match client() {
            Ok(()) => println!("{name} ok, {:.1} s", start.elapsed().as_secs_f64()),
            Err(error) => {
                failed += 1;
                println!("{name} FAILED: {error:#}; see {}", folder.display());
            }
        }
    };
    for name in ["hyper_echo", "axum_echo"] {
        let server = Example::start(name, &target, &folder)?;
        for kind in ["text", "binary"] {
            for deflate in [false, true] {
                let compressed = if deflate { " compressed" } else { "" };
                let case = format!("node      {name:<10}  {kind}{compressed}");
                let log = folder.join(format!("{name}-{kind}{compressed}.log").replace(' ', "-"));
                run(&case, &|| echo(&node, server.url(), kind, deflate, &log));
            }
        }
    }
    run("chromium  h2_echo     page over HTTP/2", &|| {
        chromium::open_page(Example::start("h2_echo", &target, &folder)?, &folder)
    });
    println!("{cases} cases, {failed} failed");
    Ok(failed == 0)
}

/// Node sends messages of all sizes, gets them back, and closes.
fn echo(node: &Peer, url: &str, kind: &str, deflate: bool, log: &Path) -> Result<()> {
    let deadline = Instant::now() + TIME_LIMIT;
    let told = json!({
        "role": "client", "act": "send", "kinds": [kind], "sizes": SIZES, "deflate": deflate, "takeover": true,
        "closes": true, "code": 1000, "reason": "", "url": url,
    });
    let mut playing = node.start(&told, log)?;
    let saw = playing.line(deadline)?;
    let agreed = deflate.then_some(["client_no_context_takeover", "server_no_context_takeover"]);
    for (what, expected) in
        [("code", json!(1000)), ("clean", json!(true)), ("error", Value::Null), ("agreed", json!(agreed))]
    {
        let value = saw.get(what).context("it does not say all that it is to say")?;
        ensure!(*value == expected, "{what} is {value} instead of {expected}: {saw}");
    }
    playing.end(deadline)
}
