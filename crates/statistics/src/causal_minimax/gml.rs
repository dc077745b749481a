//! Reading a directed graph in GML, the text form that graph programs exchange.
//!
//! Of the format this takes what a causal graph needs: `graph [ directed 1 node [ id 0 label "Y" ] edge [ source 0 target 1 ] ]`;
//! other keys are skipped. Nodes are named by their labels, or by their numbers where they have none.

use std::collections::HashMap;

/// Longest text read, in bytes; a graph of 64 columns is far below.
const MAX_BYTES: usize = 1 << 22;
/// Deepest nesting of lists.
const MAX_DEPTH: usize = 16;

/// A graph whose nodes have names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NamedGraph {
    /// Names of the nodes, in the order of the file.
    pub names: Vec<String>,
    /// Edges as positions in `names`.
    pub edges: Vec<(usize, usize)>,
}

/// Text that is no such graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct GmlError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

#[derive(Debug)]
enum Value<'a> {
    Text(&'a str),
    List(Vec<Entry<'a>>),
}

#[derive(Debug)]
struct Entry<'a> {
    line: usize,
    key: &'a str,
    value: Value<'a>,
}

/// Reads a graph.
///
/// # Errors
/// [`GmlError`] with the line: text that is not GML, a graph that is not directed, a node without a number, a number or a
/// name given twice, an edge to a node that is not there.
pub fn read_gml(text: &str) -> Result<NamedGraph, GmlError> {
    if text.len() > MAX_BYTES {
        return Err(fail(1, format!("the text has {} bytes, but at most {MAX_BYTES} are read", text.len())));
    }
    let mut tokens = Tokens { text, line: 1 };
    let entries = entries(&mut tokens, 0)?;
    let graph = entries.iter().find(|entry| entry.key == "graph");
    let Some(Entry { line, value: Value::List(graph), .. }) = graph else {
        return Err(fail(1, "there is no `graph [ … ]`"));
    };
    if text_of(graph, "directed") != Some("1") {
        return Err(fail(*line, "the graph is not directed; causes need `directed 1`"));
    }
    let mut named = NamedGraph::default();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (line, node) in lists(graph, "node") {
        let id = text_of(node, "id").ok_or_else(|| fail(line, "a node has no id"))?;
        let name = text_of(node, "label").unwrap_or(id);
        if places.insert(id, named.names.len()).is_some() {
            return Err(fail(line, format!("the id {id} is given twice")));
        }
        if named.names.iter().any(|known| known == name) {
            return Err(fail(line, format!("the node {name:?} is given twice")));
        }
        named.names.push(name.to_owned());
    }
    for (line, edge) in lists(graph, "edge") {
        let end = |key: &str| {
            let id = text_of(edge, key).ok_or_else(|| fail(line, format!("an edge has no {key}")))?;
            places
                .get(id)
                .copied()
                .ok_or_else(|| fail(line, format!("an edge names the node {id}, which is not there")))
        };
        named.edges.push((end("source")?, end("target")?));
    }
    Ok(named)
}

fn fail(line: usize, problem: impl Into<String>) -> GmlError {
    GmlError { line, problem: problem.into() }
}

fn text_of<'a>(entries: &[Entry<'a>], key: &str) -> Option<&'a str> {
    entries.iter().find(|entry| entry.key == key).and_then(|entry| match entry.value {
        Value::Text(text) => Some(text),
        Value::List(_) => None,
    })
}

fn lists<'a, 'b>(entries: &'b [Entry<'a>], key: &'b str) -> impl Iterator<Item = (usize, &'b [Entry<'a>])> {
    entries.iter().filter(move |entry| entry.key == key).filter_map(|entry| match &entry.value {
        Value::List(list) => Some((entry.line, list.as_slice())),
        Value::Text(_) => None,
    })
}

fn entries<'a>(tokens: &mut Tokens<'a>, depth: usize) -> Result<Vec<Entry<'a>>, GmlError> {
    let mut entries = Vec::new();
    loop {
        let key = match tokens.next()? {
            None if depth == 0 => return Ok(entries),
            None => return Err(fail(tokens.line, "a list is not closed; a `]` is missing")),
            Some("]") if depth > 0 => return Ok(entries),
            Some(key @ ("]" | "[")) => {
                return Err(fail(tokens.line, format!("`{key}` stands where a key should")));
            }
            Some(key) => key,
        };
        let line = tokens.line;
        let value = match tokens.next()? {
            None | Some("]") => return Err(fail(line, format!("the key `{key}` has no value"))),
            Some("[") if depth == MAX_DEPTH => return Err(fail(line, "lists are nested too deep")),
            Some("[") => Value::List(self::entries(tokens, depth + 1)?),
            Some(text) => Value::Text(text),
        };
        entries.push(Entry { line, key, value });
    }
}

struct Tokens<'a> {
    text: &'a str,
    line: usize,
}

impl<'a> Tokens<'a> {
    /// The next token: a bracket, a quoted text without its quotes, or a run of other characters.
    fn next(&mut self) -> Result<Option<&'a str>, GmlError> {
        loop {
            let rest = self.text.trim_start();
            self.skip(self.text.len() - rest.len());
            if !rest.starts_with('#') {
                break;
            }
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        }
        let Some(first) = self.text.chars().next() else { return Ok(None) };
        if first == '"' {
            let Some(end) = self.text[1..].find('"') else {
                return Err(fail(self.line, "a quote is not closed"));
            };
            let token = &self.text[1..=end];
            self.skip(end + 2);
            return Ok(Some(token));
        }
        let end = match first {
            '[' | ']' => 1,
            _ => self
                .text
                .find(|character: char| character.is_whitespace() || "[]\"".contains(character))
                .unwrap_or(self.text.len()),
        };
        let token = &self.text[..end];
        self.skip(end);
        Ok(Some(token))
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.text.split_at(bytes);
        self.line += skipped.matches('\n').count();
        self.text = rest;
    }
}
