//! A point with what is known there: predictions and slopes, kept up to date block by block.

use std::sync::Arc;

use backstitch_numerics::Matrix;

use super::dense::dot;
use super::problem::{Problem, Smooth};
use crate::objective::Loss;

/// Products of columns go row by row where fewer than one entry of so many is filled.
const SPARSE: usize = 4;

/// A point of a problem.
///
/// Predictions of class c lie from `c·rows` on, slopes from `c·stride` on: what lies behind their last row is zero and makes products fast.
#[derive(Clone, Debug)]
pub(super) struct State<'a> {
    pub(super) problem: &'a Problem,
    pub(super) point: Vec<f64>,
    stride: usize,
    images: Vec<f64>,
    /// Derivatives of the loss in the predictions; `Ax − b` of a quadratic.
    slopes: Vec<f64>,
    /// Multiplications so far.
    pub(super) multiplications: u64,
    /// The last block of least squares with its matrix: the next one has much of it again.
    known: Option<(Vec<usize>, Arc<Matrix>)>,
}

/// A change of some coordinates and what it does to the predictions.
pub(super) struct Trial {
    images: Vec<f64>,
}

impl<'a> State<'a> {
    /// The point nearest to zero.
    pub(super) fn new(problem: &'a Problem) -> Self {
        let stride = problem.columns.padded_columns();
        let point = vec![0.0; problem.dimension()];
        let images = vec![0.0; problem.rows() * problem.classes()];
        let slopes = vec![0.0; stride * problem.classes()];
        let mut state = Self { problem, point, stride, images, slopes, multiplications: 0, known: None };
        state.refresh_slopes();
        let rest = problem.penalty.rest();
        if rest != 0.0 {
            let all: Vec<usize> = (0..problem.dimension()).collect();
            state.move_to(&all, &vec![rest; all.len()]);
        }
        state
    }

    fn rows(&self) -> usize {
        self.problem.rows()
    }

    /// Derivatives of the loss in the predictions of a class.
    pub(super) fn slopes(&self, class: usize) -> &[f64] {
        &self.slopes[class * self.stride..class * self.stride + self.rows()]
    }

    /// The objective, penalty and ridge included.
    pub(super) fn value(&self) -> f64 {
        self.loss(&self.images, Some(&self.slopes)) + self.cost_of_point(&self.point)
    }

    fn cost_of_point(&self, point: &[f64]) -> f64 {
        let ridge = if self.problem.ridge > 0.0 { 0.5 * self.problem.ridge * dot(point, point) } else { 0.0 };
        let l1 = self.problem.penalty.l1;
        ridge + if l1 > 0.0 { l1 * point.iter().map(|x| x.abs()).sum::<f64>() } else { 0.0 }
    }

    /// The loss of some predictions; with the slopes where they are known.
    fn loss(&self, images: &[f64], slopes: Option<&[f64]>) -> f64 {
        let rows = self.rows();
        match &self.problem.smooth {
            Smooth::LeastSquares { labels } => match slopes {
                Some(slopes) => 0.5 * dot(&slopes[..rows], &slopes[..rows]),
                None => 0.5 * images.iter().zip(labels).map(|(z, y)| (z - y) * (z - y)).sum::<f64>(),
            },
            Smooth::Logistic { labels } => {
                images.iter().zip(labels).map(|(z, y)| Loss::Logistic.value(*z, *y)).sum()
            }
            Smooth::Softmax { labels, classes } => (0..rows)
                .map(|row| {
                    let score = |class: usize| images[class * rows + row];
                    let most = (0..*classes).map(score).fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = (0..*classes).map(|class| (score(class) - most).exp()).sum();
                    most + sum.ln() - score(labels[row])
                })
                .sum(),
            // Only asked for at the point itself.
            Smooth::Quadratic { linear, constant } => {
                let slopes = slopes.unwrap_or(&self.slopes);
                0.5 * (dot(&self.point, &slopes[..rows]) - dot(&self.point, linear)) + constant
            }
        }
    }

    /// Writes the slope of the smooth part, the ridge included, along every coordinate.
    pub(super) fn gradient(&mut self, gradient: &mut [f64]) {
        let columns = &self.problem.columns;
        let (features, classes) = (columns.rows(), self.problem.classes());
        match &self.problem.smooth {
            Smooth::Quadratic { .. } => gradient.copy_from_slice(&self.slopes[..features]),
            Smooth::Softmax { .. } => {
                let mut products = vec![0.0; features];
                for class in 0..classes {
                    let slopes = &self.slopes[class * self.stride..(class + 1) * self.stride];
                    columns.multiply(0..features, slopes, &mut products);
                    for (feature, product) in products.iter().enumerate() {
                        gradient[feature * classes + class] = *product;
                    }
                }
                self.multiplications += (classes * columns.entries()) as u64;
            }
            _ => {
                columns.multiply(0..features, &self.slopes, gradient);
                self.multiplications += columns.entries() as u64;
            }
        }
        if self.problem.ridge > 0.0 {
            for (slope, x) in gradient.iter_mut().zip(&self.point) {
                *slope += self.problem.ridge * x;
            }
        }
    }

