//! Which HLSL compiler wgpu took for DX12, and why.
//!
//! wgpu looks for the newer one (DXC) as Windows looks for any library, and takes the older one (FXC), which is part of
//! Windows, where it finds none. It does not say which, but a library that is in use is listed in the process.

use std::path::{Path, PathBuf};

use wgpu::Dx12Compiler;

const DXC: &str = "dxcompiler.dll";

/// The compiler and the reason, in words. To be called once an instance is there, which is what loads it.
pub(super) fn compiler() -> String {
    describe(&Dx12Compiler::from_env().unwrap_or_default(), loaded(DXC).as_deref())
}

fn describe(asked: &Dx12Compiler, dxc: Option<&Path>) -> String {
    match (asked, dxc) {
        (Dx12Compiler::Fxc, _) => "FXC, because WGPU_DX12_COMPILER asks for it".to_owned(),
        (Dx12Compiler::StaticDxc, _) => "DXC, linked into this program".to_owned(),
        (_, Some(path)) => format!("DXC, found as {}", path.display()),
        (_, None) => format!(
            "FXC, because no {DXC} that loads is beside the program, in a system folder, in the working directory or \
             on PATH; with one, kernels compile several times faster"
        ),
    }
}

/// Where a library that this process has loaded lies.
#[cfg(windows)]
fn loaded(name: &str) -> Option<PathBuf> {
    use std::os::windows::ffi::OsStringExt as _;

    type Module = *mut std::ffi::c_void;
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleW(name: *const u16) -> Module;
        fn GetModuleFileNameW(module: Module, path: *mut u16, size: u32) -> u32;
    }

    let name: Vec<u16> = name.encode_utf16().chain([0]).collect();
    // SAFETY: `name` ends in 0.
    let module = unsafe { GetModuleHandleW(name.as_ptr()) };
    if module.is_null() {
        return None;
    }
    // As long as Windows allows a path to be.
    let mut path = vec![0; 1 << 15];
    // SAFETY: the size is that of `path`, and wgpu's instance keeps the library loaded.
    let length = unsafe { GetModuleFileNameW(module, path.as_mut_ptr(), path.len() as u32) };
    Some(std::ffi::OsString::from_wide(&path[..length as usize]).into())
}

/// DX12 is on Windows alone.
#[cfg(not(windows))]
fn loaded(_: &str) -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dxc_is_named_where_it_was_found_and_fxc_says_where_dxc_was_not() {
        let found = describe(&Dx12Compiler::Auto, Some(Path::new("C:/app/dxcompiler.dll")));
        assert_eq!(found, "DXC, found as C:/app/dxcompiler.dll");
        assert!(
            describe(&Dx12Compiler::default_dynamic_dxc(), Some(Path::new("D:/dxcompiler.dll"))).starts_with("DXC")
        );
        let fallback = describe(&Dx12Compiler::Auto, None);
        assert!(fallback.starts_with("FXC, because no dxcompiler.dll"), "{fallback}");
        assert!(fallback.contains("beside the program") && fallback.contains("PATH"), "{fallback}");
    }

    #[test]
    fn a_compiler_that_the_environment_asks_for_is_not_put_down_to_the_search() {
        let asked = describe(&Dx12Compiler::Fxc, Some(Path::new("C:/app/dxcompiler.dll")));
        assert_eq!(asked, "FXC, because WGPU_DX12_COMPILER asks for it");
        assert!(describe(&Dx12Compiler::StaticDxc, None).starts_with("DXC, linked"));
    }
}
