//! Nothing clears workgroup memory before a kernel starts (`ZERO_WORKGROUP_MEMORY`), so no result may depend on it.

use std::fmt::Write as _;
use std::path::Path;

use drdiff::gpu::{Kernel, Tier};
use drdiff::ops::REGISTRY;
use drdiff::{Device, DeviceChoice, GpuOptions};
use drdiff_check::{VerifyOptions, verify};
use naga::{AddressSpace, Module, ScalarKind, TypeInner, VectorSize};

const SHADERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");

/// WGSL of a value that no kernel can use: NaN, or a number larger than any size.
fn rubbish(module: &Module, ty: &TypeInner) -> String {
    let scalar = |kind| match kind {
        ScalarKind::Float => "bitcast<f32>(0x7fc00000u | rubbish)",
        _ => "(0xdeadbe00u | rubbish)",
    };
    match ty {
        TypeInner::Scalar(value) | TypeInner::Atomic(value) => scalar(value.kind).to_owned(),
        TypeInner::Vector { size, scalar: value } => {
            let lanes = match size {
                VectorSize::Bi => 2,
                VectorSize::Tri => 3,
                VectorSize::Quad => 4,
            };
            format!("vec{lanes}({})", scalar(value.kind))
        }
        TypeInner::Struct { members, .. } => {
            let name = module.types.iter().find(|(_, other)| other.inner == *ty).and_then(|(_, ty)| ty.name.clone());
            let values: Vec<_> = members.iter().map(|member| rubbish(module, &module.types[member.ty].inner)).collect();
            format!("{}({})", name.unwrap(), values.join(", "))
        }
        other => panic!("workgroup memory of type {other:?}"),
    }
}

/// Statements that fill all workgroup memory of a kernel. Array lengths as its text has them: they differ by variant.
fn filling(wgsl: &str) -> String {
    let module = &naga::front::wgsl::parse_str(wgsl).unwrap();
    let mut text = String::new();
    for (_, variable) in module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup) {
        let name = variable.name.as_deref().unwrap();
        let ty = &module.types[variable.ty];
        let TypeInner::Array { base, .. } = ty.inner else {
            writeln!(text, "{name} = {};", rubbish(module, &ty.inner)).unwrap();
            continue;
        };
        let element = &module.types[base].inner;
        let value = rubbish(module, element);
        let store = match element {
            TypeInner::Atomic(_) => format!("atomicStore(&{name}[i], {value});"),
            _ => format!("{name}[i] = {value};"),
        };
        let declared = wgsl.split(&format!("var<workgroup> {name}: array<")).nth(1).unwrap();
        let length = declared.split(">;").next().unwrap().rsplit(", ").next().unwrap();
        writeln!(text, "for (var i = 0u; i < {length}; i += 1u) {{ {store} }}").unwrap();
    }
    // A variable, so that the compiler does not take the words for constants, of which NaN is none.
    match text.is_empty() {
        true => text,
        false => format!("var rubbish = 1u;\n{text}workgroupBarrier();\n"),
    }
}

/// What fills the file's workgroup memory, which must be the same whichever tier's files are in its slots.
fn filling_of_all_tiers(kernel: &Kernel) -> String {
    let tiers = kernel.source.tiers().into_iter();
    let mut fillings: Vec<_> = tiers.map(|tier| filling(&Kernel { tier, ..*kernel }.wgsl().unwrap())).collect();
    fillings.dedup();
    assert_eq!(fillings.len(), 1, "{}: workgroup variables differ between tiers", kernel.label());
    fillings.remove(0)
}

/// Writes the kernel's file to `folder`, its workgroup memory full of rubbish when it starts; true where it has any.
fn spoil(kernel: &Kernel, folder: &Path) -> bool {
    let filling = filling_of_all_tiers(kernel);
    let file = Path::new(kernel.source.name()).with_extension("wgsl");
    let mut text = std::fs::read_to_string(Path::new(SHADERS).join(&file)).unwrap();
    if !text.contains("fn main(") {
        // It is in an import, and other kernels may import that.
        assert_eq!(kernel.source.tiers(), [Tier::Core], "{}: the imports would be those of one tier", kernel.label());
        kernel.source.text(Tier::Core).clone_into(&mut text);
    }
    let main = text.find("fn main(").unwrap();
    let body = main + text[main..].find(") {\n").unwrap() + ") {\n".len();
    let to = folder.join(&file);
    std::fs::write(&to, [&text[..body], &filling, &text[body..]].concat()).unwrap();
    !filling.is_empty()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        match file.path().is_dir() {
            true => copy(&file.path(), &to),
            false => drop(std::fs::copy(file.path(), to).unwrap()),
        }
    }
}

#[test]
fn what_workgroup_memory_holds_at_first_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    // An op may use kernels of another's, which are whole until their own turn.
    let shaders = folder.path().join("shaders");
    copy(Path::new(SHADERS), &shaders);
    let shaders = Some(shaders);
    let options = GpuOptions { device: DeviceChoice::Gpu, shaders, ..Default::default() };
    let device = Device::open(&options).expect("a Vulkan driver answers: scripts/test.sh prepares a software one");
    let mut spoiled = 0;
    for entry in REGISTRY {
        if entry.kernels().filter(|kernel| spoil(kernel, &folder.path().join("shaders"))).count() == 0 {
            continue;
        }
        spoiled += 1;
        let report = verify(entry, &device, &VerifyOptions { seed: 2, stride: 29, ..Default::default() }).unwrap();
        assert!(report.failures.is_empty(), "{}: {:#?}", entry.name(), report.failures);
        assert!(report.passed() > 0, "{}: no case ran", entry.name());
    }
    assert!(spoiled > 0);
}
