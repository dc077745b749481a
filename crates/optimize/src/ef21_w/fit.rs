//! The rounds: point out, messages in, step.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::client::{Client, Rules};
use super::compressor::{Compressed, Compressor};
use super::constants::{Certificate, Contraction, Smoothness};
use super::exchange::{Exchange, Measured, Packet, failed};
use super::parameters::{Algorithm, Initial, Parameters, Step};
use crate::Error;
use crate::objective::{Objective, squared_norm};

/// Below so many multiplications a round, threads cost more than they save.
const WORTH_THREADS: usize = 50_000;

/// Why the rounds ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// ‖∇f‖² fell to the tolerance.
    Converged,
    /// All rounds were used.
    RoundsUsed,
    /// A number was no longer finite.
    Diverged,
}

/// One line of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Rounds before it; 0 is the start.
    pub round: usize,
    /// ‖∇f‖² of the mean objective.
    pub squared_gradient: f64,
    /// Bits that all clients together have sent up to here.
    pub bits_up: u64,
}

/// The result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fit {
    /// The last point.
    pub point: Vec<f64>,
    /// What was known before the first round.
    pub certificate: Certificate,
    /// The guarantee for the rounds that were run: the expected mean of ‖∇f‖² over the points before the last is at most this.
    pub guarantee: Option<f64>,
    /// That mean, over the points that were measured.
    pub mean_squared_gradient: f64,
    /// f at the start.
    pub first_value: f64,
    /// f at the last point.
    pub last_value: f64,
    /// Rounds that were run.
    pub rounds: usize,
    /// Why they ended.
    pub outcome: Outcome,
    /// Bits that all clients together have sent, the first gradients among them.
    pub bits_up: u64,
    /// Bits that the server has sent to each client: the point, uncompressed, in every round that it takes part in on average.
    pub bits_down: u64,
    /// ‖∇f‖² along the way.
    pub trace: Vec<Measurement>,
}

/// Everything that does not change from round to round.
pub(super) struct Plan<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) smoothness: &'a Smoothness,
    pub(super) certificate: Certificate,
    pub(super) compressor: Compressor,
    pub(super) lower_bound: Option<f64>,
}

impl<'a> Plan<'a> {
    /// Checks parameters against a problem.
    pub(super) fn new(
        parameters: &'a Parameters,
        smoothness: &'a Smoothness,
        dimension: usize,
        variances: Option<&[Option<f64>]>,
    ) -> Result<Self, Error> {
        let compressor = match parameters.algorithm {
            Algorithm::GradientDescent => Compressor::Identity,
            _ => parameters.compressor,
        };
        compressor.validate(dimension)?;
        let alpha = compressor.contraction(dimension);
        let noisy =
            variances.is_some_and(|variances| variances.iter().any(|variance| *variance != Some(0.0)));
        let contraction = if noisy {
            Contraction::noisy(alpha, parameters.participation)?
        } else {
            Contraction::partial(alpha, parameters.participation)?
        };
        let (of_mean, mean) = (smoothness.of_mean(), smoothness.arithmetic_mean());
        let new_step = contraction.step(of_mean, mean);
        let old_step = contraction.step(of_mean, smoothness.quadratic_mean());
        let step = match parameters.step {
            Step::New => new_step,
            Step::Old => old_step,
            Step::Fixed(step) => step,
        };
        let noise = match variances {
            Some(variances) if noisy => {
                let n = smoothness.clients() as f64;
                let weighted = variances.iter().zip(smoothness.weights());
                let sum: Option<f64> =
                    weighted.map(|(variance, weight)| Some((*variance)? / (n * n * weight))).sum();
                sum.map(|sum| contraction.noise * sum)
            }
            _ => Some(0.0),
        };
        let feedback =
            matches!(parameters.algorithm, Algorithm::Ef21 | Algorithm::Ef21W | Algorithm::GradientDescent);
        let certificate = Certificate {
            clients: smoothness.clients(),
            dimension,
            smoothness: of_mean,
            arithmetic_mean: mean,
            quadratic_mean: smoothness.quadratic_mean(),
            variance: smoothness.variance(),
            contraction,
            old_step,
            clones_step: contraction.step(of_mean, smoothness.clones()),
            new_step,
            step,
            noise,
            certified: feedback && step <= new_step * (1.0 + 1e-12),
        };
        Ok(Self { parameters, smoothness, certificate, compressor, lower_bound: None })
    }

