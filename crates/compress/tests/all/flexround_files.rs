//! Quantised networks as files, and their packed products.

use backstitch_compress::Rows;
use backstitch_compress::flexround::{
    Calibration, Description, FlexRound, Granularity, Grid, Packed, Parameters, Quantised, QuantisedNetwork,
    is_quantised, read_tensors, tensors_of,
};
use backstitch_numerics::Stream;

use super::flexround_networks::{CONVOLUTIONS, DENSE, network, rows};

fn quantised(text: &str, bits: u8, granularity: Granularity) -> QuantisedNetwork {
    let network = network(text);
    let parameters = Parameters {
        bits,
        granularity,
        steps: 5,
        activation_bits: (bits == 3).then_some(8),
        ..Parameters::default()
    };
    let method = FlexRound::new(parameters).unwrap();
    let mut found = method.quantise_network(&network, &rows(&network, 20, "file")).unwrap();
    found.set_calibration(Calibration { rows: 20, sha256: "ab".into(), order: "as drawn".into() });
    found
}

#[test]
fn a_file_gives_the_network_back() {
    for text in [DENSE, CONVOLUTIONS] {
        for bits in 2..=8 {
            for granularity in [Granularity::Tensor, Granularity::Channel] {
                let found = quantised(text, bits, granularity);
                let bytes = found.to_bytes().unwrap();
                assert!(is_quantised(&bytes));
                let again = QuantisedNetwork::from_bytes(&bytes).unwrap();
                assert_eq!(again.layers(), found.layers());
                assert_eq!(again.network(), found.network());
                assert_eq!(again.activations(), found.activations());
                let mut pairs = again.reports().iter().zip(found.reports());
                assert!(pairs.all(|(one, other)| one.moves == other.moves && one.after == other.after));
                assert_eq!(again.calibration(), found.calibration());
                assert_eq!(again.to_bytes().unwrap(), bytes);
            }
        }
    }
}

#[test]
fn files_that_are_none_are_refused() {
    let refusal = |bytes: &[u8]| QuantisedNetwork::from_bytes(bytes).unwrap_err().to_string();
    assert!(refusal(b"").starts_with("this is no whole safetensors file"));
    let found = quantised(DENSE, 3, Granularity::Tensor);
    let whole = found.to_bytes().unwrap();
    assert!(refusal(&whole[..whole.len() - 8]).starts_with("this is no whole safetensors file"));
    let plain = tensors_of(&network(DENSE)).unwrap();
    assert!(refusal(&plain).contains("no quantised network"));
    let replaced = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = whole.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    assert!(refusal(&replaced("flexround-model/1", "flexround-model/9")).contains("its schema is"));
    assert!(refusal(&replaced("2.weight.scales", "9.weight.scales")).contains("2.weight.scales"));
    assert!(
        refusal(&replaced("\\\"bits\\\":3,\\\"activation", "\\\"bits\\\":4,\\\"activation"))
            .contains("its shape is")
    );
    // Weights in floating point are read back; quantised ones are not quantised again.
    let description: Description = serde_json::from_str(DENSE).unwrap();
    assert_eq!(read_tensors(&description, &plain).unwrap(), network(DENSE));
    let error = read_tensors(&description, &whole).unwrap_err().to_string();
    assert!(error.contains("quantised already"), "{error}");
    let mut lost = description.clone();
    lost.layers.remove(0);
    assert!(read_tensors(&lost, &plain).is_err());
}

#[test]
fn not_finite_weights_are_refused() {
    let mut network = network(DENSE);
    let description = network.description();
    network.affine_mut().nth(1).unwrap().weights.values_mut()[3] = f32::NAN;
    let bytes = tensors_of(&network).unwrap();
    let error = read_tensors(&description, &bytes).unwrap_err().to_string();
    assert!(error.contains("\"2.weight\"") && error.contains("number 4 is NaN"), "{error}");
}

#[test]
fn products_of_packed_weights_are_those_of_the_weights() {
    let mut stream = Stream::new(0, "packed");
    for bits in [2_u8, 4, 5, 8] {
        for (outputs, inputs, channels) in [(1, 1, 1), (7, 64, 7), (33, 65, 1), (40, 200, 40)] {
            let top = u64::from(u8::MAX >> (8 - bits)) + 1;
            let quantised = Quantised {
                rows: outputs,
                columns: inputs,
                grid: Grid {
                    bits,
                    scales: (0..channels).map(|_| 0.1 + stream.uniform() as f32).collect(),
                    zeros: (0..channels).map(|_| stream.below(top as usize) as u8).collect(),
                },
                integers: (0..outputs * inputs).map(|_| stream.below(top as usize) as u8).collect(),
            };
            let weights = quantised.weights();
            let packed = Packed::new(&quantised);
            for count in [0, 1, 2, 3, 5, 16, 17, 40] {
                let x = Rows::from_fn(count, inputs, |_, _| stream.normal() as f32);
                let found = packed.times(&x);
                assert_eq!((found.rows(), found.columns()), (count, outputs));
                for row in 0..count {
                    for output in 0..outputs {
                        let pairs = weights.row(output).iter().zip(x.row(row));
                        let (mut sum, mut size) = (0.0, 0.0);
                        for (w, x) in pairs {
                            sum += f64::from(*w) * f64::from(*x);
                            size += f64::from(quantised.grid.scale(output)) * top as f64 * f64::from(x.abs());
                        }
                        let own = f64::from(found.row(row)[output]);
                        assert!(
                            (own - sum).abs() < 1e-6 * size + 1e-6,
                            "{bits} {outputs} {inputs} {count}: {own} {sum}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn packed_weights_take_a_part_of_the_memory() {
    let found = quantised(DENSE, 4, Granularity::Tensor);
    assert!(found.bytes() < found.network().bytes());
}

/// The corpus of the fuzz target `flexround_model`: names say what becomes of each file.
#[test]
fn the_corpus_is_read_or_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/flexround_model");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let found = QuantisedNetwork::from_bytes(&std::fs::read(&path).unwrap());
        assert_eq!(found.is_ok(), name.starts_with("reads-"), "{name}: {:?}", found.err());
        count += 1;
    }
    assert!(count >= 8, "{count} files");
}
