//! The study of `textgrad`: what the authors' recorded trajectories say, and whether feedback finds its way.
//!
//! *Recorded*: the first answer of GPT-4o to every question, and the answer after each of three updates, as the authors published them. The
//! vote of the four and each single update stand beside the first answer. There is no arm with four independent samples in the recording,
//! so that a gain of the vote cannot be told from self-consistency; [`CLAIMS`] says so where it matters.
//!
//! *Mechanism*: the embedded model, which was trained to improve codes of three digits by feedback in words and to trace feedback through
//! known functions ([`backstitch_llm::corpus::feedback`]), searches for hidden codes that stand in none of its examples. This checks that
//! feedback is routed to the right text, in the right words, and that the loop of the optimiser works; it says nothing about the criticism
//! of large models.

mod embedded;
mod recorded;

use backstitch_claim::{
    Arm, Cell, CellContext, CellError, Claim, Effect, Metric, Precondition, Role, Scale, Scope, Statistic,
    Study,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The public set of the recorded trajectories.
const TRAJECTORIES: &str = "textgrad-trajectories";
/// Where recorded answers come from.
const PUBLISHED: &str = "published";
const MADE_UP: &str = "made-up";
/// All recorded settings.
const RECORDED: &[&str] = &["gpqa", "mmlu-physics", "mmlu-ml"];

/// The study.
pub static STUDY: Study = Study {
    method: "textgrad",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 5,
    data: &[TRAJECTORIES],
    configuration,
    cells,
    run,
};

const ARMS: &[Arm] = &[
    Arm {
        name: "vote",
        role: Role::Method,
        description: "recorded: the majority of the first answer and those after three updates, the first of equals",
    },
    Arm {
        name: "update-1",
        role: Role::Ablation,
        description: "recorded: the answer after the first update",
    },
    Arm {
        name: "update-2",
        role: Role::Ablation,
        description: "recorded: the answer after the second update",
    },
    Arm {
        name: "update-3",
        role: Role::Ablation,
        description: "recorded: the answer after the third update",
    },
    Arm { name: "first-answer", role: Role::Baseline, description: "recorded: the answer before any update" },
    Arm {
        name: "vote-with-random",
        role: Role::Control,
        description: "recorded: the majority of the first answer and three random letters",
    },
    Arm {
        name: "textgrad",
        role: Role::Method,
        description: "embedded model: feedback, backward, one new code per step; no momentum, no tuning",
    },
    Arm {
        name: "momentum",
        role: Role::Method,
        description: "the same, shown the last three codes with their feedback; no tuning",
    },
    Arm {
        name: "shuffled-feedback",
        role: Role::Control,
        description: "the same optimiser, given the feedback on its code about the hidden code of another problem",
    },
    Arm {
        name: "random-edits",
        role: Role::Control,
        description: "a random code in every step; as many steps",
    },
    Arm {
        name: "untraced",
        role: Role::Control,
        description: "the feedback on the output handed to the input as it is: the way back left out",
    },
    Arm {
        name: "memory-of-others",
        role: Role::Control,
        description: "momentum with the earlier codes and feedback of another problem",
    },
];

const METRICS: &[Metric] = &[
    Metric::higher("correct", "1 if the answer to a question is right, else 0"),
    Metric::lower(
        "replay_gap",
        "largest distance of a share of right answers from the published one, in percentage points",
    ),
    Metric::higher("solved", "1 if the hidden code was found within the steps, else 0"),
    Metric::lower("steps", "steps until the hidden code was found; one more than there are if it was not"),
    Metric::higher("beyond_shuffled", "solved, minus twice that of shuffled feedback on the same problem"),
    Metric::higher("beyond_random", "solved, minus twice that of random edits on the same problem"),
    Metric::higher(
        "beyond_share",
        "solved through a function, minus 0.8 times that without one on the same problem",
    ),
    Metric::higher("solved_directly", "solved without a function on the same problem"),
    Metric::lower("refused", "share of updates without a usable reply"),
];

/// What claims about the recording share.
const RECORDING: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Paper,
    subject: "vote",
    effect: Effect::Improvement { metric: "correct", over: "first-answer" },
    margin: 0.02,
    statistic: Statistic::ClusterBootstrap,
    settings: RECORDED,
    precondition: None,
    control: "vote-with-random",
    own_data: false,
};

/// What claims about the embedded model share.
const MECHANISM: Claim = Claim {
    source: "ours: credit routing and the loop of the optimiser",
    scope: Scope::Mechanism,
    subject: "textgrad",
    margin: 0.1,
    settings: &["code"],
    control: "random-edits",
    ..RECORDING
};

