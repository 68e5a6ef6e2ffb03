//! `bayes_query`, `segment_mean` and `solver_step`.

use drdiff_reference::solver::alpha_sigma;

use super::wide;
use crate::rearrange::{concat, gather, map};
use crate::{Case, Gen, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;
use drdiff::ops::StepRow;

fn step(row: &StepRow) -> Tensor {
    Tensor::f32([StepRow::LEN], row.words()).expect("a row has as many words")
}

// Bayes query.

#[derive(Clone)]
struct Bayes {
    z: Tensor,
    absorb: Tensor,
    row: StepRow,
}

impl Bayes {
    fn new(g: &mut Gen, [rows, dim]: [usize; 2], kind: Values, absorb: f32) -> Self {
        let gamma = g.pick(&[-9.0, -4.0, 0.0, 2.5, 9.0]);
        let (alpha, sigma) = alpha_sigma(gamma);
        let bayes_scale = (alpha / (sigma * sigma)) as f32;
        let row = StepRow {
            gamma: gamma as f32,
            alpha: alpha as f32,
            sigma: sigma as f32,
            bayes_scale,
            ..StepRow::default()
        };
        Self { z: g.values([rows, dim], kind), absorb: g.normal([dim], absorb), row }
    }

    fn arguments(&self) -> Arguments {
        let arguments = Arguments::new().with("z", self.z.clone()).with("absorb", self.absorb.clone());
        arguments.with("step", step(&self.row))
    }
}

pub(super) const KINDS: [Values; 8] = [
    Values::Normal(1e-25),
    Values::Normal(1e25),
    Values::Around(1e4),
    Values::Zeros,
    Values::Denormals,
    Values::Outliers,
    Values::ConstantRows,
    Values::MixedRows,
];

fn rows_and_dim(g: &mut Gen) -> [usize; 2] {
    [g.pick(&[1, 2, 3, 31, 64, 65]), g.pick(&[2, 3, 15, 16, 17, 32, 33])]
}

pub(super) fn bayes_values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..120 {
        let [rows, dim] = rows_and_dim(g);
        let kind = KINDS[i % KINDS.len()];
        // Up to 30 times as large as z, and as small as z where that is tiny.
        let absorb = if i % KINDS.len() == 0 { 1e-25 } else { g.pick(&[0.0, 0.2, 30.0]) };
        let call = Bayes::new(g, [rows, dim], kind, absorb);
        cases.push(Case::new(
            format!("{kind}, absorb {absorb}: rows={rows} dim={dim} gamma={}", call.row.gamma),
            call.arguments(),
        ));
    }
    cases
}

pub(super) fn bayes_relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..20 {
        let [rows, dim] = rows_and_dim(g);
        let base = Bayes::new(g, [rows, dim], Values::Normal(1.0), 0.5);
        let size = format!("rows={rows} dim={dim} gamma={}", base.row.gamma);
        let (call, order) = (base.clone(), g.permutation(rows));
        laws.push(Relation::new(format!("rows permuted: {size}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&Bayes { z: gather(&call.z, 0, &order), ..call.clone() }.arguments())?;
            Ok(vec![moved.same("query", &gather(plain.get("query")?, 0, &order))?])
        }));
        let (call, order) = (base.clone(), g.permutation(dim));
        laws.push(Relation::new(format!("dimensions permuted: {size}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let (z, absorb) = (gather(&call.z, 1, &order), gather(&call.absorb, 0, &order));
            let moved = calls.run(&Bayes { z, absorb, ..call.clone() }.arguments())?;
            Ok(vec![moved.same("query", &gather(plain.get("query")?, 1, &order))?])
        }));
        let (call, power) = (base.clone(), g.pick(&[-40, 3, 40]));
        laws.push(Relation::new(format!("times 2^{power}: {size}"), move |calls| {
            let scale = |x: &Tensor| map(x, |x| x * 2_f32.powi(power));
            let plain = calls.run(&call.arguments())?;
            let (z, absorb) = (scale(&call.z), scale(&call.absorb));
            let scaled = calls.run(&Bayes { z, absorb, ..call.clone() }.arguments())?;
            Ok(vec![scaled.same("query", &scale(plain.get("query")?))?])
        }));
        let call = base;
        laws.push(Relation::new(format!("nothing absorbs: {size}"), move |calls| {
            let absorb = map(&call.absorb, |_| 0.0);
            let got = calls.run(&Bayes { absorb, ..call.clone() }.arguments())?;
            let scale = f64::from(call.row.bayes_scale);
            Ok(vec![got.close("query", wide(&call.z).into_iter().map(|z| scale * z).collect())?])
        }));
    }
    laws
}

