//! A loop of one's own around [`Driver`]: it echoes, and serves as many connections as come.
//!
//! `cargo run --package sansocket-mio --example driver`, and then `cargo run -- connect ws://127.0.0.1:9004/`

use std::collections::HashMap;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use sansocket_mio::{Answer, Common, Driver, Event, OriginPolicy, Settings};

const LISTENER: Token = Token(0);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut listener = TcpListener::bind("127.0.0.1:9004".parse()?)?;
    println!("listening on ws://{}", listener.local_addr()?);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;

    let mut events = Events::with_capacity(1024);
    let mut drivers: HashMap<Token, Driver<TcpStream>> = HashMap::new();
    let mut tokens = (1..).map(Token);
    // One buffer to read into and one output, for all of them.
    let mut buffer = vec![0; 32 * 1024];
    let mut common = Common::new(Settings::default());

    loop {
        // Who may still have something to be read gets its turn without waiting. (With thousands of connections, keep lists
        // instead of looking at each.)
        let more = drivers.values().any(Driver::wants_turn);
        let due = drivers.values_mut().filter_map(|driver| driver.deadline(&common)).min();
        let wait = if more { Some(Duration::ZERO) } else { due.map(|due| due.since(common.now())) };
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        common.look_at_clock();

        for event in &events {
            if event.token() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    let token = tokens.next().expect("there are enough numbers");
                    let mut driver = Driver::server(stream, &common);
                    poll.registry().register(driver.stream_mut(), token, Driver::<TcpStream>::INTEREST)?;
                    drivers.insert(token, driver);
                }
            } else if let Some(driver) = drivers.get_mut(&event.token()) {
                let mut turn = driver.turn(&mut common);
                if event.is_writable() {
                    turn.on_writable();
                }
                if event.is_readable() {
                    turn.on_readable(event.is_read_closed());
                }
            }
        }

        for driver in drivers.values_mut() {
            let is_due = driver.deadline(&common).is_some_and(|due| due <= common.now());
            if is_due || driver.wants_turn() {
                echo(driver, is_due, &mut buffer, &mut common);
            }
        }
        drivers.retain(|_, driver| {
            let is_finished = driver.is_finished();
            if is_finished {
                let _ = poll.registry().deregister(driver.stream_mut());
            }
            !is_finished
        });
    }
}

/// Reads once, if there may be something, and answers everything that came.
fn echo(driver: &mut Driver<TcpStream>, is_due: bool, buffer: &mut [u8], common: &mut Common) {
    let mut turn = driver.turn(common);
    if is_due {
        turn.on_deadline();
    }
    let mut input = turn.read(buffer);
    while let Some(event) = turn.next(&mut input) {
        match event {
            Event::Request(request) => {
                let answer = Answer::accept_from(&request, OriginPolicy::Any);
                turn.answer(Some(&request), &answer);
            }
            // It fails if the connection is closing; then nobody waits for the echo.
            Event::Message(message) => _ = turn.send(message.as_message()),
            Event::End(ending) => println!("{ending}"),
            Event::NotOpened(error) => println!("not opened: {error}"),
            _ => {}
        }
    }
    // The turn ends here, and everything it has put is written.
}
