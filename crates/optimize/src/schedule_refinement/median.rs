//! The sliding median, in the time that it takes to sort every block of one window.
//!
//! Blocks of the window's length are sorted. While the window slides from one block into the next, it loses the elements of the first
//! and gains those of the second in their order. Each of the two is a linked list in sorted order; elements of the second are taken
//! out in advance, last first, so that putting one back is one step. A mark in each list divides what is below the median from the
//! rest, and moves by at most one place per slide (J. Suomela: *Median Filtering is Equivalent to Sorting*, arXiv 1406.1717).

use rayon::prelude::*;

use crate::Error;

/// Fewest elements of a task: less is not worth a thread.
const GRAIN: usize = 1 << 14;

/// The median of every window of odd length around a value. Before the first value the first one is repeated; after the last one the
/// values are reflected without repeating it (`a b c | b a`), so that the end of the series decides its own last medians.
///
/// # Errors
/// [`Error::Parameter`] for a window that is even or longer than what reflection fills, [`Error::NotFinite`] for NaN.
pub fn median_filter(values: &[f64], window: usize) -> Result<Vec<f64>, Error> {
    let half = window / 2;
    if window.is_multiple_of(2) || half >= values.len() {
        let allowed = format!("odd and less than twice the {} values", values.len());
        return Err(Error::parameter("window", window, allowed, "use a tenth of the values"));
    }
    if let Some(row) = values.iter().position(|value| value.is_nan()) {
        return Err(Error::NotFinite { what: "the value", row, value: values[row] });
    }
    if window == 1 {
        return Ok(values.to_vec());
    }
    let padded = padded(values, half);
    let (sorted, ranks) = sorted_blocks(&padded, window);
    let mut medians = vec![0.0; values.len()];
    let slide = |lists: &mut [List; 2], (block, medians): (usize, &mut [f64])| {
        let part = |number: usize| {
            let begin = (number * window).min(padded.len());
            let end = (begin + window).min(padded.len());
            (&sorted[begin..end], &ranks[begin..end])
        };
        slide(lists, part(block), part(block + 1), medians);
    };
    medians
        .par_chunks_mut(window)
        .enumerate()
        .with_min_len((GRAIN / window).max(1))
        .for_each_init(Default::default, slide);
    Ok(medians)
}

fn padded(values: &[f64], half: usize) -> Vec<f64> {
    let reflected = values.iter().rev().skip(1).take(half);
    std::iter::repeat_n(&values[0], half).chain(values).chain(reflected).copied().collect()
}

/// Every block of the window's length in ascending order, and the place of each element there.
fn sorted_blocks(padded: &[f64], window: usize) -> (Vec<f64>, Vec<u32>) {
    let mut sorted = vec![0.0; padded.len()];
    let mut ranks = vec![0; padded.len()];
    let sort = |pairs: &mut Vec<(f64, u32)>, ((block, sorted), ranks): ((&[f64], &mut [f64]), &mut [u32])| {
        pairs.clear();
        pairs.extend(block.iter().copied().zip(0..));
        // No value is NaN, and equal ones may stand in any order: their medians are equal.
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        for ((value, place), (into, rank)) in pairs.iter().zip(sorted.iter_mut().zip(0..)) {
            *into = *value;
            ranks[*place as usize] = rank;
        }
    };
    padded
        .par_chunks(window)
        .zip(sorted.par_chunks_mut(window))
        .zip(ranks.par_chunks_mut(window))
        .with_min_len((GRAIN / window).max(1))
        .for_each_init(Vec::new, sort);
    (sorted, ranks)
}

/// The medians of the windows that begin in the first block.
fn slide(
    [leaving, entering]: &mut [List; 2],
    (first, first_ranks): (&[f64], &[u32]),
    (second, second_ranks): (&[f64], &[u32]),
    medians: &mut [f64],
) {
    let half = first.len() / 2;
    leaving.fill(first.len());
    leaving.mark_at(half);
    entering.fill(second.len());
    for rank in second_ranks.iter().rev() {
        entering.unlink(*rank);
    }
    entering.mark_at_end();
    // Past its last element a block has nothing that could be the median.
    let at = |block: &[f64], mark: u32| block.get(mark as usize).copied().unwrap_or(f64::INFINITY);
    medians[0] = at(first, leaving.mark);
    for (median, (out, back)) in medians[1..].iter_mut().zip(first_ranks.iter().zip(second_ranks)) {
        leaving.remove(*out);
        entering.restore(*back);
        if leaving.below + entering.below < half {
            // Where one is at its end, the other is not.
            let first_is_less = at(first, leaving.mark) <= at(second, entering.mark);
            let take_first = entering.is_at_end() || (first_is_less && !leaving.is_at_end());
            if take_first { leaving.advance() } else { entering.advance() }
        }
        *median = at(first, leaving.mark).min(at(second, entering.mark));
    }
}

/// The elements of a block that are in the window, by rank, with a mark: `below` of them come before it.
#[derive(Default)]
struct List {
    /// Neighbours of every rank and, last, of the end: ranks that are out keep theirs.
    before: Vec<u32>,
    after: Vec<u32>,
    mark: u32,
    below: usize,
}

impl List {
    /// All ranks, each beside the next; the end closes the circle.
    fn fill(&mut self, length: usize) {
        // Windows are shorter than the steps of a schedule.
        let end = length as u32;
        self.before.clear();
        self.before.push(end);
        self.before.extend(0..end);
        self.after.clear();
        self.after.extend(1..=end);
        self.after.push(0);
    }

    fn end(&self) -> u32 {
        self.after.len() as u32 - 1
    }

    fn is_at_end(&self) -> bool {
        self.mark == self.end()
    }

    /// In a full list.
    fn mark_at(&mut self, rank: usize) {
        (self.mark, self.below) = (rank as u32, rank);
    }

    /// In an empty one.
    fn mark_at_end(&mut self) {
        (self.mark, self.below) = (self.end(), 0);
    }

    fn unlink(&mut self, rank: u32) {
        let (before, after) = (self.before[rank as usize], self.after[rank as usize]);
        self.after[before as usize] = after;
        self.before[after as usize] = before;
    }

    /// Takes an element out; one fewer is below the mark, if any was.
    fn remove(&mut self, rank: u32) {
        self.unlink(rank);
        if rank < self.mark {
            self.below -= 1;
            return;
        }
        if rank == self.mark {
            self.mark = self.after[rank as usize];
        }
        if self.below > 0 {
            self.mark = self.before[self.mark as usize];
            self.below -= 1;
        }
    }

    /// Puts the element back that was unlinked last; as many as before are below the mark.
    fn restore(&mut self, rank: u32) {
        let (before, after) = (self.before[rank as usize], self.after[rank as usize]);
        self.after[before as usize] = rank;
        self.before[after as usize] = rank;
        if rank < self.mark {
            self.mark = self.before[self.mark as usize];
        }
    }

    fn advance(&mut self) {
        self.mark = self.after[self.mark as usize];
        self.below += 1;
    }
}
