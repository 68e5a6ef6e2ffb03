//! What tells a run whose numbers have overflowed.

/// How many rows hold a value that is NaN or infinite in any of `values`, each with as many values for every row; of
/// each sequence of `rows` rows the first `lengths` count.
pub fn rows_not_finite(values: &[&[f64]], lengths: &[u32], rows: usize) -> u32 {
    let count = lengths.len() * rows;
    let finite = |row: usize| {
        values.iter().all(|values| {
            let width = values.len() / count;
            values[row * width..(row + 1) * width].iter().all(|x| x.is_finite())
        })
    };
    (0..count).filter(|&row| ((row % rows) as u32) < lengths[row / rows] && !finite(row)).count() as u32
}

/// Takes `rows` rows of evaluation `evaluation` into `report`, `[first evaluation with any, rows of it]`; evaluations
/// come in rising order.
pub fn report_not_finite(report: &mut [u32], evaluation: u32, rows: u32) {
    if rows > 0 && report[0] >= evaluation {
        report[0] = evaluation;
        report[1] += rows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_once_and_padding_never() {
        let one = [0.0, f64::NAN, 0.0, f64::INFINITY, 0.0, f64::NAN];
        let two = [0.0, 0.0, f64::NAN, 0.0, 0.0, 0.0, 0.0, f64::NEG_INFINITY, 1e300, 0.0, 0.0, 0.0];
        // Rows 1 and 3 of both; row 5 is padding.
        assert_eq!(rows_not_finite(&[&one, &two], &[3, 2], 3), 2);
        assert_eq!(rows_not_finite(&[&two], &[3, 1], 3), 2);
    }

    #[test]
    fn the_first_evaluation_is_kept() {
        let mut report = [u32::MAX, 0];
        report_not_finite(&mut report, 1, 0);
        assert_eq!(report, [u32::MAX, 0]);
        report_not_finite(&mut report, 2, 5);
        report_not_finite(&mut report, 3, 9);
        assert_eq!(report, [2, 5]);
    }
}
