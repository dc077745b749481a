//! Scores of answers, and the audit of a corpus.

use backstitch_language::Error;
use backstitch_language::facts::{
    Direction, Fact, FactSet, Group, PeopleParameters, Record, Template, Templates, people,
};
use backstitch_language::reversal_curse::{
    CARD, Parameters, Score, Stored, audit, evaluate, exact_match, read_corpus,
};

fn small() -> FactSet {
    let facts = (0..6).map(|i| Fact {
        name: format!("name{i}"),
        description: format!("thing{i}"),
        group: if i < 4 { Group::NameToDescription } else { Group::Both },
    });
    let facts: Vec<Fact> = facts.collect();
    let record = |fact: usize, template: usize| Record {
        prompt: format!("thing{fact} is"),
        completion: format!(" name{fact}"),
        fact,
        group: facts[fact].group,
        direction: Direction::DescriptionToName,
        template,
    };
    let test = (0..6)
        .flat_map(|fact| (0..3).map(move |template| (fact, template)))
        .map(|(f, t)| record(f, t))
        .collect();
    FactSet { facts: facts.clone(), train: vec![], test }
}

fn silent(prompts: &[String]) -> Result<Vec<String>, Error> {
    Ok(vec![String::new(); prompts.len()])
}

fn flat(values: &[f64]) -> Vec<Score> {
    values.iter().map(|&log_probability| Score { log_probability, tokens: 2 }).collect()
}

#[test]
fn exact_match_ignores_case_and_leading_space() {
    assert!(exact_match(" Ada Birch, who", "ada birch"));
    assert!(exact_match("ÉMILE Zola", "Émile zola"));
    assert!(!exact_match("Ada", "Ada Birch"));
    assert!(!exact_match("so Ada Birch", "Ada Birch"));
    assert!(!exact_match("anything", " "));
}

#[test]
fn ranking_counts_ties_against_the_model() {
    let set = small();
    let score = |prompt: &str, candidates: &[String]| {
        assert_eq!(candidates[2], " name2");
        let mut values = [-2.0; 6];
        if prompt.starts_with("thing0") {
            values[0] = -1.0;
        }
        if prompt.starts_with("thing4") {
            // Beaten by a fact of another group only.
            values[4] = -1.0;
            values[1] = -0.5;
        }
        Ok(flat(&values))
    };
    let evaluation = evaluate(&set, &set.test, &Parameters::default(), silent, score).unwrap();
    let above: Vec<_> = evaluation.answers.iter().map(|a| (a.above, a.above_in_group)).collect();
    assert_eq!((above[0], above[3], above[12], above[15]), ((0, 0), (5, 3), (1, 0), (5, 1)));
    let summary = evaluation.summary();
    assert_eq!(summary.len(), 2);
    let row = &summary[0];
    assert_eq!(
        (row.group, row.reversed, row.facts, row.questions),
        (Group::NameToDescription, Some(true), 4, 12)
    );
    assert_eq!((row.top1.estimate, row.top1_in_group.estimate), (0.25, 0.25));
    assert_eq!((row.chance, row.chance_in_group), (1.0 / 6.0, 0.25));
    assert_eq!((summary[1].top1.estimate, summary[1].top1_in_group.estimate), (0.0, 0.5));
    assert_eq!(summary[1].reversed, Some(false));
}

#[test]
fn the_random_other_is_of_the_same_group() {
    let set = small();
    // log-probabilities that name the candidate: the difference says which other was drawn.
    let score = |_: &str, _: &[String]| Ok(flat(&[-1.0, -2.0, -4.0, -8.0, -16.0, -32.0]));
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let parameters = Parameters { seed, ..Parameters::default() };
        let evaluation = evaluate(&set, &set.test, &parameters, silent, score).unwrap();
        let again = evaluate(&set, &set.test, &parameters, silent, score).unwrap();
        assert_eq!(evaluation, again);
        for answer in &evaluation.answers {
            let difference = answer.difference.unwrap();
            seen.insert((answer.fact, difference as i64));
        }
    }
    // Every member of the group but the fact itself: 4·3 pairs and 2·1 pairs.
    let expected: std::collections::BTreeSet<_> = (0..6_usize)
        .flat_map(|fact| (0..6_usize).map(move |other| (fact, other)))
        .filter(|&(fact, other)| fact != other && (fact < 4) == (other < 4))
        .map(|(fact, other)| (fact, (1_i64 << other) - (1_i64 << fact)))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn prompts_of_one_fact_are_one_observation() {
    let set = small();
    let score = |prompt: &str, _: &[String]| {
        let fact: usize = prompt[5..6].parse().unwrap();
        let mut values = [-3.0; 6];
        values[fact] = -3.0 + fact as f64;
        values[..=fact].iter_mut().for_each(|value| *value = value.min(0.0));
        Ok(flat(&values))
    };
    let all = evaluate(&set, &set.test, &Parameters::default(), silent, score).unwrap();
    let once: Vec<Record> = set.test.iter().filter(|record| record.template == 0).cloned().collect();
    let one = evaluate(&set, &once, &Parameters::default(), silent, score).unwrap();
    // Three identical wordings give exactly the interval of one.
    let (all, one) = (all.summary()[0].difference.unwrap(), one.summary()[0].difference.unwrap());
    assert_eq!(all, one);
    assert!((all.estimate - 1.5).abs() < 1e-12 && all.upper > all.lower);
}

