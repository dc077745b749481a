//! Why the maximum is hard: a mechanism for it answers all column means of a table, and those give the rows away. So does a
//! mechanism for the column that has it, which selects a column from each of many groups.

use super::max_sum::Row;

/// Rows that [`marginals_by_reduction`] sends for so many columns, and [`selections_by_reduction`] for so many groups g: n(2g + 1).
pub fn reduction_horizon(rows: usize, groups: usize) -> usize {
    rows * (2 * groups + 1)
}

/// All column means of a 0/1 table (n rows, d columns each) from a mechanism for the running maximum.
///
/// The rows are sent first. For each column j follow n rows with a 1 in j alone, after which the maximum is the sum of column j
/// plus n·j, and n rows with a 0 in j alone, which lift the others to the same height. `mechanism` takes a row, is told whether
/// its answer is read, and returns the answer. An answer off by α gives means off by α/n.
pub fn marginals_by_reduction<E>(
    table: &[Vec<bool>],
    mut mechanism: impl FnMut(Row<'_>, bool) -> Result<f64, E>,
) -> Result<Vec<f64>, E> {
    let rows = table.len();
    let columns = table.first().map_or(0, Vec::len);
    for row in table {
        mechanism(Row::Dense(row), false)?;
    }
    let mut means = Vec::with_capacity(columns);
    for column in 0..columns {
        let mut answer = 0.0;
        for sent in 1..=rows {
            answer = mechanism(Row::Ones(&[column]), sent == rows)?;
        }
        // Before: all columns lifted by n·j. Now column j has n more, so it is the largest whatever the table.
        means.push(answer / rows as f64 - (column + 1) as f64);
        for _ in 0..rows {
            mechanism(Row::Zeros(&[column]), false)?;
        }
    }
    Ok(means)
}

/// A column from each group of `width` neighbouring columns of a 0/1 table (n rows), from a mechanism for the column that has the
/// largest sum.
///
/// As [`marginals_by_reduction`], with a group in place of a column: after n rows with a 1 in the whole group no other column has a
/// larger sum than one of its columns, so that what is read is a selection from this group; n rows with a 0 in the group then
/// lift the others to the same height. Group g (from 0) is read after row `2n(g + 1)`. The answers are returned as they are: those
/// of a mechanism that is off by n or more may be from another group.
pub fn selections_by_reduction<E>(
    table: &[Vec<bool>],
    width: usize,
    mut mechanism: impl FnMut(Row<'_>, bool) -> Result<usize, E>,
) -> Result<Vec<usize>, E> {
    let rows = table.len();
    let columns: Vec<usize> = (0..table.first().map_or(0, Vec::len)).collect();
    for row in table {
        mechanism(Row::Dense(row), false)?;
    }
    let mut selected = Vec::new();
    for group in columns.chunks(width.max(1)) {
        let mut answer = 0;
        for sent in 1..=rows {
            answer = mechanism(Row::Ones(group), sent == rows)?;
        }
        selected.push(answer);
        for _ in 0..rows {
            mechanism(Row::Zeros(group), false)?;
        }
    }
    Ok(selected)
}

/// The tracing score of each row x against selected columns: the sum of `x − p` over them, `p` the columns' means in the population. A
/// column that was selected because the members have a 1 there is larger in the members than in others.
///
/// # Panics
/// If a selected column is beyond the rows or the population.
pub fn selection_scores(rows: &[Vec<bool>], population: &[f64], selected: &[usize]) -> Vec<f64> {
    let excess = |row: &Vec<bool>, column: usize| f64::from(u8::from(row[column])) - population[column];
    rows.iter().map(|row| selected.iter().map(|&column| excess(row, column)).sum()).collect()
}

/// The tracing score `⟨x − p, m − p⟩` of each row x, `p` the columns' means in the population and `m` the published ones: large
/// for rows that were in the table.
pub fn tracing_scores(rows: &[Vec<bool>], population: &[f64], published: &[f64]) -> Vec<f64> {
    let score = |row: &Vec<bool>| {
        let term = |((&one, p), m): ((&bool, &f64), &f64)| (f64::from(u8::from(one)) - p) * (m - p);
        row.iter().zip(population).zip(published).map(term).sum()
    };
    rows.iter().map(score).collect()
}

/// The share of pairs in which the member scores higher, ties counted half.
pub fn auc(members: &[f64], others: &[f64]) -> f64 {
    let mut wins = 0.0;
    for member in members {
        for other in others {
            wins += match member.total_cmp(other) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    wins / (members.len() * others.len()) as f64
}
