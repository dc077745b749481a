//! Seeded linear structural equation models over random directed acyclic graphs.
//!
//! The generators follow the conventions of the simulation code that NOTEARS published and DAGMA, GOLEM and TOPO
//! reuse, so that figures are comparable; the draws themselves come from our own streams.
//!
//! - **Graph** ([`Graph`]). *ER*: exactly `edges` distinct unordered pairs, uniformly among all of them (the released
//!   code samples G(n, m), so the number of edges is exact and not an expectation), oriented along a random
//!   permutation. *SF*: Barabási–Albert with `m = round(edges / nodes)` links per new node, each new node pointing to
//!   older ones that it meets with probability proportional to in-degree + 1, without repetition; the number of edges is
//!   `Σ_k min(k, m)` for `k = 1 … nodes − 1`. *BP*: exactly `edges` edges from the first `⌊0.2·nodes⌋` nodes to the rest.
//!   Labels are permuted at the end.
//! - **Weights**: a fair sign times a uniform draw from `[weight_low, weight_high]` (default 0.5 to 2).
//! - **Samples**: `x_j = Σ_i W_ij x_i + z_j` in causal order, or `x_j ~ Bernoulli(1/(1 + e^{−Σ_i W_ij x_i}))` for
//!   [`Noise::Logistic`].

use backstitch_numerics::{Matrix, Stream};

/// Which random graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Graph {
    /// Erdős–Rényi with an exact number of edges.
    ErdosRenyi,
    /// Barabási–Albert, every new node pointing to older ones.
    ScaleFree,
    /// Edges from the first fifth of the nodes to the rest.
    Bipartite,
}

/// The distribution of the additive noise, or the logistic model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// Normal with mean 0 and standard deviation `scale`.
    Gauss,
    /// Exponential with mean and standard deviation `scale` (not centred, as released).
    Exponential,
    /// Gumbel with location 0 and scale `scale`: standard deviation `scale·π/√6`, mean `0.577·scale`.
    Gumbel,
    /// Uniform on `[−scale, scale]`: standard deviation `scale/√3`.
    Uniform,
    /// Binary columns; the scale is not used.
    Logistic,
}

/// The noise scale of each node.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// The same for all nodes: the setting in which the least-squares score finds the order.
    Equal(f64),
    /// Drawn per node, uniform on `[low, high]`: unequal noise.
    Between {
        /// Smallest scale.
        low: f64,
        /// Largest scale.
        high: f64,
    },
}

/// What to generate. The default is the setting of the README example of TOPO at its middle size: ER, 20 nodes,
/// 80 edges, 1000 rows, Gaussian noise of scale 1.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DagParameters {
    /// Which random graph.
    pub graph: Graph,
    /// Number of nodes, d (at least 1).
    pub nodes: usize,
    /// Number of edges asked for, s0; see the module on what each graph makes of it.
    pub edges: usize,
    /// Number of rows, n (at least 1).
    pub rows: usize,
    /// Distribution of the noise.
    pub noise: Noise,
    /// Scale of the noise.
    pub scale: Scale,
    /// Rescale the noise so that `scale` is its standard deviation whatever the distribution. The released code does not
    /// (its Gumbel noise has variance π²/6 and its uniform noise 1/3); the text of the paper speaks of unit variance.
    pub unit_variance: bool,
    /// Smallest absolute weight.
    pub weight_low: f64,
    /// Largest absolute weight.
    pub weight_high: f64,
}

impl Default for DagParameters {
    fn default() -> Self {
        Self {
            graph: Graph::ErdosRenyi,
            nodes: 20,
            edges: 80,
            rows: 1000,
            noise: Noise::Gauss,
            scale: Scale::Equal(1.0),
            unit_variance: false,
            weight_low: 0.5,
            weight_high: 2.0,
        }
    }
}

/// A graph, an order that fits it, and samples.
#[derive(Clone, Debug, PartialEq)]
pub struct DagSample {
    /// nodes × nodes; entry (i, j) is the weight of the edge i → j, zero where there is none.
    pub weights: Matrix,
    /// All nodes, every parent before its children.
    pub order: Vec<usize>,
    /// rows × nodes.
    pub samples: Matrix,
}

/// A parameter outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}, but must be {allowed}; {way_out}")]
pub struct DagError {
    /// Name of the parameter.
    pub name: &'static str,
    /// The value found.
    pub value: String,
    /// The allowed range.
    pub allowed: String,
    /// What to do about it.
    pub way_out: &'static str,
}