const CLAIMS: &[Claim] = &[
    Claim {
        id: "replays",
        sentence: "The recorded trajectories give the shares of right answers of the paper's run, vote and all single updates",
        source: "the authors' result files",
        published: Some("vote: GPQA 55.1 %, MMLU physics 94.5 %, MMLU machine learning 88.4 %"),
        effect: Effect::Below { metric: "replay_gap", bound: 0.0 },
        margin: 0.0,
        // Shares are published with one decimal.
        statistic: Statistic::Identity { tolerance: 0.05 + 1e-9 },
        ..RECORDING
    },
    Claim {
        id: "vote-gains-gpqa",
        sentence: "On GPQA the vote over three updates is right more often than the first answer by 2 points (no control of four independent samples was recorded)",
        source: "solution optimisation; the paper's gain",
        published: Some("51.0 % before, 55.1 % after"),
        settings: &["gpqa"],
        ..RECORDING
    },
    Claim {
        id: "vote-gains-ml",
        sentence: "On MMLU machine learning the vote over three updates is right more often than the first answer by 2 points (no control of four independent samples was recorded)",
        source: "solution optimisation; the paper's gain",
        published: Some("85.7 % before, 88.4 % after"),
        settings: &["mmlu-ml"],
        ..RECORDING
    },
    Claim {
        id: "vote-gains-physics",
        sentence: "On MMLU college physics the vote over three updates is right more often than the first answer by 2 points (no control of four independent samples was recorded)",
        source: "solution optimisation; the paper's gain",
        published: Some("91.2 % before, 94.5 % after"),
        settings: &["mmlu-physics"],
        ..RECORDING
    },
    Claim {
        id: "last-update-gains",
        sentence: "Over all recorded questions the answer after the third update alone is right more often than the first answer",
        source: "ours, set up after a first look at the recording: what the update gives without the vote",
        subject: "update-3",
        margin: 0.0,
        ..RECORDING
    },
    Claim {
        id: "vote-beyond-last-update",
        sentence: "Over all recorded questions the vote is right more often than the answer after the third update alone",
        source: "ours, set up after a first look at the recording: what the vote gives beyond the update",
        effect: Effect::Improvement { metric: "correct", over: "update-3" },
        margin: 0.0,
        ..RECORDING
    },
    Claim {
        id: "twice-shuffled",
        sentence: "Hidden codes are found within 8 steps at least twice as often as with shuffled feedback, and by ten points more than that",
        effect: Effect::Above { metric: "beyond_shuffled", bound: 0.0 },
        statistic: Statistic::PairedT,
        ..MECHANISM
    },
    Claim {
        id: "twice-random",
        sentence: "Hidden codes are found within 8 steps at least twice as often as by random edits, and by ten points more than that",
        effect: Effect::Above { metric: "beyond_random", bound: 0.0 },
        statistic: Statistic::PairedT,
        control: "shuffled-feedback",
        ..MECHANISM
    },
    Claim {
        id: "through-a-function",
        sentence: "Where feedback is given on the output of a known function, at least 80 % as many codes are found as where it is given on the code",
        effect: Effect::Above { metric: "beyond_share", bound: 0.0 },
        margin: 0.0,
        settings: &["chain"],
        precondition: Some(Precondition {
            sentence: "without a function at least half of the codes are found",
            arm: "textgrad",
            effect: Effect::Above { metric: "solved_directly", bound: 0.0 },
            at_least: 0.5,
        }),
        control: "untraced",
        ..MECHANISM
    },
    Claim {
        id: "momentum-against-noise",
        sentence: "With 30 % of the statements wrong, earlier codes and feedback let at least 5 points more codes be found",
        effect: Effect::Improvement { metric: "solved", over: "textgrad" },
        subject: "momentum",
        margin: 0.05,
        settings: &["noisy"],
        precondition: Some(Precondition {
            sentence: "without momentum at least 10 % of the codes are found",
            arm: "textgrad",
            effect: Effect::Above { metric: "solved", bound: 0.0 },
            at_least: 0.1,
        }),
        control: "memory-of-others",
        ..MECHANISM
    },
];

/// What scales may change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Problems per seed.
    problems: usize,
    /// Steps of the optimiser.
    steps: u32,
    /// Share of wrong statements in the setting `noisy`.
    noise: f64,
    /// Earlier codes that momentum shows.
    window: usize,
    /// `embedded`, or `corpus`: what a model would say that has learned its corpus without fault.
    model: String,
    /// `published`, or `made-up`: a few answers of our own, for checks of the study.
    recording: String,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        problems: 60,
        steps: 8,
        noise: 0.3,
        window: 3,
        model: "embedded".into(),
        recording: PUBLISHED.into(),
    };
    json!(match scale {
        // The corpus itself: what is checked at this scale is the study.
        Scale::Smoke =>
            Configuration { problems: 6, model: "corpus".into(), recording: MADE_UP.into(), ..quick },
        Scale::Quick => quick,
        Scale::Paper => Configuration { problems: 400, ..quick },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    let Configuration { problems, steps, noise, ref recording, .. } = configuration;
    if ![PUBLISHED, MADE_UP].contains(&recording.as_str()) {
        return Err(format!("recording is {recording:?}, but must be {PUBLISHED:?} or {MADE_UP:?}"));
    }
    if problems < 2 || steps == 0 || !(0.0..=1.0).contains(&noise) {
        return Err(format!(
            "problems is {problems}, steps {steps} and noise {noise}, but must be at least 2, at least 1 and from 0 to 1"
        ));
    }
    let mut cells = Vec::new();
    for &seed in seeds {
        let recorded = ["first-answer", "update-1", "update-2", "update-3", "vote", "vote-with-random"];
        // The recording is the same for every seed: its questions are the units of the statistics.
        for setting in RECORDED {
            cells.extend(recorded.map(|arm| {
                let cell = Cell::new(arm, setting, seed);
                if recording == PUBLISHED { cell.reading(TRAJECTORIES) } else { cell }
            }));
        }
        cells.push(Cell::new("shuffled-feedback", "code", seed));
        cells.extend(
            ["textgrad", "random-edits"].map(|arm| Cell::new(arm, "code", seed).needing("shuffled-feedback")),
        );
        let directly = vec![Cell::new("textgrad", "code", seed).id()];
        cells.extend(
            ["textgrad", "untraced"]
                .map(|arm| Cell { needs: directly.clone(), ..Cell::new(arm, "chain", seed) }),
        );
        cells.extend(["textgrad", "momentum", "memory-of-others"].map(|arm| Cell::new(arm, "noisy", seed)));
    }
    Ok(cells)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if RECORDED.contains(&cell.setting.as_str()) {
        recorded::run(cell, &configuration.recording, context)
    } else {
        embedded::run(cell, &configuration, context)
    }
}
