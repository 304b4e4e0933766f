//! `serve`: a tiny server, so that tests need nothing in their images.

use crate::arguments::{Arguments, unknown};
use crate::{Failure, sys};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::thread;

pub(crate) fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut port, mut body, mut echo) = (None, "ok".to_owned(), false);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--port" => port = Some(arguments.value("--port", |it| it.parse::<u16>().ok())?),
            "--body" => body = arguments.value("--body", |it| Some(it.to_owned()))?,
            "--echo" => echo = true,
            other => return Err(unknown(other)),
        }
    }
    let port = port.ok_or_else(|| Failure::usage("--port is missing"))?;
    sys::leave_on_signals();
    // The unspecified IPv6 address takes IPv4 too, where the kernel has IPv6.
    let listener =
        TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))?;
    let mut out = io::stdout();
    writeln!(out, "listening on {}", listener.local_addr()?.port())?;
    out.flush()?;
    for stream in listener.incoming().flatten() {
        let body = body.clone();
        // A connection that breaks is its client's affair.
        thread::spawn(move || if echo { send_back(&stream) } else { answer(&stream, &body) });
    }
    Ok(0)
}

fn send_back(stream: &TcpStream) -> io::Result<()> {
    io::copy(&mut &*stream, &mut &*stream)?;
    stream.shutdown(Shutdown::Both)
}

fn answer(mut stream: &TcpStream, body: &str) -> io::Result<()> {
    // Requests without a body are all it is asked.
    for line in BufReader::new(stream).lines() {
        if line?.trim().is_empty() {
            break;
        }
    }
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")?;
    stream.shutdown(Shutdown::Write)
}
