//! What the echo servers of other libraries share, so that they differ in the library alone.
//!
//! Each is written as its library's own example of an echo server is, listens at a free port, says where, and runs until it is killed.
//! Those on tokio have one thread for all.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task;

/// Where servers listen: at a free port.
pub const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Tells whoever has started the server that it listens.
pub fn say_where(address: SocketAddr) {
    println!("listening on ws://{address}");
}

/// Serves WebSocket: gives each connection a task of its own, all on this thread. They yield to each other when they wait, as the examples of
/// fastwebsockets and tokio-websockets have it.
pub fn serve<F>(connection: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    serve_connections(connection, say_where)
}

/// As [`serve`], whatever is spoken: `say_where` tells that the server listens.
pub fn serve_connections<F>(connection: impl Fn(TcpStream) -> F, say_where: fn(SocketAddr)) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(ADDRESS).await?;
        say_where(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            task::spawn(task::unconstrained(connection(stream)));
        }
    })
}
