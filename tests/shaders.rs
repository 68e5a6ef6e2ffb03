//! Every kernel variant: valid, writable for every backend, and as the host describes it.

use std::collections::BTreeSet;
use std::process::Command;

use drdiff::gpu::{Capability, Declared, Field, Kernel, Scalar, Tier, shaders};
use drdiff::op::Entry;
use drdiff::ops::{REGISTRY, StepRow};
use naga::back::{msl, spv, wgsl};
use naga::valid::FunctionInfo;
use naga::{
    AddressSpace, Block, Constant, Expression, Function, GlobalVariable, Handle, Literal, Module, Statement,
    StorageAccess, Type, TypeInner,
};

#[path = "common/hlsl.rs"]
mod hlsl;
#[path = "common/wgsl.rs"]
mod wgsl_text;

use wgsl_text::{parse, validate};

fn kernels() -> Vec<&'static Kernel> {
    let all: Vec<_> = REGISTRY.iter().flat_map(Entry::kernels).collect();
    assert!(all.len() >= REGISTRY.len(), "every op has a kernel");
    all
}

/// The number that naga makes of a constant, where it is a u32.
fn number(module: &Module, constant: &Constant) -> Option<u32> {
    match module.global_expressions[constant.init] {
        Expression::Literal(Literal::U32(number)) => Some(number),
        _ => None,
    }
}

/// The host counts tiles with the numbers that the build script read from the text.
#[test]
fn declared_numbers_are_those_of_the_shader() {
    for Declared { source, constants, workgroup } in shaders::ALL {
        for tier in source.tiers() {
            let label = format!("{} {}", source.name(), tier.name());
            let module = parse(&label, source.text(tier));
            assert_eq!(module.entry_points[0].workgroup_size, *workgroup, "{label}: workgroup");
            let theirs = module.constants.iter().filter_map(|(_, c)| Some((c.name.as_deref()?, number(&module, c)?)));
            let theirs: Vec<_> = theirs.collect();
            for constant in *constants {
                assert!(theirs.contains(constant), "{label}: {constant:?} is not among {theirs:?}");
            }
            // What the host reserves for a struct that only kernels see.
            for (name, words) in *constants {
                let Some(of) = name.strip_suffix("_WORDS") else { continue };
                let named = |ty: &str| ty.eq_ignore_ascii_case(of);
                let ty = module.types.iter().find(|(_, ty)| ty.name.as_deref().is_some_and(named));
                let size = ty.map(|(_, ty)| ty.inner.size(module.to_ctx()));
                assert_eq!(size, Some(words * 4), "{label}: {name}");
            }
            assert!(tier != Tier::Core || theirs.len() == constants.len(), "{label}: {theirs:?}, not {constants:?}");
        }
    }
}

#[test]
fn every_file_is_used_by_an_op() {
    let used: Vec<_> = kernels().iter().map(|kernel| kernel.source.name()).collect();
    let mut files = 0;
    for family in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders")).unwrap() {
        let family = family.unwrap().path();
        if family.ends_with("lib") {
            continue;
        }
        for file in std::fs::read_dir(&family).unwrap() {
            let file = file.unwrap().path();
            let name = format!("{}/{}", family.file_name().unwrap().display(), file.file_stem().unwrap().display());
            assert!(used.contains(&name.as_str()), "shaders/{name}.wgsl belongs to no op of the registry");
            files += 1;
        }
    }
    assert!(files > 0);
}

/// What a function takes and gives, by the names of types.
fn signature(module: &Module, function: &Function) -> String {
    let name = |ty: Handle<Type>| {
        let ty = &module.types[ty];
        ty.name.clone().unwrap_or_else(|| format!("{:?}", ty.inner))
    };
    let arguments: Vec<_> = function.arguments.iter().map(|argument| name(argument.ty)).collect();
    let result = function.result.as_ref().map(|result| name(result.ty));
    format!("{}({}) -> {result:?}", function.name.as_deref().unwrap_or_default(), arguments.join(", "))
}

