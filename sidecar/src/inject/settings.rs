//! The agent's own flags on `sluice inject`: the same names, but none is required and none has a default,
//! since only what was given is written into the container's environment.

use std::ffi::OsStr;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser as _, builder::Resettable, error::ErrorKind,
    parser::ValueSource,
};
use sluice_core::Policy;

use super::error::InjectError;
use crate::args::{Cli, Command as Chosen, RunArgs};

/// What belongs to a machine and not to a pod, and what is the same in every pod.
const NOT_IN_A_POD: [&str; 6] =
    ["no_lease", "kubeconfig", "task_manager_command", "pool_dir", "state_file", "on_bad_config"];

/// Settings that were given, as variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentSettings(pub Vec<(String, String)>);

impl AgentSettings {
    /// The value of a variable, if it was given.
    #[must_use]
    pub fn get(&self, variable: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == variable).map(|(_, value)| value.as_str())
    }
}

/// The flags of `sluice run`.
fn flags() -> Vec<Arg> {
    let run = RunArgs::augment_args(Command::new("run"));
    run.get_arguments().filter(|arg| arg.get_env().is_some()).cloned().collect()
}

fn fit_for_a_pod() -> impl Iterator<Item = Arg> {
    flags().into_iter().filter(|arg| !NOT_IN_A_POD.contains(&arg.get_id().as_str()))
}

impl Args for AgentSettings {
    fn augment_args(command: Command) -> Command {
        command.args(fit_for_a_pod().map(|arg| {
            arg.required(false)
                .default_value(Resettable::Reset)
                .required_unless_present(Resettable::Reset)
                .requires(Resettable::Reset)
                .conflicts_with(Resettable::Reset)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AgentSettings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut settings = Self::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for arg in fit_for_a_pod() {
            let id = arg.get_id().as_str();
            let given = matches.value_source(id).is_some_and(|source| source != ValueSource::DefaultValue);
            if let (true, Some(variable), Some(raw)) = (given, arg.get_env(), matches.get_raw(id)) {
                let value: Vec<_> = raw.map(OsStr::to_string_lossy).collect();
                self.0.push((variable.to_string_lossy().into_owned(), value.join(",")));
            }
        }
        Ok(())
    }
}

/// Reads the container's environment as the agent will, so that a mistake shows here and not in the pod.
/// Variables whose value stands elsewhere (a ConfigMap) may be among what is missing.
pub fn check(variables: &[(String, String)], some_stand_elsewhere: bool) -> Result<Option<RunArgs>, InjectError> {
    let mut line = vec!["sluice".to_owned(), "run".to_owned()];
    for arg in flags() {
        let variable = arg.get_env().map(OsStr::to_string_lossy).unwrap_or_default();
        let value = variables.iter().find(|(name, _)| *name == variable).map(|(_, value)| value);
        let (Some(value), Some(flag)) = (value, arg.get_long()) else { continue };
        match arg.get_action() {
            ArgAction::SetTrue if ["", "0", "f", "false", "n", "no", "off"].contains(&value.as_str()) => {}
            ArgAction::SetTrue => line.push(format!("--{flag}")),
            _ => line.push(format!("--{flag}={value}")),
        }
    }
    let run = match Cli::try_parse_from(line) {
        Ok(Cli { command: Chosen::Run(run) }) => run,
        Err(error) if some_stand_elsewhere && error.kind() == ErrorKind::MissingRequiredArgument => return Ok(None),
        Err(error) => {
            let text = error.to_string();
            let told = text.split("\n\nUsage").next().unwrap_or_default().trim_start_matches("error: ");
            return Err(InjectError::Settings(told.to_owned()));
        }
        Ok(_) => return Ok(None),
    };
    Policy::try_from(&run.settings.policy).map_err(|error| InjectError::Settings(error.to_string()))?;
    if run.listen.ip().is_loopback() {
        let trouble = "is not reached from outside the pod, not even by the kubelet that asks for /live";
        return Err(InjectError::Settings(format!("--listen {} {trouble}; take 0.0.0.0", run.listen)));
    }
    Ok(Some(run))
}
