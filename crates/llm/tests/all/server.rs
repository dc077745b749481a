//! A server on the loopback interface that answers as told, and remembers what it was asked.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
    /// When it was read.
    pub(crate) at: Instant,
}

/// How to answer.
pub(crate) enum Answer {
    /// A status and JSON.
    Json(u16, Value),
    /// A status and a text of some type.
    Text(u16, &'static str, String),
    /// The same as JSON, with `Retry-After`.
    RetryAfter(u16, String, Value),
    /// Redirects to an address.
    Redirect(String),
    /// After a pause.
    Late(Duration, Box<Answer>),
    /// Half of it, and then nothing for so long.
    Stalled(Value, Duration),
    /// Half of it, and then the end of the connection.
    Cut(Value),
    /// One byte per chunk, with such a pause after each.
    Dribbled(Value, Duration),
    /// The connection is reset without an answer.
    Reset,
}

pub(crate) struct Server {
    pub(crate) base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Serves until the test ends; `answer` gets the number of the request, counted from 0, and the request.
    pub(crate) fn start(answer: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(&stream, &seen, &*answer));
            }
        });
        Self { base, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic in the server").clone()
    }
}

/// Requests on one connection, until one ends it.
fn serve(mut stream: &TcpStream, seen: &Mutex<Vec<Asked>>, answer: &dyn Fn(usize, &Asked) -> Answer) {
    let _ = stream.set_nodelay(true);
    while let Some(asked) = read_request(stream) {
        let number = {
            let mut seen = seen.lock().expect("no panic in the server");
            seen.push(asked.clone());
            seen.len() - 1
        };
        let answer = answer(number, &asked);
        if matches!(answer, Answer::Reset) {
            // Closed with a byte unread, a connection is reset.
            return;
        }
        let _ = stream.read_exact(&mut [0]);
        // The client may be gone; that is its business.
        if !reply(stream, answer).unwrap_or(false) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// Reads a request but for its last byte, which is that of a JSON object.
fn read_request(mut stream: &TcpStream) -> Option<Asked> {
    let mut seen = vec![0; 1 << 14];
    let head = loop {
        let length = stream.peek(&mut seen).ok().filter(|length| *length > 0)?;
        if let Some(end) = seen[..length].windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let mut text = vec![0; head];
    stream.read_exact(&mut text).ok()?;
    let text = String::from_utf8(text).ok()?;
    let path = text.split(' ').nth(1)?.to_owned();
    let header = |wanted: &str| {
        let mut headers = text.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
    };
    let mut body = vec![0; header("content-length")?.parse::<usize>().ok()? - 1];
    stream.read_exact(&mut body).ok()?;
    body.push(b'}');
    Some(Asked {
        path,
        authorization: header("authorization"),
        body: serde_json::from_slice(&body).ok()?,
        at: Instant::now(),
    })
}

/// Whether the connection stays open.
fn reply(mut stream: &TcpStream, answer: Answer) -> std::io::Result<bool> {
    match answer {
        Answer::Json(status, value) => send(stream, status, "application/json", "", &value.to_string()),
        Answer::Text(status, kind, text) => send(stream, status, kind, "", &text),
        Answer::RetryAfter(status, after, value) => {
            let header = format!("Retry-After: {after}\r\n");
            send(stream, status, "application/json", &header, &value.to_string())
        }
        Answer::Redirect(to) => send(stream, 308, "text/plain", &format!("Location: {to}\r\n"), ""),
        Answer::Late(pause, answer) => {
            thread::sleep(pause);
            reply(stream, *answer)
        }
        Answer::Stalled(value, pause) => {
            send_half(stream, &value)?;
            thread::sleep(pause);
            Ok(false)
        }
        Answer::Cut(value) => send_half(stream, &value).map(|()| false),
        Answer::Dribbled(value, pause) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )?;
            for byte in value.to_string().bytes() {
                stream.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])?;
                thread::sleep(pause);
            }
            stream.write_all(b"0\r\n\r\n").map(|()| true)
        }
        Answer::Reset => unreachable!("done before"),
    }
}

fn send(mut stream: &TcpStream, status: u16, kind: &str, header: &str, text: &str) -> std::io::Result<bool> {
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status} Because\r\nContent-Type: {kind}\r\n{header}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), text.as_bytes()].concat()).map(|()| true)
}

fn send_half(mut stream: &TcpStream, value: &Value) -> std::io::Result<()> {
    let text = value.to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        text.len()
    )?;
    stream.write_all(&text.as_bytes()[..text.len() / 2])?;
    stream.flush()
}

/// A chat answer of these texts: 10 tokens read, 3 written for each text.
pub(crate) fn chat(texts: &[&str]) -> Value {
    let choices: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            json!({ "index": index, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" })
        })
        .collect();
    json!({
        "id": "some", "object": "chat.completion", "model": "toy", "choices": choices,
        "usage": { "prompt_tokens": 10, "completion_tokens": 3 * texts.len(), "total_tokens": 10 + 3 * texts.len() },
    })
}

/// An error in the form of OpenAI.
pub(crate) fn error(message: &str, code: &str) -> Value {
    json!({ "error": { "message": message, "type": code, "param": null, "code": code } })
}