// Segment mean.

#[derive(Clone)]
struct Segments {
    x0: Tensor,
    lengths: Vec<u32>,
    anchors: usize,
}

impl Segments {
    fn new(g: &mut Gen, kind: Values) -> Self {
        let (batch, anchors, text) = (g.pick(&[1, 2, 3]), g.pick(&[1, 2, 5, 8]), g.pick(&[1, 2, 3, 4, 5, 8, 31, 100]));
        let dim = g.pick(&[2, 15, 16, 17, 33]);
        let rows = anchors + text;
        let length = |b: usize, g: &mut Gen| if b == 0 { rows } else { anchors + g.below(text + 1) } as u32;
        let lengths = (0..batch).map(|b| length(b, g)).collect();
        Self { x0: g.values([batch, rows, dim], kind), lengths, anchors }
    }

    fn arguments(&self) -> Arguments {
        let lengths = Tensor::u32([self.lengths.len()], self.lengths.clone()).expect("a list");
        Arguments::new().with("x0", self.x0.clone()).with("lengths", lengths).set("anchors", self.anchors)
    }

    fn sequences(&self, picks: &[usize]) -> Self {
        let lengths = picks.iter().map(|&b| self.lengths[b]).collect();
        Self { x0: gather(&self.x0, 0, picks), lengths, anchors: self.anchors }
    }
}

impl std::fmt::Display for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "x0 {:?} lengths {:?} anchors={}", self.x0.desc().shape, self.lengths, self.anchors)
    }
}

pub(super) fn segment_values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..154 {
        // Kinds whose every row has values that differ: a text may be one row.
        let kind = [
            Values::Normal(1e-25),
            Values::Normal(1e25),
            Values::Around(1e4),
            Values::Around(-30.0),
            Values::Denormals,
            Values::Outliers,
            Values::MixedRows,
        ][i % 7];
        let call = Segments::new(g, kind);
        cases.push(Case::new(format!("{kind}: {call}"), call.arguments()));
    }
    // One long segment, where a sum in one piece drifts.
    for kind in [Values::Normal(1.0), Values::Around(3.0), Values::Ulps] {
        for text in [1000, 8191] {
            let call = Segments { x0: g.values([1, 1 + text, 3], kind), lengths: vec![1 + text as u32], anchors: 1 };
            cases.push(Case::new(format!("{kind}, one long segment: {call}"), call.arguments()));
        }
    }
    cases
}

