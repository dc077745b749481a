//! Decoders in folders of the Hugging Face layout: quantised for a text, and measured on one.

use std::path::{Path, PathBuf};
use std::time::Instant;

use backstitch_compress::flexround::{
    Calibration, FlexRound, QuantisedDecoder, is_quantised, nats_per_token,
};
use backstitch_data::hash::content_sha256_of_bytes;
use backstitch_data::jsonl::{read_jsonl_from, read_lines_from};
use backstitch_nn::{Checkpoint, cpu, named_parameters};
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{QuantizeArguments, report};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::run::output::write_all;
use crate::terminal;

/// Sequences that are calibrated on where `--rows` says nothing.
const SEQUENCES: usize = 128;
/// Tokens of a sequence where `--context` says nothing and the model takes more.
const CONTEXT: usize = 512;

/// Prints the perplexity of a decoder, quantised or not: e to the mean of −ln p over the tokens of a text.
#[derive(Args, Debug)]
pub(super) struct EvaluateArguments {
    /// Folder of a decoder (config.json, model.safetensors, tokenizer.json), quantised or not
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Text: JSON Lines {"text": "…"}, or lines as they are
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Tokens of a sequence [default: those the model takes, at most 512]
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Most sequences, from the beginning on [default: all]
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
}

/// A text as the model reads it.
struct Text {
    sequences: Vec<Vec<u32>>,
    sha256: String,
}

impl Text {
    /// Sequences of `context` tokens one after the other; what is left at the end is not used.
    fn read(
        file: &Path,
        checkpoint: &Checkpoint,
        context: Option<usize>,
        most: Option<usize>,
    ) -> Result<Self, Failure> {
        let shown = file.display();
        let takes = checkpoint.model.config().context;
        let context = context.unwrap_or(takes.min(CONTEXT));
        if context < 2 || context > takes {
            return Err(Failure::input(format!("--context is {context}, but must be between 2 and {takes}"))
                .hint("the model takes no more"));
        }
        if most == Some(0) {
            return Err(Failure::input("--rows is 0, but must be at least 1").hint("leave it out"));
        }
        let Some(tokenizer) = &checkpoint.tokenizer else {
            return Err(Failure::input("the folder of the model has no tokenizer.json")
                .hint("put the tokenizer that it was trained with beside its weights"));
        };
        let bytes = std::fs::read(file).map_err(|error| Failure::input(format!("{shown}: {error}")))?;
        let name = file.to_string_lossy();
        let texts: Vec<String> = if name.trim_end_matches(".gz").ends_with(".jsonl") {
            let lines = read_jsonl_from::<Line>(&bytes[..], file).map_err(Failure::input)?;
            lines.into_iter().map(|(_, line)| line.text).collect()
        } else {
            let lines = read_lines_from(&bytes[..], file).map_err(Failure::input)?;
            vec![lines.into_iter().map(|(_, line)| line + "\n").collect()]
        };
        let mut tokens = Vec::new();
        for text in texts {
            tokens.extend(tokenizer.encode(&text).map_err(Failure::input)?);
        }
        let sequences: Vec<Vec<u32>> =
            tokens.chunks_exact(context).take(most.unwrap_or(usize::MAX)).map(<[u32]>::to_vec).collect();
        if sequences.is_empty() {
            let found = tokens.len();
            return Err(Failure::input(format!("{shown} has {found} tokens, but a sequence has {context}"))
                .hint("give more text, or shorter sequences by --context"));
        }
        let sha256 = content_sha256_of_bytes(&bytes).map_err(Failure::internal)?;
        Ok(Self { sequences, sha256 })
    }

    fn described(&self) -> String {
        format!("{} sequences of {} tokens", self.sequences.len(), self.sequences[0].len())
    }
}

/// What stays unclear of networks in a list of layers has no meaning here.
fn refuse_network_options(arguments: &QuantizeArguments) -> Result<(), Failure> {
    match &arguments.layers {
        Some(_) => Err(Failure::input("--layers is for networks in one file, but --model is a folder")
            .hint("leave it out: config.json says what the layers of a decoder are")),
        None => Ok(()),
    }
}