    /// The slope along one coordinate.
    pub(super) fn slope(&mut self, coordinate: usize) -> f64 {
        let classes = self.problem.classes();
        let (feature, class) = (coordinate / classes, coordinate % classes);
        let ridge = self.problem.ridge * self.point[coordinate];
        if self.problem.matrix().is_some() {
            return self.slopes[coordinate] + ridge;
        }
        let mut product = [0.0];
        let slopes = &self.slopes[class * self.stride..(class + 1) * self.stride];
        self.problem.columns.multiply(feature..feature + 1, slopes, &mut product);
        self.multiplications += self.problem.columns.row(feature).entries() as u64;
        product[0] + ridge
    }

    /// Moves the coordinates of a block to new values.
    pub(super) fn move_to(&mut self, block: &[usize], target: &[f64]) {
        let changes: Vec<f64> = block.iter().zip(target).map(|(&i, new)| new - self.point[i]).collect();
        for (&i, new) in block.iter().zip(target) {
            self.point[i] = *new;
        }
        let touched = match self.problem.smooth {
            Smooth::Quadratic { .. } => self.add_images(block, &changes, true),
            _ => self.add_images(block, &changes, false),
        };
        self.multiplications += touched as u64;
        if self.problem.matrix().is_some() {
            return;
        }
        if touched >= self.rows() {
            self.refresh_slopes();
            return;
        }
        let columns = &self.problem.columns;
        let classes = self.problem.classes();
        for (&i, change) in block.iter().zip(&changes) {
            if *change != 0.0 {
                for (row, _) in columns.row(i / classes).iter() {
                    self.refresh_row(row);
                }
            }
        }
    }

    /// Adds what some changes do to the predictions, or to the slopes of a quadratic; the entries touched.
    fn add_images(&mut self, block: &[usize], changes: &[f64], to_slopes: bool) -> usize {
        let (columns, classes) = (&self.problem.columns, self.problem.classes());
        let mut touched = 0;
        for (&i, change) in block.iter().zip(changes) {
            if *change != 0.0 {
                let (feature, class) = (i / classes, i % classes);
                let vector = if to_slopes {
                    &mut self.slopes[..]
                } else {
                    &mut self.images[class * columns.columns()..(class + 1) * columns.columns()]
                };
                columns.add_multiples(feature..feature + 1, &[*change], vector);
                touched += columns.row(feature).entries();
            }
        }
        touched
    }

    fn refresh_slopes(&mut self) {
        let rows = self.rows();
        if let Smooth::Quadratic { linear, .. } = &self.problem.smooth {
            self.slopes[..rows].iter_mut().zip(linear).for_each(|(slope, b)| *slope = -b);
            return;
        }
        (0..rows).for_each(|row| self.refresh_row(row));
    }

    fn refresh_row(&mut self, row: usize) {
        match &self.problem.smooth {
            Smooth::LeastSquares { labels } => self.slopes[row] = self.images[row] - labels[row],
            Smooth::Logistic { labels } => {
                self.slopes[row] = Loss::Logistic.slope(self.images[row], labels[row])
            }
            Smooth::Softmax { labels, classes } => {
                let (stride, rows) = (self.stride, self.rows());
                let images = &self.images;
                let score = |class: usize| images[class * rows + row];
                let most = (0..*classes).map(score).fold(f64::NEG_INFINITY, f64::max);
                let mut sum = 0.0;
                for class in 0..*classes {
                    let share = (score(class) - most).exp();
                    self.slopes[class * stride + row] = share;
                    sum += share;
                }
                for class in 0..*classes {
                    self.slopes[class * stride + row] /= sum;
                }
                self.slopes[labels[row] * stride + row] -= 1.0;
            }
            Smooth::Quadratic { .. } => {}
        }
    }

    /// What a change of a block does to the predictions.
    pub(super) fn trial(&mut self, block: &[usize], changes: &[f64]) -> Trial {
        let (columns, classes) = (&self.problem.columns, self.problem.classes());
        let mut images = vec![0.0; self.images.len()];
        for (&i, change) in block.iter().zip(changes) {
            let (feature, class) = (i / classes, i % classes);
            let vector = &mut images[class * columns.columns()..(class + 1) * columns.columns()];
            columns.add_multiples(feature..feature + 1, &[*change], vector);
            self.multiplications += columns.row(feature).entries() as u64;
        }
        Trial { images }
    }

