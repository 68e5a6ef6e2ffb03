//! What adding an op takes: the op (here one that an example defines outside of drdiff) and its line in a registry. All the
//! rest finds it.

mod common;
#[path = "common/wgsl.rs"]
mod wgsl;

#[path = "../examples/custom_op/main.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run --example`")]
mod custom_op;

use custom_op::softcap::{ENTRY, Softcap};
use drdiff::graph::{Call, RecordedOp};
use drdiff::op::{Arguments, Entry};
use drdiff::ops::REGISTRY;
use drdiff::{Desc, Device, Tensor};
use drdiff_check::{Gen, VerifyOptions, benches, cases, verify};

fn registry() -> Vec<Entry> {
    [REGISTRY, &[ENTRY]].concat()
}

fn found() -> Entry {
    registry().into_iter().find(|entry| entry.name() == "softcap").unwrap()
}

fn devices() -> [Device; 2] {
    [Device::Cpu, common::gpu()]
}

#[test]
fn it_is_verified_by_calls_made_of_its_signature() {
    for device in devices() {
        let report = verify(&found(), &device, &VerifyOptions::default()).unwrap();
        assert_eq!((report.cases, report.runs), (100, 100));
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        assert!(report.worst["y"].error > 0.0, "f32 is not f64");
    }
}

/// Were it wrong on a device, its calls would say so.
#[test]
fn a_wrong_one_is_found() {
    fn wrong(arguments: &mut Arguments) -> drdiff::Result<Box<dyn drdiff::op::Op>> {
        #[derive(Debug)]
        struct Wrong(Softcap);
        impl drdiff::op::Op for Wrong {
            fn signature(&self) -> &'static drdiff::op::Signature {
                self.0.signature()
            }

            fn run_cpu(&self, shapes: &drdiff::op::Shapes, io: &mut drdiff::op::CpuIo<'_>) -> drdiff::Result<()> {
                Softcap { cap: self.0.cap * 1.001 }.run_cpu(shapes, io)
            }

            fn run_reference(
                &self,
                shapes: &drdiff::op::Shapes,
                io: &drdiff::op::ReferenceIo<'_>,
            ) -> drdiff::Result<Vec<drdiff::op::ReferenceData>> {
                self.0.run_reference(shapes, io)
            }

            fn cost(&self, shapes: &drdiff::op::Shapes) -> drdiff::op::Cost {
                self.0.cost(shapes)
            }
        }
        let cap = arguments.text(drdiff::op::Setting { name: "cap", default: "50", meaning: "" });
        let cap = cap.map_or(2.0, |cap| cap.parse().unwrap());
        Ok(Box::new(Wrong(Softcap { cap })))
    }
    let entry = Entry { build: wrong, ..ENTRY };
    let report = verify(&entry, &Device::Cpu, &VerifyOptions::default()).unwrap();
    assert!(report.failures.len() > 50, "{} of {}", report.failures.len(), report.cases);
    // It has no kernels, and a GPU is told so.
    let arguments = cases(&entry, &mut Gen::new(0, "softcap")).remove(0).arguments;
    let refused = Call::by_name(&entry, arguments).unwrap().prepare(&common::gpu(), Default::default());
    let said = refused.expect_err("it has no kernels").to_string();
    assert_eq!(said, "softcap does not run on a GPU: it has no code for it");
}

#[test]
fn it_is_called_by_name_and_refuses_what_its_signature_does_not_have() {
    let x = Tensor::f32([2, 3], vec![-1e30, -3.0, -0.01, 0.0, 1e-20, 7.0]).unwrap();
    let call = |arguments: Arguments| Call::by_name(&found(), arguments);
    for device in devices() {
        let call = call(Arguments::new().with("x", x.clone()).set("cap", 2)).unwrap();
        let mut prepared = call.prepare(&device, Default::default()).unwrap();
        prepared.executor.run().unwrap();
        let y = prepared.executor.read(prepared.values[0]).unwrap();
        let expected = x.as_f32().unwrap().iter().map(|x| 2.0 * (f64::from(*x) / 2.0).tanh());
        for (&y, expected) in y.as_f32().unwrap().iter().zip(expected) {
            approx::assert_relative_eq!(f64::from(y), expected, max_relative = 1e-6);
        }
    }
    for (arguments, expected) in [
        (Arguments::new(), "a tensor `x`"),
        (Arguments::new().with("x", x.clone()).with("z", x.clone()), "the tensor `z`"),
        (Arguments::new().with("x", x.clone()).set("cap", "high"), "`high`, expected a number"),
        (Arguments::new().with("x", x.clone()).set("caps", 1), "the setting `caps`"),
    ] {
        let said = call(arguments).expect_err(expected).to_string();
        assert!(said.contains(expected), "{said}");
    }
    for cap in ["0", "-1", "inf", "nan"] {
        let call = call(Arguments::new().with("x", x.clone()).set("cap", cap)).unwrap();
        let said = call.prepare(&Device::Cpu, Default::default()).expect_err(cap).to_string();
        assert!(said.contains("a finite number above 0"), "{said}");
    }
}

#[test]
fn it_runs_in_a_graph_and_on_a_callers_buffers() {
    let expected = custom_op::capped_scores(&Device::Reference).unwrap();
    assert!(expected.iter().any(|y| y.abs() > 1.9) && expected.iter().all(|y| y.abs() <= 2.0), "{expected:?}");
    for device in devices() {
        for (got, want) in custom_op::capped_scores(&device).unwrap().iter().zip(&expected) {
            approx::assert_relative_eq!(got, want, max_relative = 1e-5);
        }
    }
    let Device::Gpu(gpu) = common::gpu() else { panic!("a GPU was asked for") };
    let x = gpu.upload("x", bytemuck::cast_slice(&[4.0_f32; 100])).unwrap();
    let y = gpu.buffer("y", 400).unwrap();
    let op = RecordedOp::new(&gpu, &Softcap { cap: 4.0 }, &[Some((Desc::f32([100]), (&x).into()))], &[(&y).into()]);
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    op.unwrap().encode(&mut encoder);
    gpu.queue().submit([encoder.finish()]);
    let y = gpu.download(&y, 100).unwrap();
    assert!(y.iter().all(|&word| (f32::from_bits(word) - 4.0 * 1_f32.tanh()).abs() < 1e-6));
}

#[test]
fn it_is_measured_and_its_kernel_is_what_the_host_says() {
    let bench = benches(&found(), &mut Gen::new(0, "softcap")).remove(0);
    let prepared = Call::by_name(&found(), bench.arguments).unwrap().prepare(&Device::Cpu, Default::default()).unwrap();
    assert_eq!(prepared.executor.graph().costs()[0].1.flops, 20.0 * 512.0);
    for kernel in found().kernels() {
        let (module, _) = wgsl::validate(kernel);
        assert_eq!((kernel.label().as_str(), module.entry_points[0].workgroup_size), ("softcap", [64, 1, 1]));
    }
}
