//! A web server on this machine that misbehaves on demand and counts what it is asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// The first byte it wants.
    pub(crate) from: Option<usize>,
}

/// How to answer.
pub(crate) enum Answer {
    /// The content, from where it was asked to start.
    Content(Vec<u8>),
    /// The whole content, even if a part was asked for.
    Whole(Vec<u8>),
    /// The content, but the connection is cut after so many bytes of it.
    Cut(Vec<u8>, usize),
    /// The content without saying how long it is.
    Unannounced(Vec<u8>),
    /// A status and nothing else, with `Retry-After` if given.
    Status(u16, Option<&'static str>),
    /// Half the content, and then nothing for so long.
    Stalled(Vec<u8>, Duration),
    /// The connection is closed without an answer.
    Nothing,
}

pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves until the test ends; `answer` gets the number of the request, counted from 0, and the request.
    pub(crate) fn start(answer: impl Fn(usize, &Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let Some(request) = read_request(&stream) else { continue };
                let number = {
                    let mut seen = seen.lock().expect("no panic in the server");
                    seen.push(request.clone());
                    seen.len() - 1
                };
                let answer = answer(number, &request);
                // A stalled answer must not hold up the next one.
                thread::spawn(move || {
                    // The client may be gone; that is its business.
                    let _ = reply(&mut stream, &request, answer);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic in the server").clone()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut from = None;
    for line in lines {
        let line = line.ok()?.to_ascii_lowercase();
        if line.is_empty() {
            return Some(Request { path, from });
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
    None
}

fn reply(stream: &mut TcpStream, request: &Request, answer: Answer) -> std::io::Result<()> {
    match answer {
        Answer::Content(content) => {
            let length = content.len();
            send(stream, request.from, &content, length)
        }
        Answer::Whole(content) => {
            let length = content.len();
            send(stream, None, &content, length)
        }
        Answer::Cut(content, end) => send(stream, request.from, &content, end),
        Answer::Unannounced(content) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&content)
        }
        Answer::Status(status, retry_after) => {
            write!(stream, "HTTP/1.1 {status} Because\r\nContent-Length: 0\r\nConnection: close\r\n")?;
            if let Some(seconds) = retry_after {
                write!(stream, "Retry-After: {seconds}\r\n")?;
            }
            write!(stream, "\r\n")
        }
        Answer::Stalled(content, pause) => {
            let middle = content.len() / 2;
            send(stream, request.from, &content, middle)?;
            stream.flush()?;
            thread::sleep(pause);
            Ok(())
        }
        Answer::Nothing => Ok(()),
    }
}

/// Announces `content` from `from` on, and sends it up to `end`.
fn send(stream: &mut TcpStream, from: Option<usize>, content: &[u8], end: usize) -> std::io::Result<()> {
    let start = from.unwrap_or(0);
    let length = content.len() - start;
    match from {
        None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        Some(start) => {
            let (last, total) = (content.len() - 1, content.len());
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{total}\r\n"
            )?;
        }
    }
    write!(stream, "Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&content[start..end.max(start)])
}