    /// The objective after a share of a change, in which the block ends at `target`.
    pub(super) fn value_after(&self, trial: &Trial, share: f64, block: &[usize], target: &[f64]) -> f64 {
        let mut point = self.point.clone();
        block.iter().zip(target).for_each(|(&i, x)| point[i] = *x);
        let rows = self.rows();
        let loss = match &self.problem.smooth {
            Smooth::Quadratic { linear, constant } => {
                let slopes: Vec<f64> = self.slopes[..rows]
                    .iter()
                    .zip(&trial.images)
                    .map(|(slope, more)| slope + share * more)
                    .collect();
                0.5 * (dot(&point, &slopes) - dot(&point, linear)) + constant
            }
            _ => {
                let images: Vec<f64> =
                    self.images.iter().zip(&trial.images).map(|(image, more)| image + share * more).collect();
                self.loss(&images, None)
            }
        };
        loss + self.cost_of_point(&point)
    }

    /// The matrix of a block: the Hessian here, or the constant bound that holds everywhere.
    pub(super) fn block_matrix(&mut self, block: &[usize], here: bool) -> Arc<Matrix> {
        let n = block.len();
        let mut matrix = if let Some(graph) = self.problem.matrix() {
            let mut matrix = Matrix::zeros(n, n);
            let mut places = vec![usize::MAX; graph.rows()];
            block.iter().enumerate().for_each(|(place, &node)| places[node] = place);
            for (place, &node) in block.iter().enumerate() {
                for (other, value) in graph.row(node).iter().filter(|(other, _)| places[*other] != usize::MAX)
                {
                    matrix[(place, places[other])] = value;
                }
            }
            Arc::new(matrix)
        } else {
            self.products(block, here)
        };
        if self.problem.ridge > 0.0 {
            let matrix = Arc::make_mut(&mut matrix);
            (0..n).for_each(|place| matrix[(place, place)] += self.problem.ridge);
        }
        matrix
    }

    /// Weighted products of the columns of a block.
    fn products(&mut self, block: &[usize], here: bool) -> Arc<Matrix> {
        let constant = matches!(self.problem.smooth, Smooth::LeastSquares { .. });
        // The place of a coordinate in the block whose products are known.
        let known = self.known.take().filter(|_| constant);
        let places: Vec<Option<usize>> = match &known {
            Some((before, _)) => block.iter().map(|i| before.binary_search(i).ok()).collect(),
            None => vec![None; block.len()],
        };
        let (classes, columns) = (self.problem.classes(), &self.problem.columns);
        let entries: usize = block.iter().map(|i| columns.row(i / classes).entries()).sum();
        let mut matrix = Matrix::zeros(block.len(), block.len());
        let new: Vec<usize> = (0..block.len()).filter(|&i| places[i].is_none()).collect();
        if entries * SPARSE <= block.len() * self.rows() {
            self.products_by_rows(block, here, &new, &mut matrix);
        } else {
            self.products_by_pairs(block, here, &new, &mut matrix);
        }
        for i in 0..block.len() {
            if let (Some((_, products)), Some(place)) = (&known, places[i]) {
                let before = products.row(place);
                for (entry, other) in matrix.row_mut(i).iter_mut().zip(&places) {
                    *entry = other.map_or(0.0, |other| before[other]);
                }
                new.iter().for_each(|&j| matrix[(i, j)] = matrix[(j, i)]);
            }
        }
        let matrix = Arc::new(matrix);
        if constant && block.is_sorted() {
            self.known = Some((block.to_vec(), Arc::clone(&matrix)));
        }
        matrix
    }

    /// The new rows of [`Self::products`], each column times the entries that its rows have in the block.
    fn products_by_rows(&mut self, block: &[usize], here: bool, new: &[usize], matrix: &mut Matrix) {
        let (classes, columns) = (self.problem.classes(), &self.problem.columns);
        let mut starts = vec![0; self.rows() + 1];
        for &i in block {
            columns.row(i / classes).iter().for_each(|(row, _)| starts[row + 1] += 1);
        }
        for row in 0..self.rows() {
            starts[row + 1] += starts[row];
        }
        let (mut next, mut rows) = (starts.clone(), vec![(0, 0.0); starts[self.rows()]]);
        for (place, &i) in block.iter().enumerate() {
            for (row, value) in columns.row(i / classes).iter() {
                rows[next[row]] = (place, value);
                next[row] += 1;
            }
        }
        let mut multiplications = 0;
        for &i in new {
            let sums = matrix.row_mut(i);
            for (row, own) in columns.row(block[i] / classes).iter() {
                let others = &rows[starts[row]..starts[row + 1]];
                multiplications += others.len();
                if classes == 1 {
                    let weight = self.weight(row, 0, 0, here);
                    others.iter().for_each(|(place, value)| sums[*place] += own * value * weight);
                } else {
                    let one = block[i] % classes;
                    for (place, value) in others {
                        sums[*place] += own * value * self.weight(row, one, block[*place] % classes, here);
                    }
                }
            }
        }
        self.multiplications += multiplications as u64;
    }

