//! A command line, or a variable of the environment, that cannot be read. On a terminal that ends the
//! program. In the JobManager's pod it must not (`--on-bad-config hold`): one wrong letter in a flag would keep
//! the sidecar from starting, and so the JobManager. There the agent runs on what can be read, which is where
//! to tell of it, and holds.

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory as _, FromArgMatches as _, builder::Resettable};

use super::{Cli, Command, RunArgs};

/// Where it listens, how it logs and which Deployment it is about are still taken from the environment.
const KEPT: [&str; 4] = ["listen", "log_format", "deployment", "namespace"];

/// Given for what is missing then; nobody is asked by these names.
const UNKNOWN: [&str; 10] = [
    "sluice",
    "run",
    "--on-bad-config",
    "hold",
    "--pravega-controller",
    "tcp://unknown:9090",
    "--scope",
    "unknown",
    "--stream",
    "unknown",
];

/// The arguments of an agent that only holds and says what could not be read, if the command was `run` and
/// asked for that. Asking for help is no error.
#[must_use]
pub fn misread(error: &clap::Error, line: &[OsString], asked_by_variable: Option<&OsStr>) -> Option<RunArgs> {
    let word = |index: usize| line.get(index).and_then(|word| word.to_str());
    let flag = (1..line.len()).any(|at| match word(at) {
        Some("--on-bad-config") => word(at + 1) == Some("hold"),
        word => word == Some("--on-bad-config=hold"),
    });
    let hold = flag || asked_by_variable == Some(OsStr::new("hold"));
    if !error.use_stderr() || word(1) != Some("run") || !hold {
        return None;
    }
    let args = [&KEPT[..], &[]].into_iter().find_map(unknown)?;
    Some(RunArgs { misread: Some(first_words(&error.to_string())), ..args })
}

/// Reads nothing but those variables.
fn unknown(kept: &[&str]) -> Option<RunArgs> {
    let silent = |arg: clap::Arg| {
        let keep = kept.contains(&arg.get_id().as_str());
        if keep { arg } else { arg.env(Resettable::Reset) }
    };
    let command = Cli::command().mut_subcommand("run", |run| run.mut_args(silent));
    let with_deployment = UNKNOWN.into_iter().chain(["--deployment", "unknown"]);
    let matches =
        command.clone().try_get_matches_from(UNKNOWN).or_else(|_| command.try_get_matches_from(with_deployment));
    match Cli::from_arg_matches(&matches.ok()?).ok()?.command {
        Command::Run(args) => Some(args),
        _ => None,
    }
}

/// What is wrong and the tip, without the usage, in one line.
fn first_words(error: &str) -> String {
    let paragraphs = error.split("\n\n").take_while(|text| !text.starts_with("Usage") && !text.starts_with("For more"));
    let words = paragraphs.flat_map(str::split_whitespace).skip_while(|word| *word == "error:");
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn read(line: &str, variable: Option<&str>) -> Option<RunArgs> {
        let error = Cli::try_parse_from(line.split(' ')).map(|_| ()).unwrap_err();
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        misread(&error, &words, variable.map(OsStr::new))
    }

    const LINE: &str = "sluice run --pravega-controller tcp://c:9090 --scope dna --stream reads --deployment tm";

    #[test]
    fn a_typo_is_held_where_that_is_asked_for() {
        let args = read(&format!("{LINE} --cooldwon-up 3s"), Some("hold")).unwrap();
        let problem = args.misread.unwrap();
        assert_eq!(
            problem,
            "unexpected argument '--cooldwon-up' found tip: a similar argument exists: '--cooldown-up'"
        );
        for asked in ["--on-bad-config hold", "--on-bad-config=hold"] {
            let args = read(&format!("{LINE} {asked} --poll often"), None).unwrap();
            assert!(args.misread.unwrap().contains("'often' for '--poll"), "{asked}");
        }
        assert!(read("sluice run", Some("hold")).unwrap().misread.unwrap().contains("--pravega-controller"));
    }

    #[test]
    fn otherwise_it_ends_the_program() {
        assert!(read(&format!("{LINE} --cooldwon-up 3s"), None).is_none());
        assert!(read(&format!("{LINE} --cooldwon-up 3s"), Some("exit")).is_none());
        assert!(read("sluice check --polll 3s", Some("hold")).is_none());
        assert!(read("sluice run --help", Some("hold")).is_none());
    }
}
