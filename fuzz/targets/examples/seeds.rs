//! Writes the inputs with which fuzzing begins: `cargo run -p fuzz-targets --example seeds FOLDER`
//! makes a folder for each target there.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).expect("a folder"));
    for target in fuzz_targets::TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, input) in fuzz_targets::seeds(target).enumerate() {
            fs::write(folder.join(format!("seed-{number}")), input)?;
        }
    }
    Ok(())
}