/// A kernel is written once for all tiers: whatever fills its slots, the same functions are there.
#[test]
fn the_files_of_a_slot_declare_the_same_functions() {
    let mut tiers = 0;
    for Declared { source, .. } in shaders::ALL {
        let signatures = |tier: Tier| {
            let module = parse(source.name(), source.text(tier));
            module.functions.iter().map(|(_, function)| signature(&module, function)).collect::<BTreeSet<_>>()
        };
        let core = signatures(Tier::Core);
        for tier in source.tiers().into_iter().skip(1) {
            assert_eq!(signatures(tier), core, "{}: functions of {} and of core", source.name(), tier.name());
            assert!(
                kernels().iter().any(|kernel| kernel.source == *source && kernel.tier == tier),
                "{}",
                source.name()
            );
            tiers += 1;
        }
    }
    assert!(tiers > 0);
}

/// A file of a slot that no kernel takes is one that nothing above has seen.
#[test]
fn every_file_of_a_slot_is_used() {
    let mut files = 0;
    for slot in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/lib")).unwrap() {
        let slot = slot.unwrap().path();
        for file in slot.is_dir().then(|| std::fs::read_dir(&slot).unwrap()).into_iter().flatten() {
            let file = file.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let tier = [Tier::Core, Tier::Subgroup, Tier::Coop]
                .into_iter()
                .find(|tier| file.ends_with(format!("{}.wgsl", tier.name())));
            let tier = tier.unwrap_or_else(|| panic!("{} is named after no tier", file.display()));
            let last = text.lines().rev().find(|line| line.contains(": ")).unwrap();
            assert!(
                shaders::ALL.iter().any(|all| all.source.text(tier).contains(last)),
                "{} is not used",
                file.display()
            );
            files += 1;
        }
    }
    assert!(files > 0);
}

/// A field without what fills gaps, which either side may have.
fn is_padding(name: &str) -> bool {
    name.trim_end_matches(|c: char| c.is_ascii_digit()) == "pad"
}

/// What a type consists of, through arrays and vectors.
fn scalar(module: &Module, ty: Handle<Type>) -> Option<Scalar> {
    match &module.types[ty].inner {
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } => match *scalar {
            naga::Scalar::U32 => Some(Scalar::U32),
            naga::Scalar::F32 => Some(Scalar::F32),
            _ => None,
        },
        TypeInner::Array { base, .. } => scalar(module, *base),
        _ => None,
    }
}

/// Names, order, offsets, sizes and types of a uniform struct, as the host has them and as the shader does.
fn same_fields(label: &str, module: &Module, ty: Handle<Type>, host: &[Field]) {
    let TypeInner::Struct { members, span } = &module.types[ty].inner else { panic!("{label}: no struct") };
    let name = module.types[ty].name.as_deref().unwrap_or_default();
    let theirs = members.iter().map(|member| {
        let member_name = member.name.as_deref().unwrap_or_default();
        let size = module.types[member.ty].inner.size(module.to_ctx()) as usize;
        let ty = scalar(module, member.ty).unwrap_or_else(|| panic!("{label}: type of {name}.{member_name}"));
        (member_name, member.offset as usize, size, ty)
    });
    let theirs: Vec<_> = theirs.filter(|(name, ..)| !is_padding(name)).collect();
    let ours = host.iter().map(|field| (field.name, field.offset, field.size, field.ty));
    let ours: Vec<_> = ours.filter(|(name, ..)| !is_padding(name)).collect();
    assert_eq!(ours, theirs, "{label}: {name}, on the host and in the shader");
    // Uniforms are padded to whole vectors on their way.
    let end = host.last().map_or(0, |field| field.offset + field.size);
    assert!(*span as usize <= end.next_multiple_of(16), "{label}: {name} has {span} bytes, the host's {end}");
}

