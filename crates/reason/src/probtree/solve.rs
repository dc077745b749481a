//! From questions to answers: all trees, then wave by wave all questions whose sub-questions are answered.

use backstitch_llm::answer::span;
use backstitch_llm::question::Question;
use backstitch_llm::{Model, Reply, Request};
use backstitch_numerics::Stream;

use super::ProbTree;
use super::confidence::{Said, mean_between, said};
use super::parameters::{Choice, Confidence};
use super::score::{combined, most_confident};
use super::search::shown;
use super::solved::{Absent, Candidate, Module, Solved, SolvedNode};
use super::tree::Tree;
use crate::Error;

/// A question on its way.
struct Open<'a> {
    question: &'a Question,
    tree: Tree,
    /// The confidence of the list of sub-questions, by node.
    decomposition: Vec<Option<f64>>,
    undecomposed: Option<String>,
    /// By node, once its requests are made; its candidates may still wait for their replies.
    nodes: Vec<Option<SolvedNode>>,
    error: Option<Error>,
}

/// What a request is about.
struct Ask {
    open: usize,
    node: usize,
    candidate: usize,
}

impl ProbTree {
    pub(super) fn solve(&self, model: &dyn Model, questions: &[Question]) -> Vec<Result<Solved, Error>> {
        let mut open = self.decompose(model, questions);
        loop {
            let (wave, asks, requests) = self.wave(&mut open);
            if wave.is_empty() {
                break;
            }
            for (ask, reply) in asks.iter().zip(model.complete(&requests)) {
                self.receive(&mut open[ask.open], ask, reply);
            }
            for (place, node) in wave {
                self.choose(&mut open[place], node);
            }
        }
        open.into_iter().map(|open| self.finish(open)).collect()
    }

