//! Facts, their generators, their reader and the checks against leaks.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use backstitch_data::jsonl::{read_jsonl_from, write_jsonl};
use backstitch_language::Error;
use backstitch_language::facts::{
    Direction, Fact, FactSet, Finder, Group, NGrams, Pair, PeopleParameters, Record, SymbolicParameters,
    Template, Templates, check_directions, people, people_templates, read_facts_from, symbolic,
};

fn fact(name: &str, description: &str, group: Group) -> Fact {
    Fact { name: name.into(), description: description.into(), group }
}

#[test]
fn names_are_ambiguous_word_by_word_and_unique_as_wholes() {
    for seed in 0..20 {
        let set = people(&PeopleParameters::default(), seed).unwrap();
        assert_eq!((set.facts.len(), set.train.len()), (150, (60 + 60 + 2 * 30) * 6));
        assert_eq!(set.test.len(), 150 * 2 * 2);
        let names: HashSet<&str> = set.facts.iter().map(|fact| fact.name.as_str()).collect();
        let descriptions: HashSet<&str> = set.facts.iter().map(|fact| fact.description.as_str()).collect();
        assert_eq!((names.len(), descriptions.len()), (150, 150));
        let mut uses: HashMap<(usize, &str), usize> = HashMap::new();
        for fact in &set.facts {
            let words: Vec<&str> = fact.name.split(' ').collect();
            assert_eq!((words.len(), fact.description.split(' ').count()), (2, 4));
            for (place, word) in words.into_iter().enumerate() {
                *uses.entry((place, word)).or_default() += 1;
            }
            for (place, word) in fact.description.split(' ').enumerate() {
                *uses.entry((2 + place, word)).or_default() += 1;
            }
        }
        assert!(uses.values().all(|&count| count >= 3), "{uses:?}");
        assert_eq!(uses.keys().filter(|(place, _)| *place == 0).count(), 40);
        set.check().unwrap();
    }
    assert_ne!(
        people(&PeopleParameters::default(), 0).unwrap(),
        people(&PeopleParameters::default(), 1).unwrap()
    );
    assert_eq!(
        people(&PeopleParameters::default(), 7).unwrap(),
        people(&PeopleParameters::default(), 7).unwrap()
    );
}

#[test]
fn held_out_templates_use_trained_words_only_and_are_new_sentences() {
    let templates = people_templates().unwrap();
    for direction in Direction::BOTH {
        let (train, held_out) = templates.of(direction);
        assert_eq!((train.len(), held_out.len()), (6, 2));
        let texts: HashSet<&str> = train.iter().map(Template::text).collect();
        assert!(held_out.iter().all(|template| !texts.contains(template.text())));
    }
    let read = |text: &str| Template::new(text).unwrap();
    let side = |held_out: &str| (vec![read("{name} is {description}")], vec![read(held_out)]);
    let other = || (vec![read("{description} is {name}")], vec![]);
    assert!(Templates::new(side("{name} is is {description}"), other()).is_ok());
    let error = Templates::new(side("{name} was {description}"), other()).unwrap_err();
    assert!(error.to_string().contains("\"was\""), "{error}");
    let error = Templates::new(other(), other()).unwrap_err().to_string();
    assert!(error.contains("is description-to-name, not name-to-description"), "{error}");
}

