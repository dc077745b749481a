//! Matrix products on checked strided views.

use gemm::Parallelism;

use crate::real::Real;

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Real> View<'a, T> {
    /// Rows of `columns` values, `stride` apart, beginning at `start`.
    pub(crate) fn rows(data: &'a [T], start: usize, [rows, columns]: [usize; 2], stride: usize) -> Self {
        Self {
            data: data.get(start..).unwrap_or_default(),
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
        .checked()
    }

    /// A contiguous matrix.
    pub(crate) fn whole(data: &'a [T], shape: [usize; 2]) -> Self {
        Self::rows(data, 0, shape, shape[1])
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn checked(self) -> Self {
        let end = extent(self.rows, self.columns, self.row_stride, self.column_stride);
        assert!(end <= self.data.len(), "a matrix that ends at {end} of {}", self.data.len());
        self
    }
}

/// A matrix to write, rows `stride` apart.
pub(crate) struct ViewMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a, T: Real> ViewMut<'a, T> {
    pub(crate) fn rows(data: &'a mut [T], start: usize, [rows, columns]: [usize; 2], stride: usize) -> Self {
        let data = data.get_mut(start..).unwrap_or_default();
        let end = extent(rows, columns, stride, 1);
        assert!(
            end <= data.len() && columns <= stride.max(columns * usize::from(rows < 2)),
            "a matrix that does not fit"
        );
        Self { data, rows, columns, stride }
    }

    pub(crate) fn whole(data: &'a mut [T], shape: [usize; 2]) -> Self {
        Self::rows(data, 0, shape, shape[1])
    }
}

fn extent(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + (columns - 1) * column_stride + 1 }
}

/// Products smaller than this stay on one core.
const PARALLEL: usize = 1 << 18;

/// `out ← α · a b`, plus what `out` held if `add`.
pub(crate) fn product<T: Real>(
    out: ViewMut<'_, T>,
    add: bool,
    alpha: T,
    a: View<'_, T>,
    b: View<'_, T>,
    parallel: bool,
) {
    assert!(
        a.rows == out.rows && b.columns == out.columns && a.columns == b.rows,
        "shapes of a matrix product"
    );
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers; every view was checked against its slice when it was made"
    )]
    // SAFETY: all of `out` lies inside its slice, which is borrowed mutably, and its rows do not overlap.
    unsafe {
        multiply(out.data.as_mut_ptr(), out.stride, add, alpha, a, b, parallel);
    }
}

/// `a b`, in memory that is not cleared before.
pub(crate) fn product_of<T: Real>(a: View<'_, T>, b: View<'_, T>, parallel: bool) -> Vec<T> {
    assert!(a.columns == b.rows, "shapes of a matrix product");
    let size = a.rows * b.columns;
    if a.columns == 0 {
        return vec![T::ZERO; size];
    }
    let mut out: Vec<T> = Vec::with_capacity(size);
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers, and clearing what it writes takes a share of a training step"
    )]
    // SAFETY: there is room for `size` values, rows of `b.columns` one after the other; all are written, because `a` and `b` are not
    // empty along what is summed, and none is read before.
    unsafe {
        multiply(out.as_mut_ptr(), b.columns, false, T::ONE, a, b, parallel);
        out.set_len(size);
    }
    out
}

/// Writes the product, or adds it, to rows `stride` apart.
///
/// # Safety
/// `out` points to `a.rows` rows of `b.columns` values that nothing else refers to and that do not overlap; they have values already if
/// `add` is set.
#[expect(unsafe_code, reason = "gemm takes pointers")]
unsafe fn multiply<T: Real>(
    out: *mut T,
    out_stride: usize,
    add: bool,
    alpha: T,
    a: View<'_, T>,
    b: View<'_, T>,
    parallel: bool,
) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    let stride = |stride: usize| isize::try_from(stride).unwrap_or(isize::MAX);
    let threads = if parallel && m * n * k > PARALLEL { Parallelism::Rayon(0) } else { Parallelism::None };
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: the extents of `a` and `b` lie inside their slices, that of `out` is the caller's word, and gemm does not read `out`
    // unless `add` is set.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            stride(out_stride),
            add,
            a.data.as_ptr(),
            stride(a.column_stride),
            stride(a.row_stride),
            b.data.as_ptr(),
            stride(b.column_stride),
            stride(b.row_stride),
            T::ONE,
            alpha,
            false,
            false,
            false,
            threads,
        );
    }
}