pub(super) fn segment_relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for _ in 0..22 {
        let base = Segments::new(g, Values::Normal(1.0));
        let shape = base.x0.desc().shape.clone();
        let (batch, rows, dim) = (shape[0], shape[1], shape[2]);
        let (call, order) = (base.clone(), g.permutation(batch));
        laws.push(Relation::new(format!("sequences permuted: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&call.sequences(&order).arguments())?;
            Ok(vec![moved.same("mean", &gather(plain.get("mean")?, 0, &order))?])
        }));
        let call = base.clone();
        laws.push(Relation::new(format!("the first sequence alone: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let alone = calls.run(&call.sequences(&[0]).arguments())?;
            Ok(vec![alone.same("mean", &gather(plain.get("mean")?, 0, &[0]))?])
        }));
        let (call, order) = (base.clone(), g.permutation(dim));
        laws.push(Relation::new(format!("dimensions permuted: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&Segments { x0: gather(&call.x0, 2, &order), ..call.clone() }.arguments())?;
            Ok(vec![moved.same("mean", &gather(plain.get("mean")?, 2, &order))?])
        }));
        // Anchor rows and padding are not text: NaN there must not show.
        let call = base.clone();
        laws.push(Relation::new(format!("NaN outside of the text: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let values = call.x0.as_f32().unwrap_or(&[]).iter().enumerate();
            let poisoned = values.map(|(at, &x)| {
                let (b, row) = (at / dim / rows, at / dim % rows);
                if row < call.anchors || row >= call.lengths[b] as usize { f32::NAN } else { x }
            });
            let x0 = Tensor::f32([batch, rows, dim], poisoned.collect())?;
            let got = calls.run(&Segments { x0, ..call.clone() }.arguments())?;
            Ok(vec![got.same("mean", plain.get("mean")?)?])
        }));
        // A row that holds one value in each dimension, everywhere: so do the means of segments that are not empty.
        let call = Segments { lengths: vec![rows as u32; batch], ..base.clone() };
        laws.push(Relation::new(format!("all rows alike: {base}"), move |calls| {
            let row = gather(&gather(&call.x0, 0, &[0]), 1, &[0]);
            let x0 = gather(&gather(&row, 1, &vec![0; rows]), 0, &vec![0; batch]);
            let got = calls.run(&Segments { x0, ..call.clone() }.arguments())?;
            let (text, anchors, row) = (rows - call.anchors, call.anchors, wide(&row));
            let filled = |s: usize| ((s + 1) * text).div_ceil(anchors) > (s * text).div_ceil(anchors);
            let segment = |s: usize| if filled(s) { row.clone() } else { vec![0.0; dim] };
            let want = (0..batch).flat_map(|_| (0..anchors).flat_map(segment).collect::<Vec<_>>());
            Ok(vec![got.close("mean", want.collect())?])
        }));
        let (call, power) = (base.clone(), g.pick(&[-60, 5, 60]));
        laws.push(Relation::new(format!("times 2^{power}: {base}"), move |calls| {
            let scale = |x: &Tensor| map(x, |x| x * 2_f32.powi(power));
            let plain = calls.run(&call.arguments())?;
            let scaled = calls.run(&Segments { x0: scale(&call.x0), ..call.clone() }.arguments())?;
            Ok(vec![scaled.same("mean", &scale(plain.get("mean")?))?])
        }));
    }
    laws
}

// Solver step.

#[derive(Clone)]
struct Step {
    z: Tensor,
    x0: Tensor,
    history: Tensor,
    prediction: Tensor,
    mean: Option<Tensor>,
    info: Tensor,
    absorb: Tensor,
    seeds: Tensor,
    row: StepRow,
    anchors: usize,
}

impl Step {
    fn new(g: &mut Gen, row: StepRow, kind: Values, absorb: f32) -> Self {
        let (batch, anchors, text) = (g.pick(&[1, 2, 3]), g.pick(&[0, 1, 4]), g.pick(&[2, 3, 15, 16, 17, 33]));
        let dim = g.pick(&[3, 4, 16, 17, 32]);
        let rows = anchors + text;
        let mut info = Vec::new();
        for _ in 0..batch {
            info.extend((0..anchors).map(|s| 2 + 4 * s as u32));
            // The first row of text is noisy, the second clean.
            let flag = |i: usize, g: &mut Gen| if i < 2 { i as u32 } else { g.below(2) as u32 };
            info.extend((0..text).map(|i| flag(i, g) + 4 * if anchors == 0 { 0 } else { i * anchors / text } as u32));
        }
        let mut tensor = || g.values([batch, rows, dim], kind);
        let [z, x0, history, prediction] = std::array::from_fn(|_| tensor());
        Self {
            z,
            x0,
            history,
            prediction,
            mean: (anchors > 0).then(|| g.values([batch, anchors, dim], kind)),
            info: Tensor::u32([batch, rows], info).expect("one word a row"),
            absorb: g.normal([dim], absorb),
            seeds: g.words([batch, 2]),
            row: StepRow { omega: if anchors == 0 { 0.0 } else { row.omega }, ..row },
            anchors,
        }
    }