    /// The new rows of [`Self::products`], every pair of columns for itself.
    fn products_by_pairs(&mut self, block: &[usize], here: bool, new: &[usize], matrix: &mut Matrix) {
        let (classes, columns) = (self.problem.classes(), &self.problem.columns);
        let mut weighted = vec![0.0; self.rows()];
        let mut is_new = vec![false; block.len()];
        for &i in new {
            let one = block[i];
            let mut spread = false;
            for (j, &other) in block.iter().enumerate() {
                // The pair was met the other way round.
                if is_new[j] {
                    matrix[(i, j)] = matrix[(j, i)];
                    continue;
                }
                // Weights depend on the pair of classes only, so one column is spread for all pairs of one.
                if !spread || classes > 1 {
                    spread = true;
                    for (row, value) in columns.row(one / classes).iter() {
                        weighted[row] = value * self.weight(row, one % classes, other % classes, here);
                    }
                }
                let mut product = [0.0];
                columns.multiply(other / classes..other / classes + 1, &weighted, &mut product);
                self.multiplications += columns.row(other / classes).entries() as u64;
                matrix[(i, j)] = product[0];
            }
            is_new[i] = true;
            for (row, _) in columns.row(one / classes).iter() {
                weighted[row] = 0.0;
            }
        }
    }

    /// The second derivative of the loss of a row along two classes, here or bounded.
    fn weight(&self, row: usize, one: usize, other: usize, here: bool) -> f64 {
        let same = f64::from(u8::from(one == other));
        match &self.problem.smooth {
            Smooth::LeastSquares { .. } | Smooth::Quadratic { .. } => 1.0,
            Smooth::Logistic { .. } if here => {
                let slope = self.slopes[row].abs();
                slope * (1.0 - slope)
            }
            Smooth::Logistic { .. } => self.problem.curvature(),
            Smooth::Softmax { labels, .. } if here => {
                let share = |class: usize| {
                    self.slopes[class * self.stride + row] + f64::from(u8::from(labels[row] == class))
                };
                share(one) * (same - share(other))
            }
            Smooth::Softmax { classes, .. } => self.problem.curvature() * (same - 1.0 / *classes as f64),
        }
    }

    /// `Hd` for the bound H of the Hessian and a change d of some coordinates.
    pub(super) fn bound_times(&mut self, block: &[usize], changes: &[f64]) -> Vec<f64> {
        let problem = self.problem;
        let trial = self.trial(block, changes);
        let mut product = vec![0.0; problem.dimension()];
        let rows = self.rows();
        match &problem.smooth {
            Smooth::Quadratic { .. } => product.copy_from_slice(&trial.images[..rows]),
            smooth => {
                let classes = problem.classes();
                let mut images = trial.images;
                if let Smooth::Softmax { .. } = smooth {
                    for row in 0..rows {
                        let mean = (0..classes).map(|class| images[class * rows + row]).sum::<f64>()
                            / classes as f64;
                        (0..classes).for_each(|class| images[class * rows + row] -= mean);
                    }
                }
                let mut products = vec![0.0; problem.features()];
                for class in 0..classes {
                    let images = &images[class * rows..(class + 1) * rows];
                    problem.columns.multiply(0..problem.features(), images, &mut products);
                    for (feature, value) in products.iter().enumerate() {
                        product[feature * classes + class] = problem.curvature() * value;
                    }
                }
                self.multiplications += (classes * problem.columns.entries()) as u64;
            }
        }
        for (&i, change) in block.iter().zip(changes) {
            product[i] += problem.ridge * change;
        }
        product
    }

    /// Whether every row is on its right side, so that longer weights are ever better and there is no minimum.
    pub(super) fn separates(&self) -> bool {
        match &self.problem.smooth {
            Smooth::Logistic { labels } => self.images.iter().zip(labels).all(|(z, y)| z * y > 0.0),
            Smooth::Softmax { labels, classes } => (0..self.rows()).all(|row| {
                let score = |class: usize| self.images[class * self.rows() + row];
                (0..*classes).all(|class| class == labels[row] || score(class) < score(labels[row]))
            }),
            _ => false,
        }
    }
}
