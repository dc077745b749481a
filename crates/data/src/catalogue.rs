//! The public data sets that studies use: what they are, where they come from, and how to know they are unchanged.
//!
//! None of it is shipped with the program ([`crate::embedded`] has the small tables that are). `backstitch data list` shows this table,
//! `backstitch data get <name>` fetches a set ([`crate::download`]), and a study finds it in the data directory ([`crate::directory`]).

use crate::names::nearest;

/// A public data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicSet {
    /// What it is called on the command line.
    pub name: &'static str,
    /// One line for a reader who does not know it.
    pub title: &'static str,
    /// Its files.
    pub files: &'static [PublicFile],
    /// SPDX identifier of its licence.
    pub licence: &'static str,
    /// What to cite.
    pub citation: &'static str,
    /// The methods whose studies or commands use it.
    pub used_by: &'static [&'static str],
}

/// A file of a public data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicFile {
    /// Where it lies in the data directory, with `/`.
    pub path: &'static str,
    /// Where it is published: an address that will not change its content.
    pub origin: &'static str,
    /// SHA-256 of its unpacked content.
    pub sha256: &'static str,
    /// Size in bytes as it is published.
    pub bytes: u64,
}

/// All public sets.
pub const CATALOGUE: &[PublicSet] = &[
    PublicSet {
        name: "sachs",
        title: "Protein signalling in human immune cells: levels of 11 proteins in 7,466 cells, and the accepted graph",
        files: &[
            PublicFile {
                path: "causal/sachs/sachs.2005.continuous.txt",
                origin: "https://raw.githubusercontent.com/cmu-phil/example-causal-datasets/a23adc349a23fc34d258193b45c60522ca6355b4/real/sachs/data/sachs.2005.continuous.txt",
                sha256: "a488589b0f021b2a261ff2c696a908c6823051b0d98693e0fa0e78bb12097063",
                bytes: 661_897,
            },
            PublicFile {
                path: "causal/sachs/sachs.2005.ground.truth.graph.txt",
                origin: "https://raw.githubusercontent.com/cmu-phil/example-causal-datasets/a23adc349a23fc34d258193b45c60522ca6355b4/real/sachs/ground.truth/sachs.2005.ground.truth.graph.txt",
                sha256: "2406ec0f9cd34bcbcd33fb74282386232330a630dba68c0f2d01a0d985a652b9",
                bytes: 391,
            },
        ],
        licence: "CC0-1.0",
        citation: "K. Sachs, O. Perez, D. Pe'er, D. A. Lauffenburger, G. P. Nolan: Causal protein-signaling networks \
                   derived from multiparameter single-cell data. Science 308 (2005), 523-529",
        used_by: &["topo"],
    },
    PERMLEARN,
    TRAJECTORIES,
    PublicSet {
        name: "impc-mice",
        title: "Blood counts of 614 mice, wild or with one of 13 genes knocked out (International Mouse Phenotyping Consortium)",
        files: &[PublicFile {
            path: "causal/which_invariance/mouse.csv",
            origin: "https://raw.githubusercontent.com/lmz123321/which_invariance/707f2772ad121011f49ce8bcc7b04da65b13f911/impc/mouse.csv",
            sha256: "c7272f6155475209b15ce19167e4cddc94594dd9eebc8c2eb556182fcbaefdc8",
            bytes: 100_558,
        }],
        licence: "MIT",
        citation: "M. Liu, X. Zheng, X. Sun, F. Fang, Y. Wang: Which Invariance Should We Transfer? A Causal Minimax Learning \
                   Approach. ICML 2023, arXiv 2107.01876",
        used_by: &["causal-minimax"],
    },
    PublicSet {
        name: "mnist",
        title: "MNIST: 70,000 handwritten digits of 28 x 28 pixels, 60,000 of them for training",
        files: &[
            PublicFile {
                path: "mnist/train-images-idx3-ubyte.gz",
                origin: "https://raw.githubusercontent.com/fgnt/mnist/ae608a02b796c9ee908c082585a5f006fe05258e/train-images-idx3-ubyte.gz",
                sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                bytes: 9_912_422,
            },
            PublicFile {
                path: "mnist/train-labels-idx1-ubyte.gz",
                origin: "https://raw.githubusercontent.com/fgnt/mnist/ae608a02b796c9ee908c082585a5f006fe05258e/train-labels-idx1-ubyte.gz",
                sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                bytes: 28_881,
            },
            PublicFile {
                path: "mnist/t10k-images-idx3-ubyte.gz",
                origin: "https://raw.githubusercontent.com/fgnt/mnist/ae608a02b796c9ee908c082585a5f006fe05258e/t10k-images-idx3-ubyte.gz",
                sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                bytes: 1_648_877,
            },
            PublicFile {
                path: "mnist/t10k-labels-idx1-ubyte.gz",
                origin: "https://raw.githubusercontent.com/fgnt/mnist/ae608a02b796c9ee908c082585a5f006fe05258e/t10k-labels-idx1-ubyte.gz",
                sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                bytes: 4_542,
            },
        ],
        licence: "CC-BY-SA-3.0",
        citation: "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition. Proceedings of the IEEE 86 \
                   (1998), 2278-2324",
        used_by: &["cuber"],
    },
    PublicSet {
        name: "gsm8k-test",
        title: "GSM8K, test questions: 1,319 word problems of several steps with solutions",
        files: &[PublicFile {
            path: "math/gsm8k_test.jsonl",
            origin: "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test.jsonl",
            sha256: "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
            bytes: 749_738,
        }],
        licence: "MIT",
        citation: "K. Cobbe and others: Training Verifiers to Solve Math Word Problems. arXiv 2110.14168, 2021",
        used_by: &["fobar"],
    },
    PublicSet {
        name: "svamp",
        title: "SVAMP: 1,000 word problems of one step, worded to mislead",
        files: &[PublicFile {
            path: "math/SVAMP.json",
            origin: "https://raw.githubusercontent.com/arkilpatel/SVAMP/689d7ccac74b9983a2ac7cc3b264f441b99e7c53/SVAMP.json",
            sha256: "5be77703a6d891ae476d7c082787ad361392aa02453b132516cdd5f4e7934e3e",
            bytes: 339_970,
        }],
        licence: "MIT",
        citation: "A. Patel, S. Bhattamishra, N. Goyal: Are NLP Models really able to Solve Simple Math Word Problems? NAACL 2021, arXiv 2103.07191",
        used_by: &["fobar"],
    },
    PublicSet {
        name: "aqua-test",
        title: "AQuA, test questions: 254 algebra word problems with five options",
        files: &[PublicFile {
            path: "math/aqua_test.jsonl",
            origin: "https://raw.githubusercontent.com/google-deepmind/AQuA/26b64ed1f22208c6742f47df547dfd65088ec30d/test.json",
            sha256: "de41581881ef95c5588c44ddc701c77fd480839241dd422a0d181262af24520c",
            bytes: 130_192,
        }],
        licence: "Apache-2.0",
        citation: "W. Ling, D. Yogatama, C. Dyer, P. Blunsom: Program Induction by Rationale Generation. ACL 2017, arXiv 1705.04146",
        used_by: &["fobar"],
    },
    PublicSet {
        name: "strategyqa-dev",
        title: "StrategyQA, development questions: 229 questions answered by yes or no, with facts and decompositions",
        files: &[PublicFile {
            path: "qa/strategyqa_dev.json",
            origin: "https://raw.githubusercontent.com/eladsegal/strategyqa/1ba1e97452e189569357876f2854b01357ffbe37/data/strategyqa/dev.json",
            sha256: "0d94842ffb022db8fd5ecd2168b785d5cf67f6faf64f665476bad544a3eb9dde",
            bytes: 424_195,
        }],
        licence: "MIT",
        citation: "M. Geva, D. Khashabi, E. Segal, T. Khot, D. Roth, J. Berant: Did Aristotle Use a Laptop? A Question Answering Benchmark with Implicit Reasoning Strategies. TACL 9 (2021), arXiv 2101.02235",
        used_by: &["probtree"],
    },
    PublicSet {
        name: "hotpotqa-dev",
        title: "HotpotQA, development questions: 7,405 questions that take two facts, with answers and type, without paragraphs",
        files: &[PublicFile {
            path: "qa/hotpot_dev_v1_simplified.json",
            origin: "https://raw.githubusercontent.com/ysymyth/ReAct/6bdb3a1fd38b8188fc7ba4102969fe483df8fdc9/data/hotpot_dev_v1_simplified.json",
            sha256: "05001dcdeb2b2b2243a88f23daaf8de9237494cd387e13bc25854d3e031101d3",
            bytes: 1_179_017,
        }],
        licence: "CC-BY-SA-4.0",
        citation: "Z. Yang, P. Qi, S. Zhang, Y. Bengio, W. W. Cohen, R. Salakhutdinov, C. D. Manning: HotpotQA: A Dataset for \
                   Diverse, Explainable Multi-hop Question Answering. EMNLP 2018, arXiv 1809.09600",
        used_by: &["probtree"],
    },
    PublicSet {
        name: "probtree-hotpotqa",
        title: "Recorded experiment: question trees of 500 HotpotQA questions with the answers and scores of a language model",
        files: &[PublicFile {
            path: "qa/probtree/hotpotqa_released.json",
            origin: "https://raw.githubusercontent.com/THU-KEG/ProbTree/ce17f5f239c47389ab53920bfef817f8a18e3841/src/hotpotqa/RoHT/results/released.json",
            sha256: "71bb94e9f2f6f22d63d9610d392f596b32fb7fa0aaed3bb0dd6e0242ce10c2a2",
            bytes: 869_336,
        }],
        licence: "MIT AND CC-BY-SA-4.0",
        citation: "S. Cao, J. Zhang, J. Shi, X. Lv, Z. Yao, Q. Tian, J. Li, L. Hou: Probabilistic Tree-of-thought Reasoning for \
                   Answering Knowledge-intensive Complex Questions. Findings of EMNLP 2023, arXiv 2311.13982",
        used_by: &["probtree"],
    },
    planetoid_set(
        "cora",
        "Cora: 2,708 papers on machine learning, 1,433 words that occur in them or not, 5,278 citations, 7 fields",
        &[PublicFile {
            path: "graphs/cora.npz",
            origin: "https://raw.githubusercontent.com/shchur/gnn-benchmark/1e72912a0810cdf27ae54fd589a3b43358a2b161/data/npz/cora.npz",
            sha256: "068e22d90c3849b4057dfb05851741428992af058efcd4e7ebb4186f3d581de2",
            bytes: 540_580,
        }],
    ),
    planetoid_set(
        "citeseer",
        "CiteSeer: 3,312 papers on computer science, 3,703 words that occur in them or not, 4,536 citations, 6 fields",
        &[PublicFile {
            path: "graphs/citeseer.npz",
            origin: "https://raw.githubusercontent.com/shchur/gnn-benchmark/1e72912a0810cdf27ae54fd589a3b43358a2b161/data/npz/citeseer.npz",
            sha256: "280278b21b434c047922e8389518861416fb3ad39389c27865ff0e6bbb0aaab7",
            bytes: 1_348_784,
        }],
    ),
    libsvm_set(
        "a9a",
        "Adult income above 50,000 dollars: 32,561 people, 123 indicators, sparse",
        &[PublicFile {
            path: "libsvm/a9a.txt.gz",
            origin: "https://raw.githubusercontent.com/IgorSokoloff/ef21_experiments_source_code/805c9d77de73fe211712ce21e865c1bdbc7c032a/data/a9a.txt",
            sha256: "f5d5ffd8d865ff41328e7ee043e4b020816914ff6843ff15b98905ddbedce906",
            bytes: 2_329_875,
        }],
    ),
    libsvm_set(
        "w8a",
        "Web pages of one category or not: 49,749 pages, 300 keywords, sparse",
        &[PublicFile {
            path: "libsvm/w8a.txt.gz",
            origin: "https://raw.githubusercontent.com/IgorSokoloff/ef21_experiments_source_code/805c9d77de73fe211712ce21e865c1bdbc7c032a/data/w8a.txt",
            sha256: "6a9fa8fd5f524303240a5db07d4b3d4a51e8b7b4b20a914105d8e3e8c81640f2",
            bytes: 3_478_238,
        }],
    ),
    libsvm_set(
        "phishing",
        "Phishing or honest web sites: 11,055 sites, 68 features, sparse",
        &[PublicFile {
            path: "libsvm/phishing.txt.gz",
            origin: "https://raw.githubusercontent.com/IgorSokoloff/ef21_experiments_source_code/805c9d77de73fe211712ce21e865c1bdbc7c032a/data/phishing.txt",
            sha256: "0cf66ef36604c393da9359b2e5d894a2df8aee31fd184633cefa138add2ef08a",
            bytes: 3_620_168,
        }],
    ),
    libsvm_set(
        "mushrooms",
        "Poisonous or edible mushrooms: 8,124 kinds, 112 indicators, sparse",
        &[PublicFile {
            path: "libsvm/mushrooms.txt.gz",
            origin: "https://raw.githubusercontent.com/IgorSokoloff/ef21_experiments_source_code/805c9d77de73fe211712ce21e865c1bdbc7c032a/data/mushrooms.txt",
            sha256: "f39a4eb628dc61a7d43760815b061c9e497aa728ce1ad8bde57a09ef6043b538",
            bytes: 879_712,
        }],
    ),
    uci_set(
        "uci-concrete",
        "Compressive strength of concrete: 1,030 mixtures, 8 inputs; the last column is the target, all columns centred",
        &[PublicFile {
            path: "uci/concrete/data.csv.gz",
            origin: "https://raw.githubusercontent.com/treforevans/uci_datasets/f0737523712fe66a1640e4b980b927e8490b58eb/uci_datasets/concrete/data.csv.gz",
            sha256: "f7210967a49a2adbf6d19ac3dd853f820941ff37351562cd1a48e8521af3d80b",
            bytes: 12_153,
        }],
    ),
    uci_set(
        "uci-energy",
        "Heating load of buildings: 768 simulations, 8 inputs; the last column is the target, all columns centred",
        &[PublicFile {
            path: "uci/energy/data.csv.gz",
            origin: "https://raw.githubusercontent.com/treforevans/uci_datasets/f0737523712fe66a1640e4b980b927e8490b58eb/uci_datasets/energy/data.csv.gz",
            sha256: "2f7b51540e7300945f03a8fdcc2683ec941b21b1952bc08e8f9b37ebe833c6db",
            bytes: 5_595,
        }],
    ),
    uci_set(
        "uci-wine",
        "Quality of red wine: 1,599 wines, 11 inputs; the last column is the target, all columns centred",
        &[PublicFile {
            path: "uci/wine/data.csv.gz",
            origin: "https://raw.githubusercontent.com/treforevans/uci_datasets/f0737523712fe66a1640e4b980b927e8490b58eb/uci_datasets/wine/data.csv.gz",
            sha256: "573b29b56f82ee37960b87e0125cdc4da684611eb98536f8228ba12ed16fddf4",
            bytes: 35_578,
        }],
    ),
    uci_set(
        "uci-yacht",
        "Resistance of yachts: 308 experiments, 6 inputs; the last column is the target, all columns centred",
        &[PublicFile {
            path: "uci/yacht/data.csv.gz",
            origin: "https://raw.githubusercontent.com/treforevans/uci_datasets/f0737523712fe66a1640e4b980b927e8490b58eb/uci_datasets/yacht/data.csv.gz",
            sha256: "dc2871f60f28086c6b12738fc053647f13b29d770013baaf6d3f5806e219b3cb",
            bytes: 2_457,
        }],
    ),
];

