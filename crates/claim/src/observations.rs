//! How observations stand in files: the items of a metric of a cell together, for there may be thousands.

use std::collections::HashMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::context::Measurement;
use crate::judge::Observation;
use crate::study::Role;

/// What a measurement without a finite value says.
const DIVERGED: &str = "diverged";

/// A number, or the numbers of many items.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    cell: String,
    arm: String,
    role: Role,
    seed: u64,
    setting: String,
    metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<String>,
    /// One for each item; none where it diverged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<Option<f64>>,
}

impl Group {
    /// A group of one number, or of none if there is an item.
    fn of(observation: &Observation) -> Self {
        let Observation { cell, arm, role, seed, setting, measurement } = observation.clone();
        let Measurement { metric, item, value, status } = measurement;
        let (value, status) = if item.is_none() { (value, status) } else { (None, None) };
        Self { cell, arm, role, seed, setting, metric, value, status, items: Vec::new(), values: Vec::new() }
    }

    fn observations(self) -> Result<Vec<Observation>, String> {
        let Self { cell, arm, role, seed, setting, metric, value, status, items, values } = self;
        if items.len() != values.len() {
            return Err(format!("{cell}, {metric}: {} items have {} values", items.len(), values.len()));
        }
        let observation = |item: Option<String>, value: Option<f64>, status: Option<String>| Observation {
            cell: cell.clone(),
            arm: arm.clone(),
            role,
            seed,
            setting: setting.clone(),
            measurement: Measurement { metric: metric.clone(), item, value, status },
        };
        if items.is_empty() {
            return Ok(vec![observation(None, value, status)]);
        }
        let each = items.into_iter().zip(values).map(|(item, value)| {
            observation(Some(item), value, value.is_none().then(|| DIVERGED.to_owned()))
        });
        Ok(each.collect())
    }
}

pub(crate) fn serialize<S: Serializer>(
    observations: &[Observation],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for observation in observations {
        let Measurement { metric, item, value, .. } = &observation.measurement;
        let Some(item) = item else {
            groups.push(Group::of(observation));
            continue;
        };
        let place = *places.entry((&observation.cell, metric)).or_insert_with(|| {
            groups.push(Group::of(observation));
            groups.len() - 1
        });
        groups[place].items.push(item.clone());
        groups[place].values.push(*value);
    }
    groups.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Observation>, D::Error> {
    let mut observations = Vec::new();
    for group in Vec::<Group>::deserialize(deserializer)? {
        observations.extend(group.observations().map_err(D::Error::custom)?);
    }
    Ok(observations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Serialize, Deserialize)]
    struct File {
        #[serde(with = "super")]
        observations: Vec<Observation>,
    }

    fn observation(cell: &str, metric: &str, item: Option<&str>, value: Option<f64>) -> Observation {
        let status = value.is_none().then(|| DIVERGED.to_owned());
        let measurement = Measurement { metric: metric.into(), item: item.map(Into::into), value, status };
        Observation {
            cell: cell.into(),
            arm: "ours".into(),
            role: Role::Method,
            seed: 3,
            setting: "here".into(),
            measurement,
        }
    }

    #[test]
    fn items_of_a_metric_stand_together() {
        let all = vec![
            observation("a", "right", Some("q1"), Some(1.0)),
            observation("a", "right", Some("q2"), None),
            observation("a", "loss", None, Some(0.1)),
            observation("a", "loss", None, None),
            observation("b", "right", Some("q1"), Some(0.5)),
        ];
        // Metrics take turns in the cell, as a loop over items has them.
        let mut turns = all.clone();
        turns.swap(1, 2);
        let text = serde_json::to_value(File { observations: turns }).unwrap();
        assert_eq!(text["observations"].as_array().unwrap().len(), 4);
        assert_eq!(text["observations"][0]["items"], json!(["q1", "q2"]));
        assert_eq!(text["observations"][0]["values"], json!([1.0, null]));
        let back: File = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(back.observations, all);

        let mut broken = text;
        broken["observations"][0]["values"] = json!([1.0]);
        let error = serde_json::from_value::<File>(broken).err().unwrap().to_string();
        assert!(error.contains("a, right: 2 items have 1 values"), "{error}");
    }
}
