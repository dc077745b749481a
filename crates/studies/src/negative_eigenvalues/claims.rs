//! What the study of `negative-eigenvalues` compares and claims.

use backstitch_claim::{Arm, Claim, Effect, Metric, Precondition, Role, Scope, Statistic};

pub(super) const PARITY: &str = "parity";
pub(super) const S3: &str = "s3-swaps";
pub(super) const S4: &str = "s4-swaps";
pub(super) const COUNT: &str = "count-3";
pub(super) const CHUNKS: &str = "chunks";

pub(super) const ARMS: &[Arm] = &[
    Arm {
        name: "delta-signed",
        role: Role::Method,
        description: "one delta layer with eigenvalues in [-1, 1], one Householder step per token; no tuning, as all arms",
    },
    Arm {
        name: "diagonal-signed",
        role: Role::Method,
        description: "one diagonal layer with eigenvalues in [-1, 1]",
    },
    Arm {
        name: "two-reflections",
        role: Role::Method,
        description: "one delta layer with eigenvalues in [-1, 1] and two Householder steps per token",
    },
    Arm {
        name: "chunks",
        role: Role::Method,
        description: "the delta rule in chunks beside its steps, in double precision",
    },
    Arm {
        name: "delta-positive",
        role: Role::Ablation,
        description: "the delta layer with eigenvalues in [0, 1]; same steps and initial draws",
    },
    Arm {
        name: "diagonal-positive",
        role: Role::Ablation,
        description: "the diagonal layer with eigenvalues in [0, 1]; same steps and initial draws",
    },
    Arm {
        name: "delta-short",
        role: Role::Ablation,
        description: "delta-positive trained on sequences of at most 4 tokens: whether it learns what it can hold",
    },
    Arm {
        name: "diagonal-short",
        role: Role::Ablation,
        description: "diagonal-positive trained on sequences of at most 4 tokens",
    },
    Arm {
        name: "attention",
        role: Role::Baseline,
        description: "causal attention with rotary positions in the place of the recurrence; same width and steps",
    },
    Arm {
        name: "gru",
        role: Role::Control,
        description: "a gated recurrent unit in the place of the recurrence; same width and steps: it is not linear and can hold all of these states",
    },
    Arm {
        name: "one-reflection",
        role: Role::Control,
        description: "one Householder step per token where two are needed; otherwise as two-reflections",
    },
    Arm {
        name: "shuffled",
        role: Role::Control,
        description: "delta-signed trained on labels drawn at random",
    },
    Arm {
        name: "forgetful",
        role: Role::Control,
        description: "the delta rule in chunks that each begin with a state of zeros",
    },
];

pub(super) const METRICS: &[Metric] = &[
    Metric {
        worst: Some(0.0),
        ..Metric::higher("long", "share right at the last position of sequences longer than any in training")
    },
    Metric {
        worst: Some(0.0),
        ..Metric::higher("trained", "share right at the last position of the longest sequences in training")
    },
    Metric {
        worst: Some(0.0),
        ..Metric::higher("short", "share right over all positions of sequences of 4 tokens")
    },
    Metric {
        worst: Some(0.0),
        ..Metric::higher("far", "share right at the last position of the longest sequences")
    },
    Metric {
        worst: Some(0.0),
        ..Metric::higher("snapped", "the same with eigenvalues within 0.05 of -1, 0 and 1 taken as these")
    },
    Metric::lower("residual", "largest difference of outputs over their largest size"),
];

