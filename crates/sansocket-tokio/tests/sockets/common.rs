//! Two connected ends.

use sansocket_tokio::{AcceptOptions, ConnectOptions, Socket, WebSocket};
use tokio::net::{TcpListener, TcpStream};

/// A client and a server with these options, connected.
pub(crate) async fn pair_with(
    connect: ConnectOptions<'_>,
    accept: AcceptOptions<'_>,
) -> (WebSocket<Socket>, WebSocket<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let accepted = async { accept.accept(listener.accept().await.unwrap().0).await };
    let (client, server) = tokio::join!(connect.connect(&url), accepted);
    (client.unwrap(), server.unwrap())
}

/// A client and a server, connected.
pub(crate) async fn pair() -> (WebSocket<Socket>, WebSocket<TcpStream>) {
    pair_with(ConnectOptions::new(), AcceptOptions::new()).await
}
