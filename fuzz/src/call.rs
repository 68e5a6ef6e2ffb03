//! Calls of an op that are near good ones, made of its signature: a new op is called without a line here. What a signature
//! does not say of an op is in [`FILLS`], [`CONSTANTS`], [`TEXTS`] and [`SIZES`].

use arbitrary::{Result, Unstructured};
use drdiff::op::{Arguments, Dim, Entry, Form, Input, Role, Setting};
use drdiff::ops::StepRow;
use drdiff::{DType, Tensor};

/// Larger counts are asked for only where no memory can hold them.
const MOST: u64 = 5000;
const NO_MEMORY: u64 = 1 << 40;

/// How a tensor is filled where it is not spoiled.
#[derive(Clone, Copy)]
enum Fill {
    /// All kinds of values of its type.
    Any,
    /// f32, rising in (0, 1).
    Rising,
    /// f32, falling in (0, 1).
    Falling,
    /// u32, strictly sorted.
    Sorted,
    /// u32 of at most the size of this name.
    UpTo(&'static str),
    /// u32 below the size of this name.
    Below(&'static str),
    /// u32 that sum to the size of this name.
    SumTo(&'static str),
    /// u32, flag + 4 segment of rows `R` of which `A` are anchors.
    Info,
}

/// Inputs, by op and name, that few calls get right by chance.
const FILLS: &[(&str, &str, Fill)] = &[
    ("attention", "globals", Fill::Sorted),
    ("attention", "lengths", Fill::UpTo("N")),
    ("segment_mean", "lengths", Fill::UpTo("R")),
    ("finite_check", "lengths", Fill::UpTo("R")),
    ("embedding", "ids", Fill::Below("V")),
    ("solver_step", "info", Fill::Info),
];

/// Settings that are tensors.
const CONSTANTS: &[(&str, &str, DType, &str, Fill)] = &[
    ("solver", "alpha", DType::F32, "S + 1", Fill::Rising),
    ("solver", "sigma", DType::F32, "S + 1", Fill::Falling),
    ("experts", "widths", DType::U32, "E", Fill::SumTo("sum F")),
    ("routed_experts", "widths", DType::U32, "E", Fill::SumTo("sum F")),
];

/// Settings whose text is neither a number nor one of the words in their meaning.
const TEXTS: &[(&str, &str, &[&str])] =
    &[("attention", "dilations", &["2:2", "1:1,3:2", "2:18446744073709551615", "18446744073709551615:2"])];

/// Sizes that few calls get right by chance.
const SIZES: &[(&str, &str, &[usize])] = &[
    ("attention", "H", &[2, 4]),
    ("attention", "Hkv", &[1, 2]),
    ("attention", "heads", &[1, 2]),
    ("experts", "top_k", &[1, 2]),
    ("routed_experts", "top_k", &[1, 2]),
    ("qkv", "(H + 2 Hkv) Dh", &[12, 24]),
    ("qkv", "heads", &[1, 2]),
    ("qkv", "kv_heads", &[1]),
    ("qkv", "rotary_dim", &[0, 2]),
    ("rope", "D", &[4, 8]),
    ("rope", "heads", &[1, 2]),
    ("rope", "rotary_dim", &[0, 2, 4]),
    ("segment_mean", "A", &[1, 2]),
    ("solver_step", "A", &[0, 1, 2]),
];

/// The arguments of one call of an op.
///
/// # Errors
/// Where the input is used up.
pub fn arguments(entry: &Entry, u: &mut Unstructured<'_>) -> Result<Arguments> {
    let spoiled = *u.choose(&[0, 0, 0, 24, 64])?;
    // A sequence stands alone in some calls.
    let front: &[usize] = u.choose(&[&[1][..], &[2], &[3], &[2, 3], &[]])?;
    Draw { u, op: entry.name(), sizes: Vec::new(), front, large: true, spoiled }.arguments(entry)
}

struct Draw<'a, 'b> {
    u: &'a mut Unstructured<'b>,
    op: &'static str,
    /// The sizes that have been drawn, by name.
    sizes: Vec<(String, usize)>,
    /// What [`Dim::Front`] stands for.
    front: &'static [usize],
    /// Whether a size may still be large: one a call, so that calls stay short.
    large: bool,
    /// Of 255 tensors and settings, so many are spoiled: none in most calls, so that ops are run.
    spoiled: u8,
}

impl Draw<'_, '_> {
    fn spoil(&mut self) -> Result<bool> {
        Ok(self.spoiled > 0 && self.u.ratio(self.spoiled, 255)?)
    }

    /// The size of a name, drawn where it is new; `M + 1` and `M / 2` follow from `M`.
    fn size(&mut self, name: &str, least: usize) -> Result<usize> {
        if let Some(of) = name.strip_suffix(" + 1") {
            return Ok(self.size(of, least.saturating_sub(1))? + 1);
        }
        if let Some(of) = name.strip_suffix(" / 2") {
            return Ok(self.size(of, 2 * least)? / 2);
        }
        if let Some((_, size)) = self.sizes.iter().find(|(known, _)| known == name) {
            return Ok(*size);
        }
        let size = match SIZES.iter().find(|(op, known, _)| (*op, *known) == (self.op, name)) {
            Some((.., sizes)) => *self.u.choose(sizes)?,
            None if self.large && self.u.ratio(1, 8)? => {
                self.large = false;
                *self.u.choose(&[17, 33, 64, 65])?
            }
            None => *self.u.choose(&[1, 2, 3, 4, 5, 7, 0, 9])?,
        };
        let size = size.max(least);
        self.sizes.push((name.to_owned(), size));
        Ok(size)
    }

    fn shape(&mut self, form: Form) -> Result<Vec<usize>> {
        let Form::Dims(dims) = form else {
            // Long enough for most of what settings may point at, a step row, or nearly nothing.
            return Ok(vec![*self.u.choose(&[StepRow::LEN, 100, 200, 1, 5])?]);
        };
        let mut shape = Vec::new();
        for dim in dims {
            match *dim {
                Dim::Named(name) => shape.push(self.size(name, 1)?),
                Dim::MayBeZero(name) => shape.push(self.size(name, 0)?),
                Dim::Fixed(size) => shape.push(size),
                Dim::Front => shape.extend(self.front),
                Dim::Rows => shape.push(self.front.iter().product()),
            }
        }
        Ok(shape)
    }

    fn arguments(mut self, entry: &Entry) -> Result<Arguments> {
        let mut arguments = Arguments::new();
        for input in entry.signature.inputs {
            // Some settings stand for a tensor, so that one that must be there may be left out.
            let absent = match input.role {
                Role::Optional => self.u.ratio(1, 2)?,
                _ => self.u.ratio(1, 24)?,
            };
            if !absent {
                arguments = arguments.with(input.name, self.input(input)?);
            }
        }
        for setting in entry.signature.settings {
            if let Some((.., dtype, size, fill)) = CONSTANTS.iter().find(|of| (of.0, of.1) == (self.op, setting.name)) {
                let shape = vec![self.size(size, 1)?];
                arguments = arguments.with(setting.name, self.tensor(*dtype, shape, *fill)?);
            } else if setting.default.is_empty() || self.u.ratio(1, 2)? {
                let text = self.setting(setting)?;
                // As `--set` takes it. A setting that is refused is left out: the rest may still go far.
                let _ = arguments.assign(&format!("{}={text}", setting.name));
            }
        }
        if self.spoil()? && self.u.ratio(1, 4)? {
            let _ = arguments.assign(&crate::json::text(self.u)?);
        }
        Ok(arguments)
    }

    fn setting(&mut self, setting: &Setting) -> Result<String> {
        let text = match self.spoil()? {
            false => self.good(setting)?,
            true => match self.u.int_in_range(0..=4)? {
                0 => crate::json::text(self.u)?,
                1 => self.u.arbitrary::<f64>()?.to_string(),
                2 => self.u.arbitrary::<i64>()?.to_string(),
                3 => (1_u64 << self.u.int_in_range(0..=63)?).wrapping_sub(self.u.int_in_range(0..=2)?).to_string(),
                _ => self.u.int_in_range(0..=40)?.to_string(),
            },
        };
        Ok(match text.trim().parse() {
            Ok(count @ MOST..NO_MEMORY) => (count % MOST).to_string(),
            _ => text,
        })
    }

    /// A text that a setting may well be.
    fn good(&mut self, setting: &Setting) -> Result<String> {
        if let Some((.., texts)) = TEXTS.iter().find(|(op, name, _)| (*op, *name) == (self.op, setting.name)) {
            return Ok((*self.u.choose(texts)?).to_owned());
        }
        // `rms or layer` says all that it can be.
        if setting.meaning.contains(" or ") && setting.meaning.split(' ').count() <= 4 {
            let words: Vec<_> = setting.meaning.split([' ', ',']).filter(|word| !matches!(*word, "" | "or")).collect();
            return Ok((*self.u.choose(&words)?).to_owned());
        }
        if setting.meaning.starts_with("whether ") {
            return Ok(self.u.arbitrary::<bool>()?.to_string());
        }
        // One without a default is most often a size, by its own name or by the one that its meaning begins with.
        if setting.default.is_empty() && !self.u.ratio(1, 8)? {
            let (name, _) =
                setting.meaning.split_once(',').filter(|(name, _)| name.len() <= 2).unwrap_or((setting.name, ""));
            return Ok(self.size(name, 0)?.to_string());
        }
        let numbers = ["0", "1", "2", "4", "1e-5", "-1e30", "3e38", "4294967295", "18446744073709551615"];
        Ok((*self.u.choose(&numbers)?).to_owned())
    }

    fn input(&mut self, input: &Input) -> Result<Tensor> {
        let shape = self.shape(input.form)?;
        let fill = FILLS.iter().find(|(op, name, _)| (*op, *name) == (self.op, input.name));
        self.tensor(input.dtype, shape, fill.map_or(Fill::Any, |(.., fill)| *fill))
    }

    fn tensor(&mut self, mut dtype: DType, mut shape: Vec<usize>, fill: Fill) -> Result<Tensor> {
        if self.spoil()? {
            match self.u.int_in_range(0..=4)? {
                0 => dtype = if dtype == DType::F32 { DType::U32 } else { DType::F32 },
                1 => shape.push(self.u.int_in_range(0..=2)?),
                2 => drop(shape.pop()),
                3 => shape = vec![0],
                _ => {
                    if let Some(index) = (!shape.is_empty()).then(|| self.u.choose_index(shape.len())).transpose()? {
                        shape[index] = self.u.int_in_range(0..=12)?;
                    }
                }
            }
        }
        let fill = if self.spoil()? { Fill::Any } else { fill };
        let len: usize = shape.iter().product();
        let mut values = Values { state: self.u.arbitrary()?, wild: self.u.ratio(1, 3)? };
        let tensor = match dtype {
            DType::U32 => Tensor::u32(shape, self.words(len, fill, &mut values)?),
            DType::F32 => {
                let float = |i: usize| match fill {
                    Fill::Rising => (i + 1) as f32 / (len + 1) as f32,
                    Fill::Falling => (len - i) as f32 / (len + 1) as f32,
                    _ => values.float(),
                };
                Tensor::f32(shape, (0..len).map(float).collect())
            }
        };
        Ok(tensor.expect("as many elements as the shape has"))
    }

    fn words(&mut self, len: usize, fill: Fill, values: &mut Values) -> Result<Vec<u32>> {
        Ok(match fill {
            Fill::Sorted => (0..len as u32).collect(),
            Fill::UpTo(name) => values.below(len, self.size(name, 1)? + 1),
            Fill::Below(name) => values.below(len, self.size(name, 1)?),
            Fill::SumTo(name) => {
                let mut words = vec![0; len];
                for _ in 0..self.size(name, 0)? {
                    if let Some(index) = (values.next() as usize).checked_rem(len) {
                        words[index] += 1;
                    }
                }
                words
            }
            Fill::Info => {
                let (rows, anchors) = (self.size("R", 1)?, self.size("A", 0)?);
                let mut flag = |i: usize| if i % rows < anchors { 2 } else { values.next() & 1 };
                let flags: Vec<_> = (0..len).map(&mut flag).collect();
                flags.iter().zip(values.below(len, anchors.max(1))).map(|(flag, segment)| flag + 4 * segment).collect()
            }
            _ => (0..len).map(|_| values.next()).collect(),
        })
    }
}

/// Elements from a seed, so that a tensor takes few bytes of the input.
struct Values {
    state: u32,
    wild: bool,
}

impl Values {
    fn next(&mut self) -> u32 {
        self.state = self.state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (self.state ^ (self.state >> 15)).rotate_right(7)
    }

    fn below(&mut self, len: usize, bound: usize) -> Vec<u32> {
        (0..len).map(|_| self.next() % bound as u32).collect()
    }

    fn float(&mut self) -> f32 {
        let word = self.next();
        let special =
            [f32::NAN, f32::INFINITY, -f32::INFINITY, 3e38, -3e38, 1e-45, -0.0, 1e13, -1e6, 1e-20, 0.0, 300.0];
        match self.wild && word.is_multiple_of(8) {
            true => special[(word / 8) as usize % special.len()],
            false => (word >> 16) as f32 / 16384.0 - 2.0,
        }
    }
}

/// Random bytes, the same for a seed, to draw calls from.
pub fn bytes(seed: u32) -> Vec<u8> {
    let mut values = Values { state: seed, wild: false };
    (0..1024).map(|_| values.next().to_le_bytes()[1]).collect()
}