pub(super) fn quantize(
    arguments: &QuantizeArguments,
    method: &FlexRound,
    common: &Common,
) -> Result<i32, Failure> {
    refuse_network_options(arguments)?;
    let weights = arguments.model.join("model.safetensors");
    if std::fs::read(&weights).is_ok_and(|bytes| is_quantised(&bytes)) {
        return Err(Failure::input(format!("{}: this model is quantised already", weights.display()))
            .hint("give the one in floating point that it was made from"));
    }
    let full = Checkpoint::read(&arguments.model, &cpu()).map_err(Failure::input)?;
    let most = Some(arguments.rows.unwrap_or(SEQUENCES));
    let text = Text::read(&arguments.calibration, &full, arguments.context, most)?;
    let test = match &arguments.test {
        Some(file) => Some(Text::read(file, &full, arguments.context, None)?),
        None => None,
    };
    let begin = Instant::now();
    let mut found = method
        .quantise_decoder(&full, &text.sequences, |report| terminal::say(report::line(report)))
        .map_err(|error| Failure::input(format!("{}: {error}", arguments.model.display())))?;
    let seconds = begin.elapsed().as_secs_f64();
    let order = format!("{} from the beginning of the text", text.described());
    let rows = text.sequences.len();
    found.set_calibration(Calibration { rows, sha256: text.sha256.clone(), order });
    let measured = test.as_ref().unwrap_or(&text);
    let nats = |model| nats_per_token(model, &measured.sequences).map_err(Failure::input);
    let perplexities = [nats(&full.model)?.exp(), nats(&found.checkpoint().model)?.exp()];
    let files = found.files().map_err(Failure::internal)?;
    let bytes = [
        4 * named_parameters(&full.model).values().map(|tensor| tensor.values.len()).sum::<usize>(),
        files.get("model.safetensors").map_or(0, Vec::len),
    ];
    let summary = json!({
        "schema": "backstitch/flexround-decoder-summary/1",
        "parameters": found.parameters(),
        "calibration": found.calibration(),
        "measured_on": {"text": if test.is_some() { "test" } else { "calibration" }, "sequences": measured.sequences.len()},
        "perplexity": {"before": perplexities[0], "after": perplexities[1]},
        "bytes": {"before": bytes[0], "file": bytes[1]},
        "layers": found.reports(),
        "seconds": seconds,
    });
    if let Some(folder) = &arguments.out {
        let json = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
        let table = report::reports_csv(found.reports(), arguments.bits);
        let mut all: Vec<(&str, Vec<u8>)> = files.into_iter().collect();
        all.extend([("layers.csv", table.into_bytes()), ("summary.json", json.into_bytes())]);
        write_all(folder, &all)?;
        terminal::say(format_args!("written: {}", folder.display()));
    }
    if common.json {
        terminal::print_json(&summary)?;
        return Ok(EXIT_DONE);
    }
    let on = match test.is_some() {
        true => "the test text",
        false => "the calibration text itself (with --test: on another)",
    };
    terminal::print(&format!(
        "{}\nperplexity on {on}, {}: {:.4} before, {:.4} after\n{} bytes in the file instead of {} ({:.1} times less); learned in {seconds:.1} s\n",
        report::table(found.reports(), arguments.bits),
        measured.described(),
        perplexities[0],
        perplexities[1],
        bytes[1],
        bytes[0],
        bytes[0] as f64 / bytes[1].max(1) as f64,
    ))?;
    Ok(EXIT_DONE)
}

pub(super) fn evaluate(arguments: &EvaluateArguments, common: &Common) -> Result<i32, Failure> {
    let weights = arguments.model.join("model.safetensors");
    let quantised = std::fs::read(&weights).is_ok_and(|bytes| is_quantised(&bytes));
    let checkpoint = if quantised {
        QuantisedDecoder::read(&arguments.model).map_err(Failure::input)?.checkpoint().clone()
    } else {
        Checkpoint::read(&arguments.model, &cpu()).map_err(Failure::input)?
    };
    let text = Text::read(&arguments.text, &checkpoint, arguments.context, arguments.rows)?;
    let nats = nats_per_token(&checkpoint.model, &text.sequences).map_err(Failure::input)?;
    if common.json {
        terminal::print_json(&json!({
            "schema": "backstitch/flexround-perplexity/1",
            "quantised": quantised,
            "sequences": text.sequences.len(),
            "nats_per_token": nats,
            "perplexity": nats.exp(),
        }))?;
    } else {
        let what = if quantised { "quantised" } else { "in floating point" };
        terminal::print(&format!(
            "perplexity {:.4} ({nats:.6} nats per token) on {}; weights {what}\n",
            nats.exp(),
            text.described()
        ))?;
    }
    Ok(EXIT_DONE)
}
