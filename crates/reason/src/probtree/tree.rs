//! The tree of a question.

use super::scan::{Entry, entries, tidy};

/// A tree: nodes in the order in which they are solved, children before their parent, siblings from left to right. The root is the
/// last.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A question of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its text, with placeholders like `<1>` for the answers of earlier siblings.
    pub question: String,
    /// Its sub-questions; none for a leaf.
    pub children: Vec<usize>,
    /// The node whose sub-question it is; none for the root.
    pub parent: Option<usize>,
    /// Where the list of its sub-questions stands in the reply: first byte and the byte behind it; none for a leaf.
    pub list: Option<(usize, usize)>,
}

/// How large a tree may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Most levels, the root's among them.
    pub levels: u32,
    /// Most nodes.
    pub nodes: u32,
}

impl Tree {
    /// A question that is not taken apart.
    pub fn leaf(question: &str) -> Self {
        let root = Node { question: question.to_owned(), children: Vec::new(), parent: None, list: None };
        Self { nodes: vec![root] }
    }

    /// The tree in a reply: a JSON object of questions and lists of their sub-questions. The question itself stands first; a
    /// sub-question that is a key too has sub-questions of its own. Earlier siblings are referred to as `<1>` or `#1`.
    ///
    /// A question with itself among its sub-questions is a leaf.
    ///
    /// # Errors
    /// A sentence on what is wrong: no JSON, no entry for the question, a key with a placeholder, a placeholder without a sibling, a
    /// question below itself, or a tree above the caps.
    pub fn parse(reply: &str, question: &str, caps: Caps) -> Result<Self, String> {
        let entries = entries(reply)?;
        let root = entries.iter().position(|entry| same(&entry.question, question)).unwrap_or(0);
        let Some(first) = entries.get(root) else {
            return Err("the object in the reply has no question".into());
        };
        for entry in entries.iter().filter(|entry| !entry.parts.is_empty()) {
            if let Some(number) = placeholders(&entry.question).first() {
                return Err(format!(
                    "the question {:?} has sub-questions and refers to <{}>; only a question without sub-questions may refer to another",
                    entry.question, number.number
                ));
            }
        }
        let mut tree = Self { nodes: Vec::new() };
        let mut above = Vec::new();
        tree.add(&entries, Some(first), question, caps, &mut above)?;
        Ok(tree)
    }

    /// The place of the root.
    pub fn root(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Whether another tree has the same questions in the same places.
    pub(super) fn asks_the_same(&self, other: &Self) -> bool {
        let same_node = |(one, other): (&Node, &Node)| {
            (&one.question, &one.children) == (&other.question, &other.children)
        };
        self.nodes.len() == other.nodes.len() && self.nodes.iter().zip(&other.nodes).all(same_node)
    }

    /// All nodes below a node, in the order in which they are solved.
    pub fn descendants(&self, node: usize) -> Vec<usize> {
        let mut below: Vec<usize> = Vec::new();
        for &child in &self.nodes[node].children {
            below.extend(self.descendants(child));
            below.push(child);
        }
        below
    }

    /// The siblings that a node refers to, by their place in the tree.
    pub fn references(&self, node: usize) -> Vec<usize> {
        let Some(parent) = self.nodes[node].parent else { return Vec::new() };
        let siblings = &self.nodes[parent].children;
        let found = placeholders(&self.nodes[node].question);
        found.iter().filter_map(|found| siblings.get(found.number.checked_sub(1)?).copied()).collect()
    }

    /// The text of a node with the answers of its siblings in the place of the placeholders.
    pub fn filled(&self, node: usize, answer: impl Fn(usize) -> Option<String>) -> Option<String> {
        let question = &self.nodes[node].question;
        let Some(parent) = self.nodes[node].parent else { return Some(question.clone()) };
        let siblings = &self.nodes[parent].children;
        let mut filled = String::new();
        let mut from = 0;
        for Placeholder { start, end, number } in placeholders(question) {
            let sibling = siblings.get(number.checked_sub(1)?)?;
            filled += &question[from..start];
            filled += &answer(*sibling)?;
            from = end;
        }
        Some(filled + &question[from..])
    }

    fn add<'a>(
        &mut self,
        entries: &'a [Entry],
        entry: Option<&'a Entry>,
        question: &str,
        caps: Caps,
        above: &mut Vec<String>,
    ) -> Result<usize, String> {
        if above.len() >= caps.levels as usize {
            return Err(format!(
                "the tree has more than {} levels; allow more, or ask for a simpler one in the instruction",
                caps.levels
            ));
        }
        let itself = |entry: &&Entry| entry.parts.iter().any(|part| same(part, &entry.question));
        let entry = entry.filter(|entry| !entry.parts.is_empty()).filter(|entry| !itself(entry));
        let mut children = Vec::new();
        if let Some(entry) = entry {
            above.push(entry.question.clone());
            for (place, part) in entry.parts.iter().enumerate() {
                if part.is_empty() {
                    return Err(format!("sub-question {} of {:?} is empty", place + 1, entry.question));
                }
                if above.iter().any(|question| same(question, part)) {
                    return Err(format!("the question {part:?} stands below itself"));
                }
                check_references(place, part)?;
                let own = entries.iter().find(|other| same(&other.question, part));
                children.push(self.add(entries, own, part, caps, above)?);
            }
            above.pop();
        }
        let place = self.nodes.len();
        if place >= caps.nodes as usize {
            return Err(format!(
                "the tree has more than {} questions; allow more, or ask for a simpler one in the instruction",
                caps.nodes
            ));
        }
        for &child in &children {
            self.nodes[child].parent = Some(place);
        }
        let list = entry.map(|entry| (entry.start, entry.end));
        self.nodes.push(Node { question: question.to_owned(), children, parent: None, list });
        Ok(place)
    }
}

/// Refuses placeholders of siblings that do not come before.
fn check_references(place: usize, part: &str) -> Result<(), String> {
    let earlier = match place {
        0 => "no earlier sibling exists".to_owned(),
        1 => "only 1 earlier sibling exists".to_owned(),
        more => format!("only {more} earlier siblings exist"),
    };
    match placeholders(part).into_iter().find(|found| !(1..=place).contains(&found.number)) {
        None => Ok(()),
        Some(found) => Err(format!("sub-question {} refers to <{}>, but {earlier}", place + 1, found.number)),
    }
}

/// A reference to the answer of a sibling.
struct Placeholder {
    start: usize,
    end: usize,
    /// Which sibling, counted from 1.
    number: usize,
}

/// `<1>`, with or without spaces inside, and `#1` where no letter or digit stands before it.
fn placeholders(text: &str) -> Vec<Placeholder> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(offset) = text[from..].find(['<', '#']) {
        let start = from + offset;
        let inside = &text[start + 1..];
        let bracket = text[start..].starts_with('<');
        let trimmed = if bracket { inside.trim_start() } else { inside };
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let behind = &trimmed[digits..];
        let close = if bracket { behind.trim_start().strip_prefix('>') } else { Some(behind) };
        let alone = bracket || !text[..start].ends_with(|before: char| before.is_alphanumeric());
        match (trimmed[..digits].parse(), close) {
            (Ok(number), Some(rest)) if alone && digits <= 3 => {
                let end = text.len() - rest.len();
                found.push(Placeholder { start, end, number });
                from = end;
            }
            _ => from = start + 1,
        }
    }
    found
}

/// Whether two texts are the same question, however it is spaced.
fn same(one: &str, other: &str) -> bool {
    tidy(one) == tidy(other)
}
