//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "schedule-refinement",
    authors: "Defazio, Aaron and Cutkosky, Ashok and Mehta, Harsh and Mishchenko, Konstantin",
    venue: None,
    official_code: Some(OfficialCode {
        repository: "facebookresearch/adaptive_scheduling",
        licence: "CC BY-NC 4.0",
    }),
    summary: "Turn the gradient norms of a finished run into the learning-rate schedule of the next one.",
    helps: "training the same task again (new data, another seed, a sweep) when a run has left a log of its gradient norms: warm-up and \
            annealing then follow from the log instead of from habit, and a default, linear decay, needs no log at all",
    does_not_help: "a single run that will not be repeated: use linear decay; norms logged after clipping, or with another batch size, \
                    say little; where norms fall to nothing because the model fits its data, the refined schedule keeps the rate \
                    high to the end and can lose to linear decay; and the peak learning rate must be searched again",
    example: "backstitch run schedule-refinement --gradient-norms log.csv --norm l1 --steps 10000 --out schedule/",
    deviations: &[
        "Logs are not resampled to 10,000 points: the window is a share of the log's own length.",
        "Norms below 1e-8 of their median are raised to that, with a warning; infinite ones are dropped, as in the authors' code.",
        "Rows at uneven steps are interpolated to even ones; steps that fall back or repeat are refused.",
        "Several logs of one task give the mean of their schedules, with a 95 % band.",
        "Norms of Adam-type optimizers are l1 norms of the whole gradient: the practical form, as in the authors' code.",
        "The study is made of small models on small tables; the published tasks are not run.",
    ],
};
