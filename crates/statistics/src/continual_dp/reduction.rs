//! Why the maximum is hard: a mechanism for it answers all column means of a table, and those give the rows away.

use super::max_sum::Row;

/// Rows that [`marginals_by_reduction`] sends: n(2d + 1).
pub fn reduction_horizon(rows: usize, columns: usize) -> usize {
    rows * (2 * columns + 1)
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
            mechanism(Row::AllBut(column), false)?;
        }
    }
    Ok(means)
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
