//! Checks the command of the pool's members before the first of them is wanted: a wrong path is told
//! at the start, not at the first change.

use std::{
    env,
    fs::{self, Metadata},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::PoolError;

const ANY_EXECUTE_BIT: u32 = 0o111;

/// Whether the command names a program that can be run.
pub(super) fn check(command: &[String]) -> Result<(), PoolError> {
    let Some(program) = command.first().filter(|program| !program.is_empty()) else {
        return Err(PoolError::Command(
            "is empty; give the program that runs one TaskManager in the foreground, \
             such as `bin/taskmanager.sh start-foreground`"
                .to_owned(),
        ));
    };
    if program.contains('/') {
        return check_file(Path::new(program));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|dir| check_file(&dir.join(program)).is_ok()) {
        return Ok(());
    }
    Err(PoolError::Command(format!("no program `{program}` in any folder of PATH")))
}

fn check_file(file: &Path) -> Result<(), PoolError> {
    let executable = |seen: &Metadata| seen.permissions().mode() & ANY_EXECUTE_BIT != 0;
    let name = file.display();
    Err(PoolError::Command(match fs::metadata(file) {
        Err(error) => format!("cannot read `{name}`: {error}"),
        Ok(seen) if seen.is_dir() => format!("`{name}` is a folder, not a program"),
        Ok(seen) if !executable(&seen) => format!("`{name}` is not executable; `chmod +x` makes it so"),
        Ok(_) => return Ok(()),
    }))
}

/// The arguments for one member: `{id}` becomes its name.
pub(super) fn for_member(command: &[String], id: &str) -> Vec<String> {
    command.iter().enumerate().map(|(n, word)| if n == 0 { word.clone() } else { word.replace("{id}", id) }).collect()
}
