//! Specifications of decoders leave the function as it is: held to a plain forward pass in double precision, written here.

use backstitch_networks::weight_matching::{Checkpoint, Specification};
use backstitch_numerics::{Matrix, Stream};

use crate::weight_matching::{fill, method, same, shuffled};

const TOKENS: [usize; 6] = [3, 1, 4, 1, 5, 9];
const WORDS: usize = 11;
const LAYERS: usize = 2;
const HIDDEN: usize = 10;

fn tensor(weights: &Checkpoint, name: &str) -> Matrix {
    let tensor = weights.tensor(name).unwrap();
    let shape = tensor.shape();
    let (rows, columns) = if shape.len() == 1 { (1, shape[0]) } else { (shape[0], shape[1]) };
    Matrix::new(rows, columns, tensor.values().unwrap()).unwrap()
}

/// `left · right`, right turned over where it is stored outputs × inputs.
fn product(left: &Matrix, right: &Matrix, turned: bool) -> Matrix {
    let columns = if turned { right.rows() } else { right.columns() };
    Matrix::from_fn(left.rows(), columns, |row, column| {
        (0..left.columns())
            .map(|at| left[(row, at)] * if turned { right[(column, at)] } else { right[(at, column)] })
            .sum()
    })
}

fn plus(left: &Matrix, right: &Matrix) -> Matrix {
    Matrix::from_fn(left.rows(), left.columns(), |row, column| {
        left[(row, column)] + right[(row % right.rows(), column)]
    })
}

/// Row by row: mean (layer norm only) and scale taken out, then weight and bias.
fn normalised(values: &Matrix, weight: &Matrix, bias: Option<&Matrix>) -> Matrix {
    let width = values.columns() as f64;
    Matrix::from_fn(values.rows(), values.columns(), |row, column| {
        let center = if bias.is_some() { values.row(row).iter().sum::<f64>() / width } else { 0.0 };
        let square = values.row(row).iter().map(|value| (value - center).powi(2)).sum::<f64>() / width;
        (values[(row, column)] - center) / (square + 1e-5).sqrt() * weight[(0, column)]
            + bias.map_or(0.0, |bias| bias[(0, column)])
    })
}

/// Causal attention; query head h reads key head h / shared.
fn attention(query: &Matrix, key: &Matrix, value: &Matrix, heads: usize, key_heads: usize) -> Matrix {
    let size = query.columns() / heads;
    Matrix::from_fn(query.rows(), query.columns(), |row, column| {
        let (head, place) = (column / size, column % size);
        let from = head / (heads / key_heads) * size;
        let weight = |other: usize| -> f64 {
            let inner: f64 =
                (0..size).map(|at| query[(row, head * size + at)] * key[(other, from + at)]).sum();
            (inner / (size as f64).sqrt()).exp()
        };
        let total: f64 = (0..=row).map(weight).sum();
        (0..=row).map(|other| weight(other) * value[(other, from + place)]).sum::<f64>() / total
    })
}

/// Rotary positions, halves of each head turned against each other.
fn rotated(values: &Matrix, heads: usize) -> Matrix {
    let size = values.columns() / heads;
    let half = size / 2;
    Matrix::from_fn(values.rows(), values.columns(), |row, column| {
        let (head, place) = (column / size, column % size);
        let angle = row as f64 * 10_000_f64.powf(-((place % half) as f64) / half as f64);
        let other = values[(row, head * size + (place + half) % size)];
        values[(row, column)] * angle.cos() + if place < half { -other } else { other } * angle.sin()
    })
}

fn embedded(table: &Matrix) -> Matrix {
    Matrix::from_fn(TOKENS.len(), table.columns(), |row, column| table[(TOKENS[row], column)])
}

fn mapped(values: &Matrix, change: impl Fn(f64) -> f64) -> Matrix {
    Matrix::from_fn(values.rows(), values.columns(), |row, column| change(values[(row, column)]))
}

const GPT2_HEADS: usize = 3;

fn gpt2(weights: &Checkpoint) -> Matrix {
    let get = |name: String| tensor(weights, &format!("transformer.{name}"));
    let positions = get("wpe.weight".into());
    let mut stream = plus(
        &embedded(&get("wte.weight".into())),
        &Matrix::from_fn(TOKENS.len(), 12, |row, column| positions[(row, column)]),
    );
    let norm = |values: &Matrix, name: String| {
        normalised(values, &get(format!("{name}.weight")), Some(&get(format!("{name}.bias"))))
    };
    let linear = |values: &Matrix, name: String| {
        plus(&product(values, &get(format!("{name}.weight")), false), &get(format!("{name}.bias")))
    };
    for layer in 0..LAYERS {
        let all = linear(&norm(&stream, format!("h.{layer}.ln_1")), format!("h.{layer}.attn.c_attn"));
        let part =
            |from: usize| Matrix::from_fn(all.rows(), 12, |row, column| all[(row, 12 * from + column)]);
        let mixed = attention(&part(0), &part(1), &part(2), GPT2_HEADS, GPT2_HEADS);
        stream = plus(&stream, &linear(&mixed, format!("h.{layer}.attn.c_proj")));
        let hidden = linear(&norm(&stream, format!("h.{layer}.ln_2")), format!("h.{layer}.mlp.c_fc"));
        let hidden =
            mapped(&hidden, |z| 0.5 * z * (1.0 + (0.797_884_56 * (z + 0.044_715 * z.powi(3))).tanh()));
        stream = plus(&stream, &linear(&hidden, format!("h.{layer}.mlp.c_proj")));
    }
    product(&norm(&stream, "ln_f".into()), &get("wte.weight".into()), true)
}