/// A regression set of the UCI repository, as a public collection of them has it.
const fn uci_set(name: &'static str, title: &'static str, files: &'static [PublicFile]) -> PublicSet {
    PublicSet {
        name,
        title,
        files,
        licence: "MIT",
        citation: "M. Kelly, R. Longjohn, K. Nottingham: The UCI Machine Learning Repository, archive.ics.uci.edu",
        used_by: &["scale-mixture-nngp"],
    }
}

/// A citation graph, as a public benchmark of graph networks has it.
const fn planetoid_set(name: &'static str, title: &'static str, files: &'static [PublicFile]) -> PublicSet {
    PublicSet {
        name,
        title,
        files,
        licence: "MIT",
        citation: "P. Sen, G. Namata, M. Bilgic, L. Getoor, B. Galligher, T. Eliassi-Rad: Collective Classification in Network \
                   Data. AI Magazine 29 (2008), 93-106; as in O. Shchur, M. Mumme, A. Bojchevski, S. Günnemann: Pitfalls of Graph \
                   Neural Network Evaluation, arXiv 1811.05868",
        used_by: &["forward-gnn"],
    }
}

/// A set of the LIBSVM collection, as the authors of EF21 publish it with their experiments.
const fn libsvm_set(name: &'static str, title: &'static str, files: &'static [PublicFile]) -> PublicSet {
    PublicSet {
        name,
        title,
        files,
        licence: "MIT",
        citation: "C.-C. Chang, C.-J. Lin: LIBSVM: a library for support vector machines. ACM Transactions on Intelligent \
                   Systems and Technology 2 (2011), 27:1-27:27",
        used_by: &["ef21-w"],
    }
}