    /// Asks for all trees.
    fn decompose<'a>(&self, model: &dyn Model, questions: &'a [Question]) -> Vec<Open<'a>> {
        let leaf = |question: &'a Question| Open {
            question,
            tree: Tree::leaf(&question.text),
            decomposition: vec![None],
            undecomposed: None,
            nodes: vec![None],
            error: None,
        };
        let mut open: Vec<Open<'a>> = questions.iter().map(leaf).collect();
        if !self.parameters.decompose {
            return open;
        }
        let replies = model.complete(&self.decomposition_requests(questions));
        for (open, reply) in open.iter_mut().zip(replies) {
            match reply {
                Err(source) => {
                    open.error = Some(Error::model(&open.question.id, "decomposition", source));
                }
                Ok(reply) => match self.tree(&reply, &open.question.text) {
                    Err(reason) => open.undecomposed = Some(reason),
                    Ok((tree, decomposition)) => {
                        open.nodes = vec![None; tree.nodes.len()];
                        (open.tree, open.decomposition) = (tree, decomposition);
                    }
                },
            }
        }
        open
    }

    /// The tree of a reply, and the confidence of each of its lists.
    fn tree(&self, reply: &Reply, question: &str) -> Result<(Tree, Vec<Option<f64>>), String> {
        let parse = |text: &str| Tree::parse(text, question, self.parameters.caps());
        if self.parameters.confidence != Confidence::Agreement {
            let Some(sample) = reply.samples.first() else { return Err("there is no reply".into()) };
            let tree = parse(&sample.text)?;
            let of_list = |list: Option<(usize, usize)>| {
                let (start, end) = list?;
                mean_between(sample, &sample.text, start, end)
            };
            let decomposition = tree.nodes.iter().map(|node| of_list(node.list)).collect();
            return Ok((tree, decomposition));
        }
        let trees: Vec<Result<Tree, String>> =
            reply.samples.iter().map(|sample| parse(&sample.text)).collect();
        let same = |tree: &Tree| trees.iter().flatten().filter(|other| other.asks_the_same(tree)).count();
        let mut best: Option<(&Tree, usize)> = None;
        for tree in trees.iter().flatten() {
            let count = same(tree);
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((tree, count));
            }
        }
        let Some((tree, count)) = best else {
            let first = trees.into_iter().next().and_then(Result::err);
            return Err(first.unwrap_or_else(|| "there is no reply".into()));
        };
        let share = (count as f64 / trees.len() as f64).ln();
        let decomposition = tree.nodes.iter().map(|node| node.list.map(|_| share)).collect();
        Ok((tree.clone(), decomposition))
    }

    /// The questions that can be answered now, and what is to be asked for them.
    fn wave(&self, open: &mut [Open<'_>]) -> (Vec<(usize, usize)>, Vec<Ask>, Vec<Request>) {
        let (mut wave, mut asks, mut requests) = (Vec::new(), Vec::new(), Vec::new());
        for (place, open) in open.iter_mut().enumerate() {
            if open.error.is_some() {
                continue;
            }
            let ready = |node: usize| {
                let mut below =
                    open.tree.nodes[node].children.iter().copied().chain(open.tree.references(node));
                open.nodes[node].is_none() && below.all(|other| open.nodes[other].is_some())
            };
            let ready: Vec<usize> = (0..open.nodes.len()).filter(|node| ready(*node)).collect();
            for node in ready {
                let (solved, asked) = self.prepare(open, node);
                open.nodes[node] = Some(solved);
                wave.push((place, node));
                for (candidate, request) in asked {
                    asks.push(Ask { open: place, node, candidate });
                    requests.push(request);
                }
            }
        }
        (wave, asks, requests)
    }

    /// A node with a place for each of its candidates, and the requests that will fill them.
    fn prepare(&self, open: &Open<'_>, node: usize) -> (SolvedNode, Vec<(usize, Request)>) {
        let template = &open.tree.nodes[node];
        let inner = !template.children.is_empty();
        let modules = if inner { self.parameters.inner } else { self.parameters.leaves };
        let filled = open.tree.filled(node, |sibling| open.answer(sibling));
        let mut solved = SolvedNode {
            question: filled.clone().unwrap_or_else(|| template.question.clone()),
            template: template.question.clone(),
            children: template.children.clone(),
            decomposition: open.decomposition[node],
            passages: Vec::new(),
            candidates: Vec::new(),
            winner: None,
            answer: None,
            confidence: None,
        };
        let mut asked = Vec::new();
        let mut candidate = |solved: &mut SolvedNode, module, request: Result<Request, Absent>| {
            let place = solved.candidates.len();
            let absent = request.as_ref().err().copied();
            solved.candidates.push(Candidate {
                module,
                answer: None,
                explanation: String::new(),
                own: None,
                confidence: None,
                absent,
            });
            asked.extend(request.ok().map(|request| (place, request)));
        };
        let question = filled.ok_or(Absent::ReferenceAbsent);
        let parameters = &self.parameters;
        if modules.closed_book {
            let request = question.as_ref().map(|question| self.prompts.closed_book(question, parameters));
            candidate(&mut solved, Module::ClosedBook, request.map_err(|absent| *absent));
        }
        if modules.open_book {
            let request = match &question {
                Err(absent) => Err(*absent),
                Ok(question) => {
                    let (ids, texts) = self.passages_for(open, node, question);
                    solved.passages = ids;
                    let request = || self.prompts.open_book(&texts, question, inner, parameters);
                    if texts.is_empty() { Err(Absent::NoPassage) } else { Ok(request()) }
                }
            };
            candidate(&mut solved, Module::OpenBook, request);
        }
        if inner && modules.children {
            let line = |child: &usize| {
                let child = open.nodes[*child].as_ref();
                let question = child.map(|child| child.question.clone()).unwrap_or_default();
                (question, child.and_then(|child| child.answer.clone()).unwrap_or_else(|| "Unknown".into()))
            };
            let context: Vec<(String, String)> = template.children.iter().map(line).collect();
            let request =
                question.as_ref().map(|question| self.prompts.children(&context, question, parameters));
            candidate(&mut solved, Module::Children, request.map_err(|absent| *absent));
        }
        (solved, asked)
    }

    /// Ids and texts of the passages for a node.
    fn passages_for(&self, open: &Open<'_>, node: usize, question: &str) -> (Vec<String>, Vec<String>) {
        let Some(passages) = &self.passages else { return (Vec::new(), Vec::new()) };
        let parameters = &self.parameters;
        let mut queries = vec![(question.to_owned(), parameters.top_k)];
        let below = open.tree.descendants(node);
        let questions = below.iter().filter_map(|below| open.nodes[*below].as_ref());
        queries.extend(questions.map(|below| (below.question.clone(), parameters.descendant_passages)));
        if below.is_empty() {
            let entities = open.tree.references(node).into_iter().filter_map(|sibling| open.answer(sibling));
            queries.extend(entities.map(|entity| (entity, parameters.entity_passages)));
        }
        let queries: Vec<(&str, u32)> = queries.iter().map(|(query, most)| (query.as_str(), *most)).collect();
        let found = passages.find(&queries, parameters.passage_characters as usize);
        found.iter().map(|passage| (passage.id.clone(), shown(passage))).unzip()
    }

    fn receive(&self, open: &mut Open<'_>, ask: &Ask, reply: Result<Reply, backstitch_llm::Error>) {
        let Some(candidate) = open.nodes[ask.node].as_mut().map(|node| &mut node.candidates[ask.candidate])
        else {
            return;
        };
        let said = match reply {
            Ok(reply) => said(&reply, &self.parameters),
            Err(backstitch_llm::Error::PromptTooLong { .. }) => {
                Said { answer: None, explanation: String::new(), confidence: Err(Absent::TooLong) }
            }
            Err(source) => {
                let stage = match candidate.module {
                    Module::ClosedBook => "closed book",
                    Module::OpenBook => "open book",
                    Module::Children => "answer from sub-questions",
                };
                let error = Error::model(&open.question.id, stage, source);
                open.error.get_or_insert(error);
                return;
            }
        };
        candidate.answer = said.answer;
        candidate.explanation = said.explanation;
        match said.confidence {
            Ok(confidence) => (candidate.own, candidate.confidence) = (Some(confidence), Some(confidence)),
            Err(absent) => candidate.absent = Some(absent),
        }
    }

    /// Chooses among the answers of a node.
    fn choose(&self, open: &mut Open<'_>, place: usize) {
        let Some(mut node) = open.nodes[place].take() else { return };
        let of_child = |child: &usize| open.nodes[*child].as_ref().and_then(|child| child.confidence);
        let below: Vec<Option<f64>> = node.children.iter().map(of_child).collect();
        if let Some(from_children) = node.candidates.iter_mut().find(|one| one.module == Module::Children) {
            let combination = self.parameters.combination;
            from_children.confidence = combined(from_children.own, node.decomposition, &below, combination);
            if from_children.own.is_some() && from_children.confidence.is_none() {
                from_children.absent = Some(Absent::ChildAbsent);
            }
        }
        let winner = match self.parameters.choice {
            Choice::MostConfident => {
                let answers: Vec<(bool, Option<f64>)> =
                    node.candidates.iter().map(|one| (one.answer.is_some(), one.confidence)).collect();
                most_confident(&answers)
            }
            Choice::Random => {
                let there: Vec<usize> =
                    (0..node.candidates.len()).filter(|one| node.candidates[*one].answer.is_some()).collect();
                let purpose = format!("probtree choice {} {place}", open.question.id);
                let mut stream = Stream::new(self.parameters.seed.unwrap_or_default(), &purpose);
                (!there.is_empty()).then(|| there[stream.below(there.len())])
            }
        };
        if let Some(winner) = winner.map(|winner| &node.candidates[winner]) {
            node.winner = Some(winner.module);
            (node.answer, node.confidence) = (winner.answer.clone(), winner.confidence);
        }
        open.nodes[place] = Some(node);
    }

    fn finish(&self, open: Open<'_>) -> Result<Solved, Error> {
        if let Some(error) = open.error {
            return Err(error);
        }
        let nodes: Vec<SolvedNode> = open.nodes.into_iter().flatten().collect();
        let root = nodes.last();
        let answer = root.and_then(|root| root.answer.clone());
        let gold = open.question.gold.as_ref().map(ToString::to_string);
        let stated = answer.as_deref().unwrap_or_default();
        Ok(Solved {
            id: open.question.id.clone(),
            confidence: root.and_then(|root| root.confidence),
            exact: gold.as_ref().map(|gold| span::exact(stated, gold)),
            f1: gold.as_ref().map(|gold| span::f1(stated, gold)),
            answer,
            undecomposed: open.undecomposed,
            nodes,
        })
    }
}

impl Open<'_> {
    /// The answer that was chosen for a node.
    fn answer(&self, node: usize) -> Option<String> {
        self.nodes[node].as_ref()?.answer.clone()
    }
}
