//! Every request of four graphs, to the letter. `SNAPSHOTS=overwrite cargo test -p backstitch-reason` writes them anew; read the difference.

use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;

use backstitch_llm::answer::Kind;
use backstitch_llm::{Prompt, Request, Role};
use backstitch_reason::textgrad::{
    AnswerCritic, Engine, FormattedLlmCall, LlmCall, StringFunction, TextualGradientDescent, Variable,
    aggregate, exact_match, sum,
};
use snapbox::{Assert, Data};

use crate::scripted::Scripted;

/// Numbers its replies; new texts come in the tags that were asked for, from the second reply on.
fn numbered(without_tags: u32) -> Scripted<impl Fn(&str, u32) -> Option<String>> {
    let (count, optimised) = (Cell::new(0), Cell::new(0));
    Scripted::new(move |text, _| {
        count.set(count.get() + 1);
        let number = count.get();
        let Some((_, tag)) = text.rsplit_once("</IMPROVED_VARIABLE") else {
            return Some(format!("reply {number}"));
        };
        optimised.set(optimised.get() + 1);
        let tag = tag.split('>').next()?;
        Some(if optimised.get() <= without_tags {
            format!("reply {number}, without tags")
        } else {
            format!("<IMPROVED_VARIABLE{tag}>\ntext {number}\n</IMPROVED_VARIABLE{tag}>")
        })
    })
}

#[track_caller]
fn golden(name: &str, asked: &[Request]) {
    let mut text = String::new();
    for (request, number) in asked.iter().zip(1..) {
        writeln!(text, "======== request {number}").unwrap();
        if let Some(system) = &request.system {
            writeln!(text, "---- system\n{system}").unwrap();
        }
        let Prompt::Messages(messages) = &request.prompt else { panic!("a conversation") };
        for message in messages {
            let who = if message.role == Role::User { "user" } else { "assistant" };
            writeln!(text, "---- {who}\n{}", message.content).unwrap();
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/textgrad-{name}.txt"));
    Assert::new().action_env("SNAPSHOTS").eq(Data::text(text).raw(), Data::read_from(&path, None).raw());
}

#[test]
fn a_solution() {
    let model = numbered(0);
    let engine = Engine::new(&model);
    let question =
        Variable::constant("Which gas do plants take up?\n(A) oxygen\n(B) carbon dioxide", "question")
            .unwrap();
    let solution = Variable::new("Plants breathe. Answer: A", "solution to the question").unwrap();
    let critic = AnswerCritic::new("").unwrap();
    let mut optimizer = TextualGradientDescent::new([solution.clone()])
        .unwrap()
        .with_constraints(["The last line is `Answer: X` with the letter of an option."])
        .with_momentum(1);
    for _ in 0..2 {
        optimizer.zero_grad();
        critic.evaluate_all(&engine, &[(&question, &solution)]).unwrap()[0].backward(&engine).unwrap();
        optimizer.step(&engine).unwrap();
    }
    golden("solution", &model.asked());
}

#[test]
fn a_prompt() {
    let model = numbered(0);
    let engine = Engine::new(&model);
    let prompt = Variable::new("Answer with a number.", "system prompt to a small model").unwrap();
    let call = LlmCall::new("answer of the model").with_system(&prompt);
    let questions = ["How many legs has a cat?", "How many wings have two birds?"];
    let questions = questions.map(|question| Variable::constant(question, "question").unwrap());
    let answers = call.call_all(&engine, &questions).unwrap();
    let truth = Variable::constant("4", "right answer").unwrap();
    let losses: Vec<Variable> =
        answers.iter().map(|answer| exact_match(Kind::Number, answer, &truth)).collect();
    sum(&losses).backward(&engine).unwrap();
    TextualGradientDescent::new([prompt])
        .unwrap()
        .with_examples(["Count step by step."])
        .step(&engine)
        .unwrap();
    golden("prompt", &model.asked());
}

#[test]
fn a_program() {
    // It holds the tags of the requests, and the first new text comes without any.
    let model = numbered(1);
    let engine = Engine::new(&model);
    let program = Variable::new("print('<OUTPUT>1</OUTPUT>')", "program").unwrap();
    let task = Variable::constant("Print 2 between tags.", "task").unwrap();
    let tests = StringFunction::new("runs the tests of the program", |_| "1 test failed: expected 2".into());
    tests.call(&[("task", &task), ("program", &program)]).backward(&engine).unwrap();
    TextualGradientDescent::new([program]).unwrap().with_gradient_memory(2).step(&engine).unwrap();
    golden("program", &model.asked());
}

#[test]
fn a_pipeline() {
    // Two prompts one behind the other, over a batch whose feedback is merged.
    let model = numbered(0);
    let engine = Engine::new(&model);
    let plan = Variable::new("Make a plan.", "prompt of the planner").unwrap();
    let write = Variable::new("Follow the plan.", "prompt of the writer").unwrap();
    let planner = LlmCall::new("plan").with_system(&plan);
    let writer = FormattedLlmCall::new("Topic: {topic}\nPlan: {plan}", "essay").with_system(&write);
    let topics = ["rain", "snow"].map(|topic| Variable::constant(topic, "topic").unwrap());
    let plans = planner.call_all(&engine, &topics).unwrap();
    let fields: Vec<Vec<(&str, &Variable)>> =
        topics.iter().zip(&plans).map(|(topic, plan)| vec![("topic", topic), ("plan", plan)]).collect();
    let essays = writer.call_all(&engine, &fields).unwrap();
    let losses: Vec<Variable> = essays
        .iter()
        .map(|essay| {
            StringFunction::new("counts words", |texts| texts[0].split(' ').count().to_string())
                .call(&[("essay", essay)])
        })
        .collect();
    aggregate(&losses).backward(&engine).unwrap();
    TextualGradientDescent::new([plan, write]).unwrap().step(&engine).unwrap();
    golden("pipeline", &model.asked());
}
