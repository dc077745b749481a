//! A causal graph from the table itself, where nobody knows one: linear tests in the manner of CD-NOD.
//!
//! The environment is a column like the others, but without causes. Two columns stay joined unless some set of their neighbours
//! makes their partial correlations vanish *within* environments (Fisher's z, pooled); a column stays joined to the environment
//! unless, given some set of its neighbours, neither its regression (an F test of coefficients that differ) nor the variance of its
//! residuals (Bartlett's test) differs between environments. What separates two columns orients colliders; edges from the
//! environment orient the edges next to them, and Meek's rules the rest.
//!
//! The tests assume nearly linear effects with Gaussian noise in place of CD-NOD's kernel tests. A nonlinear effect can pass for a
//! change of environment, and a weak one for none.

use backstitch_numerics::Matrix;
use backstitch_numerics::special::{beta_quantile, student_t_quantile};

use super::set::{MAX_COLUMNS, Set};
use super::solve::solve;
use crate::Error;

/// What the tests found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovery {
    /// Edges with a direction (from, to).
    pub directed: Vec<(usize, usize)>,
    /// Pairs whose direction the data leave open.
    pub undirected: Vec<(usize, usize)>,
}

/// Finds the graph of a table. `level` is the share of false edges that each test allows; at most `most_given` columns are held
/// fixed in a test.
///
/// # Errors
/// [`Error::Parameter`] for a level outside (0, 0.5], [`Error::GraphColumns`], [`Error::RoleColumn`], [`Error::NotFinite`],
/// [`Error::Environments`] for fewer than two environments, [`Error::Constant`] for a constant column,
/// [`Error::SmallEnvironment`] for one of fewer than 8 rows.
pub fn discover(
    samples: &Matrix,
    environment: usize,
    level: f64,
    most_given: usize,
) -> Result<Discovery, Error> {
    if !(level > 0.0 && level <= 0.5) {
        return Err(Error::Parameter {
            name: "level",
            value: level.to_string(),
            allowed: "above 0 and at most 0.5",
            way_out: "use 0.01",
        });
    }
    let columns = samples.columns();
    if columns > MAX_COLUMNS {
        return Err(Error::GraphColumns { columns, limit: MAX_COLUMNS });
    }
    if environment >= columns {
        let problem = "is not a column of the table";
        return Err(Error::RoleColumn { role: "environment", column: environment, problem });
    }
    let values = super::problem::environments(samples, environment, LEAST_ROWS)?;
    super::problem::scales(samples, environment)?;
    let groups = values
        .iter()
        .map(|value| (0..samples.rows()).filter(|&row| samples[(row, environment)] == *value).collect())
        .collect();
    let tests = Tests { samples, groups, level };
    let mut search = Search {
        environment,
        neighbours: (0..columns).map(|column| Set::all(columns).without(Set::one(column))).collect(),
        separating: vec![vec![None; columns]; columns],
        into: vec![Set::EMPTY; columns],
    };
    search.skeleton(&tests, most_given);
    search.orient();
    Ok(search.result())
}

/// Fewest rows of an environment: a regression on two columns with a spread of residuals.
const LEAST_ROWS: usize = 8;

struct Tests<'a> {
    samples: &'a Matrix,
    /// Rows of each environment.
    groups: Vec<Vec<usize>>,
    level: f64,
}