fn gpt2_weights(stream: &mut Stream) -> Checkpoint {
    let mut weights = Checkpoint::default();
    let mut add =
        |name: String, shape: &[usize]| fill(&mut weights, &format!("transformer.{name}"), shape, stream);
    add("wte.weight".into(), &[WORDS, 12]);
    add("wpe.weight".into(), &[8, 12]);
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("ln_1.weight", &[12][..]),
            ("ln_1.bias", &[12]),
            ("attn.c_attn.weight", &[12, 36]),
            ("attn.c_attn.bias", &[36]),
            ("attn.bias", &[1, 1, 8, 8]),
            ("attn.c_proj.weight", &[12, 12]),
            ("attn.c_proj.bias", &[12]),
            ("ln_2.weight", &[12]),
            ("ln_2.bias", &[12]),
            ("mlp.c_fc.weight", &[12, HIDDEN]),
            ("mlp.c_fc.bias", &[HIDDEN]),
            ("mlp.c_proj.weight", &[HIDDEN, 12]),
            ("mlp.c_proj.bias", &[12]),
        ] {
            add(format!("h.{layer}.{name}"), shape);
        }
    }
    add("ln_f.weight".into(), &[12]);
    add("ln_f.bias".into(), &[12]);
    weights
}

/// Heads, heads with keys, size of a head, and whether queries, keys and values have biases and the output its own weights.
struct Shape {
    model_type: &'static str,
    heads: usize,
    key_heads: usize,
    size: usize,
    biases: bool,
    own_output: bool,
}

const LLAMA: Shape =
    Shape { model_type: "llama", heads: 4, key_heads: 4, size: 2, biases: false, own_output: true };
const GROUPED: Shape =
    Shape { model_type: "llama", heads: 6, key_heads: 3, size: 4, biases: false, own_output: true };
const QWEN2: Shape =
    Shape { model_type: "qwen2", heads: 6, key_heads: 2, size: 2, biases: true, own_output: false };

impl Shape {
    fn configuration(&self) -> String {
        let Self { model_type, heads, key_heads, .. } = self;
        format!(
            r#"{{"model_type": "{model_type}", "num_attention_heads": {heads}, "num_key_value_heads": {key_heads}, "rope_theta": 10000}}"#
        )
    }

    fn weights(&self, stream: &mut Stream) -> Checkpoint {
        let (queries, keys) = (self.heads * self.size, self.key_heads * self.size);
        let mut weights = Checkpoint::default();
        let mut add = |name: String, shape: &[usize]| fill(&mut weights, &name, shape, stream);
        add("model.embed_tokens.weight".into(), &[WORDS, 9]);
        for layer in 0..LAYERS {
            let mut parts = vec![
                ("input_layernorm.weight", vec![9]),
                ("post_attention_layernorm.weight", vec![9]),
                ("self_attn.q_proj.weight", vec![queries, 9]),
                ("self_attn.k_proj.weight", vec![keys, 9]),
                ("self_attn.v_proj.weight", vec![keys, 9]),
                ("self_attn.o_proj.weight", vec![9, queries]),
                ("mlp.gate_proj.weight", vec![HIDDEN, 9]),
                ("mlp.up_proj.weight", vec![HIDDEN, 9]),
                ("mlp.down_proj.weight", vec![9, HIDDEN]),
            ];
            if self.biases {
                let biases = [("q", queries), ("k", keys), ("v", keys)];
                let name = |part: &str| match part {
                    "q" => "self_attn.q_proj.bias",
                    "k" => "self_attn.k_proj.bias",
                    _ => "self_attn.v_proj.bias",
                };
                parts.extend(biases.map(|(part, length)| (name(part), vec![length])));
            }
            for (name, shape) in parts {
                add(format!("model.layers.{layer}.{name}"), &shape);
            }
        }
        add("model.norm.weight".into(), &[9]);
        if self.own_output {
            add("lm_head.weight".into(), &[WORDS, 9]);
        }
        weights
    }

