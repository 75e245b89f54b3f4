//! `cargo run --package sansocket-example-chat -- sansocket 127.0.0.1:9003`, and in two other terminals, in the workspace above,
//! `cargo run -- connect ws://127.0.0.1:9003/`

use std::env;

use sansocket_example_chat::{over_axum, over_sansocket, over_sansocket_axum, over_tungstenite};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let over = args.next().unwrap_or_else(|| String::from("sansocket"));
    let listener = TcpListener::bind(args.next().as_deref().unwrap_or("127.0.0.1:9003")).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    match over.as_str() {
        "axum" => over_axum::serve(listener, stop).await?,
        "sansocket" => over_sansocket::serve(listener, stop).await?,
        "sansocket-axum" => over_sansocket_axum::serve(listener, stop).await?,
        "tungstenite" => over_tungstenite::serve(listener, stop).await?,
        _ => return Err(format!("{over:?} is none of axum, sansocket, sansocket-axum, tungstenite").into()),
    }
    Ok(())
}
