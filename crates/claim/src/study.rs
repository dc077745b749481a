//! The study of a method: arms, metrics, claims, and the cells that produce the observations.
//!
//! A study is a table of facts plus two functions. It decides nothing: cells report numbers, and verdicts are
//! inequalities over them ([`crate::judge`]).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::{CellContext, CellError};
use crate::statement::Claim;

/// The experiment that re-tests the claims of one paper.
#[derive(Clone, Copy)]
pub struct Study {
    /// The method, as on the shelf.
    pub method: &'static str,
    /// One entry per revision, oldest first: what changed and why. A change that moves numbers or claims adds one.
    pub history: &'static [&'static str],
    /// The arms.
    pub arms: &'static [Arm],
    /// What cells measure.
    pub metrics: &'static [Metric],
    /// What is claimed.
    pub claims: &'static [Claim],
    /// How many seeds the evidence has. Fixed here; pilots use seeds from 1000 up.
    pub seeds: u64,
    /// Names of the data sets that some cells need.
    pub data: &'static [&'static str],
    /// The resolved configuration of a scale: a JSON object. Scales differ in this only.
    pub configuration: fn(Scale) -> Value,
    /// The cells of a configuration.
    ///
    /// # Errors
    /// A sentence on what is wrong with the configuration (it may carry `--set` changes of the user's).
    pub cells: fn(&Value, &[u64]) -> Result<Vec<Cell>, String>,
    /// Runs one cell.
    pub run: fn(&Cell, &mut CellContext<'_>) -> Result<(), CellError>,
}

/// One column of the experiment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Arm {
    /// Short name, as in cell ids and plots.
    pub name: &'static str,
    /// What part it plays.
    pub role: Role,
    /// One line: what it does and its tuning budget.
    pub description: &'static str,
}

/// The part an arm plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The paper's method.
    Method,
    /// What it is compared with.
    Baseline,
    /// The method with a part removed or changed.
    Ablation,
    /// Sabotaged or trivial: its own verdict on the claim must be `fails`.
    Control,
    /// Makes what other cells need; no claim reads it.
    Prepare,
}

/// A quantity that cells report.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Metric {
    /// Short name.
    pub name: &'static str,
    /// One line with the unit.
    pub description: &'static str,
    /// Which direction is better.
    pub better: Better,
    /// The value that a diverged cell counts as, where the metric is bounded; otherwise it counts as infinitely bad.
    pub worst: Option<f64>,
}

impl Metric {
    /// Less is better, without a bound.
    pub const fn lower(name: &'static str, description: &'static str) -> Self {
        Self { name, description, better: Better::Lower, worst: None }
    }

    /// More is better, without a bound.
    pub const fn higher(name: &'static str, description: &'static str) -> Self {
        Self { name, description, better: Better::Higher, worst: None }
    }
}

/// Which direction of a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
}

/// How large the experiment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Seconds: everything runs, resumes and validates; no verdict.
    Smoke,
    /// At most 15 minutes on two cores: the evidence in `results/`.
    Quick,
    /// The published setting.
    Paper,
}

impl Scale {
    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Paper => "paper",
        }
    }
}

/// One unit of work: an arm at a setting and a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Arm name.
    pub arm: String,
    /// Setting name.
    pub setting: String,
    /// Seed. Arms with the same seed and setting see the same data and initial draws.
    pub seed: u64,
    /// Ids of cells whose folders this one reads.
    pub needs: Vec<String>,
    /// Data sets this one reads.
    pub data: Vec<String>,
}

impl Cell {
    /// A cell that needs nothing.
    pub fn new(arm: &str, setting: &str, seed: u64) -> Self {
        Self { arm: arm.into(), setting: setting.into(), seed, needs: Vec::new(), data: Vec::new() }
    }

    /// Adds the cell of `arm` at the same setting and seed as a need.
    #[must_use]
    pub fn needing(mut self, arm: &str) -> Self {
        self.needs.push(Self::new(arm, &self.setting, self.seed).id());
        self
    }

    /// Adds a data set that this cell reads.
    #[must_use]
    pub fn reading(mut self, data_set: &str) -> Self {
        self.data.push(data_set.into());
        self
    }

    /// The id: also the name of its folder.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.arm, self.setting, self.seed)
    }
}

impl Study {
    /// The current revision, counted from 1.
    pub fn revision(&self) -> usize {
        self.history.len()
    }

    /// The arm of a name.
    pub fn arm(&self, name: &str) -> Option<&'static Arm> {
        self.arms.iter().find(|arm| arm.name == name)
    }

    /// The metric of a name.
    pub fn metric(&self, name: &str) -> Option<&'static Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// The cells, checked: unique ids that are safe as folder names, known arms and data sets, needs that exist
    /// and come before.
    ///
    /// # Errors
    /// A sentence on what is wrong.
    pub fn checked_cells(&self, configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
        let cells = (self.cells)(configuration, seeds)?;
        let mut seen = std::collections::HashSet::new();
        for cell in &cells {
            let id = cell.id();
            if !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)) {
                return Err(format!("cell id `{id}` has a character other than a-z, 0-9, `-` and `.`"));
            }
            if self.arm(&cell.arm).is_none() {
                return Err(format!(
                    "cell `{id}` names the arm `{}`, which the study does not declare",
                    cell.arm
                ));
            }
            if let Some(set) =
                cell.data.iter().find(|set| *set != OWN_DATA && !self.data.contains(&set.as_str()))
            {
                return Err(format!(
                    "cell `{id}` reads the data set `{set}`, which the study does not declare"
                ));
            }
            if let Some(need) = cell.needs.iter().find(|need| !seen.contains(*need)) {
                return Err(format!("cell `{id}` needs `{need}`, which does not come before it"));
            }
            if !seen.insert(id.clone()) {
                return Err(format!("cell `{id}` appears twice"));
            }
        }
        Ok(cells)
    }

    /// Whether `reproduce --data` can run the arms on the user's own file.
    pub fn takes_own_data(&self) -> bool {
        self.claims.iter().any(|claim| claim.own_data)
    }
}

/// The name of the data set and of the setting that stand for the user's own file (`reproduce --data`).
pub const OWN_DATA: &str = "own";
