//! A learner as a file: safetensors, with everything that is no matrix in its metadata.

use std::collections::{BTreeMap, HashMap};

use backstitch_numerics::Matrix;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::elastic::Elastic;
use super::layer::Scaled;
use super::learner::{Learned, Learner, Record};
use super::parameters::{Heads, Parameters, Strategy};
use super::relations::Relation;
use crate::Error;

const SCHEMA: &str = "backstitch/cuber-model/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    parameters: Parameters,
    inputs: usize,
    classes: usize,
    tasks: Vec<TaskDescription>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskDescription {
    name: String,
    layers: Vec<LayerDescription>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerDescription {
    columns: Vec<usize>,
    /// Tasks whose weights are reused through scales.
    scaled: Vec<usize>,
    relations: Vec<Relation>,
}

impl Learner {
    /// The bytes of a file with everything that later tasks and predictions need, and a text of the caller's.
    ///
    /// # Errors
    /// [`Error::Model`] if the format cannot hold it.
    pub fn to_bytes(&self, text: &str) -> Result<Vec<u8>, Error> {
        let unwritable =
            |problem: String| Error::Model { problem: format!("the model cannot be written: {problem}") };
        let mut tensors: BTreeMap<String, &Matrix> = BTreeMap::new();
        for (layer, (weights, directions)) in self.weights.iter().zip(&self.directions).enumerate() {
            tensors.insert(format!("layer.{layer}.weights"), weights);
            tensors.insert(format!("layer.{layer}.directions"), directions);
        }
        for (task, head) in self.heads.iter().enumerate() {
            tensors.insert(format!("head.{task}.weights"), head);
        }
        for (task, own) in self.learned.iter().enumerate() {
            for (layer, record) in own.layers.iter().enumerate() {
                tensors.insert(format!("task.{task}.layer.{layer}.gradient"), &record.gradient);
                for scaled in &record.scaled {
                    tensors.insert(format!("task.{task}.layer.{layer}.scale.{}", scaled.task), &scaled.scale);
                }
            }
        }
        if let Some(elastic) = &self.elastic {
            for (layer, (importance, anchored)) in
                elastic.importance.iter().zip(&elastic.anchored).enumerate()
            {
                tensors.insert(format!("layer.{layer}.importance"), importance);
                tensors.insert(format!("layer.{layer}.anchored"), anchored);
            }
        }
        let bytes: BTreeMap<&String, Vec<u8>> = tensors
            .iter()
            .map(|(name, matrix)| {
                (name, matrix.values().iter().flat_map(|value| value.to_le_bytes()).collect())
            })
            .collect();
        let mut views = Vec::with_capacity(tensors.len());
        for (name, matrix) in &tensors {
            let view = TensorView::new(Dtype::F64, vec![matrix.rows(), matrix.columns()], &bytes[name])
                .map_err(|error| unwritable(error.to_string()))?;
            views.push((name.as_str(), view));
        }
        let description = Description {
            parameters: self.parameters.clone(),
            inputs: self.inputs,
            classes: self.classes,
            tasks: self.learned.iter().map(described).collect(),
        };
        let description =
            serde_json::to_string(&description).map_err(|error| unwritable(error.to_string()))?;
        let metadata = HashMap::from([
            ("schema".to_owned(), SCHEMA.to_owned()),
            ("description".to_owned(), description),
            ("text".to_owned(), text.to_owned()),
        ]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| unwritable(error.to_string()))
    }

    /// The learner of such a file, and the caller's text.
    ///
    /// # Errors
    /// [`Error::Model`] if it is none, or if its parts do not fit together.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, String), Error> {
        let file = File::read(bytes)?;
        let Description { parameters, inputs, classes, tasks } =
            serde_json::from_str(file.text("description")?)
                .map_err(|error| broken(format!("its description cannot be read: {error}")))?;
        parameters.validate().map_err(|error| broken(error.to_string()))?;
        let mut learner =
            Self::new(parameters, inputs, classes).map_err(|error| broken(error.to_string()))?;
        for layer in 0..learner.weights.len() {
            let own = &mut learner.weights[layer];
            *own = file.matrix(&format!("layer.{layer}.weights"), Some(own.rows()), own.columns())?;
            let width = own.columns();
            let directions = file.matrix(&format!("layer.{layer}.directions"), None, width)?;
            if directions.rows() > width {
                return Err(broken(format!(
                    "layer {} has {} directions, but {width} inputs",
                    layer + 1,
                    directions.rows()
                )));
            }
            learner.directions[layer] = directions;
        }
        if learner.parameters.strategy == Strategy::Ewc {
            let shapes: Vec<(usize, usize)> =
                learner.weights.iter().map(|weights| (weights.rows(), weights.columns())).collect();
            let all = |name: &str| -> Result<Vec<Matrix>, Error> {
                let each = shapes.iter().enumerate();
                each.map(|(layer, (rows, columns))| {
                    file.matrix(&format!("layer.{layer}.{name}"), Some(*rows), *columns)
                })
                .collect()
            };
            learner.elastic = Some(Elastic { importance: all("importance")?, anchored: all("anchored")? });
        }
        for (place, task) in tasks.into_iter().enumerate() {
            if learner.parameters.heads == Heads::Own {
                let below =
                    learner.weights.last().map_or(0, Matrix::rows) + usize::from(learner.parameters.bias);
                learner.heads.push(file.matrix(&format!("head.{place}.weights"), None, below)?);
            }
            let learned = file.task(&learner, place, task)?;
            learner.learned.push(learned);
        }
        Ok((learner, file.text("text")?.to_owned()))
    }
}

