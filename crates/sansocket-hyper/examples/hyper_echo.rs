//! An echo server on hyper: `cargo run --package sansocket-hyper --example hyper_echo -- 127.0.0.1:9001`.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use sansocket_hyper::{AcceptOptions, TokioIo, Upgrading, accept};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:9001"));
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    serve(listener).await;
    Ok(())
}

/// Serves all who come.
pub(crate) async fn serve(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve_connection(stream))),
            Err(error) => {
                // Too many files are open, say: some of them will close.
                eprintln!("{error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        eprintln!("{error}");
    }
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = connection.with_upgrades().await {
        eprintln!("{error}");
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let options = AcceptOptions::new();
    #[cfg(feature = "deflate")]
    let options = options.compression(Default::default());
    Ok(match accept(&options, &mut request) {
        Ok((response, upgrading)) => {
            tokio::spawn(async {
                if let Err(error) = echo(upgrading).await {
                    eprintln!("{error}");
                }
            });
            response
        }
        Err(refusal) => refusal.response(),
    })
}

async fn echo(upgrading: Upgrading) -> Result<(), Box<dyn std::error::Error>> {
    let mut ws = upgrading.await?;
    while let Some(message) = ws.read_owned().await? {
        ws.send(&message).await?;
    }
    Ok(())
}