    /// Whether gradients at every point come for nothing.
    fn measures_itself(&self) -> bool {
        self.parameters.participation >= 1.0 && self.parameters.batch.is_none()
    }
}

/// The clients of one rank and its copy of the server.
struct Rank<'a, 'p, O> {
    plan: &'a Plan<'p>,
    clients: Vec<Client<'a, O>>,
    /// Weight of each client's squared error in the analysis: w_i for EF21-W's estimates, 1/(n² w_i) for EF21's.
    error_weights: Vec<f64>,
    threads: bool,
}

/// Runs all rounds for the clients from number `first` on; `exchange` brings the others.
pub(super) fn run<O: Objective>(
    mut plan: Plan<'_>,
    clients: &[O],
    first: usize,
    start: Vec<f64>,
    exchange: &mut impl Exchange,
) -> Result<Fit, Error> {
    let n = plan.smoothness.clients();
    let weights = plan.smoothness.weights();
    let weighted = plan.parameters.algorithm == Algorithm::Ef21W;
    plan.lower_bound = clients.iter().map(Objective::lower_bound).sum::<Option<f64>>();
    let work: usize = clients.iter().map(Objective::work).sum();
    let plan = &plan;
    let numbered = clients.iter().enumerate().map(|(place, objective)| (first + place, objective));
    let mut rank = Rank {
        plan,
        clients: numbered
            .map(|(number, objective)| {
                let weight = weights[number];
                let (factor, share) =
                    if weighted { (1.0 / (n as f64 * weight), weight) } else { (1.0, 1.0 / n as f64) };
                Client::new(objective, number, factor, share, plan.parameters.seed)
            })
            .collect(),
        error_weights: (first..first + clients.len())
            .map(|number| if weighted { weights[number] } else { 1.0 / (n * n) as f64 / weights[number] })
            .collect(),
        threads: work >= WORTH_THREADS && clients.len() > 1,
    };
    rank.rounds(start, exchange)
}