fn described(own: &Learned) -> TaskDescription {
    let layer = |record: &Record| LayerDescription {
        columns: record.columns.clone(),
        scaled: record.scaled.iter().map(|scaled| scaled.task).collect(),
        relations: record.relations.clone(),
    };
    TaskDescription { name: own.name.clone(), layers: own.layers.iter().map(layer).collect() }
}

fn broken(problem: String) -> Error {
    Error::Model { problem }
}

/// Tensors and texts of a file.
struct File<'a> {
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
}

impl<'a> File<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let unreadable = |error: safetensors::SafeTensorError| {
            broken(format!("this is no whole safetensors file: {error}"))
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        match metadata.get("schema").map(String::as_str) {
            Some(SCHEMA) => {}
            Some(other) => return Err(broken(format!("its schema is {other:?}, but must be {SCHEMA:?}"))),
            None => return Err(broken("these are weights, but no model of this method".into())),
        }
        Ok(Self { tensors: SafeTensors::deserialize(bytes).map_err(unreadable)?, metadata })
    }

    fn text(&self, name: &str) -> Result<&str, Error> {
        self.metadata.get(name).map(String::as_str).ok_or_else(|| broken(format!("its {name} is missing")))
    }

    fn matrix(&self, name: &str, rows: Option<usize>, columns: usize) -> Result<Matrix, Error> {
        let view = self.tensors.tensor(name).map_err(|_| broken(format!("the tensor {name} is missing")))?;
        let &[found_rows, found_columns] = view.shape() else {
            return Err(broken(format!("the tensor {name} is no matrix: its shape is {:?}", view.shape())));
        };
        if view.dtype() != Dtype::F64
            || found_columns != columns
            || rows.is_some_and(|rows| rows != found_rows)
        {
            let rows = rows.map_or("any number of".to_owned(), |rows| rows.to_string());
            return Err(broken(format!(
                "the tensor {name} is {found_rows} × {found_columns} of {:?}, but must be {rows} × {columns} of F64",
                view.dtype()
            )));
        }
        let values: Vec<f64> =
            view.data().as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(broken(format!("the tensor {name} has numbers that are not finite")));
        }
        Matrix::new(found_rows, found_columns, values)
            .map_err(|error| broken(format!("the tensor {name}: {error}")))
    }

    fn task(&self, learner: &Learner, place: usize, task: TaskDescription) -> Result<Learned, Error> {
        let keeps = matches!(learner.parameters.strategy, Strategy::Cuber | Strategy::Trgp | Strategy::Gpm);
        let expected = if keeps { learner.weights.len() } else { 0 };
        if task.layers.len() > expected {
            return Err(broken(format!(
                "task {} has records of {} layers, but {expected} are protected",
                task.name,
                task.layers.len()
            )));
        }
        let mut layers = Vec::new();
        for (layer, own) in task.layers.into_iter().enumerate() {
            let known = learner.directions[layer].rows();
            let mut sorted = own.columns.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() < own.columns.len() || sorted.last().is_some_and(|&last| last >= known) {
                return Err(broken(format!(
                    "task {} has directions in layer {} that are not there",
                    task.name,
                    layer + 1
                )));
            }
            let weights = &learner.weights[layer];
            let name = format!("task.{place}.layer.{layer}");
            let gradient =
                self.matrix(&format!("{name}.gradient"), Some(weights.rows()), weights.columns())?;
            let mut scaled = Vec::new();
            for other in own.scaled {
                let Some(columns) = learner
                    .learned
                    .get(other)
                    .and_then(|other| other.layers.get(layer))
                    .map(|other| other.columns.clone())
                else {
                    return Err(broken(format!(
                        "task {} reuses task number {}, which does not come before it",
                        task.name,
                        other + 1
                    )));
                };
                let scale =
                    self.matrix(&format!("{name}.scale.{other}"), Some(columns.len()), columns.len())?;
                scaled.push(Scaled { task: other, columns, scale });
            }
            layers.push(Record { columns: own.columns, gradient, scaled, relations: own.relations });
        }
        Ok(Learned { name: task.name, layers })
    }
}
