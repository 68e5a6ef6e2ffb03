//! Calls of every op with tensors and settings near good ones: an error in words or outputs, on `cpu` as on `reference`.
#![no_main]

use arbitrary::{Result, Unstructured};
use drdiff::check::{Arguments, Entry};
use drdiff::ops::{REGISTRY, StepRow};
use drdiff::{Device, Error, Tensor};
use drdiff_fuzz::signature::{ALL, Fill, Input, Setting, Signature};
use libfuzzer_sys::fuzz_target;

/// Larger counts of noise are asked for only where no memory can hold them.
const MOST: u64 = 5000;
const NO_MEMORY: u64 = 1 << 40;

fuzz_target!(init: {
    drdiff_fuzz::one_thread();
    for entry in REGISTRY {
        assert!(ALL.iter().any(|op| op.name == entry.name), "{} has no signature to fuzz it by", entry.name);
    }
}, |data: &[u8]| {
    // Input that is used up is no finding.
    let _ = run(data);
});

fn run(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    let op = u.choose(ALL)?;
    let Some(entry) = REGISTRY.iter().find(|entry| entry.name == op.name) else { return Ok(()) };
    let arguments = Draw::new(&mut u)?.arguments(op)?;
    let cpu = call(entry, arguments.clone(), &Device::Cpu);
    let reference = call(entry, arguments, &Device::Reference);
    match (cpu, reference) {
        (Ok(()), Ok(()))
        | (Err(_), Err(_))
        | (Err(Error::OutOfMemory { .. }), _)
        | (_, Err(Error::OutOfMemory { .. })) => {}
        (cpu, reference) => panic!("{}: cpu {cpu:?}, reference {reference:?}", op.name),
    }
    Ok(())
}

fn call(entry: &Entry, arguments: Arguments, device: &Device) -> drdiff::Result<()> {
    let mut prepared = (entry.build)(arguments)?.prepare(device, Default::default())?;
    prepared.executor.run()?;
    for &value in &prepared.values {
        let tensor = prepared.executor.read(value)?;
        assert_eq!(tensor.words().len(), tensor.desc().len());
    }
    Ok(())
}

/// Draws the arguments of one call.
struct Draw<'a, 'b> {
    u: &'a mut Unstructured<'b>,
    sizes: [usize; 26],
    /// Of 256 tensors and settings, so many are spoiled: none in most calls, so that ops are run.
    spoiled: u8,
}

impl<'a, 'b> Draw<'a, 'b> {
    fn new(u: &'a mut Unstructured<'b>) -> Result<Self> {
        let spoiled = *u.choose(&[0, 0, 0, 24, 64])?;
        let mut sizes = [0; 26];
        for size in &mut sizes {
            *size = *u.choose(&[1, 2, 3, 4, 5, 7, 2, 3, 1, 0, 9, 33])?;
        }
        Ok(Self { u, sizes, spoiled })
    }

    fn spoil(&mut self) -> Result<bool> {
        Ok(self.spoiled > 0 && self.u.ratio(self.spoiled, 255)?)
    }

    fn size(&self, letter: u8) -> usize {
        let small = |letter: u8| self.sizes[usize::from(letter - b'A')].min(7);
        match letter {
            b'0'..=b'9' => usize::from(letter - b'0'),
            b'W' => StepRow::LEN,
            b's' => small(b'S'),
            b'S' => small(b'S') + 1,
            b'A' => small(b'A').min(small(b'R')),
            // Dimensions that are multiplied by several others stay small.
            b'B' | b'H' => small(letter),
            _ => self.sizes[usize::from(letter - b'A')],
        }
    }

    fn arguments(&mut self, op: &Signature) -> Result<Arguments> {
        let mut arguments = Arguments::new();
        for input in op.inputs {
            let absent = if input.3 { self.u.ratio(1, 2)? } else { self.spoil()? && self.u.ratio(1, 4)? };
            if !absent {
                arguments = arguments.with(input.0, self.tensor(input)?);
            }
        }
        for setting in op.settings {
            let value = self.setting(setting)?;
            if !value.is_empty() {
                // As `--set` takes it. A setting that is refused is left out: the rest may still go far.
                let _ = arguments.assign(&format!("{}={value}", setting.0));
            }
        }
        if self.spoil()? && self.u.ratio(1, 4)? {
            let _ = arguments.assign(&drdiff_fuzz::json::text(self.u)?);
        }
        Ok(arguments)
    }

    fn setting(&mut self, setting: &Setting) -> Result<String> {
        let mut text = match self.spoil()? {
            false => {
                let text = *self.u.choose(setting.1)?;
                text.split(',').map(|part| self.sized(part)).collect::<Vec<_>>().join(",")
            }
            true => match self.u.int_in_range(0..=4)? {
                0 => drdiff_fuzz::json::text(self.u)?,
                1 => self.u.arbitrary::<f64>()?.to_string(),
                2 => self.u.arbitrary::<i64>()?.to_string(),
                3 => (1_u64 << self.u.int_in_range(0..=63)?).wrapping_sub(self.u.int_in_range(0..=2)?).to_string(),
                _ => self.u.int_in_range(0..=40)?.to_string(),
            },
        };
        if setting.0 == "count"
            && let Ok(count @ MOST..NO_MEMORY) = text.trim().parse()
        {
            text = (count % MOST).to_string();
        }
        Ok(text)
    }

    fn sized(&self, text: &str) -> String {
        match text.as_bytes() {
            &[letter @ b'A'..=b'Z'] => self.size(letter).to_string(),
            _ => text.to_owned(),
        }
    }

    fn tensor(&mut self, Input(_, fill, letters, _): &Input) -> Result<Tensor> {
        let mut shape: Vec<usize> = letters.bytes().map(|letter| self.size(letter)).collect();
        // Sequences stand alone in some calls.
        if shape.len() > 2 && letters.starts_with('B') && self.sizes[usize::from(b'Z' - b'A')] == 1 {
            shape.remove(0);
        }
        let mut words = matches!(fill, Fill::Sorted | Fill::UpTo(_) | Fill::Below(_) | Fill::Words | Fill::Info);
        if self.spoil()? {
            match self.u.int_in_range(0..=4)? {
                0 => words = !words,
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
        let len: usize = shape.iter().product();
        let mut values = Values { state: self.u.arbitrary()?, wild: self.u.ratio(1, 3)? };
        let spoiled = self.spoil()?;
        let tensor = if words {
            let rows = self.size(b'R').max(1);
            let anchors = self.size(b'A');
            let word = |i: usize| match fill {
                _ if spoiled => values.next(),
                Fill::Sorted => i as u32,
                Fill::UpTo(letter) => values.next() % (self.size(*letter) as u32 + 1),
                Fill::Below(letter) => values.next() % (self.size(*letter) as u32).max(1),
                Fill::Info => {
                    let flag = if i % rows < anchors { 2 } else { values.next() & 1 };
                    flag + 4 * (values.next() % anchors.max(1) as u32)
                }
                _ => values.next(),
            };
            Tensor::u32(shape, (0..len).map(word).collect())
        } else {
            let float = |i: usize| match fill {
                Fill::Rising if !spoiled => (i + 1) as f32 / (len + 1) as f32,
                Fill::Falling if !spoiled => (len - i) as f32 / (len + 1) as f32,
                _ => values.float(),
            };
            Tensor::f32(shape, (0..len).map(float).collect())
        };
        Ok(tensor.expect("as many elements as the shape has"))
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
