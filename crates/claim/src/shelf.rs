//! The shelf: one table of all methods. Everything that lists methods is generated from it.

use serde::Serialize;

/// One paper on the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The one name of the method: command line, module, study, bench, page and evidence folder.
    pub id: &'static str,
    /// Title of the paper.
    pub title: &'static str,
    /// arXiv identifier.
    pub arxiv: &'static str,
    /// Year of the first arXiv version.
    pub year: u16,
    /// The wing the method lives in.
    pub family: Family,
    /// How far the method is.
    pub state: State,
}

/// The wings of the house, one crate and one cargo feature each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Family {
    Reason,
    Audit,
    Language,
    Sequence,
    Compress,
    Optimize,
    Graph,
    Continual,
    Statistics,
    Networks,
    Science,
}

/// How far a method is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// On the shelf, not built.
    Planned,
    /// Built: method, study, bench and page are there.
    Preview,
    /// Built and confirmed by review.
    Checked,
}

impl Family {
    /// The name in lower case, as the crate and the cargo feature have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Audit => "audit",
            Self::Language => "language",
            Self::Sequence => "sequence",
            Self::Compress => "compress",
            Self::Optimize => "optimize",
            Self::Graph => "graph",
            Self::Continual => "continual",
            Self::Statistics => "statistics",
            Self::Networks => "networks",
            Self::Science => "science",
        }
    }
}

impl State {
    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Preview => "preview",
            Self::Checked => "checked",
        }
    }
}

/// The entry of a method.
pub fn find(id: &str) -> Option<&'static Entry> {
    SHELF.iter().find(|entry| entry.id == id)
}

/// The known id nearest to what was typed, if one is near enough to be meant.
pub fn nearest(typed: &str) -> Option<&'static str> {
    nearest_of(typed, SHELF.iter().map(|entry| entry.id))
}

