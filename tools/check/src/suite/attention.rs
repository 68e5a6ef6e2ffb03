//! `attention`.

use drdiff_reference::attention::{Pattern, sees};

use super::{plus, wide};
use crate::rearrange::{concat, gather, map, zip};
use crate::{Calls, Case, Claim, Gen, Outputs, Relation, Values};
use drdiff::Tensor;
use drdiff::op::Arguments;

const ROWS: [usize; 10] = [2, 3, 31, 32, 33, 40, 63, 64, 65, 97];
const HEAD_DIMS: [usize; 10] = [1, 2, 3, 8, 16, 31, 32, 33, 64, 65];
/// Window and dilations.
const PATTERNS: [(usize, &str); 9] = [
    (0, ""),
    (3, ""),
    (33, ""),
    (0, "1:3"),
    (2, "8:2"),
    (1, "3:2,5:3,9:2"),
    (4, "4:9,2:5"),
    (1, "31:2,32:2,33:1"),
    (0, "16:4"),
];

#[derive(Clone)]
struct Call {
    /// `[B, N, H, Dh]`.
    q: Tensor,
    /// `[B, N, Hkv, Dh]`.
    k: Tensor,
    v: Tensor,
    lengths: Option<Vec<u32>>,
    globals: Vec<u32>,
    /// None is dense.
    pattern: Option<(usize, String)>,
    scale: f32,
    causal: bool,
}

impl Call {
    fn of(g: &mut Gen, [b, n, h, d]: [usize; 4], kind: Values) -> Self {
        let [q, k, v] = [kind, kind, Values::Normal(1.0)].map(|kind| g.values([b, n, h, d], kind));
        let scale = (d as f32).sqrt().recip();
        Self { q, k, v, lengths: None, globals: Vec::new(), pattern: None, scale, causal: false }
    }

    /// A call of random sizes at the edges of tiles.
    fn new(g: &mut Gen, kind: Values) -> Self {
        let [b, n, h, d] = [g.pick(&[1, 2]), g.pick(&ROWS), g.pick(&[2, 3, 4]), g.pick(&HEAD_DIMS)];
        Self::of(g, [b, n, h, d], kind)
    }

    fn sizes(&self) -> [usize; 4] {
        self.q.desc().shape.clone().try_into().expect("q has four dimensions")
    }

    /// The same with a sparse pattern and perhaps globals.
    fn sparse(mut self, g: &mut Gen) -> Self {
        let n = self.sizes()[1];
        let (window, dilations) = g.pick(&PATTERNS);
        self.pattern = Some((window, dilations.to_owned()));
        let count = g.pick(&[0, 1, 3, 35]).min(n);
        let mut globals: Vec<u32> = g.permutation(n)[..count].iter().map(|&i| i as u32).collect();
        globals.sort_unstable();
        self.globals = globals;
        self
    }

    /// Dense, or sparse three times in four; causal in two of five.
    fn mixed(self, g: &mut Gen) -> Self {
        let causal = g.below(5) < 2;
        let call = if g.below(4) == 0 { self } else { self.sparse(g) };
        Self { causal, ..call }
    }

    /// With the first so many of its key heads alone.
    fn grouped(&self, key_heads: usize) -> Self {
        let heads: Vec<usize> = (0..key_heads).collect();
        Self { k: gather(&self.k, 2, &heads), v: gather(&self.v, 2, &heads), ..self.clone() }
    }

    /// The first sequence whole, the others shorter.
    fn ragged(mut self, g: &mut Gen) -> Self {
        let [b, n, ..] = self.sizes();
        self.lengths = Some((0..b).map(|b| if b == 0 { n } else { 1 + g.below(n) } as u32).collect());
        self
    }

    fn length(&self, b: usize) -> usize {
        self.lengths.as_ref().map_or(self.sizes()[1], |lengths| lengths[b] as usize)
    }

    fn arguments(&self) -> Arguments {
        let list = |list: &Vec<u32>| Tensor::u32([list.len()], list.clone()).expect("a list");
        let mut arguments = Arguments::new()
            .with("q", self.q.clone())
            .with("k", self.k.clone())
            .with("v", self.v.clone())
            .set("scale", format!("{:e}", self.scale))
            .set("causal", self.causal);
        if !self.globals.is_empty() {
            arguments = arguments.with("globals", list(&self.globals));
        }
        if let Some(lengths) = &self.lengths {
            arguments = arguments.with("lengths", list(lengths));
        }
        match &self.pattern {
            None => arguments,
            Some((window, dilations)) => {
                arguments.set("pattern", "hsa").set("window", window).set("dilations", dilations)
            }
        }
    }