#[test]
fn bindings_and_params_are_what_the_host_says() {
    for kernel in kernels() {
        let (module, info) = validate(kernel);
        let label = kernel.label();
        for (handle, variable) in module.global_variables.iter().filter(|(_, variable)| variable.binding.is_some()) {
            // The layout of a pipeline has what its kernel uses.
            assert!(!info.get_entry_point(0)[handle].is_empty(), "{label}: {:?} is not used", variable.name);
        }
        let mut bindings: Vec<_> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| variable.binding.map(|at| (at.binding, variable)))
            .collect();
        bindings.sort_by_key(|(at, _)| *at);
        let numbers: Vec<_> = bindings.iter().map(|(at, _)| *at).collect();
        assert_eq!(numbers, (0..=kernel.writes.len() as u32).collect::<Vec<_>>(), "{label}: bindings");
        let params = bindings[0].1;
        assert_eq!(params.space, AddressSpace::Uniform, "{label}: params");
        same_fields(&label, &module, params.ty, kernel.params);
        for ((at, variable), writes) in bindings[1..].iter().zip(kernel.writes) {
            let written = match variable.space {
                AddressSpace::Storage { access } => access.contains(StorageAccess::STORE),
                AddressSpace::Uniform => {
                    same_fields(&label, &module, variable.ty, StepRow::FIELDS);
                    false
                }
                other => panic!("{label}: binding {at} is {other:?}"),
            };
            assert_eq!(written, *writes, "{label}: access of binding {at}");
        }
        let storage = bindings.iter().filter(|(_, v)| matches!(v.space, AddressSpace::Storage { .. })).count();
        assert!(storage <= 8, "{label}: {storage} storage buffers, WebGPU grants 8");
        let threads: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert!(threads <= 256, "{label}: {threads} threads");
        let workgroup: u32 = module
            .global_variables
            .iter()
            .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
            .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
            .sum();
        assert!(workgroup <= 16 << 10, "{label}: {workgroup} bytes of workgroup memory, WebGPU grants 16 KiB");
    }
}

#[test]
fn every_backend_can_be_written() {
    for kernel in kernels() {
        let (module, info) = validate(kernel);
        let label = kernel.label();
        let options = msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
        let written = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default());
        assert!(written.unwrap_or_else(|error| panic!("{label}: {error}")).0.contains("kernel void"));
        for &model in hlsl::models(kernel) {
            for bounds_checks in [true, false] {
                let text = hlsl::write(kernel, &module, &info, model, bounds_checks);
                assert!(text.contains("numthreads"), "{label}: HLSL");
            }
        }
        let text = wgsl::write_string(&module, &info, wgsl::WriterFlags::empty()).unwrap();
        parse(&label, &text);
    }
}

/// The statements of a block and of the blocks in it, in the order of the text.
fn statements(block: &Block) -> Vec<&Statement> {
    let mut all = Vec::new();
    for statement in block {
        all.push(statement);
        match statement {
            Statement::Block(inner) => all.extend(statements(inner)),
            Statement::If { accept, reject, .. } => {
                all.extend(statements(accept));
                all.extend(statements(reject));
            }
            Statement::Switch { cases, .. } => all.extend(cases.iter().flat_map(|case| statements(&case.body))),
            Statement::Loop { body, continuing, .. } => {
                all.extend(statements(body));
                all.extend(statements(continuing));
            }
            _ => {}
        }
    }
    all
}

/// Stores to a component of a vector that only the running kernel knows, as in `v[i] = x`, outside buffers.
fn stores_to_unknown_components(module: &Module, function: &Function, info: &FunctionInfo) -> usize {
    let vector = |pointer: Handle<Expression>| match info[pointer].ty.inner_with(&module.types) {
        TypeInner::Pointer {
            base,
            space: AddressSpace::Function | AddressSpace::Private | AddressSpace::WorkGroup,
        } => {
            matches!(module.types[*base].inner, TypeInner::Vector { .. })
        }
        TypeInner::ValuePointer { size, space, .. } => size.is_some() && !matches!(space, AddressSpace::Storage { .. }),
        _ => false,
    };
    let stores = statements(&function.body).into_iter().filter(|statement| match statement {
        Statement::Store { pointer, .. } => match function.expressions[*pointer] {
            Expression::Access { base, .. } => vector(base),
            _ => false,
        },
        _ => false,
    });
    stores.count()
}

/// FXC unrolls every loop around such a store, and refuses the kernel where it cannot (X3511).
#[test]
fn no_kernel_stores_to_a_component_that_the_compiler_does_not_know() {
    for kernel in kernels() {
        let (module, info) = validate(kernel);
        let entry = &module.entry_points[0].function;
        let mut found = stores_to_unknown_components(&module, entry, info.get_entry_point(0));
        for (handle, function) in module.functions.iter() {
            found += stores_to_unknown_components(&module, function, &info[handle]);
        }
        assert_eq!(found, 0, "{}: stores to a vector component with a computed index", kernel.label());
    }
}

