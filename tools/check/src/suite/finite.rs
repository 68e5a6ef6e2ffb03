//! `finite_check`.

use crate::rearrange::gather;
use crate::{Case, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;
use drdiff::ops::StepRow;

const EVALUATION: f32 = 7.0;
/// The report at the start of a run.
const START: [u32; 2] = [u32::MAX, 0];
const NOT_FINITE: [f32; 4] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN];
const NAMES: [&str; 5] = ["x0", "z", "lse", "entropy", "h"];

#[derive(Clone)]
struct Call {
    /// By the order of `NAMES`.
    tensors: [Tensor; 5],
    lengths: Vec<u32>,
}

impl Call {
    /// Finite numbers of a kind, the first sequence whole.
    fn new(g: &mut Gen, kind: Values) -> Self {
        let (batch, rows) = (1 + g.below(3), g.pick(&[2, 3, 31, 40]));
        let [embed_dim, dim] = [0, 1].map(|_| g.pick(&[1, 3, 63, 64, 65, 130]));
        let widths = [Some(embed_dim), Some(embed_dim), None, None, Some(dim)];
        let tensors = widths.map(|width| match width {
            Some(width) => g.values([batch, rows, width], kind),
            None => g.values([batch, rows], kind),
        });
        let lengths = (0..batch).map(|b| if b == 0 { rows } else { g.below(rows + 1) } as u32).collect();
        Self { tensors, lengths }
    }

    fn rows(&self) -> usize {
        self.tensors[2].desc().shape[1]
    }

    /// The same with a number that is not finite in tensor `which`, row `row` of sequence `b`, at an edge of the row.
    fn spoilt(mut self, g: &mut Gen, which: usize, b: usize, row: usize) -> Self {
        let (tensor, rows) = (&self.tensors[which], self.rows());
        let width = tensor.desc().len() / (self.lengths.len() * rows);
        let place = g.pick(&[0, 63, 64, width - 1]).min(width - 1);
        let mut values = tensor.as_f32().unwrap_or(&[]).to_vec();
        values[(b * rows + row) * width + place] = g.pick(&NOT_FINITE);
        self.tensors[which] = g.fill(tensor.desc().shape.clone(), values);
        self
    }

    fn arguments(&self, report: [u32; 2]) -> Arguments {
        let row = StepRow { evaluation: EVALUATION, ..StepRow::default() };
        let list = |list: &[u32]| Tensor::u32([list.len()], list.to_vec()).expect("a list");
        let step = Tensor::f32([StepRow::LEN], row.words()).expect("a row has as many words");
        let named = NAMES.into_iter().zip(&self.tensors);
        let arguments = named.fold(Arguments::new(), |arguments, (name, tensor)| arguments.with(name, tensor.clone()));
        arguments.with("lengths", list(&self.lengths)).with("step", step).with("report", list(&report))
    }

    fn sequences(&self, picks: &[usize]) -> Self {
        let tensors = self.tensors.clone().map(|tensor| gather(&tensor, 0, picks));
        Self { tensors, lengths: picks.iter().map(|&b| self.lengths[b]).collect() }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "x0 {:?} h {:?} lengths={:?}",
            self.tensors[0].desc().shape,
            self.tensors[4].desc().shape,
            self.lengths
        )
    }
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    let kinds = [Values::Normal(1e37), Values::Denormals, Values::Zeros, Values::Outliers];
    for i in 0..160 {
        let kind = kinds[i % kinds.len()];
        let call = Call::new(g, kind);
        let (which, b) = (i / kinds.len() % 5, g.below(call.lengths.len()));
        let (what, call) = match g.below(3) {
            0 => ("finite".to_owned(), call),
            _ => {
                // The first and the last row, and those at the end of a length, which padding follows.
                let end = call.lengths[b] as usize;
                let row = g.pick(&[0, end.saturating_sub(1), end, call.rows() - 1]).min(call.rows() - 1);
                (format!("{} of sequence {b}, row {row}", NAMES[which]), call.spoilt(g, which, b, row))
            }
        };
        let report = g.pick(&[START, [EVALUATION as u32, 5], [EVALUATION as u32 - 1, 2]]);
        cases.push(Case::new(format!("{kind}, {what}: {call} report={report:?}"), call.arguments(report)));
    }
    cases
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for i in 0..24 {
        let mut call = Call::new(g, Values::Normal(1.0));
        for _ in 0..4 {
            let (b, row) = (g.below(call.lengths.len()), g.below(call.rows()));
            call = call.spoilt(g, i % 5, b, row);
        }
        let (base, order) = (call.clone(), g.permutation(call.lengths.len()));
        laws.push(Relation::new(format!("sequences permuted: {call}"), move |calls| {
            let plain = calls.run(&base.arguments(START))?;
            Ok(vec![calls.run(&base.sequences(&order).arguments(START))?.same("report", plain.get("report")?)?])
        }));
        // One sequence after another continues from the report of those before.
        laws.push(Relation::new(format!("sequences one by one: {call}"), move |calls| {
            let all = calls.run(&call.arguments(START))?;
            let mut report = START;
            for b in 0..call.lengths.len() {
                let got = calls.run(&call.sequences(&[b]).arguments(report))?;
                report.copy_from_slice(got.get("report")?.words());
            }
            Ok(vec![all.same("report", &Tensor::u32([2], report.to_vec())?)?])
        }));
    }
    laws
}
