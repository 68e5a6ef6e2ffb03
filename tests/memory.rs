//! Memory of the host that is refused: one allocation after the other fails, and each failure is an error of the call
//! that needed it. The allocator of this file would otherwise end the test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use drdiff::eval::{Corpus, InfillOptions, LikelihoodOptions, Statistics};
use drdiff::files::{read_tensors, write_tensors};
use drdiff::graph::Call;
use drdiff::memory::is_refusable;
use drdiff::model::{Config, DenoiseInput, Request, Session, Vocabulary, Weights, denoise};
use drdiff::op::{Arguments, Entry};
use drdiff::ops::REGISTRY;
use drdiff::{Device, Error, Model, Result, Sampler, SessionOptions, Tensor};
use drdiff_check::{Case, Gen, cases, run_case};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny");
const LANGFLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/langflow-tiny");

#[global_allocator]
static FAULTY: Faulty = Faulty;

/// The system's allocator, except for those allocations that a test has refused.
struct Faulty;

/// Allocations below this are granted and not counted: objects that do not grow.
static SIZE: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Allocations seen, and the one to refuse, the first with 1.
static SEEN: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);
/// Bytes in use, and the most that are granted.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Most bytes in use after an allocation that could not be refused, and the largest one that could.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);

impl Faulty {
    fn refuses(size: usize) -> bool {
        if size < SIZE.load(SeqCst) {
            return false;
        }
        let is_it = SEEN.fetch_add(1, SeqCst) + 1 == REFUSED.load(SeqCst);
        is_it || IN_USE.load(SeqCst).saturating_add(size) > LIMIT.load(SeqCst)
    }

    fn take(size: usize) {
        if size >= SIZE.load(SeqCst) {
            let in_use = IN_USE.fetch_add(size, SeqCst) + size;
            let (most, bytes) = if is_refusable() { (&ASKED, size) } else { (&TAKEN, in_use) };
            most.fetch_max(bytes, SeqCst);
        }
    }

    fn give_back(layout: Layout) {
        if layout.size() >= SIZE.load(SeqCst) {
            // What was there before the count began is not in it.
            let _ = IN_USE.fetch_update(SeqCst, SeqCst, |bytes| Some(bytes.saturating_sub(layout.size())));
        }
    }
}

// SAFETY: whatever is not refused goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Faulty {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        Self::take(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Self::refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        Self::take(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Self::refuses(size) {
            return std::ptr::null_mut();
        }
        Self::take(size);
        Self::give_back(layout);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::give_back(layout);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `call` with the `refused`-th allocation of at least `size` bytes refused, or with no more than `limit` bytes in
/// such allocations. Gives how many of them there were too.
fn with_faults<T>(size: usize, refused: usize, limit: usize, call: impl FnOnce() -> T) -> (T, usize) {
    IN_USE.store(0, SeqCst);
    SEEN.store(0, SeqCst);
    REFUSED.store(refused, SeqCst);
    LIMIT.store(limit, SeqCst);
    SIZE.store(size, SeqCst);
    let outcome = call();
    SIZE.store(usize::MAX, SeqCst);
    (outcome, SEEN.load(SeqCst))
}

#[track_caller]
fn is_out_of_memory(error: &Error) {
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error:?}");
}

