//! A chat: the first line that somebody sends is their name, and what they send then goes to everybody else.
//!
//! `cargo run --package sansocket-mio --example chat`, and then in two other terminals
//! `cargo run -- connect ws://127.0.0.1:9003/`

use mio::net::{TcpListener, TcpStream};
use sansocket_mio::{
    Answer, Closed, Context, Handler, Limits, Message, OriginPolicy, Prepared, Request, Server, Settings,
};

struct Chat;

/// What is kept for each connection.
#[derive(Default)]
struct Guest {
    name: Option<String>,
}

impl Chat {
    /// Tells everybody but the one whose turn it is.
    fn tell_others(cx: &mut Context<'_, Self>, text: &str) {
        let id = cx.id();
        // Encoded once, however many there are.
        cx.connections().broadcast(&Prepared::new(text), Some(id));
    }
}

impl Handler for Chat {
    type Stream = TcpStream;
    type Data = Guest;

    fn request(&mut self, _: &mut Context<'_, Self>, request: &Request<'_>) -> Answer {
        match request.target() {
            "/" => Answer::accept_from(request, OriginPolicy::default()),
            _ => Answer::reject(404),
        }
    }

    fn open(&mut self, cx: &mut Context<'_, Self>) {
        let _ = cx.send("what is your name?");
    }

    fn message(&mut self, cx: &mut Context<'_, Self>, message: Message<'_>) {
        let Message::Text(text) = message else { return };
        match cx.data().name.clone() {
            Some(name) => Self::tell_others(cx, &format!("{name}: {text}")),
            None => {
                cx.data().name = Some(text.to_owned());
                Self::tell_others(cx, &format!("* {text} has come"));
            }
        }
    }

    fn close(&mut self, cx: &mut Context<'_, Self>, _: &Closed<'_>) {
        if let Some(name) = cx.data().name.take() {
            Self::tell_others(cx, &format!("* {name} has gone"));
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits { message: 4 * 1024, ..Limits::DEFAULT };
    let mut server = Server::new(Chat, Settings { limits, ..Settings::DEFAULT })?;
    server.listen(TcpListener::bind("127.0.0.1:9003".parse()?)?)?;
    println!("listening on ws://127.0.0.1:9003");
    Ok(server.run()?)
}