    fn arguments(&self) -> Arguments {
        let arguments = Arguments::new()
            .with("z", self.z.clone())
            .with("x0", self.x0.clone())
            .with("history", self.history.clone())
            .with("prediction", self.prediction.clone())
            .with("info", self.info.clone())
            .with("absorb", self.absorb.clone())
            .with("seeds", self.seeds.clone())
            .with("step", step(&self.row))
            .set("anchors", self.anchors);
        match &self.mean {
            Some(mean) => arguments.with("mean", mean.clone()),
            None => arguments,
        }
    }

    /// Every tensor of rows, and the mean, through `of`.
    fn each(&self, of: impl Fn(&Tensor) -> Tensor) -> Self {
        let [z, x0, history, prediction] = [&self.z, &self.x0, &self.history, &self.prediction].map(&of);
        Self { z, x0, history, prediction, mean: self.mean.as_ref().map(of), ..self.clone() }
    }

    fn sequences(&self, picks: &[usize]) -> Self {
        let pick = |tensor: &Tensor| gather(tensor, 0, picks);
        Self { info: pick(&self.info), seeds: pick(&self.seeds), ..self.each(pick) }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let StepRow { omega, refresh, c_noise, .. } = self.row;
        let shape = &self.z.desc().shape;
        write!(f, "z {shape:?} anchors={} omega={omega} refresh={refresh} c_noise={c_noise}", self.anchors)
    }
}

fn rows() -> [StepRow; 6] {
    let dpm = StepRow { c_x: 0.8, c_x0: 0.25, c_prev: -0.06, ..StepRow::default() };
    [
        dpm,
        StepRow { c_x0: 1.3, c_prev: -0.3, ..StepRow::default() },
        StepRow { refresh: 1.0, ..dpm },
        StepRow { omega: 0.7, ..dpm },
        StepRow { omega: 0.4, refresh: 1.0, c_noise: 0.3, stream: 16_777_215.0, ..dpm },
        StepRow { c_x: 0.7, c_x0: 0.2, c_noise: 0.5, stream: 3.0, ..StepRow::default() },
    ]
}

pub(super) fn step_values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    for i in 0..192 {
        let kind = KINDS[i % KINDS.len()];
        let row = rows()[i / KINDS.len() % 6];
        // Up to 30 times as large as the states, and as small where they are tiny.
        let (absorb, c_noise) = match i % KINDS.len() {
            0 => (1e-25, 0.0),
            _ => (g.pick(&[0.0, 0.3, 30.0]), row.c_noise),
        };
        let call = Step::new(g, StepRow { c_noise, ..row }, kind, absorb);
        cases.push(Case::new(format!("{kind}, absorb {absorb}: {call}"), call.arguments()));
    }
    cases
}

