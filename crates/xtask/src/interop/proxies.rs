//! The proxies in between: Debian's, which run as whoever runs this, on ports that are free.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, LOOK, Running};
use crate::{debian, folder};

/// How long a proxy may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What lies between the two sides.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Via {
    Nothing,
    Nginx,
    Haproxy,
}

impl Via {
    pub(super) const ALL: [Self; 3] = [Self::Nothing, Self::Nginx, Self::Haproxy];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "direct",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }
}

/// A proxy that goes on to the port that a path names: `/40123` leads to `127.0.0.1:40123`.
struct Proxy {
    _running: Running,
    port: u16,
}

/// All of them, which run until this is dropped.
pub(super) struct Proxies {
    nginx: Proxy,
    haproxy: Proxy,
}

impl Proxies {
    /// Finds or installs them, and starts them, with their files in the folder.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        debian::find_or_install("nginx", "-v", "nginx")?;
        debian::find_or_install("haproxy", "-v", "haproxy")?;
        folder::empty(folder)?;
        let mut nginx = Command::new("nginx");
        nginx.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        let mut haproxy = Command::new("haproxy");
        haproxy.arg("-db").arg("-f").arg(folder.join("haproxy.conf"));
        Ok(Self {
            nginx: Proxy::start("nginx", &mut nginx, &nginx_config, folder)?,
            haproxy: Proxy::start("haproxy", &mut haproxy, &haproxy_config, folder)?,
        })
    }

    /// The URL by which a client comes to a server without TLS on this way.
    pub(super) fn url(&self, via: Via, server: &str) -> Result<String> {
        let proxy = match via {
            Via::Nothing => return Ok(server.to_owned()),
            Via::Nginx => &self.nginx,
            Via::Haproxy => &self.haproxy,
        };
        let (_, port) =
            server.trim_end_matches('/').rsplit_once(':').with_context(|| format!("no port in {server}"))?;
        Ok(format!("ws://127.0.0.1:{}/{port}", proxy.port))
    }
}

impl Proxy {
    fn start(name: &str, command: &mut Command, config: &dyn Fn(u16) -> String, folder: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?.local_addr()?.port();
        let path = folder.join(format!("{name}.conf"));
        fs::write(&path, config(port)).with_context(|| format!("cannot write {}", path.display()))?;
        let log = folder.join(format!("{name}.log"));
        let mut running = Running::start(command.stdout(Stdio::null()).stderr(process::log(&log)?), None)?;
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = running.ended()? {
                bail!("{name} ended with {status}; see {}", log.display());
            }
            if Instant::now() > deadline {
                bail!("{name} does not listen; see {}", log.display());
            }
            thread::sleep(LOOK);
        }
        Ok(Self { _running: running, port })
    }
}

/// A single process, which keeps its files to itself.
fn nginx_config(port: u16) -> String {
    format!(
        r#"daemon off;
master_process off;
pid nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        location ~ ^/([0-9]+)$ {{
            proxy_pass http://127.0.0.1:$1/;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }}
    }}
}}
"#
    )
}

fn haproxy_config(port: u16) -> String {
    format!(
        "\
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
frontend clients
    bind 127.0.0.1:{port}
    http-request set-dst-port path,field(2,/)
    default_backend servers
backend servers
    server named 0.0.0.0:0
"
    )
}