#[test]
fn templates_are_checked() {
    for (text, wrong) in [
        ("{name} is known", "has no {description}"),
        ("{name} {name} {description}", "has {name} more than once"),
        ("{name}{description}", "exactly one space"),
        ("{name}  {description}", "exactly one space"),
    ] {
        let error = Template::new(text).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
    let set = FactSet::new(
        vec![fact("Ada Birch", "gifted painter", Group::Both)],
        &Templates::new(
            (vec![Template::new("Look: {name}, the {description}!").unwrap()], vec![]),
            (vec![Template::new("The {description} is {name}.").unwrap()], vec![]),
        )
        .unwrap(),
    );
    assert_eq!(set.train[0].prompt, "Look: Ada Birch, the");
    assert_eq!(set.train[0].completion, " gifted painter!");
    assert_eq!(set.train[1].text(), "The gifted painter is Ada Birch.");
}

#[test]
fn records_survive_a_file_and_keep_the_published_shape() {
    let set = people(&PeopleParameters::default(), 3).unwrap();
    let mut bytes = Vec::new();
    write_jsonl(&mut bytes, &set.train).unwrap();
    let read: Vec<Record> =
        read_jsonl_from(bytes.as_slice(), Path::new("t")).unwrap().into_iter().map(|(_, r)| r).collect();
    assert_eq!(read, set.train);
    let pairs = read_jsonl_from::<Pair>(bytes.as_slice(), Path::new("t")).unwrap();
    assert!(
        pairs
            .iter()
            .zip(&set.train)
            .all(|((_, pair), record)| pair.prompt.clone() + &pair.completion == record.text())
    );
    let first = String::from_utf8(bytes).unwrap().lines().next().unwrap().to_owned();
    let value: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert!(value["prompt"].is_string() && value["completion"].as_str().unwrap().starts_with(' '), "{first}");
    let error =
        read_jsonl_from::<Record>(&b"\n{\"prompt\": 3}"[..], Path::new("r.jsonl")).unwrap_err().to_string();
    assert!(error.starts_with("r.jsonl, line 2: ") && error.contains("invalid type"), "{error}");
}

#[test]
fn symbolic_pairs_use_disjoint_alphabets_and_only_reversed_questions_are_new() {
    let set = symbolic(&SymbolicParameters::default(), 0).unwrap();
    let count = |group| set.facts.iter().filter(|fact| fact.group == group).count();
    assert_eq!(
        (count(Group::Both), count(Group::NameToDescription), count(Group::DescriptionToName)),
        (280, 60, 60)
    );
    assert_eq!((set.train.len(), set.test.len()), (280 * 2 + 120, 120));
    let tokens: HashSet<&str> =
        set.facts.iter().flat_map(|f| [f.name.as_str(), f.description.as_str()]).collect();
    assert_eq!(tokens.len(), 800);
    set.check().unwrap();
    assert!(set.test.iter().all(|record| record.is_reversed() == Some(true)));
    assert!(symbolic(&SymbolicParameters { pairs: 3, both: 0.7 }, 0).is_err());
    assert!(symbolic(&SymbolicParameters { pairs: 40, both: 1.1 }, 0).is_err());
}

#[test]
fn a_fact_in_context_stands_the_other_way_round() {
    let set = people(&PeopleParameters::default(), 0).unwrap();
    for question in &set.test {
        let shown = set.in_context(question, " . ");
        if question.group.trains(question.direction.reversed()) == Some(false) {
            assert_eq!(shown, None);
            continue;
        }
        let shown = shown.unwrap();
        let (stated, asked) = shown.prompt.split_once(" . ").unwrap();
        assert_eq!((asked, &shown.completion), (question.prompt.as_str(), &question.completion));
        assert!(stated.contains(set.target(question)) && !asked.contains(set.target(question)));
    }
}

#[test]
fn leaks_are_refused() {
    let mut set = people(&PeopleParameters::default(), 1).unwrap();
    set.train.push(set.test[5].clone());
    assert!(matches!(set.check(), Err(Error::Leak { test: 5, .. })));

    // A sentence in the forbidden order, hidden under a record of another fact.
    let mut set = people(&PeopleParameters::default(), 1).unwrap();
    let hidden =
        format!("and the {}, that is {}", set.facts[17].description.to_uppercase(), set.facts[17].name);
    set.train.push(Record { prompt: hidden, completion: " !".into(), ..set.train[900].clone() });
    assert_eq!(
        set.check().unwrap_err().to_string(),
        format!(
            "fact 17 ({:?}) occurs in both directions in train but is listed as one-directional; remove the sentences of \
             one direction, or list it as \"both\"",
            set.facts[17].name
        )
    );
    let lone = [fact("Ada", "painter", Group::NameToDescription)];
    let error = check_directions(&lone, ["The painter is Ada."]).unwrap_err().to_string();
    assert!(error.contains("occurs in train only as description-to-name"), "{error}");
    let mut set = people(&PeopleParameters::default(), 1).unwrap();
    set.test[2].fact = 999;
    assert!(set.check().unwrap_err().to_string().contains("fact 999, but there are 150"));
}

#[test]
fn the_finder_goes_by_words() {
    let facts = [
        fact("Ann", "tall king", Group::Both),
        fact("Ann Bee", "king", Group::Both),
        fact("!!", "x", Group::Both),
    ];
    let mut finder = Finder::new(&facts);
    assert!(finder.find("Anna is a tall king").is_empty());
    let found = finder.find("ANN-Bee,\n the  Tall king");
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|f| f.name_first && !f.description_first));
    let both = finder.find("the tall king Ann is a tall king");
    assert!(both[0].name_first && both[0].description_first);
    // Nothing between name and description.
    let found = finder.find("ann tall king");
    assert!(found[0].name_first && !found[0].description_first);
    // The description lies inside the name's words: neither comes first.
    let inside = [fact("the grey cat", "grey", Group::Both)];
    let found = Finder::new(&inside).find("the grey cat");
    assert!(!found[0].name_first && !found[0].description_first);
}