impl DagParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// The first parameter outside its range, with its value, the range and a way out.
    pub fn validate(&self) -> Result<(), DagError> {
        let fail =
            |name, value: String, allowed: String, way_out| Err(DagError { name, value, allowed, way_out });
        if self.nodes == 0 {
            return fail("nodes", "0".into(), "at least 1".into(), "ask for one node or more");
        }
        if self.rows == 0 {
            return fail("rows", "0".into(), "at least 1".into(), "ask for one row or more");
        }
        let most = match self.graph {
            Graph::ErdosRenyi => self.nodes * (self.nodes - 1) / 2,
            Graph::Bipartite => self.nodes / 5 * (self.nodes - self.nodes / 5),
            Graph::ScaleFree => usize::MAX,
        };
        if self.edges > most {
            return fail(
                "edges",
                self.edges.to_string(),
                format!("at most {most} for {} nodes", self.nodes),
                "ask for fewer edges or more nodes",
            );
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let (low, high) = self.scale_range();
        if !(positive(low) && positive(high) && low <= high) {
            return fail(
                "scale",
                format!("{low} to {high}"),
                "positive, finite and in rising order".into(),
                "use 1 for the published setting",
            );
        }
        if !(positive(self.weight_low) && positive(self.weight_high) && self.weight_low <= self.weight_high) {
            return fail(
                "weight_low, weight_high",
                format!("{}, {}", self.weight_low, self.weight_high),
                "positive, finite and in rising order".into(),
                "use 0.5 and 2 for the published setting",
            );
        }
        Ok(())
    }

    fn scale_range(&self) -> (f64, f64) {
        match self.scale {
            Scale::Equal(scale) => (scale, scale),
            Scale::Between { low, high } => (low, high),
        }
    }
}

/// Draws a graph, its weights and samples. Graph, weights and noise have streams of their own, so that two calls that
/// differ only in the noise share their graph.
///
/// # Errors
/// A parameter outside its range ([`DagParameters::validate`]).
///
/// # Example
/// ```
/// use backstitch_data::dag::{DagParameters, generate};
/// let parameters = DagParameters { nodes: 10, edges: 20, rows: 100, ..DagParameters::default() };
/// let sample = generate(&parameters, 0)?;
/// assert_eq!(sample.weights.values().iter().filter(|w| **w != 0.0).count(), 20);
/// assert_eq!((sample.samples.rows(), sample.samples.columns()), (100, 10));
/// # Ok::<(), backstitch_data::dag::DagError>(())
/// ```
pub fn generate(parameters: &DagParameters, seed: u64) -> Result<DagSample, DagError> {
    parameters.validate()?;
    let (edges, order) = draw_graph(parameters, &mut Stream::new(seed, "dag graph"));
    let mut stream = Stream::new(seed, "dag weights");
    let mut weights = Matrix::zeros(parameters.nodes, parameters.nodes);
    for (from, to) in edges {
        let sign = if stream.uniform() < 0.5 { -1.0 } else { 1.0 };
        let size =
            parameters.weight_low + (parameters.weight_high - parameters.weight_low) * stream.uniform();
        weights[(from, to)] = sign * size;
    }
    let samples = draw_samples(parameters, &weights, &order, seed);
    Ok(DagSample { weights, order, samples })
}

/// Edges (from, to) in a fixed sequence, and an order that fits them.
fn draw_graph(parameters: &DagParameters, stream: &mut Stream) -> (Vec<(usize, usize)>, Vec<usize>) {
    let nodes = parameters.nodes;
    // Edges among ranks: every edge goes from a lower to a higher rank; a random labelling comes last.
    let mut edges: Vec<(usize, usize)> = match parameters.graph {
        Graph::ErdosRenyi => {
            let pairs: Vec<(usize, usize)> =
                (0..nodes).flat_map(|to| (0..to).map(move |from| (from, to))).collect();
            choose(pairs, parameters.edges, stream)
        }
        Graph::Bipartite => {
            let top = nodes / 5;
            let pairs: Vec<(usize, usize)> =
                (0..top).flat_map(|from| (top..nodes).map(move |to| (from, to))).collect();
            choose(pairs, parameters.edges, stream)
        }
        // New nodes point to old ones, so the newest node has rank 0.
        Graph::ScaleFree => scale_free(parameters, stream)
            .into_iter()
            .map(|(new, old)| (nodes - 1 - new, nodes - 1 - old))
            .collect(),
    };
    edges.sort_unstable();
    let order = stream.permutation(nodes);
    (edges.into_iter().map(|(from, to)| (order[from], order[to])).collect(), order)
}

