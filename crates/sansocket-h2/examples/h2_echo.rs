//! An echo server over HTTP/2 and TLS, with a page that tries it: `cargo run --package sansocket-h2 --example h2_echo -- 127.0.0.1:9001`, and
//! <https://127.0.0.1:9001/> in a browser, which has to be told to trust a certificate that signs itself.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use sansocket_h2::h2::{self, RecvStream, server};
use sansocket_h2::{AcceptOptions, accept};
use sansocket_tokio::rustls::ServerConfig;
use sansocket_tokio::{TlsAcceptor, accept_tls};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

const PAGE: &str = include_str!("h2_echo.html");

/// How long each of the handshakes below the WebSockets' may take: that of TLS, that of HTTP/2.
const HANDSHAKE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:9001"));
    let listener = TcpListener::bind(address).await?;
    println!("listening on wss://{}", listener.local_addr()?);
    serve(listener).await
}

/// Serves all who come.
pub(crate) async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error + Send + Sync>> {
    let acceptor = acceptor()?;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many files are open, say: some of them will close.
                eprintln!("{error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, acceptor).await {
                eprintln!("{error}");
            }
        });
    }
}

/// TLS with a certificate that signs itself, and HTTP/2 over it.
fn acceptor() -> Result<TlsAcceptor, Box<dyn Error + Send + Sync>> {
    let signed = rcgen::generate_simple_self_signed([String::from("localhost"), String::from("127.0.0.1")])?;
    let acceptor = TlsAcceptor::from_pem(signed.cert.pem().as_bytes(), signed.signing_key.serialize_pem().as_bytes())?;
    let mut config = ServerConfig::clone(&acceptor.config());
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config.into())
}

/// All streams of one connection, at the same time.
async fn serve_connection(stream: TcpStream, acceptor: TlsAcceptor) -> Result<(), Box<dyn Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE, accept_tls(&acceptor, stream)).await??;
    let mut builder = server::Builder::new();
    builder.enable_connect_protocol().initial_connection_window_size(1024 * 1024).max_concurrent_streams(100);
    let mut connection = timeout(HANDSHAKE, builder.handshake(stream)).await??;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        println!("{} {}", request.method(), request.uri());
        if request.method() == Method::CONNECT {
            tokio::spawn(async {
                if let Err(error) = echo(request, respond).await {
                    eprintln!("{error}");
                }
            });
        } else {
            show(respond)?;
        }
    }
    Ok(())
}

fn show(mut respond: server::SendResponse<Bytes>) -> Result<(), h2::Error> {
    let response = Response::builder().header("content-type", "text/html; charset=utf-8").body(()).expect("valid");
    respond.send_response(response, false)?.send_data(Bytes::from_static(PAGE.as_bytes()), true)
}

async fn echo(
    request: Request<RecvStream>,
    respond: server::SendResponse<Bytes>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let options = AcceptOptions::new();
    #[cfg(feature = "deflate")]
    let options = options.compression(Default::default());
    let mut ws = accept(&options, request, respond)?;
    while let Some(message) = ws.read_owned().await? {
        ws.send(&message).await?;
    }
    Ok(())
}