impl<'a, O: Objective> Rank<'a, '_, O> {
    fn rules(&self) -> Rules<'a> {
        Rules {
            parameters: self.plan.parameters,
            compressor: self.plan.compressor,
            step: self.plan.certificate.step,
        }
    }

    fn rounds(&mut self, mut point: Vec<f64>, exchange: &mut impl Exchange) -> Result<Fit, Error> {
        let plan = self.plan;
        let (parameters, step) = (plan.parameters, plan.certificate.step);
        let dimension = point.len();
        let n = plan.smoothness.clients() as f64;
        let mut direction = vec![0.0; dimension];
        let mut bits_up = 0;
        let mut trace = Vec::new();
        let mut outcome = Outcome::RoundsUsed;

        let own = self.first_packet(&point);
        let packets = exchange.gather(own).map_err(failed(0))?;
        let whole = match (parameters.algorithm, parameters.initial) {
            (Algorithm::Ef14 | Algorithm::Dcgd, _) | (_, Initial::Compressed) => {
                plan.compressor.bits(dimension)
            }
            (_, Initial::Exact) => Compressor::Identity.bits(dimension),
        };
        bits_up += add_up(&packets, &mut direction) * whole;
        let first = total(&packets, dimension);
        let (first_value, first_error) = (first.value / n, first.error);
        let mut sum_of_squares = 0.0;
        let mut measured = 0_usize;
        let mut rounds = 0;
        // Without feedback the messages are the step itself (EF14) or are summed anew in every round.
        let fresh = matches!(parameters.algorithm, Algorithm::Ef14 | Algorithm::Dcgd);
        let length = if parameters.algorithm == Algorithm::Ef14 { 1.0 } else { step };
        let mut squared_gradient = squared_norm(&first.gradient) / (n * n);
        trace.push(Measurement { round: 0, squared_gradient, bits_up });

        while rounds < parameters.rounds {
            if squared_gradient <= parameters.tolerance {
                outcome = Outcome::Converged;
                break;
            }
            if trace.last().is_some_and(|last| last.round == rounds) {
                sum_of_squares += squared_gradient;
                measured += 1;
            }
            for (x, slope) in point.iter_mut().zip(&direction) {
                *x -= length * slope;
            }
            rounds += 1;
            let measure = plan.measures_itself()
                || rounds.is_multiple_of(parameters.measure_every)
                || rounds == parameters.rounds;
            let own = self.packet(&point, measure);
            let packets = exchange.gather(own).map_err(failed(rounds))?;
            if fresh {
                direction.fill(0.0);
            }
            bits_up += add_up(&packets, &mut direction) * plan.compressor.bits(dimension);
            if measure {
                squared_gradient = squared_norm(&total(&packets, dimension).gradient) / (n * n);
                if !squared_gradient.is_finite() {
                    outcome = Outcome::Diverged;
                    break;
                }
                trace.push(Measurement { round: rounds, squared_gradient, bits_up });
            }
        }
        if outcome == Outcome::RoundsUsed && squared_gradient <= parameters.tolerance {
            outcome = Outcome::Converged;
        }
        let last_value = self.mean_value(&point, exchange, rounds)?;
        let gap = plan.lower_bound.map(|bound| first_value - bound / self.clients.len() as f64);
        Ok(Fit {
            guarantee: gap.and_then(|gap| plan.certificate.guarantee(gap, first_error, rounds)),
            certificate: plan.certificate.clone(),
            mean_squared_gradient: if measured > 0 {
                sum_of_squares / measured as f64
            } else {
                squared_gradient
            },
            first_value,
            last_value,
            rounds,
            outcome,
            bits_up,
            bits_down: (rounds as f64 * parameters.participation).round() as u64
                * Compressor::Identity.bits(dimension),
            trace,
            point,
        })
    }

    /// Measures the start and sends the first messages.
    fn first_packet(&mut self, point: &[f64]) -> Packet {
        let messages: Vec<_> = self.each(|client, rules| {
            client.measure(point);
            client.begin(rules)
        });
        let mut measured = self.measured(point.len());
        measured.value = self.clients.iter().map(|client| client.value(point)).sum();
        measured.error = self
            .clients
            .iter()
            .zip(&self.error_weights)
            .map(|(client, weight)| weight * client.squared_error())
            .sum();
        Packet { messages, measured: Some(measured) }
    }

    /// The answers to a point, and what is measured there.
    fn packet(&mut self, point: &[f64], measure: bool) -> Packet {
        let again = measure && !self.plan.measures_itself();
        let messages = self.each(|client, rules| {
            let message = client.answer(rules, point);
            if again {
                client.measure(point);
            }
            message
        });
        Packet { messages, measured: measure.then(|| self.measured(point.len())) }
    }

    /// Lets every client do something, on threads where that pays; results in the order of clients, with their shares.
    fn each(
        &mut self,
        act: impl Fn(&mut Client<'_, O>, Rules<'_>) -> Option<Compressed> + Sync,
    ) -> Vec<Option<(f64, Compressed)>> {
        let rules = self.rules();
        let one = |client: &mut Client<'_, O>| act(client, rules).map(|message| (client.share(), message));
        if self.threads {
            self.clients.par_iter_mut().map(one).collect()
        } else {
            self.clients.iter_mut().map(one).collect()
        }
    }

    /// The sum of the last gradients.
    fn measured(&self, dimension: usize) -> Measured {
        let mut gradient = vec![0.0; dimension];
        for client in &self.clients {
            for (sum, slope) in gradient.iter_mut().zip(client.gradient()) {
                *sum += slope;
            }
        }
        Measured { gradient, ..Measured::default() }
    }

    /// f at a point, over the clients of all ranks.
    fn mean_value(&self, point: &[f64], exchange: &mut impl Exchange, round: usize) -> Result<f64, Error> {
        let value = self.clients.iter().map(|client| client.value(point)).sum();
        let own = Packet {
            measured: Some(Measured { value, gradient: vec![0.0; point.len()], error: 0.0 }),
            ..Packet::default()
        };
        let packets = exchange.gather(own).map_err(failed(round))?;
        Ok(total(&packets, point.len()).value / self.plan.smoothness.clients() as f64)
    }
}

/// Adds all messages to a vector, in the order of clients, and counts them.
fn add_up(packets: &[Packet], sum: &mut [f64]) -> u64 {
    let mut count = 0;
    for (share, message) in packets.iter().flat_map(|packet| &packet.messages).flatten() {
        message.add_to(*share, sum);
        count += 1;
    }
    count
}

/// The sums of what was measured.
fn total(packets: &[Packet], dimension: usize) -> Measured {
    let mut total = Measured { gradient: vec![0.0; dimension], ..Measured::default() };
    for measured in packets.iter().filter_map(|packet| packet.measured.as_ref()) {
        for (sum, part) in total.gradient.iter_mut().zip(&measured.gradient) {
            *sum += part;
        }
        total.value += measured.value;
        total.error += measured.error;
    }
    total
}