/// The name of some that is nearest to what was typed, if one is near: for names of any kind that users give.
pub fn nearest_of<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (edit_distance(typed, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .map(|(_, name)| name)
}

/// Levenshtein distance over bytes.
fn edit_distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let replace = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

const fn entry(
    id: &'static str,
    title: &'static str,
    arxiv: &'static str,
    year: u16,
    family: Family,
    state: State,
) -> Entry {
    Entry { id, title, arxiv, year, family, state }
}

/// All 54 methods, by wing.
#[rustfmt::skip]
pub const SHELF: &[Entry] = &[
    entry("probtree", "Probabilistic Tree-of-thought Reasoning for Answering Knowledge-intensive Complex Questions", "2311.13982", 2023, Family::Reason, State::Preview),
    entry("fobar", "Forward-Backward Reasoning in Large Language Models for Mathematical Verification", "2308.07758", 2023, Family::Reason, State::Preview),
    entry("auto-cot", "Automatic Chain of Thought Prompting in Large Language Models", "2210.03493", 2022, Family::Reason, State::Planned),
    entry("automate-cot", "Automatic Prompt Augmentation and Selection with Chain-of-Thought from Labeled Data", "2302.12822", 2023, Family::Reason, State::Planned),
    entry("iep", "Eliminating Reasoning via Inferring with Planning: A New Framework to Guide LLMs' Non-linear Thinking", "2310.12342", 2023, Family::Reason, State::Planned),
    entry("successive-prompting", "Successive Prompting for Decomposing Complex Questions", "2212.04092", 2022, Family::Reason, State::Planned),
    entry("textgrad", "TextGrad: Automatic 'Differentiation' via Text", "2406.07496", 2024, Family::Reason, State::Preview),
    entry("reasoning-boundary", "Unlocking the Capabilities of Thought: A Reasoning Boundary Framework to Quantify and Optimize Chain-of-Thought", "2410.05695", 2024, Family::Reason, State::Planned),
    entry("badchain", "BadChain: Backdoor Chain-of-Thought Prompting for Large Language Models", "2401.12242", 2024, Family::Audit, State::Planned),
    entry("past-tense", "Does Refusal Training in LLMs Generalize to the Past Tense?", "2407.11969", 2024, Family::Audit, State::Planned),
    entry("spinning", "Spinning Language Models: Risks of Propaganda-As-A-Service and Countermeasures", "2112.05224", 2021, Family::Audit, State::Planned),
    entry("ebyd", "Expose Before You Defend: Unifying and Enhancing Backdoor Defenses via Exposed Models", "2410.19427", 2024, Family::Audit, State::Planned),
    entry("four-habits", "Cognitive Behaviors that Enable Self-Improving Reasoners, or, Four Habits of Highly Effective STaRs", "2503.01307", 2025, Family::Language, State::Planned),
    entry("spt", "Mitigating Reversal Curse in Large Language Models via Semantic-aware Permutation Training", "2403.00758", 2024, Family::Language, State::Preview),
    entry("structural-recursion", "Transformer-Based Models Are Not Yet Perfect At Learning to Emulate Structural Recursion", "2401.12947", 2024, Family::Language, State::Planned),
    entry("trlm", "Time-Reversal Provides Unsupervised Feedback to LLMs", "2412.02626", 2024, Family::Language, State::Planned),
    entry("sequencematch", "SequenceMatch: Imitation Learning for Autoregressive Sequence Modelling with Backtracking", "2306.05426", 2023, Family::Language, State::Planned),
    entry("reversal-curse", "The Reversal Curse: LLMs trained on 'A is B' fail to learn 'B is A'", "2309.12288", 2023, Family::Language, State::Preview),
    entry("deductive-sets", "Not All Large Language Models (LLMs) Succumb to the 'Reversal Curse': A Comparative Study of Deductive Logical Reasoning in BERT and GPT Models", "2312.03633", 2023, Family::Language, State::Planned),
    entry("locality", "Why think step by step? Reasoning emerges from the locality of experience", "2304.03843", 2023, Family::Language, State::Preview),
    entry("axiomatic", "Teaching Transformers Causal Reasoning through Axiomatic Training", "2407.07612", 2024, Family::Language, State::Planned),
    entry("cot-expressivity", "The Expressive Power of Transformers with Chain of Thought", "2310.07923", 2023, Family::Language, State::Planned),
    entry("order-matters", "Order Matters: Sequence to sequence for sets", "1511.06391", 2015, Family::Language, State::Planned),
    entry("s4", "Efficiently Modeling Long Sequences with Structured State Spaces", "2111.00396", 2021, Family::Sequence, State::Planned),
    entry("s4-ptd", "Robustifying State-space Models for Long Sequences via Approximate Diagonalization", "2310.01698", 2023, Family::Sequence, State::Planned),
    entry("negative-eigenvalues", "Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues", "2411.12537", 2024, Family::Sequence, State::Preview),
    entry("rearec", "Think Before Recommend: Unleashing the Latent Reasoning Power for Sequential Recommendation", "2503.22675", 2025, Family::Sequence, State::Planned),
    entry("skipdecode", "SkipDecode: Autoregressive Skip Decoding with Batching and Caching for Efficient LLM Inference", "2307.02628", 2023, Family::Compress, State::Planned),
    entry("momentum-decoding", "Momentum Decoding: Open-ended Text Generation As Graph Exploration", "2212.02175", 2022, Family::Compress, State::Planned),
    entry("bct", "Blockwise Compression of Transformer-based Models without Retraining", "2304.01483", 2023, Family::Compress, State::Planned),
    entry("flexround", "FlexRound: Learnable Rounding based on Element-wise Division for Post-Training Quantization", "2306.00317", 2023, Family::Compress, State::Preview),
    entry("ef21-w", "Error Feedback Reloaded: From Quadratic to Arithmetic Mean of Smoothness Constants", "2402.10774", 2024, Family::Optimize, State::Preview),
    entry("bo-rep", "Bilevel Optimization under Unbounded Smoothness: A New Algorithm and Convergence Analysis", "2401.09587", 2024, Family::Optimize, State::Planned),
    entry("penalty-bilevel", "On Penalty Methods for Nonconvex Bilevel Optimization and First-Order Stochastic Approximation", "2309.01753", 2023, Family::Optimize, State::Preview),
    entry("block-descent", "Let's Make Block Coordinate Descent Converge Faster: Faster Greedy Rules, Message-Passing, Active-Set Complexity, and Superlinear Convergence", "1712.08859", 2017, Family::Optimize, State::Preview),
    entry("schedule-refinement", "When, Why and How Much? Adaptive Learning Rate Scheduling by Refinement", "2310.07831", 2023, Family::Optimize, State::Preview),
    entry("forward-gnn", "Forward Learning of Graph Neural Networks", "2403.11004", 2024, Family::Graph, State::Preview),
    entry("w2pgnn", "When to Pre-Train Graph Neural Networks? From Data Generation Perspective!", "2303.16458", 2023, Family::Graph, State::Planned),
    entry("cgs", "Convergent Graph Solvers", "2106.01680", 2021, Family::Graph, State::Planned),
    entry("gsm-plus-plus", "Best of Both Worlds: Advantages of Hybrid Graph Sequence Models", "2411.15671", 2024, Family::Graph, State::Planned),
    entry("cuber", "Beyond Not-Forgetting: Continual Learning with Backward Knowledge Transfer", "2211.00789", 2022, Family::Continual, State::Preview),
    entry("protocl", "On Sequential Bayesian Inference for Continual Learning", "2301.01828", 2023, Family::Continual, State::Planned),
    entry("bt2", "BT^2: Backward-compatible Training with Basis Transformation", "2211.03989", 2022, Family::Continual, State::Planned),
    entry("topo", "Optimizing NOTEARS Objectives via Topological Swaps", "2305.17277", 2023, Family::Statistics, State::Preview),
    entry("causal-minimax", "Which Invariance Should We Transfer? A Causal Minimax Learning Approach", "2107.01876", 2021, Family::Statistics, State::Preview),
    entry("scale-mixture-nngp", "Scale Mixtures of Neural Network Gaussian Processes", "2107.01408", 2021, Family::Statistics, State::Preview),
    entry("continual-dp", "The Price of Differential Privacy under Continual Observation", "2112.00828", 2021, Family::Statistics, State::Preview),
    entry("weight-matching", "Analysis of Linear Mode Connectivity via Permutation-Based Weight Matching: With Insights into Other Permutation Search Methods", "2402.04051", 2024, Family::Networks, State::Preview),
    entry("lipschitz", "Efficiently Computing Local Lipschitz Constants of Neural Networks via Bound Propagation", "2210.07394", 2022, Family::Networks, State::Preview),
    entry("exact-permutations", "Exact Learning of Permutations for Nonzero Binary Inputs with Logarithmic Training Size and Quadratic Ensemble Complexity", "2502.16763", 2025, Family::Networks, State::Preview),
    entry("ecbm", "Energy-Based Concept Bottleneck Models: Unifying Prediction, Concept Intervention, and Probabilistic Interpretations", "2401.14142", 2024, Family::Networks, State::Planned),
    entry("pdvn", "Retrosynthetic Planning with Dual Value Networks", "2301.13755", 2023, Family::Science, State::Planned),
    entry("bib", "Bidirectional Learning for Offline Model-based Biological Sequence Design", "2301.02931", 2023, Family::Science, State::Planned),
    entry("deep-xva", "Multi-Layer Deep xVA: Structural Credit Models, Measure Changes and Convergence Analysis", "2502.14766", 2025, Family::Science, State::Preview),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shelf_holds_54_methods_once_each() {
        assert_eq!(SHELF.len(), 54);
        for (i, entry) in SHELF.iter().enumerate() {
            assert!(
                SHELF[..i].iter().all(|other| other.id != entry.id && other.arxiv != entry.arxiv),
                "{}",
                entry.id
            );
            assert!(
                entry.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-".contains(&b))
            );
            assert_eq!(entry.arxiv[..2].parse::<u16>().unwrap() + 2000, entry.year, "{}", entry.id);
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_method() {
        assert_eq!(nearest("tpoo"), Some("topo"));
        assert_eq!(nearest("weight_matching"), Some("weight-matching"));
        assert_eq!(nearest("kubernetes"), None);
    }
}
