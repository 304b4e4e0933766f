//! One health check of one endpoint, against the container's own address.

use scs_manifest::compiled::{Health, Probe};
use scs_ports::engine::{Engine, Exec};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an answer that are looked at for its status line.
const STATUS: usize = 512;

/// What is checked.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) container: String,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// The helper kills a command that takes too long.
    pub(crate) helper: bool,
}

/// Checks; `Err` says what was wrong.
pub(crate) async fn check(engine: &Arc<dyn Engine>, target: &Target, health: &Health) -> Result<(), String> {
    let address = SocketAddr::new(target.address, target.port);
    let (limit, check) = match &health.probe {
        Probe::Tcp => (health.timeout, futures_util::future::Either::Left(tcp(address))),
        Probe::Http(path) => (
            health.timeout,
            futures_util::future::Either::Right(futures_util::future::Either::Left(http(address, path))),
        ),
        Probe::Command(command) => {
            let run = futures_util::future::Either::Right(command_passes(engine, target, command, health.timeout));
            // The helper ends it at the timeout; the rest is for the engine to say so.
            (health.timeout + Duration::from_secs(2), futures_util::future::Either::Right(run))
        }
    };
    match tokio::time::timeout(limit, check).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {}", scs_manifest::duration::format(health.timeout))),
    }
}

async fn tcp(address: SocketAddr) -> Result<(), String> {
    TcpStream::connect(address).await.map(drop).map_err(|error| format!("{address}: {error}"))
}

/// A minimal request: what is wanted is the status line, from servers of every age.
async fn http(address: SocketAddr, path: &str) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("http://{address}{path}: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(wrong)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: scs-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(wrong)?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < STATUS {
        let mut buffer = [0; STATUS];
        match stream.read(&mut buffer).await.map_err(wrong)? {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    let status =
        line.strip_prefix("HTTP/").and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse::<u16>().ok());
    match status {
        Some(status) if status < 400 => Ok(()),
        Some(_) => {
            Err(format!("http://{address}{path} answers {}", line.split_once(' ').map_or(line, |(_, rest)| rest)))
        }
        None => Err(format!("http://{address}{path} does not speak HTTP")),
    }
}

async fn command_passes(
    engine: &Arc<dyn Engine>,
    target: &Target,
    command: &[String],
    timeout: Duration,
) -> Result<(), String> {
    let exec = Exec { command: crate::live::wrapped(command, timeout, target.helper, false), ..Exec::default() };
    let process = engine.exec(&target.container, &exec).await.map_err(|error| error.to_string())?;
    match crate::live::finish(process).await {
        Ok((Some(0), _)) => Ok(()),
        Ok((code, output)) => {
            let code = code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
            Err(output.last().map_or_else(|| code.clone(), |line| format!("{code}: {line}")))
        }
        Err(error) => Err(error.to_string()),
    }
}
