//! A chat server on the loopback interface that answers after a delay, by a rule: what a bench of a prompting method and its peer both talk
//! to, so that what is timed is everything but a language model.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// From a request (the body of a chat completion) to the text of the answer.
pub(super) type Rule = dyn Fn(&Value) -> String + Send + Sync;

/// Starts a server that lives as long as this process, and gives its base address. Every connection has a thread of its own, so that requests
/// on several connections wait for their delay together.
///
/// # Errors
/// If no port can be opened.
pub(super) fn start(
    delay: Duration,
    rule: impl Fn(&Value) -> String + Send + Sync + 'static,
) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .map_err(|error| format!("no port on the loopback interface: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let rule: Arc<Rule> = Arc::new(rule);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let rule = Arc::clone(&rule);
            thread::spawn(move || serve(&stream, delay, &*rule));
        }
    });
    Ok(format!("http://{address}/v1"))
}

/// The content of the last message of a request.
pub(super) fn last_message(body: &Value) -> &str {
    let messages = body["messages"].as_array();
    messages.and_then(|messages| messages.last()?["content"].as_str()).unwrap_or_default()
}

/// Requests on one connection, until the client goes away.
fn serve(stream: &TcpStream, delay: Duration, rule: &Rule) {
    // An answer goes out in one piece; waiting for more would add 40 ms.
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Some(body) = read_request(&mut reader) {
        thread::sleep(delay);
        let text = rule(&body);
        let answer = json!({
            "id": "stub", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        })
        .to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        let mut writer = stream;
        if writer.write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

/// The body of a request; nothing when the connection ends or what comes is no request.
fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