/// How a kernel first touches each of its workgroup variables, in the order of the text: true by a store.
fn first_touches(module: &Module, function: &Function, first: &mut Vec<(Handle<GlobalVariable>, bool)>) {
    let variable = |mut pointer: Handle<Expression>| loop {
        pointer = match function.expressions[pointer] {
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => base,
            Expression::GlobalVariable(variable) => {
                let workgroup = module.global_variables[variable].space == AddressSpace::WorkGroup;
                return workgroup.then_some(variable);
            }
            _ => return None,
        };
    };
    for statement in statements(&function.body) {
        let touched: Vec<_> = match statement {
            Statement::Emit(range) => {
                let expressions = range.clone().map(|handle| &function.expressions[handle]);
                let loads = expressions.filter_map(|expression| match expression {
                    Expression::Load { pointer } => Some((*pointer, false)),
                    _ => None,
                });
                loads.collect()
            }
            Statement::Store { pointer, .. } => vec![(*pointer, true)],
            Statement::Atomic { pointer, .. } | Statement::WorkGroupUniformLoad { pointer, .. } => {
                vec![(*pointer, false)]
            }
            Statement::Call { function, .. } => {
                first_touches(module, &module.functions[*function], first);
                vec![]
            }
            _ => vec![],
        };
        for (pointer, stores) in touched {
            if let Some(variable) = variable(pointer)
                && first.iter().all(|(seen, _)| *seen != variable)
            {
                first.push((variable, stores));
            }
        }
    }
}

/// Nothing fills workgroup memory for a kernel (`ZERO_WORKGROUP_MEMORY`). What is left in it from other kernels is what
/// `verify` runs on; this sees what can be seen in the text.
#[test]
fn workgroup_memory_is_stored_to_before_it_is_read() {
    let mut variables = 0;
    for kernel in kernels() {
        let (module, _) = validate(kernel);
        let mut first = Vec::new();
        first_touches(&module, &module.entry_points[0].function, &mut first);
        for (variable, stores) in first {
            let name = module.global_variables[variable].name.as_deref().unwrap_or_default();
            assert!(stores, "{}: `{name}` is read before anything is stored in it", kernel.label());
            variables += 1;
        }
    }
    assert!(variables > 0);
}

fn spirv_val() -> Command {
    // The runner has the driver's own, newer one.
    match std::env::var_os("DRDIFF_RUNNER") {
        Some(runner) => {
            let mut command = Command::new(runner);
            command.arg("spirv-val");
            command
        }
        None => Command::new("spirv-val"),
    }
}

#[test]
fn spirv_val_accepts_every_kernel() {
    let folder = tempfile::tempdir().unwrap();
    for (index, kernel) in kernels().into_iter().enumerate() {
        let (module, info) = validate(kernel);
        // wgpu asks for 1.3, the version of Vulkan 1.1, too where a device has it; subgroups need it.
        let lang_version = if kernel.needs.is_empty() { (1, 0) } else { (1, 3) };
        let options = spv::Options { lang_version, ..Default::default() };
        let words = spv::write_vec(&module, &info, &options, None).unwrap();
        let path = folder.path().join(format!("{index}.spv"));
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        let output = spirv_val().args(["--target-env", "vulkan1.1"]).arg(&path).output();
        let output = output.expect("spirv-val runs: scripts/test.sh installs it");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", kernel.label());
    }
}

/// Chrome's compiler sees non-uniform control flow that naga lets through. No package provides it; on a machine
/// without it the output names the check that was left out.
#[test]
fn tint_accepts_every_kernel_where_it_is_installed() {
    if Command::new("tint").arg("--help").output().is_err() {
        eprintln!("not run: `tint` is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (index, kernel) in kernels().into_iter().enumerate() {
        let path = folder.path().join(format!("{index}.wgsl"));
        // naga refuses the directive that a browser wants.
        let subgroups = if kernel.needs.contains(&Capability::Subgroups) { "enable subgroups;\n" } else { "" };
        std::fs::write(&path, subgroups.to_owned() + &kernel.wgsl().unwrap()).unwrap();
        let output = Command::new("tint").args(["--format", "wgsl"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", kernel.label());
    }
}