    /// q, k and v through `of`.
    fn each(&self, of: impl Fn(&Tensor) -> Tensor) -> Self {
        let [q, k, v] = [&self.q, &self.k, &self.v].map(of);
        Self { q, k, v, ..self.clone() }
    }

    fn sequences(&self, picks: &[usize]) -> Self {
        let lengths = self.lengths.as_ref().map(|lengths| picks.iter().map(|&b| lengths[b]).collect());
        Self { lengths, ..self.each(|x| gather(x, 0, picks)) }
    }

    fn sees(&self, i: usize, j: usize) -> bool {
        let (dense, window, dilations) = match &self.pattern {
            None => (true, 0, Vec::new()),
            Some((window, dilations)) => {
                let pair = |pair: &str| {
                    let (r, k) = pair.split_once(':').expect("r:k");
                    (r.parse().expect("a number"), k.parse().expect("a number"))
                };
                (false, *window, dilations.split(',').filter(|pair| !pair.is_empty()).map(pair).collect())
            }
        };
        sees(&Pattern { dense, window, dilations, causal: self.causal }, &self.globals, i, j)
    }

    /// With scores that are whole numbers around `common`, exactly so in f32: q and k hold whole numbers, and the first
    /// dimension 1 and `common`.
    fn whole(g: &mut Gen, common: f32) -> Self {
        let mut call = Self::new(g, Values::Whole);
        let d = call.sizes()[3];
        let first = |x: &Tensor, value: f32| {
            let values = x.as_f32().unwrap_or(&[]).iter().enumerate();
            let values = values.map(|(at, &x)| if at % d == 0 { value } else { x });
            Tensor::f32(x.desc().shape.clone(), values.collect()).expect("the same shape")
        };
        // Small differences alone, so that more than one key counts.
        let small = |x: &Tensor| map(x, |x| if x.abs() > 3.0 { x / 4.0 } else { 0.0 });
        call.q = first(&small(&call.q), 1.0);
        call.k = first(&small(&call.k), common);
        call.scale = 1.0;
        call
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "q {:?}", self.sizes())?;
        match &self.pattern {
            None => write!(f, " dense")?,
            Some((window, dilations)) => {
                write!(f, " window={window} dilations={dilations} globals={:?}", self.globals)?;
            }
        }
        if self.causal {
            write!(f, " causal")?;
        }
        match &self.lengths {
            None => Ok(()),
            Some(lengths) => write!(f, " lengths={lengths:?}"),
        }
    }
}

pub(super) fn values(g: &mut Gen) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |what: String, call: Call| cases.push(Case::new(format!("{what}: {call}"), call.arguments()));
    // Large scores with differences that f32 holds: as good as small ones.
    for i in 0..200 {
        let common = [64.0, 4096.0, -4096.0, 1e6, -1e6, 4e6, -4e6, 0.0][i % 8];
        let call = Call::whole(g, common).mixed(g);
        let call = if i % 3 == 0 { call.ragged(g) } else { call };
        // Heads of one width, one score and one v would all be the same.
        let call = if i % 5 == 0 && call.sizes()[3] > 1 { call.grouped(1) } else { call };
        push(format!("whole scores around {common:e}"), call);
    }
    // Equal scores of any size.
    for i in 0..120 {
        let score = [4096.0, 1e6, 1e13, -1e13, 1e15, 1e30, -1e30, 1e-30][i % 8];
        let mut call = Call::new(g, Values::Normal(1.0)).mixed(g);
        let d = call.sizes()[3];
        let first = |x: &Tensor, value: f32| {
            let values = (0..x.desc().len()).map(|at| if at % d == 0 { value } else { 0.0 });
            Tensor::f32(x.desc().shape.clone(), values.collect()).expect("the same shape")
        };
        (call.q, call.k, call.scale) = (first(&call.q, 1.0), first(&call.k, score), 1.0);
        push(format!("every score {score:e}"), call);
    }
    // Scores of one query far above and below those of others, and one key far above all.
    for i in 0..72 {
        let mut call = Call::new(g, Values::Normal(1.0)).mixed(g);
        let what = ["queries of mixed size", "keys of zeros", "a key far above all"][i % 3];
        match i % 3 {
            0 => call.q = g.values(call.sizes(), Values::Zeros),
            1 => call.k = g.values(call.sizes(), Values::ZeroRows),
            _ => {
                let [_, n, h, d] = call.sizes();
                let one = g.below(n);
                let k = call.k.as_f32().unwrap_or(&[]).iter().enumerate();
                let k: Vec<f32> = k.map(|(at, k)| if at / d / h % n == one { 40.0 } else { *k }).collect();
                call.k = g.fill(call.sizes(), k);
                call.q = map(&call.q, |q| q.abs() + 0.5);
            }
        }
        push(what.to_owned(), call);
    }
    let kinds = [
        Values::Normal(1e-25),
        Values::Normal(1e25),
        Values::Around(1e3),
        Values::Zeros,
        Values::Denormals,
        Values::Outliers,
        Values::ZeroRows,
        Values::MixedRows,
    ];
    for i in 0..120 {
        let mut call = Call::new(g, Values::Normal(1.0)).mixed(g);
        let kind = kinds[i % kinds.len()];
        call.v = g.values(call.sizes(), kind);
        push(format!("v {kind}"), call);
    }
    for i in 0..48 {
        let size = [1e-20, 1e-8, 3.0, 6.0][i % 4];
        let mut call = Call::new(g, Values::Normal(1.0)).mixed(g);
        call.q = map(&call.q, |q| q * size);
        push(format!("q times {size:e}"), call);
    }
    cases
}

