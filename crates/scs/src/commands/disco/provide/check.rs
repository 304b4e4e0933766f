//! Whether an endpoint works: asked again and again, told when it changes.

use crate::cli::disco;
use disco_client::Health;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long one check may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Checks in a row that have to fail before it counts: one lost packet is no outage.
const FAILURES: u32 = 3;
/// Pause between two checks before the first that passes: whoever starts should not wait for the start.
const EAGER: Duration = Duration::from_millis(50);
/// Bytes of an answer that are looked at for its status line.
const STATUS: usize = 512;

/// The check of one endpoint.
#[derive(Debug)]
pub struct Check {
    host: String,
    port: u16,
    what: disco::Health,
    interval: Duration,
    told: Option<Health>,
    failures: u32,
}

impl Check {
    /// Nothing is checked yet.
    pub fn new(host: &str, port: u16, what: disco::Health, interval: Duration) -> Self {
        Self { host: host.to_owned(), port, what, interval, told: None, failures: 0 }
    }

    /// Waits until it is another than what was told last, beginning with the first that passes. A failure comes with why.
    pub async fn changed(&mut self) -> (Health, Option<String>) {
        if self.what == disco::Health::None {
            if self.told.is_some() {
                std::future::pending::<()>().await;
            }
            self.told = Some(Health::Passing);
            return (Health::Passing, None);
        }
        loop {
            if self.told.is_some() {
                tokio::time::sleep(self.interval).await;
            }
            let result = self.once().await;
            if let Some(news) = self.note(result) {
                return news;
            }
            if self.told.is_none() {
                tokio::time::sleep(EAGER.min(self.interval)).await;
            }
        }
    }

    /// Counts a result. What is to be told, if anything.
    fn note(&mut self, result: Result<(), String>) -> Option<(Health, Option<String>)> {
        let news = match result {
            Ok(()) => {
                self.failures = 0;
                (Health::Passing, None)
            }
            Err(why) => {
                self.failures += 1;
                if self.failures < FAILURES || self.told.is_none() {
                    return None;
                }
                (Health::Failing, Some(why))
            }
        };
        (self.told.replace(news.0) != Some(news.0)).then_some(news)
    }

    async fn once(&self) -> Result<(), String> {
        let check = async {
            let mut stream =
                TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| error.to_string())?;
            match &self.what {
                disco::Health::Http(path) => status(&mut stream, &self.host, path).await,
                _ => Ok(()),
            }
        };
        tokio::time::timeout(TIMEOUT, check)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
    }
}

/// A minimal request: what is wanted is the status line, from servers of every age.
async fn status(stream: &mut TcpStream, host: &str, path: &str) -> Result<(), String> {
    let broken = |error: io::Error| format!("{path}: {error}");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: scs-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < STATUS {
        let mut buffer = [0; STATUS];
        match stream.read(&mut buffer).await.map_err(broken)? {
            0 => break,
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    let code =
        line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)).and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(code) if code < 400 => Ok(()),
        Some(code) => Err(format!("{path} answers {code}")),
        None => Err(format!("{path}: it does not speak HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: disco::Health) -> Check {
        Check::new("127.0.0.1", 1, what, Duration::from_secs(1))
    }

    #[test]
    fn failures_count_only_after_it_has_passed_once_and_three_times_in_a_row() {
        let mut check = check(disco::Health::Tcp);
        let no = || Err("refused".to_owned());
        for _ in 0..10 {
            assert_eq!(check.note(no()), None, "it starts");
        }
        assert_eq!(check.note(Ok(())), Some((Health::Passing, None)));
        assert_eq!([check.note(no()), check.note(no()), check.note(Ok(()))], [None, None, None]);
        assert_eq!([check.note(no()), check.note(no())], [None, None]);
        assert_eq!(check.note(no()), Some((Health::Failing, Some("refused".to_owned()))));
        assert_eq!(check.note(no()), None, "told once");
        assert_eq!(check.note(Ok(())), Some((Health::Passing, None)));
    }

    #[tokio::test]
    async fn a_page_has_to_answer_with_a_good_status() {
        for (answer, fine) in
            [("HTTP/1.0 204 No Content\r\n\r\n", true), ("HTTP/1.1 503 Busy\r\n\r\n", false), ("220 mail\r\n", false)]
        {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let serving = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 256];
                let count = stream.read(&mut request).await.unwrap();
                assert!(request[..count].starts_with(b"GET /up HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            };
            let check = Check { port, ..check(disco::Health::Http("/up".to_owned())) };
            let (result, ()) = tokio::join!(check.once(), serving);
            assert_eq!(result.is_ok(), fine, "{answer}: {result:?}");
        }
    }
}