const ON_PARITY: Claim = Claim {
    id: "",
    sentence: "",
    source: "",
    published: None,
    scope: Scope::Reduced,
    subject: "delta-signed",
    effect: Effect::Above { metric: "long", bound: 0.95 },
    margin: 0.0,
    statistic: Statistic::PairedT,
    settings: &[PARITY],
    precondition: None,
    control: "shuffled",
    own_data: false,
};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "diagonal-tracks-parity",
        sentence: "A diagonal layer with eigenvalues in [-1, 1] trained on up to 40 bits gives the parity of 128 bits right in more than 95 %",
        source: "table of formal languages, Mamba in [-1, 1]; one small layer here",
        subject: "diagonal-signed",
        ..ON_PARITY
    },
    Claim {
        id: "delta-tracks-parity",
        sentence: "A delta layer with eigenvalues in [-1, 1] trained on up to 40 bits gives the parity of 128 bits right in more than 95 %",
        source: "table of formal languages, DeltaNet in [-1, 1]; one small layer here",
        ..ON_PARITY
    },
    Claim {
        id: "positive-diagonal-at-chance",
        sentence: "With eigenvalues in [0, 1] the diagonal layer gives the parity of 40 bits, a length it was trained on, right in less than 60 %",
        source: "theorem on non-negative eigenvalues and its table, Mamba in [0, 1]",
        subject: "diagonal-positive",
        effect: Effect::Below { metric: "trained", bound: 0.6 },
        precondition: Some(Precondition {
            sentence: "trained on up to 4 bits, the same layer learns these (at least 90 % of the positions)",
            arm: "diagonal-short",
            effect: Effect::Above { metric: "short", bound: 0.0 },
            at_least: 0.9,
        }),
        control: "gru",
        ..ON_PARITY
    },
    Claim {
        id: "positive-delta-at-chance",
        sentence: "With eigenvalues in [0, 1] the delta layer gives the parity of 40 bits, a length it was trained on, right in less than 60 %",
        source: "theorem on non-negative eigenvalues and its table, DeltaNet in [0, 1]",
        subject: "delta-positive",
        effect: Effect::Below { metric: "trained", bound: 0.6 },
        precondition: Some(Precondition {
            sentence: "trained on up to 4 bits, the same layer learns these (at least 90 % of the positions)",
            arm: "delta-short",
            effect: Effect::Above { metric: "short", bound: 0.0 },
            at_least: 0.9,
        }),
        control: "gru",
        ..ON_PARITY
    },
    Claim {
        id: "beyond-attention",
        sentence: "On the parity of 128 bits the delta layer in [-1, 1] is right in at least 30 points more than causal attention of the same width after \
                   the same steps",
        source: "table of formal languages, transformer",
        effect: Effect::Improvement { metric: "long", over: "attention" },
        margin: 0.3,
        ..ON_PARITY
    },
    Claim {
        id: "swaps-of-three",
        sentence: "Trained on 16 swaps of three things, the delta layer in [-1, 1] names their order after 64 swaps right in at least 30 points more \
                   than in [0, 1]",
        source: "experiment on permutation groups, identity and swaps, one layer; S3 in the place of S5",
        effect: Effect::Improvement { metric: "long", over: "delta-positive" },
        margin: 0.3,
        settings: &[S3],
        ..ON_PARITY
    },
    Claim {
        id: "swaps-of-four",
        sentence: "Trained on 16 swaps of four things, the delta layer in [-1, 1] names their order after 64 swaps right in at least 30 points more \
                   than in [0, 1]",
        source: "experiment on permutation groups, identity and swaps, one layer; S4 in the place of S5",
        effect: Effect::Improvement { metric: "long", over: "delta-positive" },
        margin: 0.3,
        settings: &[S4],
        ..ON_PARITY
    },
    Claim {
        id: "two-reflections-count-three",
        sentence: "A delta layer of two Householder steps per token counts up to 80 steps modulo 3 right in more than 90 %; with one step per \
                   token it does not",
        source: "theorem on products of Householder matrices: a turn by 120 degrees is two reflections; setting ours",
        scope: Scope::Mechanism,
        subject: "two-reflections",
        effect: Effect::Above { metric: "long", bound: 0.9 },
        settings: &[COUNT],
        control: "one-reflection",
        ..ON_PARITY
    },
    Claim {
        id: "diagonal-cannot-count-three",
        sentence: "A diagonal layer in [-1, 1] counts up to 80 steps modulo 3 right in less than 60 %",
        source: "theorem on real eigenvalues and counting; setting ours",
        scope: Scope::Mechanism,
        subject: "diagonal-signed",
        effect: Effect::Below { metric: "long", bound: 0.6 },
        settings: &[COUNT],
        precondition: Some(Precondition {
            sentence: "it counts up to 4 steps (at least 90 % of the positions)",
            arm: "diagonal-signed",
            effect: Effect::Above { metric: "short", bound: 0.0 },
            at_least: 0.9,
        }),
        control: "gru",
        ..ON_PARITY
    },
    Claim {
        id: "chunks-are-steps",
        sentence: "In chunks the delta rule gives what it gives step by step (double precision, relative to the largest output)",
        source: "identity of the WY form",
        scope: Scope::Identity,
        subject: "chunks",
        effect: Effect::Above { metric: "residual", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-10 },
        settings: &[CHUNKS],
        control: "forgetful",
        ..ON_PARITY
    },
];
