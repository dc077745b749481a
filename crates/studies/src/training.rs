//! Training inside a cell: the curve goes to `metrics.jsonl`, and a killed cell continues to the same weights.

use std::time::Instant;

use backstitch_claim::{CellContext, CellError};
#[cfg(feature = "language")]
use backstitch_nn::{Decoder, TokenBatch};
use backstitch_nn::{Module, NnError, Tensor, Trainer};

/// Runs the remaining steps of a trainer, logs every step's loss, saves the training every `every` steps and tells tokens per second.
///
/// `batch` must depend on nothing but the step. Gives the trained model, or nothing if training diverged.
///
/// # Errors
/// If a file cannot be written, or a step fails for another reason than divergence.
#[cfg(feature = "language")]
pub(crate) fn train(
    context: &mut CellContext<'_>,
    trainer: Trainer<Decoder>,
    every: u64,
    batch: impl FnMut(u64) -> Result<TokenBatch, NnError>,
) -> Result<Option<Decoder>, CellError> {
    train_with(context, trainer, every, batch, Decoder::loss, TokenBatch::targets_count)
}

/// The same for any model: `loss` of a batch, and `count` its targets.
///
/// # Errors
/// As [`train`].
pub(crate) fn train_with<M: Module, B>(
    context: &mut CellContext<'_>,
    trainer: Trainer<M>,
    every: u64,
    mut batch: impl FnMut(u64) -> Result<B, NnError>,
    loss: impl Fn(&M, &B) -> Tensor<1>,
    count: impl Fn(&B) -> usize,
) -> Result<Option<M>, CellError> {
    let mut trainer = match context.resume_with::<()>()? {
        Some((_, (), state)) => trainer.restore(&state).map_err(CellError::new)?,
        None => trainer,
    };
    let last = trainer.parameters().steps;
    let begin = Instant::now();
    let mut tokens = 0;
    while trainer.step() < last {
        let batch = batch(trainer.step() + 1).map_err(CellError::new)?;
        let report = match trainer.descend(&loss(trainer.model(), &batch)) {
            Ok(report) => report,
            Err(NnError::Diverged { .. }) => return Ok(None),
            Err(error) => return Err(CellError::new(error)),
        };
        tokens += count(&batch) as u64;
        context.log(
            report.step,
            &[
                ("loss", report.loss),
                ("gradient_norm", report.gradient_norm),
                ("learning_rate", report.learning_rate),
            ],
        )?;
        if report.step.is_multiple_of(every) || report.step == last {
            context.checkpoint_with(report.step, &(), &trainer.save().map_err(CellError::new)?)?;
        }
    }
    if tokens > 0 {
        context.tell_throughput("tokens", tokens, begin.elapsed());
    }
    Ok(Some(trainer.into_model()))
}
