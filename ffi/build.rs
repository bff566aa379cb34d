//! How the shared library is linked: its versioned name, and which symbols stay inside.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let Ok(system) = std::env::var("CARGO_CFG_TARGET_OS") else {
        return;
    };
    // UF_ABI_VERSION of src/version.rs; a test compares the two.
    const ABI: u32 = 1;
    match system.as_str() {
        "linux" | "android" => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libunforget.so.{ABI}");
            // Some crates of ours export C symbols of their own. What comes from archives, crates and llama.cpp alike,
            // stays inside: only this crate's own objects export.
            println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
        }
        "macos" | "ios" => {
            println!(
                "cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libunforget.{ABI}.dylib"
            );
        }
        _ => {}
    }
}
