//! (C) What an accurate answer gives away: the reductions, then the tracing attacks.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_numerics::Stream;
use backstitch_statistics::continual_dp::{
    MaxMechanism, MaxParameters, MaxSum, Row, auc, marginals_by_reduction, reduction_horizon,
    selection_scores, selections_by_reduction, tracing_scores,
};

use super::{Configuration, key, maximum};

type Table = Vec<Vec<bool>>;

/// Column means by the reduction, traced.
pub(super) fn tracing(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let (rows, columns) = (configuration.tracing_rows, configuration.tracing_columns);
    let mut draws = Stream::new(cell.seed, "continual-dp study table");
    let population: Vec<f64> = (0..columns).map(|_| draws.uniform()).collect();
    let (members, others) = (table(rows, &population, &mut draws), table(rows, &population, &mut draws));
    let published = match cell.arm.as_str() {
        "maximum" => {
            let parameters = maximum(configuration.rho, columns, reduction_horizon(rows, columns));
            let mut keys = Stream::new(cell.seed, "continual-dp study keys tracing");
            let mut release = MaxSum::new(parameters, key(&mut keys)).map_err(CellError::new)?;
            marginals_by_reduction(&members, |row, _| release.push(row).map(|answer| answer.value))
                .map_err(CellError::new)?
        }
        "no-noise" => {
            let mut exact = Exact::new(columns);
            marginals_by_reduction::<CellError>(&members, |row, read| {
                exact.push(row);
                Ok(if read { exact.largest() as f64 } else { 0.0 })
            })?
        }
        _ => marginals_by_reduction::<CellError>(&members, |_, _| Ok(0.0))?,
    };
    let error: f64 = (0..columns)
        .map(|column| (published[column] - ones(&members, column) as f64 / rows as f64).abs())
        .sum();
    context.observe("accuracy", error / columns as f64);
    let scores = |rows: &[Vec<bool>]| tracing_scores(rows, &population, &published);
    context.observe("auc", auc(&scores(&members), &scores(&others)));
    Ok(())
}

/// A column from each of many groups by the reduction, traced.
pub(super) fn selecting(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let mut draws = Stream::new(cell.seed, "continual-dp study groups");
    let population = population(configuration.groups * configuration.group_columns, &mut draws);
    let rows = configuration.tracing_rows;
    let (members, others) = (table(rows, &population, &mut draws), table(rows, &population, &mut draws));
    let mut keys = Stream::new(cell.seed, "continual-dp study keys selecting");
    let selected = selections(cell, configuration, &members, &mut keys)?;
    context.observe("shortfall", shortfall(&members, configuration.group_columns, &selected));
    let scores = |rows: &[Vec<bool>]| selection_scores(rows, &population, &selected);
    context.observe("auc", auc(&scores(&members), &scores(&others)));
    Ok(())
}

/// One group in place of many; averaged over tables.
pub(super) fn selecting_once(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let mut draws = Stream::new(cell.seed, "continual-dp study single groups");
    let mut keys = Stream::new(cell.seed, "continual-dp study keys selecting once");
    let mut sum = 0.0;
    for _ in 0..configuration.once_runs {
        let population = population(configuration.group_columns, &mut draws);
        let members = table(configuration.tracing_rows, &population, &mut draws);
        let selected = selections(cell, configuration, &members, &mut keys)?;
        sum += shortfall(&members, configuration.group_columns, &selected);
    }
    context.observe("shortfall", sum / configuration.once_runs as f64);
    Ok(())
}