/// What the authors recorded. The files hold the questions: they are downloaded, never shipped.
const TRAJECTORIES: PublicSet = PublicSet {
    name: "textgrad-trajectories",
    title: "First answers of GPT-4o to 401 multiple-choice questions (GPQA, MMLU) and three updates of each by TextGrad",
    files: &[
        PublicFile {
            path: "textgrad/gpqa_predictions.json",
            origin: "https://raw.githubusercontent.com/zou-group/textgrad/75e912e210864b61999781778cdf756d4468120f/evaluation/results/solution_optimization/gpqa_predictions.json",
            sha256: "e4edadd012b195ad35dbb05a6f3da7224b3920de3dbc7a1532cfc21a8c96462c",
            bytes: 2_535_600,
        },
        PublicFile {
            path: "textgrad/mmlu_college_physics_predictions.json",
            origin: "https://raw.githubusercontent.com/zou-group/textgrad/75e912e210864b61999781778cdf756d4468120f/evaluation/results/solution_optimization/mmlu_college_physics_predictions.json",
            sha256: "b015cd9e29f9c8cbaa59db7ebe33225812b4ca8ded650811a1b3fc40ba8b8b51",
            bytes: 782_755,
        },
        PublicFile {
            path: "textgrad/mmlu_machine_learning_predictions.json",
            origin: "https://raw.githubusercontent.com/zou-group/textgrad/75e912e210864b61999781778cdf756d4468120f/evaluation/results/solution_optimization/mmlu_machine_learning_predictions.json",
            sha256: "6285bc2af78ce46635f4c6065392c36d600a53dee5b62d243126537e932b86c6",
            bytes: 920_427,
        },
    ],
    licence: "MIT",
    citation: "M. Yuksekgonul, F. Bianchi, J. Boen, S. Liu, Z. Huang, C. Guestrin, J. Zou: TextGrad: Automatic 'Differentiation' via Text. \
               arXiv 2406.07496; the questions are those of GPQA (arXiv 2311.12022, CC-BY-4.0) and MMLU (arXiv 2009.03300, MIT)",
    used_by: &["textgrad"],
};