    fn forward(&self, weights: &Checkpoint) -> Matrix {
        let get = |name: String| tensor(weights, &name);
        let mut stream = embedded(&get("model.embed_tokens.weight".into()));
        for layer in 0..LAYERS {
            let part = |name: &str| get(format!("model.layers.{layer}.{name}.weight"));
            let linear = |values: &Matrix, name: &str| {
                let found = product(values, &part(&format!("self_attn.{name}_proj")), true);
                if self.biases {
                    plus(&found, &get(format!("model.layers.{layer}.self_attn.{name}_proj.bias")))
                } else {
                    found
                }
            };
            let read = normalised(&stream, &part("input_layernorm"), None);
            let query = rotated(&linear(&read, "q"), self.heads);
            let key = rotated(&linear(&read, "k"), self.key_heads);
            let mixed = attention(&query, &key, &linear(&read, "v"), self.heads, self.key_heads);
            stream = plus(&stream, &product(&mixed, &part("self_attn.o_proj"), true));
            let read = normalised(&stream, &part("post_attention_layernorm"), None);
            let gate = mapped(&product(&read, &part("mlp.gate_proj"), true), |z| z / (1.0 + (-z).exp()));
            let up = product(&read, &part("mlp.up_proj"), true);
            let hidden = Matrix::from_fn(gate.rows(), gate.columns(), |row, column| {
                gate[(row, column)] * up[(row, column)]
            });
            stream = plus(&stream, &product(&hidden, &part("mlp.down_proj"), true));
        }
        let last = normalised(&stream, &get("model.norm.weight".into()), None);
        product(
            &last,
            &get(if self.own_output { "lm_head.weight" } else { "model.embed_tokens.weight" }.into()),
            true,
        )
    }
}

fn sizes(specification: &Specification) -> Vec<(String, usize, usize)> {
    specification.permutations().iter().map(|own| (own.name.clone(), own.units, own.per_group)).collect()
}

#[test]
fn gpt2_keeps_its_function() {
    let mut stream = Stream::new(0, "weight matching gpt2");
    let one = gpt2_weights(&mut stream);
    let specification =
        Specification::found(&one, Some(r#"{"model_type": "gpt2", "n_head": 3, "n_embd": 12}"#)).unwrap();
    let mut names = sizes(&specification);
    names.sort();
    let wanted = [
        ("layer 0 heads", 3),
        ("layer 0 hidden", 10),
        ("layer 1 heads", 3),
        ("layer 1 hidden", 10),
        ("residual", 12),
    ];
    assert_eq!(names, wanted.map(|(name, units)| (name.to_owned(), units, 1)));
    for _ in 0..3 {
        let (_, permuted) = shuffled(&specification, &one, &mut stream);
        same(&gpt2(&one), &gpt2(&permuted), 1e-10);
        assert!(method().weights(&specification, &one, &permuted).unwrap().permuted == one);
    }
    // Without a configuration, heads stay and that is said.
    let without = Specification::found(&one, None).unwrap();
    assert_eq!(without.permutations().len(), 3);
    assert!(without.notes()[0].contains("attention heads stay where they are"));
    same(&gpt2(&one), &gpt2(&shuffled(&without, &one, &mut stream).1), 1e-10);
}

#[test]
fn llama_and_qwen2_keep_their_function() {
    for shape in [LLAMA, GROUPED, QWEN2] {
        let mut stream = Stream::new(1, "weight matching llama");
        let one = shape.weights(&mut stream);
        let specification = Specification::found(&one, Some(&shape.configuration())).unwrap();
        assert_eq!(specification.permutations().len(), 1 + 2 * LAYERS);
        let heads = sizes(&specification).into_iter().find(|(name, ..)| name.ends_with("heads")).unwrap();
        assert_eq!((heads.1, heads.2), (shape.heads, shape.heads / shape.key_heads));
        for _ in 0..3 {
            let (_, permuted) = shuffled(&specification, &one, &mut stream);
            same(&shape.forward(&one), &shape.forward(&permuted), 1e-10);
            assert!(method().weights(&specification, &one, &permuted).unwrap().permuted == one);
        }
        let written = Specification::from_json(&specification.to_json(), &one).unwrap();
        crate::weight_matching::same_axes(&specification, &written);
        same(&shape.forward(&one), &shape.forward(&shuffled(&written, &one, &mut stream).1), 1e-10);
    }
}

#[test]
fn decoders_that_do_not_fit() {
    let mut stream = Stream::new(2, "weight matching decoders");
    let mut one = QWEN2.weights(&mut stream);
    let refused = |weights: &Checkpoint, configuration: &str| {
        Specification::found(weights, Some(configuration)).unwrap_err().to_string()
    };
    let found =
        refused(&one, r#"{"model_type": "qwen2", "num_attention_heads": 5, "num_key_value_heads": 2}"#);
    assert!(found.contains("5 heads, 2 of them with keys, do not divide"), "{found}");
    let found = refused(&one, r#"{"model_type": "gemma"}"#);
    assert!(found.contains("model type \"gemma\""), "{found}");
    assert!(refused(&one, "{").contains("config.json cannot be read"));
    fill(&mut one, "model.layers.0.mlp.experts.0.weight", &[3, 3], &mut stream);
    let found = refused(&one, &QWEN2.configuration());
    assert!(
        found.starts_with(
            "tensor \"model.layers.0.mlp.experts.0.weight\": decoders of this family have no tensor"
        ),
        "{found}"
    );
}
