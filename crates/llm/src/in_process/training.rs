//! How the embedded models were made.

use std::collections::BTreeMap;

use backstitch_nn::{
    Checkpoint, Decoder, DecoderConfig, NnError, Precision, StepReport, TokenBatch, Tokenizer, Trainer,
    TrainingParameters, cpu,
};
use backstitch_numerics::Stream;
use serde_json::json;

use crate::corpus::{Example, Skill};

/// The word that ends a completion.
const END: &str = "[END]";

/// Examples whose words make the vocabulary: enough for every word to be among them.
const VOCABULARY_EXAMPLES: usize = 4000;

/// How an embedded model is trained. [`TrainingPlan::of`] made the shipped ones.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingPlan {
    /// What it learns.
    pub skill: Skill,
    /// Steps.
    pub steps: u64,
    /// Examples per step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
}

impl TrainingPlan {
    /// The plan of a skill.
    pub fn of(skill: Skill) -> Self {
        let steps = match skill {
            Skill::Arithmetic => 3000,
            Skill::Knowledge => 5000,
            Skill::Feedback => 5000,
        };
        Self { skill, steps, batch: 32, learning_rate: 2e-3, width: 96, layers: 4 }
    }
}

/// Trains an embedded model from scratch, and gives the files of its folder by name. The same plan and seed give the same bytes on the same
/// kind of machine. `after` sees the report of every step.
///
/// # Errors
/// If the plan does not make a model, or the training diverges.
pub fn train(
    plan: &TrainingPlan,
    seed: u64,
    mut after: impl FnMut(&StepReport),
) -> Result<BTreeMap<&'static str, Vec<u8>>, NnError> {
    let mut words = Stream::new(0, "vocabulary of an embedded model");
    let mut texts: Vec<String> = Vec::new();
    if plan.skill == Skill::Arithmetic {
        texts.push((0..100).map(|number| format!("{number} ")).collect());
    }
    for _ in 0..VOCABULARY_EXAMPLES {
        let Example { prompt, completion } = plan.skill.example(&mut words);
        texts.push(format!("{prompt} {completion}"));
    }
    let tokenizer = Tokenizer::words(&texts, &[END])?;
    let end = tokenizer.token(END).unwrap_or_default();
    let config = DecoderConfig {
        tied: true,
        ..DecoderConfig::llama(tokenizer.size(), super::embedded::CONTEXT, plan.width, plan.layers, 4, 4)
    };
    let parameters = TrainingParameters {
        steps: plan.steps,
        learning_rate: plan.learning_rate,
        ..TrainingParameters::default()
    };
    let mut trainer = Trainer::new(Decoder::new(&config, seed, &cpu().autodiff())?, parameters)?;
    let batch = |step: u64| {
        let mut stream = Stream::new(seed, &format!("examples of step {step}"));
        let (mut sequences, mut first_targets) = (Vec::new(), Vec::new());
        for _ in 0..plan.batch {
            let Example { prompt, completion } = plan.skill.example(&mut stream);
            let mut tokens = tokenizer.encode(&prompt)?;
            first_targets.push(tokens.len());
            tokens.extend(tokenizer.encode_more(&completion)?);
            tokens.push(end);
            sequences.push(tokens);
        }
        TokenBatch::from(&sequences, &first_targets, &config)
    };
    trainer.run(
        batch,
        |model, batch| model.loss(batch),
        |_, report| {
            after(report);
            Ok(())
        },
    )?;
    let checkpoint = Checkpoint { model: trainer.into_model(), tokenizer: Some(tokenizer) };
    let mut files = checkpoint.files_in(Precision::Half)?;
    let text = |value: serde_json::Value| format!("{value:#}\n").into_bytes();
    files.insert("generation_config.json", text(json!({ "eos_token_id": end })));
    files.insert(
        "tokenizer_config.json",
        text(json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "unk_token": backstitch_nn::UNKNOWN,
            "model_max_length": config.context, "chat_template": super::embedded::TEMPLATE,
        })),
    );
    Ok(files)
}
