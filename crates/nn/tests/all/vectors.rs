//! Agreement with the package transformers: `peers/nn_vectors.py` made the folders under `tests/vectors`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use backstitch_nn::{Checkpoint, Int, Scorer, Tensor, TensorData, Visibility, cpu};
use safetensors::SafeTensors;

fn folder(family: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(family)
}

#[derive(serde::Deserialize)]
struct Logits {
    tokens: Vec<Vec<u32>>,
    logits: Vec<Vec<Vec<f64>>>,
}

const FAMILIES: [&str; 3] = ["gpt2", "llama", "qwen2"];

#[test]
fn published_checkpoints_give_their_logits() {
    for family in FAMILIES {
        let checkpoint = Checkpoint::read(&folder(family), &cpu()).unwrap();
        let text = std::fs::read(folder(family).join("logits.json")).unwrap();
        let expected: Logits = serde_json::from_slice(&text).unwrap();
        let rows = expected.tokens.len();
        let flat: Vec<i32> = expected.tokens.iter().flatten().map(|&token| token as i32).collect();
        let length = flat.len() / rows;
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(flat, [rows, length]), &cpu());
        let found: Vec<f32> =
            checkpoint.model.forward(tokens, &Visibility::Causal).into_data().iter::<f32>().collect();
        let expected: Vec<f64> = expected.logits.into_iter().flatten().flatten().collect();
        assert_eq!(found.len(), expected.len());
        let largest = found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(largest <= 1e-4, "{family}: {largest}");
    }
}

#[test]
fn scores_are_the_log_softmax_of_the_logits() {
    for family in FAMILIES {
        let checkpoint = Checkpoint::read(&folder(family), &cpu()).unwrap();
        let text = std::fs::read(folder(family).join("logits.json")).unwrap();
        let expected: Logits = serde_json::from_slice(&text).unwrap();
        for (tokens, logits) in expected.tokens.iter().zip(&expected.logits) {
            let (prefix, continuation) = tokens.split_at(3);
            let score = Scorer::new(&checkpoint.model).score(prefix, &[continuation.to_vec()]).unwrap();
            for (at, found) in score[0].tokens.iter().enumerate() {
                let row = &logits[2 + at];
                let total = row.iter().map(|logit| logit.exp()).sum::<f64>().ln();
                let wanted = row[continuation[at] as usize] - total;
                assert!((found - wanted).abs() <= 1e-4, "{family}: {found} {wanted}");
            }
        }
    }
}

#[test]
fn a_checkpoint_written_again_has_the_same_tensors() {
    let tensors = |bytes: &[u8]| -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
        let file = SafeTensors::deserialize(bytes).unwrap();
        file.iter()
            .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), view.data().to_vec())))
            .collect()
    };
    for family in FAMILIES {
        let checkpoint = Checkpoint::read(&folder(family), &cpu()).unwrap();
        let files = checkpoint.files().unwrap();
        let theirs = std::fs::read(folder(family).join("model.safetensors")).unwrap();
        assert_eq!(tensors(&files["model.safetensors"]), tensors(&theirs), "{family}");

        let copy = tempfile::tempdir().unwrap();
        checkpoint.write(copy.path()).unwrap();
        let again = Checkpoint::read(copy.path(), &cpu()).unwrap();
        assert_eq!(again.model.config(), checkpoint.model.config());
        assert_eq!(again.files().unwrap(), files);
    }
}