impl Tests<'_> {
    /// Whether two columns are related within environments, given others.
    fn related(&self, one: usize, other: usize, given: Set) -> bool {
        let given: Vec<usize> = given.iter().collect();
        let (mut statistic, mut tested) = (0.0, 0);
        for rows in self.groups.iter().filter(|rows| rows.len() > given.len() + 4) {
            let (x, y) = (self.residuals(rows, one, &given), self.residuals(rows, other, &given));
            let scale = (dot(&x, &x) * dot(&y, &y)).sqrt();
            let correlation =
                if scale > 0.0 { (dot(&x, &y) / scale).clamp(-0.999_999, 0.999_999) } else { 0.0 };
            statistic += (rows.len() - given.len() - 3) as f64 * correlation.atanh().powi(2);
            tested += 1;
        }
        tested > 0 && statistic > self.chi_squared(tested as f64)
    }

    /// Whether a column's regression on others, or the spread around it, differs between environments.
    fn changes(&self, column: usize, given: Set) -> bool {
        let given: Vec<usize> = given.iter().collect();
        let width = given.len() + 1;
        let groups: Vec<&Vec<usize>> = self.groups.iter().filter(|rows| rows.len() > width + 2).collect();
        if groups.len() < 2 {
            return false;
        }
        let rows: Vec<usize> = groups.iter().flat_map(|rows| rows.iter().copied()).collect();
        let pooled = self.residuals(&rows, column, &given);
        let (mut own, mut spread) = (0.0, Vec::new());
        for rows in &groups {
            let residuals = self.residuals(rows, column, &given);
            let square = dot(&residuals, &residuals);
            own += square;
            spread.push((square, (rows.len() - width) as f64));
        }
        // Two tests, each at half the level.
        let (more, free) = (((groups.len() - 1) * width) as f64, (rows.len() - groups.len() * width) as f64);
        let ratio = ((dot(&pooled, &pooled) - own) / more) / (own / free);
        let beta = beta_quantile(1.0 - 0.5 * self.level, 0.5 * more, 0.5 * free);
        let regression_differs = ratio > (beta / more) / ((1.0 - beta) / free);
        let logs: f64 = spread.iter().map(|(square, free)| free * (square / free).ln()).sum();
        let inverse: f64 = spread.iter().map(|(_, free)| 1.0 / free).sum();
        let freedom = (groups.len() - 1) as f64;
        let correction = 1.0 + (inverse - 1.0 / free) / (3.0 * freedom);
        let bartlett = (free * (own / free).ln() - logs) / correction;
        regression_differs || bartlett > self.chi_squared_at(freedom, 0.5 * self.level)
    }

    fn chi_squared(&self, freedom: f64) -> f64 {
        self.chi_squared_at(freedom, self.level)
    }

    /// The quantile as that of F with so many further degrees of freedom that they do not matter.
    fn chi_squared_at(&self, freedom: f64, level: f64) -> f64 {
        if freedom == 1.0 {
            return student_t_quantile(1.0 - 0.5 * level, 1e7).powi(2);
        }
        let other = 2e6;
        let beta = beta_quantile(1.0 - level, 0.5 * freedom, 0.5 * other);
        other * beta / (1.0 - beta)
    }

    /// What a regression with an intercept leaves of a column over some rows.
    fn residuals(&self, rows: &[usize], column: usize, given: &[usize]) -> Vec<f64> {
        let mean = |column: usize| {
            rows.iter().map(|&row| self.samples[(row, column)]).sum::<f64>() / rows.len() as f64
        };
        let centred = |column: usize| {
            let mean = mean(column);
            rows.iter().map(|&row| self.samples[(row, column)] - mean).collect::<Vec<f64>>()
        };
        let mut target = centred(column);
        let inputs: Vec<Vec<f64>> = given.iter().map(|&input| centred(input)).collect();
        let a = inputs.iter().flat_map(|x| inputs.iter().map(|y| dot(x, y))).collect();
        let b = inputs.iter().map(|x| dot(x, &target)).collect();
        for (input, coefficient) in inputs.iter().zip(solve(a, b)) {
            for (slot, value) in target.iter_mut().zip(input) {
                *slot -= coefficient * value;
            }
        }
        target
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(x, y)| x * y).sum()
}

struct Search {
    environment: usize,
    neighbours: Vec<Set>,
    /// What made a pair independent.
    separating: Vec<Vec<Option<Set>>>,
    /// Columns with a directed edge into each.
    into: Vec<Set>,
}