/// What an arm answers when the reduction reads it.
fn selections(
    cell: &Cell,
    configuration: &Configuration,
    members: &[Vec<bool>],
    keys: &mut Stream,
) -> Result<Vec<usize>, CellError> {
    let (rows, width) = (configuration.tracing_rows, configuration.group_columns);
    let columns = members.first().map_or(0, Vec::len);
    match cell.arm.as_str() {
        "selection" => {
            let parameters = MaxParameters {
                mechanism: MaxMechanism::Recompute,
                // The reduction reads after every 2n rows. No other interval spends less on what is not read, and an answer that is
                // older than its reading would be from the group before: useless to the reduction, but for no reason of privacy.
                interval: Some(2 * rows),
                select: true,
                ..maximum(configuration.rho, columns, reduction_horizon(rows, columns / width))
            };
            let mut release = MaxSum::new(parameters, key(keys)).map_err(CellError::new)?;
            selections_by_reduction(members, width, |row, _| {
                release.push(row).map(|answer| answer.value as usize)
            })
            .map_err(CellError::new)
        }
        "no-noise" => {
            let mut exact = Exact::new(columns);
            selections_by_reduction::<CellError>(members, width, |row, read| {
                exact.push(row);
                Ok(if read { exact.column_of_largest() } else { 0 })
            })
        }
        _ => {
            let mut group = 0;
            selections_by_reduction::<CellError>(members, width, |_, read| {
                group += usize::from(read);
                Ok(group.saturating_sub(1) * width)
            })
        }
    }
}

/// How far the answers' sums are below the largest, at the rows where the reduction reads them, in rows of the table on average.
fn shortfall(members: &[Vec<bool>], width: usize, selected: &[usize]) -> f64 {
    let columns = members.first().map_or(0, Vec::len);
    let sums: Vec<usize> = (0..columns).map(|column| ones(members, column)).collect();
    let rows = members.len();
    let short = |(group, &answer): (usize, &usize)| {
        // All columns are lifted alike by what came before, and this group by n more, so the largest is one of its own.
        let own = group * width..(group + 1) * width;
        let lifted = |column: usize| sums[column] + if own.contains(&column) { rows } else { 0 };
        let largest = own.clone().map(lifted).max().unwrap_or(0);
        (largest - lifted(answer)) as f64
    };
    selected.iter().enumerate().map(short).sum::<f64>() / (selected.len() * rows) as f64
}

/// Column means so far from one half that a group has columns worth finding, and so near that a column says something of its rows: the
/// medians of five uniform numbers, Beta(3, 3).
fn population(columns: usize, draws: &mut Stream) -> Vec<f64> {
    let mut median = || {
        let mut five: Vec<f64> = (0..5).map(|_| draws.uniform()).collect();
        five.sort_by(f64::total_cmp);
        five[2]
    };
    (0..columns).map(|_| median()).collect()
}

fn table(rows: usize, population: &[f64], draws: &mut Stream) -> Table {
    (0..rows).map(|_| population.iter().map(|&p| draws.uniform() < p).collect()).collect()
}

fn ones(table: &[Vec<bool>], column: usize) -> usize {
    table.iter().filter(|row| row[column]).count()
}

/// The running sums as they are.
struct Exact {
    /// Less what was added to all.
    sums: Vec<i64>,
    everywhere: i64,
}

impl Exact {
    fn new(columns: usize) -> Self {
        Self { sums: vec![0; columns], everywhere: 0 }
    }

    fn push(&mut self, row: Row<'_>) {
        match row {
            Row::Dense(entries) => {
                self.sums.iter_mut().zip(entries).for_each(|(sum, &one)| *sum += i64::from(one));
            }
            Row::Ones(ones) => ones.iter().for_each(|&column| self.sums[column] += 1),
            Row::Zeros(zeros) => {
                self.everywhere += 1;
                zeros.iter().for_each(|&column| self.sums[column] -= 1);
            }
        }
    }

    fn largest(&self) -> i64 {
        self.sums.iter().max().copied().unwrap_or(0) + self.everywhere
    }

    fn column_of_largest(&self) -> usize {
        (0..self.sums.len()).max_by_key(|&column| self.sums[column]).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortfall_counts_rows_below_the_largest_at_the_reading() {
        // Sums 0, 2, 1, 1 in groups of two.
        let members = vec![vec![false, true, true, false], vec![false, true, false, true]];
        assert_eq!(shortfall(&members, 2, &[1, 2]), 0.0);
        assert_eq!(shortfall(&members, 2, &[0, 3]), 0.5);
        // A column of the other group is not lifted: 2 + 2 against 1, and 1 + 2 against 2.
        assert_eq!(shortfall(&members, 2, &[2, 1]), (1.5 + 0.5) / 2.0);
    }
}
