//! Training inside a cell: the curve goes to `metrics.jsonl`, and a killed cell continues to the same weights.

use backstitch_claim::{CellContext, CellError};
use backstitch_nn::{Module, NnError, Tensor, Trainer};

/// Runs the remaining steps of a trainer, logs every step's loss and saves the training every `every` steps.
///
/// `batch` must depend on nothing but the step. Gives the trained model, or nothing if training diverged.
///
/// # Errors
/// If a file cannot be written, or a step fails for another reason than divergence.
pub(crate) fn train<M: Module, B>(
    context: &CellContext<'_>,
    trainer: Trainer<M>,
    every: u64,
    mut batch: impl FnMut(u64) -> Result<B, NnError>,
    loss: impl Fn(&M, &B) -> Tensor<1>,
) -> Result<Option<M>, CellError> {
    let mut trainer = match context.resume_with::<()>()? {
        Some((_, (), state)) => trainer.restore(&state).map_err(CellError::new)?,
        None => trainer,
    };
    let last = trainer.parameters().steps;
    while trainer.step() < last {
        let batch = batch(trainer.step() + 1).map_err(CellError::new)?;
        let loss = loss(trainer.model(), &batch);
        let report = match trainer.descend(&loss) {
            Ok(report) => report,
            Err(NnError::Diverged { .. }) => return Ok(None),
            Err(error) => return Err(CellError::new(error)),
        };
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
    Ok(Some(trainer.into_model()))
}