/// `count` of the items, uniformly without repetition.
fn choose<T>(mut items: Vec<T>, count: usize, stream: &mut Stream) -> Vec<T> {
    for place in 0..count {
        let other = place + stream.below(items.len() - place);
        items.swap(place, other);
    }
    items.truncate(count);
    items
}

/// Edges (new, old) of the preferential attachment graph.
fn scale_free(parameters: &DagParameters, stream: &mut Stream) -> Vec<(usize, usize)> {
    let links = (parameters.edges as f64 / parameters.nodes as f64).round() as usize;
    let mut degree = vec![0_usize; parameters.nodes];
    let mut edges = Vec::new();
    for new in 1..parameters.nodes {
        let mut open: Vec<usize> = (0..new).collect();
        let mut chosen = Vec::new();
        while chosen.len() < links.min(new) {
            let mut ticket = stream.below(open.iter().map(|&old| degree[old] + 1).sum());
            let place = open
                .iter()
                .position(|&old| {
                    let share = degree[old] + 1;
                    let hit = ticket < share;
                    ticket = ticket.saturating_sub(share);
                    hit
                })
                .unwrap_or(0);
            chosen.push(open.remove(place));
        }
        for old in chosen {
            degree[old] += 1;
            edges.push((new, old));
        }
    }
    edges
}

fn draw_samples(parameters: &DagParameters, weights: &Matrix, order: &[usize], seed: u64) -> Matrix {
    let mut stream = Stream::new(seed, "dag noise");
    let mut samples = Matrix::zeros(parameters.rows, parameters.nodes);
    let (low, high) = parameters.scale_range();
    for &node in order {
        let parents: Vec<usize> = (0..parameters.nodes).filter(|&i| weights[(i, node)] != 0.0).collect();
        let scale = match parameters.scale {
            Scale::Equal(scale) => scale,
            Scale::Between { .. } => low + (high - low) * stream.uniform(),
        };
        for row in 0..parameters.rows {
            let mean: f64 = parents.iter().map(|&i| samples[(row, i)] * weights[(i, node)]).sum();
            samples[(row, node)] = match parameters.noise {
                Noise::Logistic => f64::from(u8::from(stream.uniform() < 1.0 / (1.0 + (-mean).exp()))),
                noise => mean + scale * standard_noise(noise, parameters.unit_variance, &mut stream),
            };
        }
    }
    samples
}

/// Noise of scale 1, or of standard deviation 1.
fn standard_noise(noise: Noise, unit_variance: bool, stream: &mut Stream) -> f64 {
    let (draw, deviation) = match noise {
        Noise::Gauss => (stream.normal(), 1.0),
        Noise::Exponential => (-open_uniform(stream).ln(), 1.0),
        Noise::Gumbel => (-(-open_uniform(stream).ln()).ln(), std::f64::consts::PI / 6.0_f64.sqrt()),
        Noise::Uniform => (2.0 * stream.uniform() - 1.0, 1.0 / 3.0_f64.sqrt()),
        Noise::Logistic => (0.0, 1.0),
    };
    if unit_variance { draw / deviation } else { draw }
}