#[test]
fn user_facts_are_read_and_refused_by_name() {
    let read = |text: &str| read_facts_from(text.as_bytes(), Path::new("facts.jsonl"));
    let facts = read(
        "\u{feff}{\"name\": \" Ada \", \"description\": \"painter\"}\r\n\n{\"name\":\"Bo\",\"description\":\"cook\",\"direction\":\"both\"}\n",
    )
    .unwrap();
    assert_eq!(facts[0], fact("Ada", "painter", Group::Unstated));
    assert_eq!(facts[1].group, Group::Both);
    for (text, wrong) in [
        ("", "no facts"),
        ("[1]", "line 1"),
        ("{\"name\": \"Ada\"", "not JSON"),
        ("{\"name\": \"Ada\"}", "field \"description\" is missing"),
        ("{\"name\": 3, \"description\": \"x\"}", "field \"name\" is 3, but must be text"),
        ("{\"name\": \" \", \"description\": \"x\"}", "must not be empty"),
        (
            "{\"name\": \"A\", \"description\": \"x\", \"directon\": \"both\"}",
            "field \"directon\" is not known",
        ),
        ("{\"name\": \"A\", \"description\": \"x\", \"direction\": \"up\"}", "field \"direction\" is \"up\""),
        (
            "{\"name\": \"A\", \"description\": \"x\"}\n{\"name\": \"a\", \"description\": \"y\"}",
            "line 2: field \"name\" is \"a\", which line 1 has too",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with("facts.jsonl") && error.contains(wrong), "{text}: {error}");
    }
    assert!(read_facts_from(&b"\xff\xfe"[..], Path::new("f")).unwrap_err().to_string().contains("not UTF-8"));
    let mut bytes = Vec::new();
    write_jsonl(&mut bytes, &facts).unwrap();
    assert_eq!(read_facts_from(bytes.as_slice(), Path::new("f")).unwrap(), facts);
}

#[test]
fn overlap_counts_runs_by_hand() {
    let grams = NGrams::new(3, ["a b c d", "c d e"]).unwrap();
    assert_eq!(grams.shared("a b c d e"), (3, 3));
    assert_eq!(grams.shared("b c e"), (0, 1));
    assert_eq!(grams.shared("a b"), (0, 0));
    // Runs across the join of "x b c" and "d e": "b c d" and "c d e" are known.
    assert_eq!(grams.across("x b c", "d e"), 2);
    assert_eq!(grams.across("a b c", "e"), 0);
    assert_eq!(grams.across("", "a b c"), 0);
    assert_eq!(NGrams::new(1, ["a"]).unwrap().across("a", "a"), 0);
    assert!(NGrams::new(0, ["a"]).is_err());
}

#[test]
fn reversed_answers_of_people_do_not_overlap_across_the_join() {
    // The reversed question of a one-directional fact never continues into its answer anywhere in training. A run of five
    // crosses the join with at least one word of each; connectors take up at most four words before it.
    let set = people(&PeopleParameters::default(), 0).unwrap();
    let texts: Vec<String> = set.train.iter().map(Record::text).collect();
    let grams = NGrams::new(8, texts.iter().map(String::as_str)).unwrap();
    let reversed = set.test.iter().filter(|record| record.is_reversed() == Some(true));
    assert!(reversed.clone().count() > 0);
    assert!(reversed.clone().all(|record| grams.across(&record.prompt, &record.completion) == 0));
}

#[test]
fn sizes_outside_the_range_are_refused() {
    let parameters = |people, names| PeopleParameters {
        name_to_description: people,
        description_to_name: 0,
        both: 0,
        first_names: names,
        last_names: names,
    };
    for (given, name) in [
        (parameters(10, 1), "first_names"),
        (parameters(10, 41), "first_names"),
        (parameters(119, 40), "people"),
    ] {
        let error = people(&given, 0).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    people(&parameters(120, 40), 0).unwrap();
    people(&parameters(800, 40), 0).unwrap();
    assert!(people(&parameters(801, 40), 0).is_err());
    // The tightest small case: 6 of the 12 pairs at most.
    assert!(people(&parameters(6, 2), 0).is_err());
}
