//! A language model on the loopback interface, and what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

impl Asked {
    /// Whether it is the one-token call that finds out what a server can do.
    fn is_probe(&self) -> bool {
        self.body["max_tokens"] == 1
    }

    /// The last question of the prompt.
    pub(crate) fn question(&self) -> &str {
        let prompt = self.body["messages"]
            .as_array()
            .map_or(&self.body["prompt"], |all| &all[all.len() - 1]["content"]);
        prompt.as_str().unwrap().rsplit_once("Question: ").unwrap().1
    }
}

/// A server that ends with the test.
pub(crate) struct Loopback {
    pub(crate) base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Loopback {
    /// A server that gives for a question and the index of a sample a text, or an error of status 400.
    pub(crate) fn start(answer: impl Fn(&Asked, u64) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
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
        self.asked.lock().unwrap().clone()
    }
}

/// Requests on one connection, until the client goes away.
fn serve(stream: &TcpStream, seen: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked, u64) -> Option<String>) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read_request(&mut reader) {
        let count = asked.body["n"].as_u64().unwrap_or(1);
        let texts: Option<Vec<String>> = if asked.is_probe() {
            Some(vec!["Hello".into(); count as usize])
        } else {
            seen.lock().unwrap().push(asked.clone());
            (0..count).map(|index| answer(&asked, index)).collect()
        };
        let (status, reply) = match texts {
            Some(texts) => (200, completion(&texts, asked.body["logprobs"] == true)),
            None => (400, json!({"error": {"message": "this prompt is refused", "code": "refused"}})),
        };
        let text = reply.to_string();
        let head = format!(
            "HTTP/1.1 {status} Because\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        let mut writer = stream;
        if writer.write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}

/// A whole request, or nothing when the connection ends.
fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line);
    }
    let header = |wanted: &str| {
        let mut headers = head.iter().filter_map(|line| line.trim_end().split_once(": "));
        headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
    };
    let mut body = vec![0; header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        path: head.first()?.split(' ').nth(1)?.to_owned(),
        authorization: header("authorization"),
        body: serde_json::from_slice(&body).ok()?,
    })
}

/// An answer that serves both interfaces: 100 tokens read, 5 written for each text. Log-probabilities only for conversations.
fn completion(texts: &[String], log_probabilities: bool) -> Value {
    let choice = |(index, text): (usize, &String)| {
        let mut choice = json!({
            "index": index, "text": text, "message": {"role": "assistant", "content": text}, "finish_reason": "stop",
        });
        if log_probabilities {
            choice["logprobs"] = json!({"content": tokens(text)});
        }
        choice
    };
    json!({
        "choices": texts.iter().enumerate().map(choice).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": 100, "completion_tokens": 5 * texts.len()},
    })
}

/// A token per word with the space before it: sure of itself, but for texts that begin with "Perhaps".
fn tokens(text: &str) -> Vec<Value> {
    let log_probability = if text.starts_with("Perhaps") { -1.5 } else { -0.25 };
    let starts =
        text.char_indices().filter(|(place, one)| *place == 0 || *one == ' ').map(|(place, _)| place);
    let ends = text.char_indices().skip(1).filter(|(_, one)| *one == ' ').map(|(place, _)| place);
    let token = |(start, end): (usize, usize)| {
        let token = &text[start..end];
        json!({"token": token, "bytes": token.as_bytes(), "logprob": log_probability, "top_logprobs": []})
    };
    starts.zip(ends.chain([text.len()])).map(token).collect()
}