impl Search {
    /// Removes edges, holding more and more neighbours fixed. Which are removed at one size does not depend on their order.
    fn skeleton(&mut self, tests: &Tests<'_>, most_given: usize) {
        let columns = self.neighbours.len();
        for size in 0..=most_given {
            let before = self.neighbours.clone();
            for one in 0..columns {
                for other in one + 1..columns {
                    if !before[one].contains(other) {
                        continue;
                    }
                    let environment = Set::one(self.environment);
                    // Neighbours of the environment change with it; they do not hold it fixed.
                    let ends = [one, other].into_iter().filter(|&end| end != self.environment);
                    let sets = ends.flat_map(|end| {
                        let around =
                            before[end].without(environment).without([one, other].into_iter().collect());
                        around.subsets().filter(|given| given.len() == size).collect::<Vec<_>>()
                    });
                    let separates = |given: &Set| match self.environment {
                        e if e == one => !tests.changes(other, *given),
                        e if e == other => !tests.changes(one, *given),
                        _ => !tests.related(one, other, *given),
                    };
                    if let Some(given) = sets.into_iter().find(separates) {
                        // Within environments the environment is held fixed as well.
                        let inside = ![one, other].contains(&self.environment);
                        let given = if inside { given.union(environment) } else { given };
                        self.separating[one][other] = Some(given);
                        self.separating[other][one] = Some(given);
                        self.neighbours[one] = self.neighbours[one].without(Set::one(other));
                        self.neighbours[other] = self.neighbours[other].without(Set::one(one));
                    }
                }
            }
        }
    }

    fn is_open(&self, one: usize, other: usize) -> bool {
        self.neighbours[one].contains(other)
            && !self.into[one].contains(other)
            && !self.into[other].contains(one)
    }

    fn direct(&mut self, from: usize, to: usize) -> bool {
        let open = self.is_open(from, to);
        if open {
            self.into[to].insert(from);
        }
        open
    }

    fn orient(&mut self) {
        let columns = self.neighbours.len();
        for column in self.neighbours[self.environment].iter() {
            self.direct(self.environment, column);
        }
        // Colliders: two causes that are not joined, and that the middle did not separate.
        let environment = self.environment;
        for middle in (0..columns).filter(|&column| column != environment) {
            let around: Vec<usize> = self.neighbours[middle].iter().collect();
            for (place, &one) in around.iter().enumerate() {
                for &other in &around[place + 1..] {
                    let known = self.separating[one][other];
                    if known.is_some_and(|separating| !separating.contains(middle)) {
                        self.direct(one, middle);
                        self.direct(other, middle);
                    }
                }
            }
        }
        while self.propagate() {}
    }

    /// Meek's first three rules, once; whether one of them applied.
    fn propagate(&mut self) -> bool {
        let columns = self.neighbours.len();
        let mut changed = false;
        for from in 0..columns {
            for to in 0..columns {
                if !self.is_open(from, to) {
                    continue;
                }
                let apart = |one: usize, other: usize| one != other && !self.neighbours[one].contains(other);
                // A collider would have been found; a cycle must not arise; two open ways that would meet in one.
                let no_collider = self.into[from].iter().any(|cause| apart(cause, to));
                let no_cycle = (0..columns)
                    .any(|middle| self.into[middle].contains(from) && self.into[to].contains(middle));
                let both = {
                    let ways: Vec<usize> =
                        self.into[to].iter().filter(|&way| self.is_open(from, way)).collect();
                    ways.iter()
                        .enumerate()
                        .any(|(place, &one)| ways[place + 1..].iter().any(|&other| apart(one, other)))
                };
                if no_collider || no_cycle || both {
                    changed |= self.direct(from, to);
                }
            }
        }
        changed
    }

    fn result(&self) -> Discovery {
        let columns = self.neighbours.len();
        let pairs = || (0..columns).flat_map(|one| (0..columns).map(move |other| (one, other)));
        Discovery {
            directed: pairs().filter(|&(from, to)| self.into[to].contains(from)).collect(),
            undirected: pairs().filter(|&(one, other)| one < other && self.is_open(one, other)).collect(),
        }
    }
}