pub(super) fn step_relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for i in 0..24 {
        let base = Step::new(g, rows()[i % 6], Values::Normal(1.0), 0.3);
        let shape = base.z.desc().shape.clone();
        let (batch, dim) = (shape[0], shape[2]);
        let (call, order) = (base.clone(), g.permutation(batch));
        laws.push(Relation::new(format!("sequences permuted: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let moved = calls.run(&call.sequences(&order).arguments())?;
            let want = |name| Ok::<_, drdiff::Error>(gather(plain.get(name)?, 0, &order));
            Ok(vec![moved.same("z", &want("z")?)?, moved.same("history", &want("history")?)?])
        }));
        let (call, one) = (base.clone(), g.below(batch));
        laws.push(Relation::new(format!("sequence {one} alone: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let alone = calls.run(&call.sequences(&[one]).arguments())?;
            let want = |name| Ok::<_, drdiff::Error>(gather(plain.get(name)?, 0, &[one]));
            Ok(vec![alone.same("z", &want("z")?)?, alone.same("history", &want("history")?)?])
        }));
        let (call, order) = (base.clone(), g.permutation(dim));
        laws.push(Relation::new(format!("dimensions permuted: {base}"), move |calls| {
            // Noise goes by the place of an element.
            let call = Step { row: StepRow { c_noise: 0.0, ..call.row }, ..call.clone() };
            let plain = calls.run(&call.arguments())?;
            let moved = Step { absorb: gather(&call.absorb, 0, &order), ..call.each(|x| gather(x, 2, &order)) };
            let moved = calls.run(&moved.arguments())?;
            let want = |name| Ok::<_, drdiff::Error>(gather(plain.get(name)?, 2, &order));
            Ok(vec![moved.same("z", &want("z")?)?, moved.same("history", &want("history")?)?])
        }));
        let (call, power) = (base.clone(), g.pick(&[-40, 4, 40]));
        laws.push(Relation::new(format!("times 2^{power}: {base}"), move |calls| {
            let scale = |x: &Tensor| map(x, |x| x * 2_f32.powi(power));
            let call = Step { row: StepRow { c_noise: 0.0, ..call.row }, ..call.clone() };
            let plain = calls.run(&call.arguments())?;
            let scaled = calls.run(&Step { absorb: scale(&call.absorb), ..call.each(scale) }.arguments())?;
            Ok(vec![scaled.same("z", &scale(plain.get("z")?))?, scaled.same("history", &scale(plain.get("history")?))?])
        }));
        // What a step does not read may be NaN.
        let call = base.clone();
        laws.push(Relation::new(format!("NaN where nothing is read: {base}"), move |calls| {
            let plain = calls.run(&call.arguments())?;
            let nan = |x: &Tensor| map(x, |_| f32::NAN);
            let mut poisoned = call.clone();
            if call.row.refresh == 0.0 {
                poisoned.prediction = nan(&call.prediction);
            } else {
                let rows = call.z.desc().shape[1];
                let (anchors, text): (Vec<_>, Vec<_>) = (0..rows).partition(|&row| row < call.anchors);
                let part = gather(&call.prediction, 1, &text);
                poisoned.prediction = concat(&[&gather(&call.prediction, 1, &anchors), &nan(&part)], 1);
            }
            if call.row.omega == 0.0 {
                poisoned.mean = call.mean.as_ref().map(nan);
            }
            let got = calls.run(&poisoned.arguments())?;
            Ok(vec![got.same("z", plain.get("z")?)?, got.same("history", plain.get("history")?)?])
        }));
        let call = base.clone();
        laws.push(Relation::new(format!("coefficients that keep z: {base}"), move |calls| {
            let row = StepRow { c_x: 1.0, ..StepRow::default() };
            let absorb = map(&call.absorb, |_| 0.0);
            let got = calls.run(&Step { row, absorb, ..call.clone() }.arguments())?;
            Ok(vec![got.same("z", &call.z)?, got.same("history", &call.x0)?])
        }));
        // Guidance towards what is already the mean is none.
        let call = Step { row: StepRow { omega: 0.9, refresh: 0.0, ..base.row }, ..base };
        if call.anchors > 0 {
            laws.push(Relation::new(format!("guided to where it is: {call}"), move |calls| {
                let states = gather(&call.z, 1, &(0..call.anchors).collect::<Vec<_>>());
                let plain = calls.run(&Step { row: StepRow { omega: 0.0, ..call.row }, ..call.clone() }.arguments())?;
                let guided = calls.run(&Step { mean: Some(states), ..call.clone() }.arguments())?;
                let claim = |name| guided.same(name, plain.get(name)?);
                Ok(vec![claim("z")?, claim("history")?])
            }));
        }
    }
    laws
}