/// A uniform draw from (0, 1): zero has no logarithm.
fn open_uniform(stream: &mut Stream) -> f64 {
    loop {
        let draw = stream.uniform();
        if draw > 0.0 {
            return draw;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(sample: &DagSample) -> usize {
        sample.weights.values().iter().filter(|w| **w != 0.0).count()
    }

    fn parents_come_first(sample: &DagSample) -> bool {
        let mut place = vec![0; sample.order.len()];
        for (at, &node) in sample.order.iter().enumerate() {
            place[node] = at;
        }
        let d = sample.order.len();
        (0..d).all(|i| (0..d).all(|j| sample.weights[(i, j)] == 0.0 || place[i] < place[j]))
    }

    #[test]
    fn every_graph_has_its_number_of_edges_and_a_fitting_order() {
        for (graph, nodes, asked, expected) in [
            (Graph::ErdosRenyi, 12, 30, 30),
            (Graph::ErdosRenyi, 5, 10, 10),
            (Graph::Bipartite, 20, 40, 40),
            // m = 2: 1 + 2·(12 − 2)
            (Graph::ScaleFree, 12, 24, 21),
            (Graph::ErdosRenyi, 1, 0, 0),
        ] {
            for seed in 0..20 {
                let parameters =
                    DagParameters { graph, nodes, edges: asked, rows: 3, ..DagParameters::default() };
                let sample = generate(&parameters, seed).unwrap();
                assert_eq!(edges(&sample), expected, "{graph:?}");
                assert!(parents_come_first(&sample), "{graph:?}");
                assert!(sample.weights.values().iter().all(|w| *w == 0.0 || (0.5..=2.0).contains(&w.abs())));
            }
        }
    }

    #[test]
    fn noise_has_its_mean_and_deviation() {
        let pi = std::f64::consts::PI;
        for (noise, unit_variance, mean, deviation) in [
            (Noise::Gauss, false, 0.0, 1.0),
            (Noise::Exponential, false, 1.0, 1.0),
            (Noise::Gumbel, false, 0.577_215_664_9, pi / 6.0_f64.sqrt()),
            (Noise::Gumbel, true, 0.577_215_664_9 * 6.0_f64.sqrt() / pi, 1.0),
            (Noise::Uniform, false, 0.0, 1.0 / 3.0_f64.sqrt()),
            (Noise::Uniform, true, 0.0, 1.0),
        ] {
            let rows = 40_000;
            let parameters =
                DagParameters { nodes: 1, edges: 0, rows, noise, unit_variance, ..DagParameters::default() };
            let sample = generate(&parameters, 5).unwrap().samples;
            let found = sample.values().iter().sum::<f64>() / rows as f64;
            let spread =
                (sample.values().iter().map(|x| (x - found).powi(2)).sum::<f64>() / rows as f64).sqrt();
            // Six standard errors of the mean; of the deviation, with a kurtosis of at most 9.
            assert!((found - mean).abs() < 6.0 * deviation / (rows as f64).sqrt(), "{noise:?} mean {found}");
            assert!(
                (spread - deviation).abs() < 9.0 * deviation / (rows as f64).sqrt(),
                "{noise:?} {spread}"
            );
        }
    }

    #[test]
    fn logistic_columns_are_binary_and_follow_their_parents() {
        let parameters = DagParameters {
            nodes: 2,
            edges: 1,
            rows: 4000,
            noise: Noise::Logistic,
            weight_low: 1.5,
            weight_high: 1.5,
            ..DagParameters::default()
        };
        let sample = generate(&parameters, 1).unwrap();
        assert!(sample.samples.values().iter().all(|x| *x == 0.0 || *x == 1.0));
        let (from, to) = (sample.order[0], sample.order[1]);
        let weight = sample.weights[(from, to)];
        let active: Vec<usize> = (0..4000).filter(|&r| sample.samples[(r, from)] == 1.0).collect();
        let share = active.iter().map(|&r| sample.samples[(r, to)]).sum::<f64>() / active.len() as f64;
        assert!((share - 1.0 / (1.0 + (-weight).exp())).abs() < 0.06, "{share}");
    }

    #[test]
    fn the_same_seed_gives_the_same_sample_and_the_graph_ignores_the_noise() {
        let gauss = DagParameters::default();
        let gumbel = DagParameters { noise: Noise::Gumbel, ..gauss.clone() };
        let sample = generate(&gauss, 3).unwrap();
        assert_eq!(sample, generate(&gauss, 3).unwrap());
        assert_ne!(sample, generate(&gauss, 4).unwrap());
        assert_eq!(sample.weights, generate(&gumbel, 3).unwrap().weights);
    }

    #[test]
    fn a_bad_parameter_is_named_with_its_range_and_a_way_out() {
        let too_many = DagParameters { nodes: 4, edges: 7, ..DagParameters::default() };
        assert_eq!(
            generate(&too_many, 0).unwrap_err().to_string(),
            "edges is 7, but must be at most 6 for 4 nodes; ask for fewer edges or more nodes"
        );
        for bad in [
            DagParameters { nodes: 0, edges: 0, ..DagParameters::default() },
            DagParameters { rows: 0, ..DagParameters::default() },
            DagParameters { scale: Scale::Equal(f64::NAN), ..DagParameters::default() },
            DagParameters { scale: Scale::Between { low: 2.0, high: 1.0 }, ..DagParameters::default() },
            DagParameters { weight_low: 0.0, ..DagParameters::default() },
            DagParameters { graph: Graph::Bipartite, nodes: 4, edges: 1, ..DagParameters::default() },
        ] {
            assert!(generate(&bad, 0).is_err(), "{bad:?}");
        }
    }
}