/// One file per input length k = 2 … 30, in this order.
const PERMLEARN: PublicSet = PublicSet {
    name: "permlearn",
    title: "Recorded experiment: networks averaged until 90 % of test inputs are permuted exactly, for 2 to 30 bits",
    files: &[
        recorded(
            "permutations/experiment_1/2/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/2/0/results.csv",
            "4297ca070f38f2dd586f424e7156889dc69587a61d1cb58194dc24ae6d31f4fb",
            26,
        ),
        recorded(
            "permutations/experiment_1/3/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/3/0/results.csv",
            "f9e2d12f7363a46329c8dc5526d44610935967ba9c77177973bd4d2df44de8a6",
            68,
        ),
        recorded(
            "permutations/experiment_1/4/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/4/0/results.csv",
            "fd50507b70aed6943756004b829beeea7ec144f7bf0cdc85dba410b7faa45a96",
            405,
        ),
        recorded(
            "permutations/experiment_1/5/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/5/0/results.csv",
            "e1c668a38baf523db195e215601edefc2d8b4d51a8efd0eefdf28c5e5308e505",
            1_826,
        ),
        recorded(
            "permutations/experiment_1/6/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/6/0/results.csv",
            "00e5cc70795f5a3535e4f90a3ac30fe9b8bf193d736eb20c41ddccc3cf3e53be",
            1_462,
        ),
        recorded(
            "permutations/experiment_1/7/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/7/0/results.csv",
            "3e7b38e5d6539e1fb386cea1b2ccf57fa51526fe8abf36dfc25b004540a8ab3a",
            1_254,
        ),
        recorded(
            "permutations/experiment_1/8/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/8/0/results.csv",
            "1618da7357e551a8b5a5c6af98edf0a75d4fe7813e4ded726c2ba9b471588f06",
            1_716,
        ),
        recorded(
            "permutations/experiment_1/9/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/9/0/results.csv",
            "dc4deaa7697a723cecc07f73d5bc269713e452fcc5f0b7b315da039b8e36e542",
            1_551,
        ),
        recorded(
            "permutations/experiment_1/10/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/10/0/results.csv",
            "9a48fc922df3cf0f4aaf0f16a50d9533c446e65289f32a1e3f64ec817fd13da1",
            3_011,
        ),
        recorded(
            "permutations/experiment_1/11/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/11/0/results.csv",
            "09b3a1f812f2c7e0e5ac8929fda773be0b9bb994ae9e77539bf4e6cc626d4b49",
            3_019,
        ),
        recorded(
            "permutations/experiment_1/12/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/12/0/results.csv",
            "3d4e5ab7b612f2912deb50b9903391071fa2bb288dd38d3d587ec3f749fb5a2a",
            2_670,
        ),
        recorded(
            "permutations/experiment_1/13/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/13/0/results.csv",
            "a02114625ebd11648227518154d37e2852b5222ca39763735f79c872d8f90062",
            3_070,
        ),
        recorded(
            "permutations/experiment_1/14/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/14/0/results.csv",
            "64ec6ae6a1c56f1b71b845c87fbc677499dafc289705abc896410e31dfb1f896",
            2_410,
        ),
        recorded(
            "permutations/experiment_1/15/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/15/0/results.csv",
            "1218f05387ca978ad76e7ab5b46a06403ed7b90db0d0ce5e803a00adb37f92ae",
            4_487,
        ),
        recorded(
            "permutations/experiment_1/16/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/16/0/results.csv",
            "21403571b55cb02b173eff53432ab2a2cbba81c13a369ed15141c949786617ca",
            3_834,
        ),
        recorded(
            "permutations/experiment_1/17/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/17/0/results.csv",
            "d600e205feba80626044b6ebe50677215f588dafabc81fd492e44819aed44425",
            4_539,
        ),
        recorded(
            "permutations/experiment_1/18/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/18/0/results.csv",
            "3185a3412928dd1d9336140a583ff0cb6335708d45711db50f2ba2bed318b253",
            4_527,
        ),
        recorded(
            "permutations/experiment_1/19/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/19/0/results.csv",
            "2fa46dfc72be2868769e23ed9f7a5c12b6262cf58c607696dbba54604751d486",
            4_622,
        ),
        recorded(
            "permutations/experiment_1/20/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/20/0/results.csv",
            "696bbdc3f7243a68ea126ca6b3bd63bca993540eb19d02912d40fb577e58a0a5",
            5_143,
        ),
        recorded(
            "permutations/experiment_1/21/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/21/0/results.csv",
            "f6550fd9e1b254bb9371d7863c2eebed166986f8a9d4aa6e26a0bc4bfa487350",
            5_683,
        ),
        recorded(
            "permutations/experiment_1/22/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/22/0/results.csv",
            "5e8a7e92fa81cac435d5de894bb5c27aa190e0e2f81a54ffc92644ce02a3bc36",
            5_541,
        ),
        recorded(
            "permutations/experiment_1/23/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/23/0/results.csv",
            "adc8f4c9492850eb86d66b7210f86520be49c28c55e23b962d8a1166d795bc00",
            5_315,
        ),
        recorded(
            "permutations/experiment_1/24/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/24/0/results.csv",
            "3bf63b6d57f496e680ad73904093aa7f325b08636b3422da5b8b238782835a58",
            6_485,
        ),
        recorded(
            "permutations/experiment_1/25/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/25/0/results.csv",
            "76a3803a2907b183aabf55a4220288c0731400657ef086efaddc4b2203ef1f4b",
            6_784,
        ),
        recorded(
            "permutations/experiment_1/26/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/26/0/results.csv",
            "c3fad44ad834c1fcf6af34d97605e320e2dbc28253cf14304ad0181d714e98e4",
            6_793,
        ),
        recorded(
            "permutations/experiment_1/27/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/27/0/results.csv",
            "6f323411fd5ca29aff35d9ed4b9990ee9e2960a71ae58beaabae938862b5aaed",
            6_994,
        ),
        recorded(
            "permutations/experiment_1/28/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/28/0/results.csv",
            "66e920830dd6acb896e8ed81f50e0325880d530b8a3d1c3bf928305d3794e7ba",
            7_188,
        ),
        recorded(
            "permutations/experiment_1/29/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/29/0/results.csv",
            "76a08b5d14f31599b361f854a8e68285fccbdb9d322d3aaa137da62f713fb768",
            7_615,
        ),
        recorded(
            "permutations/experiment_1/30/0/results.csv",
            "https://raw.githubusercontent.com/opallab/permlearn/8e9957e5e0e591c899ce5dd5df09bfbeadbf667e/results/experiment_1/30/0/results.csv",
            "3e9c13bd17709cfaa33e3556c1f746cd7e5d769feac009c285727b5be1e9bd7d",
            7_558,
        ),
    ],
    licence: "MIT",
    citation: "G. Giapitzakis, A. Back de Luca, K. Fountoulakis: Exact Learning of Permutations for Nonzero Binary Inputs \
               with Logarithmic Training Size and Quadratic Ensemble Complexity. arXiv 2502.16763 (2025)",
    used_by: &["exact-permutations"],
};

const fn recorded(path: &'static str, origin: &'static str, sha256: &'static str, bytes: u64) -> PublicFile {
    PublicFile { path, origin, sha256, bytes }
}

/// No public set of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no public data set {name:?}")]
pub struct UnknownSet {
    /// The name given.
    pub name: String,
}

impl UnknownSet {
    /// The nearest name.
    pub fn hint(&self) -> Option<String> {
        let nearest = nearest(&self.name, CATALOGUE.iter().map(|set| set.name))?;
        Some(format!("the nearest name is {nearest:?}; `backstitch data list` shows all"))
    }
}

/// The set of that name.
///
/// # Errors
/// There is none.
pub fn public_set(name: &str) -> Result<&'static PublicSet, UnknownSet> {
    CATALOGUE.iter().find(|set| set.name == name).ok_or_else(|| UnknownSet { name: name.into() })
}
