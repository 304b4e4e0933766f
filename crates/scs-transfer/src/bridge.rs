//! What rsync takes for a remote shell: joins its input and output to a socket of the agent.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// More than rsync ever asks for.
const LONGEST: u32 = 64 << 10;

/// Joins this process's standard input and output to the socket, after telling it the arguments. Blocks until both have ended.
///
/// # Errors
/// When the socket cannot be reached, or breaks.
pub fn run(socket: &Path, arguments: &[String]) -> io::Result<ExitCode> {
    // rsync's own ends of its pipes do not block, and ours are made so, too.
    for end in [rustix::stdio::stdin(), rustix::stdio::stdout()] {
        let now = rustix::fs::fcntl_getfl(end)?;
        rustix::fs::fcntl_setfl(end, now.difference(rustix::fs::OFlags::NONBLOCK))?;
    }
    let stream = UnixStream::connect(socket)?;
    let (mut input, mut output) = (stream.try_clone()?, stream);
    input.write_all(&encode(arguments)?)?;
    // Ends with the process: rsync may leave its end open until then.
    std::thread::spawn(move || {
        let _ = io::copy(&mut Unbuffered(io::stdin()), &mut input);
        let _ = input.shutdown(Shutdown::Write);
    });
    let mut stdout = io::stdout().lock();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match output.read(&mut buffer)? {
            0 => return Ok(ExitCode::SUCCESS),
            count => {
                stdout.write_all(buffer.get(..count).unwrap_or_default())?;
                stdout.flush()?;
            }
        }
    }
}

/// Standard input, passed on as it comes.
struct Unbuffered(io::Stdin);

impl Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().read(buffer)
    }
}

fn encode(arguments: &[String]) -> io::Result<Vec<u8>> {
    let text = arguments.join("\0");
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "too many arguments"))?;
    Ok([&length.to_be_bytes(), text.as_bytes()].concat())
}

/// The arguments that stand at the beginning of a channel.
pub(crate) async fn decode(channel: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<String>> {
    let length = channel.read_u32().await?;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many arguments"));
    }
    let mut text = vec![0; length as usize];
    channel.read_exact(&mut text).await?;
    let text = String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(text.split('\0').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn arguments_arrive_as_they_were_and_too_many_are_refused() {
        let arguments = ["peer", "rsync", "a b", ""].map(str::to_owned);
        let bytes = encode(&arguments).unwrap();
        assert_eq!(decode(&mut &bytes[..]).await.unwrap(), arguments);
        assert!(decode(&mut &u32::MAX.to_be_bytes()[..]).await.is_err());
        assert!(decode(&mut &bytes[..6]).await.is_err());
    }
}