/// Claims that both outputs are those of `want`, moved by `by`, value for value or but for rounding.
fn agree(got: &Outputs, want: &Outputs, by: impl Fn(&Tensor) -> Tensor, exact: bool) -> drdiff::Result<Vec<Claim>> {
    let claim = |name| {
        let want = by(want.get(name)?);
        if exact { got.same(name, &want) } else { got.close(name, wide(&want)) }
    };
    Ok(vec![claim("out")?, claim("lse")?])
}

fn run(calls: &mut Calls<'_>, call: &Call) -> drdiff::Result<Outputs> {
    calls.run(&call.arguments())
}

pub(super) fn relations(g: &mut Gen) -> Vec<Relation> {
    let mut laws = Vec::new();
    for i in 0..26 {
        let base = Call::new(g, Values::Normal(1.0)).mixed(g).ragged(g);
        let [b, n, h, d] = base.sizes();
        let (call, order) = (base.clone(), g.permutation(h));
        laws.push(Relation::new(format!("heads permuted: {base}"), move |calls| {
            let plain = run(calls, &call)?;
            let moved = run(calls, &call.each(|x| gather(x, 2, &order)))?;
            agree(&moved, &plain, |x| gather(x, 2, &order), true)
        }));
        let (call, order) = (base.clone(), g.permutation(b));
        laws.push(Relation::new(format!("sequences permuted: {base}"), move |calls| {
            let plain = run(calls, &call)?;
            let moved = run(calls, &call.sequences(&order))?;
            agree(&moved, &plain, |x| gather(x, 0, &order), true)
        }));
        let (call, one) = (base.clone(), b - 1);
        laws.push(Relation::new(format!("the last sequence alone: {base}"), move |calls| {
            let plain = run(calls, &call)?;
            let alone = run(calls, &call.sequences(&[one]))?;
            agree(&alone, &plain, |x| gather(x, 0, &[one]), true)
        }));
        let call = base.clone();
        laws.push(Relation::new(format!("the last sequence without its padding: {base}"), move |calls| {
            let plain = run(calls, &call)?;
            let rows: Vec<usize> = (0..call.length(one)).collect();
            let short = call.sequences(&[one]).each(|x| gather(x, 1, &rows));
            let globals = call.globals.iter().copied().filter(|&g| (g as usize) < rows.len()).collect();
            let short = run(calls, &Call { lengths: None, globals, ..short })?;
            agree(&short, &plain, |x| gather(&gather(x, 0, &[one]), 1, &rows), false)
        }));
        // Padding is neither key nor query: NaN there must not show.
        let call = base.clone();
        laws.push(Relation::new(format!("NaN in the padding: {base}"), move |calls| {
            let plain = run(calls, &call)?;
            let poison = |x: &Tensor| {
                let values = x.as_f32().unwrap_or(&[]).iter().enumerate();
                let place = |at: usize| (at / d / h / n, at / d / h % n);
                let values = values.map(|(at, &x)| if place(at).1 < call.length(place(at).0) { x } else { f32::NAN });
                Tensor::f32(x.desc().shape.clone(), values.collect()).expect("the same shape")
            };
            agree(&run(calls, &call.each(poison))?, &plain, Tensor::clone, true)
        }));
        // Each key head written out for its group.
        let groups = if h.is_multiple_of(2) { g.pick(&[1, h / 2]) } else { 1 };
        let call = base.grouped(groups);
        laws.push(Relation::new(format!("{groups} key heads repeated: {call}"), move |calls| {
            let plain = run(calls, &call)?;
            let heads: Vec<usize> = (0..h).map(|head| head / (h / groups)).collect();
            let full = Call { k: gather(&call.k, 2, &heads), v: gather(&call.v, 2, &heads), ..call.clone() };
            agree(&run(calls, &full)?, &plain, Tensor::clone, true)
        }));
        // What a causal row sees of a sequence ends with itself.
        let call = Call { lengths: None, causal: true, ..base.clone() };
        let first = 1 + g.below(n);
        laws.push(Relation::new(format!("causal, the first {first} rows alone: {call}"), move |calls| {
            let plain = run(calls, &call)?;
            let rows: Vec<usize> = (0..first).collect();
            let globals = call.globals.iter().copied().filter(|&g| (g as usize) < first).collect();
            let prefix = Call { globals, ..call.each(|x| gather(x, 1, &rows)) };
            let alone = run(calls, &prefix)?;
            let mut claims = agree(&alone, &plain, |x| gather(x, 1, &rows), false)?;
            // Its last row has nothing to hide.
            let last = [first - 1];
            let open = run(calls, &Call { causal: false, ..prefix })?;
            for name in ["out", "lse"] {
                let want = wide(&gather(plain.get(name)?, 1, &last));
                claims.push(open.close_by(name, &gather(open.get(name)?, 1, &last), want)?);
            }
            Ok(claims)
        }));
        // A key changes the queries that see it, and no others: the first query never does here.
        let sizes = [b, g.pick(&[40, 65, 97]), h, d];
        let call = Call::of(g, sizes, Values::Normal(1.0)).sparse(g).ragged(g);
        let (call, key) =
            (Call { globals: call.globals.into_iter().filter(|&g| g > 0).collect(), ..call }, g.below(40));
        let key = (key..sizes[1]).find(|&key| !call.sees(0, key)).unwrap_or(sizes[1] - 1);

        laws.push(Relation::new(format!("key {key} changed: {call}"), move |calls| {
            let plain = run(calls, &call)?;
            let n = call.sizes()[1];
            let values = |x: &Tensor| {
                let values = x.as_f32().unwrap_or(&[]).iter().enumerate();
                let values = values.map(|(at, &x)| if at / d / h % n == key { x + 3.0 } else { x });
                Tensor::f32(x.desc().shape.clone(), values.collect()).expect("the same shape")
            };
            let changed = run(calls, &Call { k: values(&call.k), v: values(&call.v), ..call.clone() })?;
            let blind: Vec<usize> = (0..n).filter(|&query| !call.sees(query, key)).collect();
            let rows = |x: &Tensor| gather(x, 1, &blind);
            let claim =
                |name| Ok::<_, drdiff::Error>(Claim::same(name, &rows(changed.get(name)?), &rows(plain.get(name)?)));
            Ok(vec![claim("out")?, claim("lse")?])
        }));
        let (call, power) = (base.clone(), g.pick(&[-40, 4, 40]));
        laws.push(Relation::new(format!("v times 2^{power}, q twice and scale half: {base}"), move |calls| {
            let plain = run(calls, &call)?;
            let v = map(&call.v, |v| v * 2_f32.powi(power));
            let scaled = Call { v, q: map(&call.q, |q| 2.0 * q), scale: call.scale / 2.0, ..call.clone() };
            let scaled = run(calls, &scaled)?;
            let want = map(plain.get("out")?, |out| out * 2_f32.powi(power));
            Ok(vec![scaled.same("out", &want)?, scaled.same("lse", plain.get("lse")?)?])
        }));
        let (call, other) = (base.clone(), map(&g.values([b, n, h, d], Values::Whole), |v| v + 9.0));
        laws.push(Relation::new(format!("linear in v: {base}"), move |calls| {
            let first = map(&call.v, |v| (v * 256.0).round() / 256.0);
            let sum = zip(&first, &other, |a, b| a + b);
            let mut of = |v: &Tensor| run(calls, &Call { v: v.clone(), ..call.clone() });
            let (a, b) = (of(&first)?.wide("out")?, of(&other)?.wide("out")?);
            Ok(vec![of(&sum)?.close("out", plus(&a, &b))?])
        }));
        // Who sees whom does not tell left from right, unless it is causal.
        let call = Call { lengths: None, causal: false, ..base.clone() };
        laws.push(Relation::new(format!("positions reversed: {call}"), move |calls| {
            let back: Vec<usize> = (0..n).rev().collect();
            let plain = run(calls, &call)?;
            let globals = call.globals.iter().rev().map(|&g| n as u32 - 1 - g).collect();
            let moved = run(calls, &Call { globals, ..call.each(|x| gather(x, 1, &back)) })?;
            agree(&moved, &plain, |x| gather(x, 1, &back), false)
        }));
        // However the keys are shared out between window, dilations and globals, all of them are dense.
        let call = base.clone();
        let (window, dilations, globals) = match i % 6 {
            0 => (n, String::new(), base.globals.clone()),
            1 => (usize::MAX, "3:2".to_owned(), Vec::new()),
            2 => (0, format!("1:{n}"), base.globals.clone()),
            3 => (g.below(n), format!("2:{n},1:{n}"), vec![n as u32 / 2]),
            4 => (1, format!("3:{n},2:4,1:{n}"), vec![0, n as u32 - 1]),
            _ => (0, "5:1".to_owned(), (0..n as u32).collect()),
        };
        laws.push(Relation::new(
            format!(
                "everything seen (window={window} dilations={dilations} globals={globals:?}): q {:?}",
                base.sizes()
            ),
            move |calls| {
                let dense = Call { pattern: None, globals: Vec::new(), ..call.clone() };
                let sparse =
                    Call { pattern: Some((window, dilations.clone())), globals: globals.clone(), ..call.clone() };
                let dense = run(calls, &dense)?;
                agree(&run(calls, &sparse)?, &dense, Tensor::clone, false)
            },
        ));
        let shift = g.pick(&[64.0, -4096.0, 1_048_576.0]);
        let call = Call { pattern: base.pattern.clone(), ..Call::whole(g, 0.0) };
        laws.push(Relation::new(format!("{shift} on every score: {call}"), move |calls| {
            let plain = run(calls, &call)?;
            let d = call.sizes()[3];
            let k = call.k.as_f32().unwrap_or(&[]).iter().enumerate();
            let k = k.map(|(at, &k)| if at % d == 0 { shift } else { k });
            let k = Tensor::f32(call.k.desc().shape.clone(), k.collect())?;
            let moved = run(calls, &Call { k, ..call.clone() })?;
            let lse = plain.wide("lse")?.iter().map(|lse| lse + f64::from(shift)).collect();
            Ok(vec![moved.close("out", plain.wide("out")?)?, moved.close("lse", lse)?])
        }));
        let call = Call { pattern: None, lengths: None, globals: Vec::new(), causal: false, ..base.clone() };
        laws.push(Relation::new(format!("every key twice: {call}"), move |calls| {
            let plain = run(calls, &call)?;
            let double = |x: &Tensor| concat(&[x, x], 1);
            let twice = run(calls, &call.each(double))?;
            let lse = wide(&double(plain.get("lse")?)).iter().map(|lse| lse + 2_f64.ln()).collect();
            Ok(vec![twice.close("out", wide(&double(plain.get("out")?)))?, twice.close("lse", lse)?])
        }));
        let (call, order) = (
            Call { pattern: None, lengths: None, globals: Vec::new(), causal: false, ..base.clone() },
            g.permutation(n),
        );
        laws.push(Relation::new(format!("positions permuted: {call}"), move |calls| {
            let plain = run(calls, &call)?;
            let moved = run(calls, &call.each(|x| gather(x, 1, &order)))?;
            agree(&moved, &plain, |x| gather(x, 1, &order), false)
        }));
        let call = Call { scale: 0.0, ..base };
        laws.push(Relation::new(format!("scale 0, the mean of what is seen: {call}"), move |calls| {
            let v = wide(&call.v);
            let (mut out, mut lse) = (vec![0.0; v.len()], vec![f64::NEG_INFINITY; b * n * h]);
            for (row, lse) in lse.iter_mut().enumerate() {
                let (seq, query, head) = (row / h / n, row / h % n, row % h);
                if query >= call.length(seq) {
                    continue;
                }
                let keys: Vec<usize> = (0..call.length(seq)).filter(|&key| call.sees(query, key)).collect();
                *lse = (keys.len() as f64).ln();
                for (x, out) in out[row * d..][..d].iter_mut().enumerate() {
                    let value = |&key: &usize| v[((seq * n + key) * h + head) * d + x];
                    *out = keys.iter().map(value).sum::<f64>() / keys.len() as f64;
                }
            }
            let got = run(calls, &call)?;
            Ok(vec![got.close("out", out)?, got.close("lse", lse)?])
        }));
    }
    laws
}