#[test]
fn per_token_scores_change_the_ranking() {
    let set = small();
    let score = |_: &str, _: &[String]| {
        Ok((0..6).map(|i| Score { log_probability: -1.0 - i as f64, tokens: 1 + 3 * i }).collect())
    };
    let question = &set.test[15..16];
    let sum = evaluate(&set, question, &Parameters::default(), silent, score).unwrap();
    let mean = evaluate(&set, question, &Parameters { per_token: true, seed: 0 }, silent, score).unwrap();
    assert_eq!((sum.answers[0].above, mean.answers[0].above), (5, 0));
}

#[test]
fn answers_of_the_wrong_shape_are_refused() {
    let set = small();
    let ask = |values: Vec<Score>| {
        evaluate(&set, &set.test, &Parameters::default(), silent, |_, _| Ok(values.clone()))
    };
    for (values, wrong) in [
        (flat(&[-1.0; 5]), "5 scores for 6 candidates"),
        (flat(&[f64::NAN; 6]), "NaN"),
        (flat(&[0.5; 6]), "must be at most 0"),
        (vec![Score { log_probability: -1.0, tokens: 0 }; 6], "no tokens"),
    ] {
        let error = ask(values).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
    let short = |_: &[String]| Ok(vec![]);
    let error =
        evaluate(&set, &set.test, &Parameters::default(), short, |_, _| Ok(flat(&[-1.0; 6]))).unwrap_err();
    assert!(error.to_string().contains("0 completions for 18 prompts"), "{error}");
    let broken = |_: &[String]| Err(Error::model("no answer"));
    let error = evaluate(&set, &set.test, &Parameters::default(), broken, |_, _| Ok(vec![])).unwrap_err();
    assert_eq!(error.to_string(), "the model failed: no answer");
    // A model that excludes everything has no difference, and no panic.
    let none =
        evaluate(&set, &set.test, &Parameters::default(), silent, |_, _| Ok(flat(&[f64::NEG_INFINITY; 6])))
            .unwrap();
    assert_eq!(none.summary()[0].difference, None);
    assert_eq!(none.answers[0].above, 5);
    serde_json::to_string(&none.summary()).unwrap();
}

#[test]
fn the_audit_finds_what_the_generator_stored() {
    let set = people(&PeopleParameters::default(), 2).unwrap();
    let texts: Vec<String> = set.train.iter().map(Record::text).collect();
    let audit = audit(&set.facts, texts.iter().map(String::as_str));
    assert_eq!(audit.texts, texts.len());
    assert_eq!(audit.one_directional().count(), 120);
    assert_eq!((audit.count(Stored::Both), audit.count(Stored::Never)), (30, 0));
    assert!(audit.facts.iter().all(|fact| !fact.contradicts));
    assert_eq!((audit.facts[0].name_first, audit.facts[0].description_first), (6, 0));
    assert_eq!((audit.facts[149].name_first, audit.facts[149].description_first), (6, 6));
    let mut facts = set.facts.clone();
    facts[0].group = Group::Both;
    facts[1].group = Group::Unstated;
    let again = backstitch_language::reversal_curse::audit(&facts, texts.iter().map(String::as_str));
    assert!(again.facts[0].contradicts && !again.facts[1].contradicts);
}

#[test]
fn corpora_are_lines_or_records() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let path = folder.path().join("corpus");
        std::fs::write(&path, text).unwrap();
        read_corpus(&path)
    };
    assert_eq!(read("one\n\ntwo").unwrap(), ["one", "two"]);
    let records = "{\"prompt\": \"Ada is\", \"completion\": \" tall\"}\n{\"text\": \"x\", \"id\": 3}\n{\"content\": \"y\"}";
    assert_eq!(read(records).unwrap(), ["Ada is tall", "x", "y"]);
    let error = read("{\"text\": \"x\"}\n{\"text\": 4}").unwrap_err().to_string();
    assert!(error.contains("line 2: no text"), "{error}");
    assert!(read("{\"text\": \"x\"}\nnot json").unwrap_err().to_string().contains("line 2: not JSON"));
}

#[test]
fn a_users_facts_are_asked_in_both_directions() {
    let facts = vec![Fact { name: "Ada".into(), description: "painter".into(), group: Group::Unstated }];
    let patterns =
        ["{name} is the {description}", "the {description} is {name}", "a {description} named {name}"];
    let patterns = patterns.into_iter().map(|text| Template::new(text).unwrap()).collect();
    let set = FactSet::new(facts, &Templates::for_questions(patterns));
    assert!(set.train.is_empty());
    let prompts: Vec<&str> = set.test.iter().map(|record| record.prompt.as_str()).collect();
    assert_eq!(prompts, ["Ada is the", "the painter is", "a painter named"]);
    let score = |_: &str, candidates: &[String]| Ok(flat(&vec![-1.0; candidates.len()]));
    let summary = evaluate(&set, &set.test, &Parameters::default(), silent, score).unwrap().summary();
    assert!(summary.iter().all(|row| row.reversed.is_none() && row.difference.is_none()));
    assert_eq!((summary.len(), summary[1].chance), (2, 1.0));
}

#[test]
fn the_card_has_a_shelf_row() {
    assert!(CARD.bibtex().contains("2309.12288"));
}
