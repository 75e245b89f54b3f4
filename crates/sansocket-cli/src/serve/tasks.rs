//! `sansocket serve --backend tokio`: a task for each connection.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sansocket_tokio::{AcceptOptions, CloseCode, EndedBy, Error, OriginPolicy, TlsAcceptor, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::{FAREWELL, Serve};

/// How long is waited after an accept that has failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is told to stop.
pub(super) fn run(serve: &Serve, tls: Option<TlsAcceptor>) -> anyhow::Result<()> {
    let mut builder = match serve.threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(serve.threads).enable_all().build()?.block_on(accept_all(serve, tls))
}

async fn accept_all(serve: &Serve, tls: Option<TlsAcceptor>) -> anyhow::Result<()> {
    let (stop, stopping) = watch::channel(false);
    super::on_signal(move || {
        stop.send_replace(true);
    })?;
    let listener = TcpListener::bind(serve.bind).await.with_context(|| format!("cannot listen on {}", serve.bind))?;
    serve.say_where(listener.local_addr()?);

    let most = serve.max_connections.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    let accept = async {
        for id in 1_u64.. {
            let place = Arc::clone(&places).acquire_owned().await?;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = Connection::new(serve, tls.clone(), id, stopping.clone());
                    tokio::spawn(async move {
                        connection.serve(stream).await;
                        drop(place);
                    });
                }
                // Too many open files, say: they may be closed in a while.
                Err(error) => {
                    log!("cannot accept: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        Ok::<(), anyhow::Error>(())
    };
    let mut told = stopping.clone();
    tokio::select! {
        result = accept => result?,
        _ = told.wait_for(|stops| *stops) => {}
    }
    // Every connection that is left has a place; once all places are free, none is.
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    let _ = timeout(FAREWELL, places.acquire_many(all)).await;
    Ok(())
}

/// One connection, and what it has to know of its server.
struct Connection {
    id: u64,
    origins: Vec<String>,
    tls: Option<TlsAcceptor>,
    options: AcceptOptions<'static>,
    stopping: watch::Receiver<bool>,
}

impl Connection {
    fn new(serve: &Serve, tls: Option<TlsAcceptor>, id: u64, stopping: watch::Receiver<bool>) -> Self {
        let mut options = AcceptOptions::new().limits(serve.limits()).timeouts(serve.timeouts());
        if let Some(config) = serve.compression.config() {
            options = options.compression(config);
        }
        Self { id, origins: serve.origins.clone(), tls, options, stopping }
    }

    async fn serve(mut self, stream: TcpStream) {
        let id = self.id;
        let peer = stream.peer_addr().map_or_else(|_| String::from("?"), |peer| peer.to_string());
        let ending = match self.serve_one(stream, &peer).await {
            Ok(ending) => ending,
            Err(error) => format!("{peer} {error}"),
        };
        log!("#{id} {ending}");
    }

    async fn serve_one(&mut self, stream: TcpStream, peer: &str) -> anyhow::Result<String> {
        let origins: Vec<&str> = self.origins.iter().map(String::as_str).collect();
        let policy = if origins.is_empty() { OriginPolicy::Any } else { OriginPolicy::Only(&origins) };
        let options = self.options.origins(policy);
        match &self.tls {
            None => {
                let ws = options.accept(stream).await?;
                Ok(self.echo(ws, peer).await)
            }
            Some(tls) => {
                let ws = options.accept_tls(tls, stream).await?;
                Ok(self.echo(ws, peer).await)
            }
        }
    }

    /// Echoes until the end, and says how that came.
    async fn echo<S>(&mut self, mut ws: WebSocket<S>, peer: &str) -> String
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        log!("#{} open {peer}", self.id);
        let mut stop = pin!(async { drop(self.stopping.wait_for(|stops| *stops).await) });
        let mut goes_on = true;
        let result = loop {
            // A read that is given up for the stop loses nothing.
            tokio::select! {
                read = ws.read_to_reply() => match read {
                    // What is queued leaves before the next read waits: many messages, one write.
                    Ok(Some((message, mut replies))) => drop(replies.queue(message)),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                },
                () = &mut stop, if goes_on => {
                    goes_on = false;
                    match ws.start_close(CloseCode::GOING_AWAY, "the server shuts down").await {
                        Ok(()) | Err(Error::Send(_)) => {}
                        Err(error) => break Err(error),
                    }
                }
            }
        };
        match (result, ws.ending().map(|ending| ending.by()), ws.peer_close()) {
            (Err(error), ..) => error.to_string(),
            (Ok(()), Some(EndedBy::Local), _) => String::from("closed by us"),
            (Ok(()), _, close) => match close.and_then(|close| Some((close.code()?, close.reason()))) {
                Some((code, reason)) => format!("closed by the client: {code} {reason:?}"),
                None => String::from("closed by the client: no code"),
            },
        }
    }
}