/// Refuses the allocations of at least `size` bytes that `call` makes, one a call, until none is left: every call but
/// the last is out of memory, and the last gives what is returned, with how many allocations it made. The first 64 are
/// refused one by one, of the many of loops after them some.
fn each_refused<T>(size: usize, mut call: impl FnMut() -> Result<T>) -> (T, usize) {
    let mut refused = 1;
    loop {
        match with_faults(size, refused, usize::MAX, &mut call) {
            (Ok(_), seen) if seen >= refused => panic!("allocation {refused} failed, and nobody said so"),
            (Ok(value), seen) => return (value, seen),
            (Err(error), _) => is_out_of_memory(&error),
        }
        refused += if refused < 64 { 1 } else { refused / 16 };
    }
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    // Threads that start, start here.
    rayon::broadcast(|_| ());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tiny(device: Device) -> Model {
    Model::load(TINY, &device).unwrap()
}

#[test]
fn a_run_on_the_cpu() {
    let _alone = alone();
    let model = tiny(Device::Cpu);
    let sampler = Sampler { steps: 2, guidance: 0.5, temperature: Some(0.9), ..Sampler::default() };
    let options = SessionOptions { length: 400, inspect: true, ..Default::default() };
    let requests = [Request::default(), Request { seed: Some(9), ..Request::default() }];
    let run = |session: &mut Session| {
        let mut failed = None;
        let outcome = session.generate_batch(&requests, &sampler, |progress| {
            failed = progress.routing().and(progress.state()).err();
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        failed.map_or(outcome, Err)
    };
    let expected = run(&mut model.session(options).unwrap()).unwrap();
    let mut calls = 0;
    let (generated, refused) = each_refused(16 << 10, || {
        let mut session = model.session(options)?;
        let outcome = run(&mut session);
        calls += 1;
        if outcome.is_err() && calls % 16 == 0 {
            // The refusal is over; the same session goes on.
            assert_eq!(run(&mut session).unwrap(), expected);
        }
        outcome
    });
    assert_eq!(generated, expected);
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_model_is_read_and_a_file_written() {
    let _alone = alone();
    let config = Config::read(&Path::new(TINY).join("config.json")).unwrap();
    let (_, refused) = each_refused(8 << 10, || Weights::read(Path::new(TINY), &mut config.clone()));
    assert!(refused >= 5, "{refused}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.safetensors");
    let all = [("b", 3.0), ("a", 5.0)].map(|(n, x)| (n.to_owned(), Tensor::f32([300, 100], vec![x; 30_000]).unwrap()));
    let ((), seen) = each_refused(16 << 10, || write_tensors(&path, &all));
    assert_eq!(seen, 0, "tensors go to the file as they are");
    let (mut read, refused) = each_refused(4 << 10, || read_tensors(&path));
    assert!(refused >= 3, "the file and two tensors, not {refused}");
    read.sort_by(|a, b| b.0.cmp(&a.0));
    assert_eq!(read, all);
}

#[test]
fn a_model_of_another_format_is_read() {
    let _alone = alone();
    let folder = Path::new(LANGFLOW);
    let config = Config::read(&folder.join("config.json")).unwrap();
    let (_, refused) = each_refused(8 << 10, || Weights::read(folder, &mut config.clone()));
    assert!(refused > 25, "each of its tensors, and what is made of them, not {refused}");
}

#[test]
fn a_model_of_bytes() {
    let _alone = alone();
    let read = |name: &str| std::fs::read(Path::new(TINY).join(name)).unwrap();
    let (config, tensors) = (read("config.json"), read("model.safetensors"));
    let (model, refused) = each_refused(8 << 10, || Model::from_parts(&config, None, [&tensors], &Device::Cpu));
    assert!(refused >= 4, "{refused}");
    assert_eq!(model.weights().named(), tiny(Device::Cpu).weights().named());
}

#[test]
fn a_model_on_tensors() {
    let _alone = alone();
    for (folder, positions) in [(TINY, 400), (LANGFLOW, 48)] {
        let folder = Path::new(folder);
        let mut config = Config::read(&folder.join("config.json")).unwrap();
        let weights = Weights::read(folder, &mut config).unwrap();
        let (batch, dim) = (3, config.embedding_dim);
        let wave = |i: usize| ((i * 37 % 101) as f32 / 50.0) - 1.0;
        let z = Tensor::f32([batch, positions, dim], (0..batch * positions * dim).map(wave).collect()).unwrap();
        let gamma = Tensor::f32([batch], vec![1.0, 0.0, -1.0]).unwrap();
        for input in [
            DenoiseInput { z: z.clone(), last: Some(z.clone()), gamma: Some(gamma) },
            DenoiseInput { z, last: None, gamma: None },
        ] {
            let sampler = Sampler { steps: 2, ..Sampler::default() };
            let run = || denoise((&config, &weights), &input, &sampler, &Device::Cpu);
            let expected = run().unwrap();
            let (denoised, refused) = each_refused(16 << 10, run);
            assert_eq!(denoised, expected);
            assert!(refused > 40, "{refused}");
        }
    }
}

/// The case of an op with the most bytes of inputs and outputs, and these; none beyond a MiB, which would take long.
fn largest(entry: &Entry) -> (Case, usize) {
    let sized = |case: Case| {
        let call = Call::by_name(entry, case.arguments.clone()).unwrap();
        let prepared = call.prepare(&Device::Cpu, Default::default()).unwrap();
        (case, prepared.executor.plan().persistent as usize)
    };
    let cases = cases(entry, &mut Gen::new(0, entry.name()));
    cases.into_iter().map(sized).filter(|(_, bytes)| *bytes <= 1 << 20).max_by_key(|(_, bytes)| *bytes).unwrap()
}

fn call(entry: &Entry, arguments: &Arguments, device: &Device) -> Result<Vec<Tensor>> {
    let mut prepared = Call::by_name(entry, arguments.try_clone()?)?.prepare(device, Default::default())?;
    prepared.executor.run()?;
    prepared.values.iter().map(|&value| prepared.executor.read(value)).collect()
}

#[test]
fn every_op_on_the_cpu() {
    let _alone = alone();
    let mut all = 0;
    for entry in REGISTRY {
        let (case, _) = largest(entry);
        let expected = call(entry, &case.arguments, &Device::Cpu).unwrap();
        let (outputs, refused) = each_refused(4 << 10, || call(entry, &case.arguments, &Device::Cpu));
        let equal = outputs.iter().zip(&expected).all(|(a, b)| a.words() == b.words());
        assert!(equal, "{}", entry.name());
        all += refused;
    }
    assert!(all > 100, "{all}");
}

/// The plain loops of the reference cannot be refused memory, so it is asked for ahead: at every limit, a call is out of
/// memory or comes to its end.
#[test]
fn every_op_on_the_reference_and_a_case_of_verify() {
    let _alone = alone();
    let mut refused = 0;
    for entry in REGISTRY {
        let (case, bytes) = largest(entry);
        for step in 1.. {
            let limit = step * bytes.max(16 << 10) / 4;
            match with_faults(2 << 10, 0, limit, || call(entry, &case.arguments, &Device::Reference)).0 {
                Ok(_) => break,
                Err(error) => is_out_of_memory(&error),
            }
            refused += 1;
        }
    }
    assert!(refused > 30, "{refused}");
    let entry = REGISTRY.iter().find(|entry| entry.name() == "attention").unwrap();
    let (case, _) = largest(entry);
    let (mut limit, mut refused) = (4 << 10, 0);
    while let (Err(error), _) = with_faults(2 << 10, 0, limit, || run_case(entry, &case, &Device::Cpu, true)) {
        is_out_of_memory(&error);
        (limit, refused) = (limit * 9 / 8, refused + 1);
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn scoring_filling_in_and_counting() {
    let _alone = alone();
    let model = tiny(Device::Cpu);
    let text = "the king and the queen went into the city, and the people said unto them\n".repeat(12);
    let corpus = Corpus::new(&text, model.vocabulary()).unwrap();
    let on = |_: usize, _: usize| ControlFlow::Continue(());
    let options = LikelihoodOptions { length: 128, windows: Some(4), draws: 1, ..Default::default() };
    let expected = model.likelihood(&corpus, &options, on).unwrap();
    let (likelihood, refused) = each_refused(16 << 10, || model.likelihood(&corpus, &options, on));
    assert_eq!(likelihood, expected);
    assert!(refused > 50, "{refused}");

    let sampler = Sampler { steps: 1, ..Sampler::default() };
    let options = InfillOptions { length: 128, windows: Some(4), sampler, ..Default::default() };
    let (infill, refused) = each_refused(16 << 10, || model.infill(&corpus, &options, |_| ControlFlow::Continue(())));
    assert!(infill.hidden > 50 && refused > 20, "{infill:?}, {refused}");

    let tokens = corpus.tokens().repeat(20);
    let (statistics, refused) = each_refused(4 << 10, || Statistics::of(&[&tokens]));
    assert!(statistics.tokens == tokens.len() && refused > 0);
    let (windows, refused) = each_refused(4 << 10, || corpus.windows(2, None));
    assert!(windows.len() > 200 && refused == 1);
}

#[test]
fn a_run_on_the_reference() {
    let _alone = alone();
    let model = tiny(Device::Reference);
    let run = || {
        let mut session = model.session(SessionOptions { length: 40, ..Default::default() })?;
        let sampler = Sampler { steps: 1, ..Sampler::default() };
        session.generate(&Default::default(), &sampler, |_| ControlFlow::Continue(()))
    };
    let expected = run().unwrap();
    let (mut limit, mut refused) = (16 << 10, 0);
    let text = loop {
        match with_faults(16 << 10, 0, limit, run).0 {
            Ok(text) => break text,
            Err(error) => is_out_of_memory(&error),
        }
        (limit, refused) = (limit * 17 / 16, refused + 1);
    };
    assert_eq!(text, expected);
    assert!(refused > 20, "{refused}");
}

/// The tokenizer cannot be refused memory, so it is asked for ahead: no less than it then takes.
#[test]
fn the_tokenizer_takes_no_more_than_is_asked_for() {
    let _alone = alone();
    let mut exceeded = Vec::new();
    let mut within = |what: &str, call: &mut dyn FnMut()| {
        TAKEN.store(0, SeqCst);
        ASKED.store(0, SeqCst);
        with_faults(1, 0, usize::MAX, call);
        let (taken, asked) = (TAKEN.load(SeqCst), ASKED.load(SeqCst));
        println!("{what}: {taken} of {asked} bytes");
        if taken > asked {
            exceeded.push(format!("{what}: {taken} of {asked} bytes"));
        }
    };
    let folders = [TINY, concat!(env!("CARGO_MANIFEST_DIR"), "/models")].map(PathBuf::from);
    let sentence = "And he said to them, \u{1F600} élan, 12 34\t".repeat(400);
    let varied: String = (0..20_000_u32).filter_map(|i| char::from_u32(33 + i.wrapping_mul(7919) % 5000)).collect();
    let texts = ["a", "and so on", &sentence, &varied, &"a".repeat(10_000), &"a b ".repeat(10_000)];
    for folder in folders {
        let config = Config::read(&folder.join("config.json")).unwrap();
        let path = folder.join("tokenizer.json");
        let mut vocabulary = None;
        within("read", &mut || vocabulary = Some(Vocabulary::read(&path, &config).unwrap()));
        let vocabulary = vocabulary.unwrap();
        for text in texts {
            let mut ids = Vec::new();
            within(&format!("encode {}", text.len()), &mut || ids = vocabulary.encode(text).unwrap());
            within(&format!("decode {}", ids.len()), &mut || drop(vocabulary.decode(&ids).unwrap()));
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:#?}");
}
